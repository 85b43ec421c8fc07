"""The texts in one file: paragraphs or lines, JSON lines, CSV, Parquet, and Arrow as `datasets` saves it.

Nothing here holds more of a file than one text, or one batch of rows.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

from imitable.activations import corpus_source
from imitable.activations.corpus_source import Source, too_long
from imitable.activations.corpus_text import Text, checked
from imitable.errors import CorpusError

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 128
"""Rows of a Parquet file held at a time."""


def read_source(source: Source, column: str) -> Iterator[Text]:
    """The texts of one file, in its order. Raises CorpusError naming file and line."""
    readers = {".jsonl": _json_lines, ".csv": _csv, ".parquet": _parquet, ".arrow": _arrow}
    return _plain(source) if source.kind == ".txt" else readers[source.kind](source, column)


def _plain(source: Source) -> Iterator[Text]:
    """Paragraphs between blank lines if there is a blank line, else one text a line; the file is read twice."""
    by_paragraph = _has_blank_between(source.lines())
    held: list[str] = []
    start = length = 0
    for number, line in enumerate(chain(source.lines(), [""]), 1):
        if line := line.strip():
            start = start if held else number
            held.append(line)
            length += len(line)
            if length > corpus_source.LONGEST:
                raise too_long(source.shown, start)
        if held and (not by_paragraph or not line):
            yield Text("\n".join(held), source.name, start)
            held, length = [], 0


def _has_blank_between(lines: Iterable[str]) -> bool:
    begun = gap = False
    for line in lines:
        if line and not line.isspace():
            if gap:
                return True
            begun = True
        else:
            gap = begun
    return False


def _json_lines(source: Source, column: str) -> Iterator[Text]:
    for number, line in enumerate(source.lines(), 1):
        if line.strip():
            value = _json_field(line, column, f"{source.shown}, line {number}")
            yield checked(value, shown=source.shown, name=source.name, line=number)


def _json_field(line: str, column: str, where: str) -> object:
    try:
        return json.loads(line)[column]
    except (ValueError, TypeError, RecursionError) as error:
        raise CorpusError(f"{where}: not a JSON object ({error}). Write one object a line.") from error
    except KeyError as error:
        raise CorpusError(f"{where}: no field '{column}'. Name the one that holds text in [corpus] column.") from error


def _csv(source: Source, column: str) -> Iterator[Text]:
    rows = csv.reader(_with_ends(source.lines()), strict=True)
    at: int | None = None
    start = 1
    while True:
        try:
            row = _next_row(rows)
        except csv.Error as error:
            raise CorpusError(f"{source.shown}, line {start}: {error}. Mend the row that begins there.") from error
        if row is None:
            return
        if at is None and (len(row) > 1 or "".join(row).strip()):
            if column not in row:
                raise _no_column(f"{source.shown}, line {start}", column, row)
            at = row.index(column)
        elif at is not None and row:
            value = row[at] if at < len(row) else None
            yield checked(value, shown=source.shown, name=source.name, line=start)
        start = rows.line_num + 1


def _next_row(rows: Iterator[list[str]]) -> list[str] | None:
    """The next row; the csv module's limit is for everyone, and so it is moved only while one row is read."""
    limit = csv.field_size_limit(corpus_source.LONGEST)
    try:
        return next(rows, None)
    finally:
        csv.field_size_limit(limit)


def _with_ends(lines: Iterator[str]) -> Iterator[str]:
    held = next(lines)
    for line in lines:
        yield f"{held}\n"
        held = line
    if held:
        yield held


def _parquet(source: Source, column: str) -> Iterator[Text]:
    import pyarrow.parquet as pq

    with source.open_anywhere() as file, _readable(source, "Parquet file"):
        # read ahead, or without a buffer, it would hold a whole row group
        table = pq.ParquetFile(file, buffer_size=corpus_source.READ_BYTES, pre_buffer=False)
        if column not in table.schema_arrow.names:
            raise _no_column(source.shown, column, table.schema_arrow.names)
        yield from _rows(
            source, (batch.column(0) for batch in table.iter_batches(_ROWS, columns=[column], use_threads=False))
        )


def _arrow(source: Source, column: str) -> Iterator[Text]:
    import pyarrow as pa

    with source.open() as file, _readable(source, "Arrow file"), pa.ipc.open_stream(file) as stream:
        if column not in stream.schema.names:
            raise _no_column(source.shown, column, stream.schema.names)
        yield from _rows(source, (batch.column(column) for batch in stream))


@contextmanager
def _readable(source: Source, kind: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{source.shown} is not a readable {kind} ({error}). Write it again.") from error


def _rows(source: Source, columns: Iterable[pa.Array]) -> Iterator[Text]:
    for number, cell in enumerate(chain.from_iterable(columns), 1):
        try:
            value = cell.as_py()
        except UnicodeDecodeError as error:
            raise CorpusError(f"{source.shown}, line {number}: not UTF-8 ({error}). Mend that row.") from error
        yield checked(value, shown=source.shown, name=source.name, line=number)


def _no_column(where: str, column: str, among: Iterable[str]) -> CorpusError:
    return CorpusError(
        f"{where}: no column '{column}' among {', '.join(among)}. Name the column that holds text in [corpus] column."
    )
