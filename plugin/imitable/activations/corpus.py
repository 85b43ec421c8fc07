"""Texts from files: plain text, JSON lines, CSV, Parquet, folders and globs of them, or what ships with imitable."""

from __future__ import annotations

import csv
import glob
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from imitable.campaign import Corpus
from imitable.errors import CorpusError

_SUFFIXES = (".txt", ".jsonl", ".csv", ".parquet")


@dataclass(frozen=True)
class Text:
    """One text of the corpus, as it stands in its file."""

    text: str
    source: str
    """Name of the file."""
    line: int
    """1-based line (row, in Parquet) on which it starts."""


def read_corpus(corpus: Corpus, *, base: Path) -> list[Text]:
    """All texts of a corpus, in a fixed order. Relative paths start at `base`, the campaign's folder.

    Raises CorpusError naming the file and the line for a corpus that is missing, empty, binary or not UTF-8.
    """
    texts = [text for path in _paths(corpus.path, base) for text in _read(path, corpus.column)]
    if not texts:
        raise CorpusError(f"{corpus.path} holds no text at all. Name a corpus with text in [corpus] path.")
    return texts


def _paths(path: str, base: Path) -> list[Path]:
    if path.startswith("builtin:"):
        name = path.removeprefix("builtin:")
        found = Path(str(files("imitable.builtin"))) / f"{name}.txt"
        if not found.is_file():
            raise CorpusError(f"There is no built-in corpus '{name}'. The built-in one is builtin:tinystories.")
        return [found]
    where = base / Path(path).expanduser()
    if where.is_dir():
        found_all = sorted(file for file in where.rglob("*") if file.suffix in _SUFFIXES)
    elif where.exists():
        found_all = [where]
    else:
        pattern = str(Path(path).expanduser())
        found_all = sorted(base / match for match in glob.glob(pattern, root_dir=base, recursive=True))
    if not found_all:
        raise CorpusError(
            f"No corpus at {where}: no file, no folder with {', '.join(_SUFFIXES)} files, no match. "
            "Correct [corpus] path."
        )
    unknown = [file for file in found_all if file.suffix not in _SUFFIXES]
    if unknown:
        raise CorpusError(f"{unknown[0]} is not one of {', '.join(_SUFFIXES)}. Convert it, or name another file.")
    return found_all


def _read(path: Path, column: str) -> Iterator[Text]:
    if path.suffix == ".parquet":
        yield from _read_parquet(path, column)
        return
    content = _decode(path)
    if path.suffix == ".txt":
        yield from _split_plain(content, path.name)
    elif path.suffix == ".jsonl":
        for number, line in enumerate(content.split("\n"), 1):
            if line.strip():
                yield _checked(_json_field(line, column, f"{path}, line {number}"), path, number)
    else:
        yield from _read_csv(content, column, path)


def _decode(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error}). Check its path and permissions.") from error
    nul = raw.find(b"\0")
    if nul >= 0:
        line = raw.count(b"\n", 0, nul) + 1
        raise CorpusError(f"{path}, line {line}: binary data (a NUL byte), not text. Name a text file.")
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{path}, line {line}: not UTF-8 (byte 0x{raw[error.start]:02x}). Convert it, for instance with: "
            f"iconv -f WINDOWS-1252 -t UTF-8"
        ) from error
    if not content.strip():
        raise CorpusError(f"{path}, line 1: the file is empty. Name a corpus with text in [corpus] path.")
    return content.replace("\r\n", "\n").replace("\r", "\n")


def _split_plain(content: str, source: str) -> Iterator[Text]:
    """Paragraphs between blank lines if there is a blank line, else one text a line."""
    lines = content.split("\n")
    body = content.strip().split("\n")
    by_paragraph = any(not line.strip() for line in body)
    held: list[str] = []
    start = 1
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            if not held:
                start = number
            held.append(line.strip())
        if held and (not by_paragraph or not line.strip()):
            yield Text("\n".join(held), source, start)
            held = []


def _json_field(line: str, column: str, where: str) -> object:
    try:
        return json.loads(line)[column]
    except (ValueError, TypeError) as error:
        raise CorpusError(f"{where}: not a JSON object ({error}). Write one object a line.") from error
    except KeyError as error:
        raise CorpusError(f"{where}: no field '{column}'. Name the one that holds text in [corpus] column.") from error


def _read_csv(content: str, column: str, path: Path) -> Iterator[Text]:
    rows = csv.reader(io.StringIO(content, newline=""), strict=True)
    limit = csv.field_size_limit(max(len(content), csv.field_size_limit()))  # a text may be long
    start = 1
    try:
        header = next(rows)
        if column not in header:
            raise CorpusError(
                f"{path}, line 1: no column '{column}' among {', '.join(header)}. "
                "Name the column that holds text in [corpus] column."
            )
        at = header.index(column)
        start = rows.line_num + 1
        for row in rows:
            if row:
                yield _checked(row[at] if at < len(row) else None, path, start)
            start = rows.line_num + 1
    except csv.Error as error:
        raise CorpusError(f"{path}, line {start}: {error}. Mend the row that begins there.") from error
    finally:
        csv.field_size_limit(limit)


def _read_parquet(path: Path, column: str) -> Iterator[Text]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path)
        if column not in table.schema_arrow.names:
            raise CorpusError(
                f"{path}: no column '{column}' among {', '.join(table.schema_arrow.names)}. "
                "Name the column that holds text in [corpus] column."
            )
        number = 0
        for batch in table.iter_batches(columns=[column]):
            for value in batch.column(0).to_pylist():
                number += 1
                yield _checked(value, path, number)
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{path} is not a readable Parquet file ({error}). Write it again.") from error


def _checked(value: object, path: Path, line: int) -> Text:
    if not isinstance(value, str):
        found = "missing" if value is None else f"{type(value).__name__}, not a string"
        raise CorpusError(
            f"{path}, line {line}: the text is {found}. Mend that row, or name another column in [corpus] column."
        )
    if "\0" in value or not _encodable(value):
        raise CorpusError(
            f"{path}, line {line}: the text holds a NUL or half a surrogate pair, which is no character. Mend that row."
        )
    return Text(value.strip(), path.name, line)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
