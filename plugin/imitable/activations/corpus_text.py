"""One text of a corpus, what every text is checked for, and the fingerprint of them all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imitable.errors import CorpusError


@dataclass(frozen=True)
class Text:
    """One text of the corpus, as it stands in its file."""

    text: str
    source: str
    """Name of the file, or of the data set on the hub."""
    line: int
    """1-based line (row, in Parquet and data sets) on which it starts."""


class Fingerprint:
    """What a corpus said, in 64 hex digits, so that a changed one is noticed.

    Only the texts and their order count: a file that is renamed, split or compressed keeps its fingerprint.
    """

    def __init__(self) -> None:
        self.count = 0
        """Texts seen so far."""
        self._hash = hashlib.sha256()

    def add(self, text: Text) -> None:
        """Take in the next text."""
        raw = text.text.encode()
        self._hash.update(len(raw).to_bytes(8, "big"))  # so that "ab", "c" is not "a", "bc"
        self._hash.update(raw)
        self.count += 1

    def passing(self, texts: Iterable[Text]) -> Iterator[Text]:
        """The same texts, each taken in as it passes."""
        for text in texts:
            self.add(text)
            yield text

    @property
    def sha256(self) -> str:
        """SHA-256 of the texts seen so far, each in UTF-8 behind its length."""
        return self._hash.hexdigest()


def checked(value: object, *, shown: str, name: str, line: int) -> Text:
    """A value found in a table as a Text. Raises CorpusError naming `shown` and the line if it is none."""
    if not isinstance(value, str):
        found = "missing" if value is None else f"{type(value).__name__}, not a string"
        raise CorpusError(
            f"{shown}, line {line}: the text is {found}. Mend that row, or name another column in [corpus] column."
        )
    if "\0" in value or not _encodable(value):
        raise CorpusError(
            f"{shown}, line {line}: the text holds a NUL or half a surrogate pair, which is no character. "
            "Mend that row."
        )
    return Text(value.strip(), name, line)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
