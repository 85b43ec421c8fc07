"""Labelled texts from CSV, JSON lines or Parquet: what a probe is trained on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imitable.errors import CorpusError

_KINDS = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Labelled:
    """Texts with one of two labels each."""

    texts: tuple[str, ...]
    positive: tuple[bool, ...]
    """Which texts have the second label."""
    labels: tuple[str, str]
    """The two labels, sorted as text: `0` before `1`, `false` before `true`, `no` before `yes`."""
    sha256: str
    """Hash of the file."""


def read_labelled(path: Path, *, text_column: str = "text", label_column: str = "label") -> Labelled:
    """Read a file of texts and labels, a row each, every text once. Labels may be text, whole numbers, true and false.

    Raises CorpusError naming file, row and column.
    """
    if path.suffix not in _KINDS:
        raise CorpusError(f"{path} is not one of {', '.join(_KINDS)}. Convert it, or name another file.")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error}). Check its path and permissions.") from error
    texts, labels = [], []
    seen: dict[str, str] = {}
    met: dict[str, tuple[str, str]] = {}
    for where, text, label in _rows(path, raw, text_column, label_column):
        if not isinstance(text, str) or not text.strip():
            raise CorpusError(f"{where}, column '{text_column}': there is no text. Mend or remove that row.")
        shown = _shown(label)
        if shown is None:
            raise CorpusError(
                f"{where}, column '{label_column}': {label!r} is no label. Write text, a whole number, true or false."
            )
        seen.setdefault(shown, where)
        if len(seen) > 2:
            raise CorpusError(
                f"{where}, column '{label_column}': '{shown}' is a third label beside "
                f"{' and '.join(repr(each) for each in list(seen)[:2])}. Keep two labels."
            )
        before, label_before = met.setdefault(text.strip(), (where, shown))
        if label_before != shown:
            raise CorpusError(
                f"{where}: the same text has the label '{label_before}' in {before} and '{shown}' here. Remove one."
            )
        if before == where:  # a text that stands there twice would be trained on and held out
            texts.append(text.strip())
            labels.append(shown)
    if len(seen) < 2:
        found = f"only the label '{labels[0]}'" if labels else "no row"
        raise CorpusError(f"{path}, column '{label_column}': it holds {found}. A probe needs texts of two labels.")
    first, second = sorted(seen)
    return Labelled(
        texts=tuple(texts),
        positive=tuple(label == second for label in labels),
        labels=(first, second),
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def _shown(label: object) -> str | None:
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, int | str):
        return str(label).strip() or None
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return None


def _rows(path: Path, raw: bytes, text_column: str, label_column: str) -> Iterator[tuple[str, object, object]]:
    """(file and row, text, label) of every row."""
    if path.suffix == ".parquet":
        yield from _parquet(path, raw, text_column, label_column)
        return
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{path}, line {line}: not UTF-8 (byte 0x{raw[error.start]:02x}). Convert it, for instance with: "
            "iconv -f WINDOWS-1252 -t UTF-8"
        ) from error
    yield from (_csv if path.suffix == ".csv" else _json_lines)(path, content, text_column, label_column)


def _json_lines(path: Path, content: str, text_column: str, label_column: str) -> Iterator[tuple[str, object, object]]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{where}: not JSON ({error}). Write one object a line.") from error
        if not isinstance(row, dict):
            raise CorpusError(f"{where}: not a JSON object. Write one object a line.")
        _check_columns(where, list(row), text_column, label_column)
        yield where, row[text_column], row[label_column]


def _csv(path: Path, content: str, text_column: str, label_column: str) -> Iterator[tuple[str, object, object]]:
    rows = csv.reader(io.StringIO(content, newline=""), strict=True)
    limit = csv.field_size_limit(max(len(content), 1))
    line = 1
    try:
        header = next(rows, [])
        _check_columns(f"{path}, line 1", header, text_column, label_column)
        places = header.index(text_column), header.index(label_column)
        line = rows.line_num + 1
        for row in rows:
            if row:
                text, label = (row[at] if at < len(row) else None for at in places)
                yield f"{path}, line {line}", text, label
            line = rows.line_num + 1
    except csv.Error as error:
        raise CorpusError(f"{path}, line {line}: {error}. Mend the row that begins there.") from error
    finally:
        csv.field_size_limit(limit)


def _parquet(path: Path, raw: bytes, text_column: str, label_column: str) -> Iterator[tuple[str, object, object]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(raw))
        _check_columns(str(path), file.schema_arrow.names, text_column, label_column)
        table = file.read(columns=[text_column, label_column])
        columns = [table.column(name).to_pylist() for name in (text_column, label_column)]
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{path} is not a readable Parquet file ({error}). Write it again.") from error
    for number, (text, label) in enumerate(zip(*columns, strict=True), 1):
        yield f"{path}, row {number}", text, label


def _check_columns(where: str, found: list[str], *wanted: str) -> None:
    for name in wanted:
        if name not in found:
            raise CorpusError(
                f"{where}: no column '{name}' among {', '.join(found) or 'none'}. Name the columns that hold text and "
                "label with --text-column and --label-column."
            )
