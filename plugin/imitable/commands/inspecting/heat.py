"""A text as the inspector draws it: every token with its value, and no character that hides or reorders others."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from imitable.game.content import heat_map

_BLANK = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Characters that count as letters, marks or symbols and are drawn as nothing."""


class Run(NamedTuple):
    """Neighbouring characters that are drawn in one way."""

    kind: str
    """`text` as it is; `space`, `tab` and `line`: behind a glyph; `code`: the code point instead of the character."""
    text: str
    name: str = ""
    """What a `code` is called."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One token, or characters of no token."""

    lead: tuple[Run, ...]
    """White space before what is shaded."""
    core: tuple[Run, ...]
    trail: tuple[Run, ...]
    number: int | None
    """Index of the token in its text; None for characters of no token."""
    value: float
    """Display scale; 0 for characters of no token."""
    raw: float | None
    """Activation in the model's unit and sign, where it was stored."""
    focus: bool

    @property
    def shade(self) -> str:
        """The style's class: `heat-1` to `heat-10`, `cool-1` to `cool-10`, or none."""
        heat = round(self.value)
        return f"heat-{heat}" if heat > 0 else f"cool-{-heat}" if heat < 0 else ""


@dataclass(frozen=True)
class Drawing:
    """One text with the value of every token."""

    marks: tuple[Mark, ...]
    """In the order of the text."""
    hidden: tuple[Mark, ...]
    """Tokens that have no characters of their own: the begin-of-text token, all but the last byte of a character."""
    focus: Mark
    loudest: tuple[Mark, ...]
    """Tokens whose number is told to those who do not see the shades."""


def draw(
    text: str,
    offsets: Sequence[Sequence[int]],
    values: Sequence[float],
    position: int,
    raw: Sequence[float] | None = None,
) -> Drawing:
    """Cut a text as the annotator's page cuts it. `values` are on the display scale."""
    # Numbered from 1 in place of their values, tokens can be told from the characters of none, which come out as 0.
    cut = heat_map(text, offsets, range(1, len(offsets) + 1), position)
    marks = []
    for at, piece in enumerate(cut.pieces):
        number = int(piece.value) - 1 if piece.value else None
        marks.append(_mark(piece.text, number, values, raw, at == cut.focus))
    drawn = {mark.number for mark in marks}
    hidden = [_mark("", number, values, raw, False) for number in range(len(offsets)) if number not in drawn]
    strong = sorted((mark for mark in marks if abs(mark.value) >= 1), key=lambda mark: -abs(mark.value))
    return Drawing(tuple(marks), tuple(hidden), marks[cut.focus], tuple(strong[:3]))


def _mark(text: str, number: int | None, values: Sequence[float], raw: Sequence[float] | None, focus: bool) -> Mark:
    lead, core, trail = _parts(text)
    value = 0.0 if number is None else float(values[number])
    return Mark(lead, core, trail, number, value, None if raw is None or number is None else raw[number], focus)


@lru_cache(maxsize=65_536)
def _parts(text: str) -> tuple[tuple[Run, ...], tuple[Run, ...], tuple[Run, ...]]:
    """White space before, the part that is shaded, white space after; only white space is shaded as a whole."""
    core = text.strip()
    if not core:
        return (), runs(text, blank=True), ()
    start = text.index(core)
    return runs(text[:start]), runs(core), runs(text[start + len(core) :])


def runs(text: str, *, blank: bool = False) -> tuple[Run, ...]:
    """The characters as they are drawn; with `blank`, spaces get a glyph too."""
    found: list[Run] = []
    for kind, group in groupby(text, lambda one: _kind(one, blank, alone=len(text) == 1)):
        if kind == "code":
            found += [Run(kind, f"U+{ord(one):04X}", unicodedata.name(one, "control character")) for one in group]
        elif kind == "text":
            found.append(Run(kind, "".join(group)))
        else:
            found += [Run(kind, one) for one in group]
    return tuple(found)


def _kind(one: str, blank: bool, *, alone: bool) -> str:
    if one in "\n\t":
        return "line" if one == "\n" else "tab"
    if one == " ":
        return "space" if blank else "text"
    category = unicodedata.category(one)
    # Controls, invisible formats (zero width, bidirectional), unassigned and private ones, every foreign space; and a
    # variation selector that is a whole token.
    hides = category[0] in "CZ" or one in _BLANK or (alone and "\ufe00" <= one <= "\ufe0f")
    return "code" if hides else "text"
