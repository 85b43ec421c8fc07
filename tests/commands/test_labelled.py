"""Labelled texts: read from every kind of file, and what is wrong is named by file, row and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imitable.commands.labelled import read_labelled
from imitable.errors import CorpusError

ROWS: list[dict[str, Any]] = [{"text": "A dog.", "label": "yes"}, {"text": "A,\ncat ", "label": "no"}]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    else:
        names = list(rows[0])
        lines = [",".join(names), *(",".join(f'"{row[name]}"' for name in names) for row in rows)]
        path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_kind_of_file_says_the_same(suffix: str, tmp_path: Path) -> None:
    read = read_labelled(write(tmp_path / f"a{suffix}", ROWS))
    assert (read.texts, read.positive, read.labels) == (("A dog.", "A,\ncat"), (True, False), ("no", "yes"))
    renamed = [{"id": 1, "said": row["text"], "is_dog": row["label"]} for row in ROWS]
    again = read_labelled(write(tmp_path / f"b{suffix}", renamed), text_column="said", label_column="is_dog")
    assert (again.texts, again.positive) == (read.texts, read.positive)


@pytest.mark.parametrize(
    ("labels", "expected"), [((1, 0), ("0", "1")), ((True, False), ("false", "true")), ((1.0, 0.0), ("0", "1"))]
)
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_numbers_and_truth_values_are_labels(
    labels: tuple[Any, Any], expected: tuple[str, str], suffix: str, tmp_path: Path
) -> None:
    rows = [{"text": "a", "label": labels[0]}, {"text": "b", "label": labels[1]}]
    read = read_labelled(write(tmp_path / f"a{suffix}", rows))
    assert (read.labels, read.positive) == (expected, (True, False))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"text", r"a\.txt is not one of \.csv, \.jsonl, \.parquet\. Convert it"),
        ("a.csv", None, r"a\.csv cannot be read .* Check its path and permissions\.$"),
        ("a.csv", b"text,kind\na,b\n", r"line 1: no column 'label' among text, kind\. .* --label-column\.$"),
        ("a.csv", b"", r"line 1: no column 'text' among none\. Name the columns"),
        ("a.csv", b"text,label\na,1\n\nb\n", r"a\.csv, line 4, column 'label': None is no label\."),
        ("a.csv", b"text,label\n,1\n", r"a\.csv, line 2, column 'text': there is no text\. Mend or remove that row\.$"),
        ("a.csv", b'text,label\na,1\n"b,0\n', r"a\.csv, line 3: .* Mend the row that begins there\.$"),
        ("a.csv", b"text,label\n\xe9,1\n", r"a\.csv, line 2: not UTF-8 \(byte 0xe9\)\. Convert it"),
        ("a.csv", b"text,label\na,x\nb,y\nc,z\n", r"line 4, column 'label': 'z' is a third label beside 'x' and 'y'\."),
        (
            "a.csv",
            b"text,label\na,x\nb,x\n",
            r"column 'label': it holds only the label 'x'\. A probe needs texts of two",
        ),
        ("a.csv", b"text,label\n", r"it holds no row\. A probe needs"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{', r"a\.jsonl, line 2: not JSON .* Write one object a line\.$"),
        ("a.jsonl", b"[1]", r"a\.jsonl, line 1: not a JSON object"),
        ("a.jsonl", b'{"text": "a"}', r"a\.jsonl, line 1: no column 'label' among text\."),
        ("a.jsonl", b'{"text": "a", "label": 0.5}', r"column 'label': 0\.5 is no label\. Write text, a whole number"),
        ("a.jsonl", b'{"text": 3, "label": 1}', r"line 1, column 'text': there is no text"),
        ("a.parquet", b"hello", r"a\.parquet is not a readable Parquet file .* Write it again\.$"),
    ],
)
def test_what_is_wrong_is_named(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        read_labelled(tmp_path / name)


def test_rows_of_parquet_are_counted(tmp_path: Path) -> None:
    rows = [*ROWS, {"text": None, "label": "no"}]
    with pytest.raises(CorpusError, match=r"a\.parquet, row 3, column 'text': there is no text"):
        read_labelled(write(tmp_path / "a.parquet", rows))


def test_a_text_stands_once_and_with_one_label(tmp_path: Path) -> None:
    path = tmp_path / "labelled.csv"
    path.write_text("text,label\nOne,yes\nTwo,no\n One ,yes\n", encoding="utf-8")
    assert read_labelled(path).texts == ("One", "Two")
    path.write_text("text,label\nOne,yes\nTwo,no\nOne,no\n", encoding="utf-8")
    with pytest.raises(
        CorpusError, match=r"line 4: the same text has the label 'yes' in .*line 2 and 'no' here\. Remove"
    ):
        read_labelled(path)
