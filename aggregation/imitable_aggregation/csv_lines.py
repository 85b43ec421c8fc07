"""Reading CSV files as people really have them, line by line, so that one broken row never costs its neighbours.

A line without a quote is split at its commas, in blocks, by pyarrow. A line with a quote goes through the csv
module; if its quote stays open, the next few lines are tried as its continuation, and if they do not make one
plausible record, or would swallow a line that is a good row by itself, only the first physical line is given up.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from .errors import TableError

CHUNK = 100_000
"""Physical lines handled at once."""
CHUNK_BYTES = 64 << 20
"""Bytes after which a chunk is closed early."""
LOOKAHEAD = 20
"""Physical lines that one quoted record may span."""
SHOWN = 2000
"""Characters of a spoiled row that are kept."""

Cells = Sequence[str]

_FIELD = rb'(?:[^",\r\n]*|"(?:[^"]|"")*")'
_RFC_4180 = re.compile(_FIELD + rb"(?:," + _FIELD + rb")*")


@dataclass(frozen=True)
class Spoiled:
    """A row that could not be used."""

    line: int
    """Physical line, header = 1."""
    row: str
    """The row as found, control characters escaped."""
    reason: str
    """Why, in plain words."""


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table, all cells still text."""

    cells: Any
    """A pyarrow table of strings."""
    lines: npt.NDArray[np.int64]
    """Physical line of each row."""
    spoiled: list[Spoiled]
    """Lines in this chunk that are no rows."""


def shown(text: str) -> str:
    """Make a spoiled row safe to print on one line: control characters escaped, cut after `SHOWN` characters."""
    cut = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def told_apart(names: Sequence[str]) -> list[str]:
    """Names of columns, each once: a second `guess` is `guess.1`."""
    found: dict[str, None] = {}
    for each in names:
        name, n = each, 1
        while name in found:
            name, n = f"{each}.{n}", n + 1
        found[name] = None
    return list(found)


def read_csv(path: Path, *, plausible: Callable[[dict[str, str]], bool]) -> Iterator[Chunk]:
    """Yield the rows of a .csv or .csv.gz in chunks; the first chunk may be empty but always names the columns.

    `plausible` says whether a record, column by column, could be a good row; it only decides whether lines that
    follow an open quote belong to it.
    """
    try:
        with _opened(path) as stream:
            yield from _Lines(path, stream, plausible).chunks()
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(
            f"cannot be read ({error})", remedy="check that the file is whole and readable", file=path
        ) from error


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.open(path, "rb"))
    return path.open("rb")


