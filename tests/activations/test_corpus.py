"""Corpora in local files: what counts as a text in each kind of file, and where a bad one is bad."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from imitable.activations.corpus import Fingerprint, Text, held_out_corpus, read_corpus, stream_corpus
from imitable.campaign import Corpus
from imitable.errors import CorpusError
from lengths import examples


def read(base: Path, path: str, **more: object) -> list[Text]:
    return read_corpus(Corpus.model_validate({"path": path, **more}), base=base)


def texts(base: Path, path: str, **more: object) -> list[str]:
    return [one.text for one in read(base, path, **more)]


def test_plain_text_with_a_blank_line_is_read_by_paragraph(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.\nStill one.\n\n\n  \nTwo.\n", encoding="utf-8")
    assert read(tmp_path, "a.txt") == [Text("One.\nStill one.", "a.txt", 1), Text("Two.", "a.txt", 6)]


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n  \n", "\r\n"])
def test_plain_text_without_a_blank_line_is_read_by_line_however_it_ends(end: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(f"\n\nOne.\nTwo.\nThree.{end}".encode())
    assert read(tmp_path, "a.txt") == [
        Text("One.", "a.txt", 3),
        Text("Two.", "a.txt", 4),
        Text("Three.", "a.txt", 5),
    ]


def test_windows_line_ends_and_a_byte_order_mark_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("﻿One.\r\nStill.\r\n\r\nTwo.".encode())
    assert texts(tmp_path, "a.txt") == ["One.\nStill.", "Two."]


def test_json_lines_are_read_by_field(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "One."}\n\n{"text": "T\\u00e9o\\nsaid.", "x": 1}\n', encoding="utf-8")
    assert read(tmp_path, "a.jsonl") == [Text("One.", "a.jsonl", 1), Text("Téo\nsaid.", "a.jsonl", 3)]
    (tmp_path / "b.jsonl").write_text('{"story": "One."}', encoding="utf-8")
    assert texts(tmp_path, "b.jsonl", column="story") == ["One."]


def test_a_csv_keeps_the_newlines_inside_a_field(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text\n1,"First line,\nsecond ""line"""\n\n2,Next\n', encoding="utf-8")
    assert read(tmp_path, "a.csv") == [
        Text('First line,\nsecond "line"', "a.csv", 2),
        Text("Next", "a.csv", 5),
    ]


