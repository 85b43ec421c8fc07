"""A file of a corpus, wherever it lies: opened, unpacked and decoded piece by piece, with errors that name the line."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from imitable.errors import CorpusError, ImitableError

KINDS = (".txt", ".jsonl", ".csv", ".parquet")
"""What a corpus may be made of; the first three may be gzipped."""
READ_BYTES = 2**20
"""Bytes taken from a file at a time."""
LONGEST = 2**28
"""Characters in a line or text, at most: whatever is longer is no text, and would fill the memory."""


@dataclass(frozen=True)
class Source:
    """One file of a corpus."""

    shown: str
    """Path or address, as messages name it."""
    name: str
    """Last part of it, as `Text.source` keeps it."""
    kind: str
    """One of KINDS, or `.arrow` for a file of a saved data set."""
    opener: Callable[[], IO[bytes]]
    foreign: tuple[type[Exception], ...] = (OSError,)
    """What reading it may raise, besides what a broken archive raises."""
    advice: str = "Check its path and permissions."
    """What to do when it cannot be read."""
    seekable: bool = True
    """False where only reading from start to end works."""

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The file's bytes, as they lie there. Whatever goes wrong while it is read becomes a CorpusError."""
        try:
            with self.opener() as file:
                yield file
        except ImitableError:
            raise
        except FileNotFoundError as error:
            raise CorpusError(f"No corpus at {self.shown} ({reason(error)}). Correct [corpus] path.") from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise CorpusError(f"{self.shown} is not a whole gzip file ({error}). Compress or copy it again.") from error
        except self.foreign as error:
            raise CorpusError(f"{self.shown} cannot be read ({reason(error)}). {self.advice}") from error

    @contextmanager
    def open_anywhere(self) -> Iterator[IO[bytes]]:
        """The same for readers that jump about in the file; it goes by a temporary file where the source cannot."""
        with self.open() as file:
            if self.seekable:
                yield file
                return
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(file, copy, READ_BYTES)
                copy.seek(0)
                yield copy

    def chunks(self) -> Iterator[bytes]:
        """The unpacked bytes, a piece at a time."""
        with self.open() as file:
            unpacked = gzip.GzipFile(fileobj=file) if self.name.lower().endswith(".gz") else file
            while data := unpacked.read(READ_BYTES):
                yield data

    def lines(self) -> Iterator[str]:
        """The lines without their ends, just as `split("\\n")` of the whole file gives them.

        Raises CorpusError naming file and line for a file that is binary, not UTF-8, or blank.
        """
        held: list[str] = []
        length = number = 0
        for piece in self._characters():
            first, *rest = piece.split("\n")
            held.append(first)
            length += len(first)
            for line in rest:
                yield "".join(held)
                number += 1
                held, length = [line], len(line)
            if length > LONGEST:
                raise too_long(self.shown, number + 1)
        yield "".join(held)

    def _characters(self) -> Iterator[str]:
        """Pieces of text, with every line end as one newline."""
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        newlines = io.IncrementalNewlineDecoder(None, translate=True)
        line, blank, first = 1, True, True
        for data in self._chunks_and_end():
            nul = data.find(b"\0") if data else -1
            wrong: UnicodeDecodeError | None = None
            try:
                decoded = decoder.decode(data if nul < 0 else data[:nul], final=not data)
            except UnicodeDecodeError as error:
                wrong, decoded = error, error.object[: error.start].decode()
            piece = newlines.decode(decoded, final=not data or wrong is not None or nul >= 0)
            line += piece.count("\n")
            blank = blank and (not piece or piece.isspace())
            yield piece  # an error on an earlier line comes first
            if wrong is not None:
                at_start = first and not decoded and wrong.object[wrong.start] in codecs.BOM_UTF16
                raise CorpusError(
                    f"{self.shown}, line {line}: not UTF-8 (byte 0x{wrong.object[wrong.start]:02x}). Convert it, for "
                    f"instance with: iconv -f {'UTF-16' if at_start else 'WINDOWS-1252'} -t UTF-8"
                ) from wrong
            if nul >= 0:
                raise CorpusError(f"{self.shown}, line {line}: binary data (a NUL byte), not text. Name a text file.")
            first = first and not decoded
        if blank:
            raise CorpusError(f"{self.shown}, line 1: the file is empty. Name a corpus with text in [corpus] path.")

    def _chunks_and_end(self) -> Iterator[bytes]:
        yield from self.chunks()
        yield b""


def kind_of(name: str) -> str | None:
    """Which of KINDS a file's name says that it is; None for any other."""
    lower = name.lower()
    for kind in KINDS:
        if lower.endswith(kind) or (lower.endswith(f"{kind}.gz") and kind != ".parquet"):
            return kind
    return None


def reason(error: BaseException) -> str:
    """What an error says, or what it is when it says nothing, on one line; with its cause, which often says more."""
    told = [str(one) or type(one).__name__ for one in (error, error.__cause__) if one is not None]
    return unsigned(" ".join(": ".join(dict.fromkeys(told)).split()))


def unsigned(said: str) -> str:
    """Web addresses in a message without what follows their `?`: it may be a signature that opens the file."""
    return re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"),]*", r"\1", said)


def too_long(shown: str, line: int) -> CorpusError:
    """The error for what cannot be a text."""
    return CorpusError(
        f"{shown}, line {line}: more than {LONGEST} characters without an end. Split it into texts, or name another "
        "file."
    )