class _Lines:
    """One pass over a file: takes physical lines, keeps enough of them to look ahead."""

    def __init__(self, path: Path, stream: IO[bytes], plausible: Callable[[dict[str, str]], bool]) -> None:
        self.path = path
        self.stream = stream
        self.plausible = plausible
        self.buffer: list[bytes] = []
        self.first_line = 1
        self.names = self._header()

    def _header(self) -> list[str]:
        for raw in self.stream:
            self.first_line += 1
            line = raw.removeprefix(b"\xef\xbb\xbf") if self.first_line == 2 else raw
            if line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in line:
                raise TableError(
                    "is not UTF-8 text", remedy="save it as CSV with UTF-8 encoding", file=self.path, row=1
                )
            if line.strip():
                return self._names(line)
        raise TableError("is empty", remedy="give a file with a header and at least one row", file=self.path)

    def _names(self, line: bytes) -> list[str]:
        try:
            cells = next(csv.reader([line.decode().rstrip("\r\n")], strict=True))
        except (UnicodeDecodeError, csv.Error, StopIteration) as error:
            row = self.first_line - 1
            problem = f"has a header that cannot be read ({error})"
            raise TableError(problem, remedy="mend its first line", file=self.path, row=row) from error
        return told_apart([cell.strip() for cell in cells])

    def chunks(self) -> Iterator[Chunk]:
        more = True
        while more or self.buffer:
            size = sum(map(len, self.buffer))
            while more and len(self.buffer) < CHUNK + LOOKAHEAD and size < CHUNK_BYTES:
                fresh = list(islice(self.stream, LOOKAHEAD * 50))
                more = bool(fresh)
                size += sum(map(len, fresh))
                self.buffer += fresh
            stop = max(1, len(self.buffer) - LOOKAHEAD) if more else len(self.buffer)
            yield self._chunk(stop)

    def _chunk(self, stop: int) -> Chunk:
        commas = len(self.names) - 1
        plain: list[bytes] = []
        plain_lines: list[int] = []
        odd: list[Cells] = []
        odd_lines: list[int] = []
        spoiled: list[Spoiled] = []
        at = 0
        while at < min(stop, len(self.buffer)):
            raw = self.buffer[at].rstrip(b"\r\n")
            line = self.first_line + at
            if b'"' in raw:
                cells, reason, taken = self._quoted(at)
                if cells is None:
                    spoiled.append(Spoiled(line, shown(raw.decode(errors="backslashreplace")), reason))
                else:
                    odd.append(cells)
                    odd_lines.append(line)
                at += taken
                continue
            at += 1
            if not raw or not raw.strip():
                continue
            reason = _broken(raw) or _miscounted(raw.count(b",") + 1, commas + 1)
            if reason:
                spoiled.append(Spoiled(line, shown(raw.decode(errors="backslashreplace")), reason))
            else:
                plain.append(raw)
                plain_lines.append(line)
        del self.buffer[:at]
        self.first_line += at
        tables = [_split(plain, self.names)] if plain else []
        columns = zip(*odd, strict=True) if odd else ((),) * len(self.names)
        arrays = [pa.array(list(column), pa.string()) for column in columns]
        tables.append(pa.Table.from_arrays(arrays, names=self.names))
        return Chunk(pa.concat_tables(tables), np.array(plain_lines + odd_lines, dtype=np.int64), spoiled)

    def _quoted(self, at: int) -> tuple[Cells | None, str, int]:
        """The record that begins at a line with a quote: its cells, or why there is none, and lines taken."""
        cells, reason, taken = self._record(at)
        if cells is None or taken == 1:
            return cells, reason, 1
        if any(self._begins_a_row(inner) for inner in range(at + 1, at + taken)):
            return None, "its quote is never closed", 1
        return cells, "", taken

    def _begins_a_row(self, at: int) -> bool:
        """Whether a good row, with its quotes where RFC 4180 allows them, begins at a line."""
        raw = self.buffer[at].rstrip(b"\r\n")
        cells: Cells | None
        if b'"' not in raw:
            cells = None if _broken(raw) else raw.decode().split(",")
        else:
            cells, _, taken = self._record(at)
            text = b"".join(self.buffer[at : at + taken]).rstrip(b"\r\n")
            if not _RFC_4180.fullmatch(text):
                return False
        return cells is not None and len(cells) == len(self.names) and self._plausible(cells)

    def _plausible(self, cells: Cells) -> bool:
        return self.plausible(dict(zip(self.names, cells, strict=True)))

    def _record(self, at: int) -> tuple[Cells | None, str, int]:
        text = ""
        for taken in range(1, LOOKAHEAD + 1):
            if at + taken > len(self.buffer):
                break
            raw = self.buffer[at + taken - 1]
            body = raw.rstrip(b"\r\n")
            reason = _broken(body.replace(b"\r", b""))
            if reason:
                return None, reason if taken == 1 else "its quote is never closed", 1
            text += raw.decode()
            if taken > 1 and b'"' not in body:
                continue
            try:
                cells = next(csv.reader(_physical(text), strict=True))
            except csv.Error as error:
                if "unexpected end of data" in str(error):
                    continue
                return None, f"its quoting is broken ({error})" if taken == 1 else "its quote is never closed", 1
            miscounted = _miscounted(len(cells), len(self.names))
            if taken > 1 and (miscounted or not self._plausible(cells)):
                return None, "its quote is never closed", 1
            return (None, miscounted, 1) if miscounted else (cells, "", taken)
        return None, "its quote is never closed", 1


def _physical(text: str) -> Iterator[str]:
    """Lines as the csv module wants them: their ends kept inside the record, gone after it."""
    return io.StringIO(text.rstrip("\r\n"), newline="\n")


def _broken(raw: bytes) -> str:
    """Why a line cannot be text of a row, or nothing."""
    if b"\0" in raw:
        return "it holds a NUL byte"
    if b"\r" in raw:
        return "it holds a lone carriage return"
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            return "it is not valid UTF-8"
    return ""


def _miscounted(found: int, wanted: int) -> str:
    return "" if found == wanted else f"it has {found} fields where the header has {wanted}"


def _split(plain: list[bytes], names: list[str]) -> Any:
    block = b"\n".join(plain) + b"\n"
    return pa_csv.read_csv(
        io.BytesIO(block),
        read_options=pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
        parse_options=pa_csv.ParseOptions(quote_char=False, double_quote=False, ignore_empty_lines=False),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, null_values=[]
        ),
    )
