"""Streaming is reading: tiny buffers give what whole files give, and memory does not grow with the corpus."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from imitable.activations import corpus_source
from imitable.activations.corpus import Text, read_corpus
from imitable.campaign import Corpus
from imitable.errors import CorpusError
from lengths import examples

LETTERS = [b"a", b"b ", b"\n", b"\r", b"\r\n", b"\n\n", b"  ", b'"', b",", "é雨😀".encode(), "\ufeff".encode()]
RECORDS = [b'{"text": "x"}', b"text\n"]
WRONG = [b"\0", b"\xe9", b"\xf0\x9f"]
BYTES = st.lists(st.sampled_from(LETTERS + RECORDS + WRONG), max_size=30).map(b"".join)


def outcome(path: Path) -> list[Text] | str:
    try:
        return read_corpus(Corpus(path=path.name), base=path.parent)
    except CorpusError as error:
        return str(error)


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=BYTES, size=st.integers(1, 7), name=st.sampled_from(["a.txt", "a.jsonl", "a.csv", "a.txt.gz"]))
@example(content=b"\r\na\r\r\nb\r", size=1, name="a.txt")
@example(content="﻿é\r\n雨".encode() + b"\xe9\0", size=1, name="a.txt")
def test_tiny_buffers_read_what_one_large_buffer_reads(content: bytes, size: int, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    whole = outcome(tmp_path / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_source, "READ_BYTES", size)
        assert outcome(tmp_path / name) == whole


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=BYTES)
def test_plain_text_is_read_as_its_definition_says(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    found = outcome(tmp_path / "a.txt")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or not text.strip():
        assert isinstance(found, str)
        return
    lines = [line.strip() for line in text.strip().split("\n")]
    paragraphs = "\n".join(lines).split("\n\n")
    expected = [part.strip() for part in paragraphs if part.strip()] if "" in lines else lines
    assert not isinstance(found, str)
    assert [one.text for one in found] == expected
    numbered = [line.strip() for line in text.split("\n")]
    assert all(numbered[one.line - 1] == one.text.split("\n")[0] for one in found)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.parquet", "a.jsonl.gz"])
def test_a_text_of_nine_million_letters_is_one_text(name: str, tmp_path: Path) -> None:
    long = "wörd " * 1_800_000 + "end"
    write(tmp_path / name, [long, "Short."])
    assert [one.text for one in read_corpus(Corpus(path=name), base=tmp_path)] == [long, "Short."]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"One.\n" + b"x" * 99, r"a\.txt, line 2: more than 64 characters without an end\. Split it"),
        ("a.txt", b"One.\n\n" + b"x\n" * 99, r"a\.txt, line 3: more than 64 characters without an end\."),
        ("a.csv", b'text\nOne\n"' + b"x\n" * 99, r"a\.csv, line 3: field larger than field limit .* begins there\.$"),
    ],
)
def test_what_never_ends_is_no_text(
    name: str, content: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_source, "LONGEST", 64)
    monkeypatch.setattr(corpus_source, "READ_BYTES", 16)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=said):
        read_corpus(Corpus(path=name), base=tmp_path)


MEASURE = """
import sys
from pathlib import Path
from imitable.activations.corpus import Fingerprint, stream_corpus
from imitable.campaign import Corpus

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

peaks = []
for name in sys.argv[2:]:
    seen = Fingerprint()
    for text in seen.passing(stream_corpus(Corpus(path=name), base=Path(sys.argv[1]))):
        pass
    peaks.append(peak())
print(seen.count, peaks[1] - peaks[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.parquet", "a.jsonl.gz"])
def test_sixty_megabytes_take_no_more_memory_than_two(name: str, tmp_path: Path) -> None:
    sentence = "Once upon a time there was a little neuron that wished to be understood. " * 6
    for folder, count in (("small", 4_500), ("large", 135_000)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / name, [f"{number} {sentence}".strip() for number in range(count)])
    said = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), f"small/{name}", f"large/{name}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert int(said[0]) == 135_000
    assert int(said[1]) < 30_000  # kB


def write(path: Path, rows: list[str]) -> None:
    """The same texts in any kind of file; Parquet with all of them in one row group."""
    match path.name.split("."):
        case [_, "txt"]:
            path.write_text("\n".join(rows), encoding="utf-8")
        case [_, "jsonl"]:
            path.write_text("\n".join(json.dumps({"text": row}) for row in rows), encoding="utf-8")
        case [_, "jsonl", "gz"]:
            raw = "\n".join(json.dumps({"text": row}) for row in rows).encode()
            path.write_bytes(gzip.compress(raw, compresslevel=1))
        case [_, "csv"]:
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([["text"], *([row] for row in rows)])
        case _:
            table = pa.table({"text": rows})
            pq.write_table(table, path, row_group_size=len(rows), compression="none", use_dictionary=False)