def test_a_csv_field_may_be_longer_than_the_csv_module_likes(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    (tmp_path / "a.csv").write_text("text\n" + "word " * 60_000, encoding="utf-8")
    assert len(texts(tmp_path, "a.csv")[0]) == 299_999
    assert csv.field_size_limit() == before


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(
        st.text(alphabet=st.sampled_from('ab ",\n;é雨'), min_size=1).map(lambda t: f"x{t}y"), min_size=1, max_size=6
    )
)
def test_any_texts_come_back_from_every_kind_of_table(rows: list[str], tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": range(len(rows)), "text": rows})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=2)
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": row}) for row in rows), encoding="utf-8")
    for name in ("a.csv", "a.jsonl"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    for name in ("a.csv", "a.parquet", "a.jsonl", "a.csv.gz", "a.jsonl.gz"):
        assert texts(tmp_path, name) == rows


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(
        st.lists(st.text(alphabet="ab é雨", min_size=1).map(lambda t: f"x{t}y"), min_size=1, max_size=3).map("\n".join),
        min_size=2,
        max_size=6,
    )
)
def test_any_paragraphs_come_back_from_plain_text(rows: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\n\n".join(rows).encode())
    (tmp_path / "a.TXT.gz").write_bytes(gzip.compress("\r\n \r\n".join(rows).encode("utf-8-sig")))
    assert texts(tmp_path, "a.txt") == texts(tmp_path, "a.TXT.gz") == rows


def test_a_folder_and_a_glob_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "sub/c.txt", "notes.md"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"In {name}.", encoding="utf-8")
    assert texts(tmp_path, "data") == ["In a.txt.", "In b.txt.", "In sub/c.txt."]
    assert texts(tmp_path, "data/*.txt") == ["In a.txt.", "In b.txt."]
    assert texts(tmp_path, str(tmp_path / "data" / "**" / "*.txt")) == texts(tmp_path, "data")


def test_a_glob_works_in_a_campaign_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    base = tmp_path / "run [2]"
    base.mkdir()
    (base / "a.txt").write_text("One.", encoding="utf-8")
    assert texts(base, "*.txt") == ["One."]


BAD: dict[str, tuple[str, bytes, str]] = {
    "nothing in it": ("a.txt", b"", r"a\.txt, line 1: the file is empty\. Name a corpus"),
    "blank lines only": ("a.txt", b"\n  \n\n", r"a\.txt, line 1: the file is empty\."),
    "binary": ("a.txt", b"One.\nTwo.\nThr\0ee", r"a\.txt, line 3: binary data \(a NUL byte\).* Name a text file\.$"),
    "another encoding": ("a.txt", "One.\nTéo".encode("cp1252"), r"a\.txt, line 2: not UTF-8 \(byte 0xe9\).*iconv"),
    "not JSON": ("a.jsonl", b'{"text": "One."}\n{oops', r"a\.jsonl, line 2: not a JSON object .*one object a line\.$"),
    "a list in JSON": ("a.jsonl", b'["text"]', r"a\.jsonl, line 1: not a JSON object"),
    "another field": ("a.jsonl", b'{"txt": "One."}', r"a\.jsonl, line 1: no field 'text'.*\[corpus\] column\.$"),
    "a number for a text": ("a.jsonl", b'{"text": 7}', r"a\.jsonl, line 1: the text is int, not a string\."),
    "null for a text": ("a.jsonl", b'{"text": null}', r"a\.jsonl, line 1: the text is missing\."),
    "half a surrogate": ("a.jsonl", rb'{"text": "\ud83d"}', r"a\.jsonl, line 1: the text holds a NUL or half a surrog"),
    "a NUL in JSON": ("a.jsonl", rb'{"text": "a\u0000b"}', r"a\.jsonl, line 1: the text holds a NUL"),
    "another column": ("a.csv", b"id,story\n1,x", r"a\.csv, line 1: no column 'text' among id, story\."),
    "a short row": ("a.csv", b"id,text\n1,x\n2\n", r"a\.csv, line 3: the text is missing\. Mend that row"),
    "a quote never closed": (
        "a.csv",
        b'text\nOne\n"Two\nThree\n',
        r"a\.csv, line 3: unexpected end of data\. Mend the",
    ),
    "an encoding of two bytes": ("a.txt", "One.".encode("utf-16"), r"a\.txt, line 1: not UTF-8 .*iconv -f UTF-16"),
    "a letter cut short": ("a.jsonl", b'{"text": "One."}\n\xe9', r"a\.jsonl, line 2: not UTF-8 \(byte 0xe9\)"),
    "JSON too deep to read": ("a.jsonl", b"[" * 100_000, r"a\.jsonl, line 1: not a JSON object"),
    "a blank CSV": ("a.csv", b"\n \n", r"a\.csv, line 1: the file is empty\."),
    "gzip cut short": (
        "a.txt.gz",
        gzip.compress(b"One." * 99)[:-9],
        r"a\.txt\.gz is not a whole gzip file .* again\.$",
    ),
    "no gzip at all": ("a.txt.gz", b"One.", r"a\.txt\.gz is not a whole gzip file"),
    "gzip with damage inside": ("a.txt.gz", gzip.compress(b"One.")[:10] + b"\xff" * 30, r"is not a whole gzip file"),
    "a Parquet in gzip": ("a.parquet.gz", b"", r"a\.parquet\.gz is not one of"),
    "not Parquet": ("a.parquet", b"PAR0", r"a\.parquet is not a readable Parquet file .* Write it again\.$"),
    "another kind": ("a.docx", b"PK", r"a\.docx is not one of \.txt, \.jsonl, \.csv, \.parquet\. Convert it"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_file_is_named_with_its_line_and_a_way_out(bad: str, tmp_path: Path) -> None:
    name, content, said = BAD[bad]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=said):
        read(tmp_path, name)


def test_a_parquet_without_the_column_names_those_it_has(tmp_path: Path) -> None:
    pd.DataFrame({"story": ["One."]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=r"a\.parquet: no column 'text' among story\."):
        read(tmp_path, "a.parquet")
    pd.DataFrame({"text": ["One.", None]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=r"a\.parquet, line 2: the text is missing"):
        read(tmp_path, "a.parquet")


@pytest.mark.parametrize("path", ["nowhere.txt", "no/*.txt", "empty"])
def test_a_corpus_that_is_not_there_is_named(path: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"No corpus at .*: no file, no folder .*Correct \[corpus\] path\.$"):
        read(tmp_path, path)


def test_an_unknown_builtin_names_the_known_one(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no built-in corpus 'pile'.*builtin:tinystories\.$"):
        read(tmp_path, "builtin:pile")
    assert len(read(tmp_path, "builtin:tinystories")) > 1000


def test_a_corpus_is_read_as_its_texts_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "One."}\n{"text": "Two."}\n{oops', encoding="utf-8")
    stream = stream_corpus(Corpus(path="a.jsonl"), base=tmp_path)
    assert [next(stream).text, next(stream).text] == ["One.", "Two."]
    with pytest.raises(CorpusError, match=r"a\.jsonl, line 3: not a JSON object"):
        next(stream)
    assert texts(tmp_path, "a.jsonl", max_texts=2) == ["One.", "Two."]


def test_a_corpus_that_is_not_there_is_told_before_the_first_text_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="No corpus at"):
        stream_corpus(Corpus(path="gone.txt"), base=tmp_path)


def test_a_table_without_rows_holds_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"^a\.csv holds no text at all\. Name a corpus with text"):
        read(tmp_path, "a.csv")


def test_the_fingerprint_is_of_texts_and_their_order_alone(tmp_path: Path) -> None:
    def of(path: str) -> tuple[str, int]:
        seen = Fingerprint()
        passed = list(seen.passing(stream_corpus(Corpus(path=path), base=tmp_path)))
        assert passed == read(tmp_path, path)
        return seen.sha256, seen.count

    (tmp_path / "a.txt").write_text("One.\nTwo.", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "One."}\n\n{"text": "Two."}\n', encoding="utf-8")
    (tmp_path / "c.txt").write_text("Two.\nOne.", encoding="utf-8")
    (tmp_path / "d.txt").write_text("One.T\nwo.", encoding="utf-8")
    assert of("a.txt") == of("b.jsonl")
    assert of("a.txt")[1] == 2
    assert len({of(name)[0] for name in ("a.txt", "c.txt", "d.txt")}) == 3


def test_the_second_corpus_is_one_of_its_own(tmp_path: Path) -> None:
    first = Corpus(path="a.csv", column="story", max_texts=9, subset="en")
    assert held_out_corpus(first, base=tmp_path) is None
    second = held_out_corpus(first.model_copy(update={"held_out_path": "b.csv"}), base=tmp_path)
    assert second == Corpus(path="b.csv", column="story", max_texts=9)
    named = Corpus(path="owner/set", subset="en", held_out_path="owner/set", held_out_split="test", held_out_column="t")
    assert held_out_corpus(named, base=tmp_path) == Corpus(path="owner/set", subset="en", split="test", column="t")


SPELLINGS = ["./a.txt", "sub/../a.txt", "a.txt/", "link.txt", "*.txt", ".", "{base}/a.txt"]


@pytest.mark.parametrize("split", [None, "test"])  # a text file has no splits
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_second_corpus_that_is_the_first_by_another_name_is_refused(
    spelling: str, split: str | None, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("One.")
    (tmp_path / "link.txt").symlink_to(tmp_path / "a.txt")
    corpus = Corpus(path="a.txt", held_out_path=spelling.format(base=tmp_path), held_out_split=split)
    with pytest.raises(CorpusError, match=r"held_out_path reads .*a\.txt, and so does path.*remove held_out_path\.$"):
        held_out_corpus(corpus, base=tmp_path)


def test_the_built_in_corpus_has_no_splits_either(tmp_path: Path) -> None:
    twice = Corpus(path="builtin:tinystories", held_out_path="builtin:tinystories", held_out_split="test")
    with pytest.raises(CorpusError, match=r"held_out_path reads .*tinystories\.txt, and so does path"):
        held_out_corpus(twice, base=tmp_path)


def test_addresses_and_other_files_may_be_second_corpora(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.")
    (tmp_path / "b.txt").write_text("One.")
    for path, held_out in [("a.txt", "b.txt"), ("s3://a/a.txt", "s3://a/./a.txt"), ("a.txt", "builtin:tinystories")]:
        assert held_out_corpus(Corpus(path=path, held_out_path=held_out), base=tmp_path)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"held_out_column": "t"}, "held_out_column is for a second corpus; name that in held_out_path, or remove"),
        ({"held_out_split": "test"}, "held_out_split is for a second corpus"),
        ({"held_out_path": "a.txt"}, r"held_out_path is the first corpus again \(a\.txt\); name another"),
    ],
)
def test_a_second_corpus_that_makes_no_sense_is_refused(keys: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Corpus.model_validate({"path": "a.txt", **keys})
