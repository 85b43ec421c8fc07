"""What people see of a text: which code points are visible, and which are shown as one."""

from __future__ import annotations

import unicodedata

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]

VISIBLE, _TO_THE_LEFT, _TO_THE_RIGHT, _HALF_A_FLAG = 1, 2, 4, 8
"""What a code point is: something to see, shown as one with what stands before it (or after it), half a flag."""

_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols by category that show nothing: Hangul fillers, the braille pattern without dots."""

_CONTINUING = (
    ("\u1160", "\u11ff"),  # vowels and finals of Hangul syllables
    ("\ud7b0", "\ud7ff"),
    ("\u200c", "\u200d"),  # zero-width joiner and non-joiner
    ("\uff9e", "\uff9f"),  # half-width voicing marks
    ("\U0001f3fb", "\U0001f3ff"),  # skin tones
    ("\U000e0020", "\U000e007f"),  # tags: the flags of Scotland and Wales
)
"""Ranges of code points, besides marks, that are shown as one with what stands before them."""

_OPENING = (
    ("\r", "\r"),
    ("\u200d", "\u200d"),
    ("\u1100", "\u115f"),  # initials of Hangul syllables
    ("\ua960", "\ua97c"),
    ("\u0600", "\u0605"),  # signs that Arabic and Syriac write around what follows
    ("\u06dd", "\u06dd"),
    ("\u070f", "\u070f"),
    ("\u0890", "\u0891"),
    ("\u08e2", "\u08e2"),
    ("\u0d4e", "\u0d4e"),
    ("\U000110bd", "\U000110bd"),
    ("\U000110cd", "\U000110cd"),
)
"""Ranges of code points, besides viramas, that are shown as one with what follows them."""

_VIRAMA = 9
"""Combining class of the signs that bind two consonants into one."""


def flags_of(text: str) -> npt.NDArray[np.uint8]:
    """What every code point of a text is, as a sum of VISIBLE, _TO_THE_LEFT and the like."""
    table = np.zeros(0x110000, np.uint8)
    for letter in set(text):
        table[ord(letter)] = _flag(letter)
    return table[np.frombuffer(text.encode("utf-32-le"), np.uint32)]


def _flag(letter: str) -> int:
    if "!" <= letter <= "~":
        return VISIBLE
    category = unicodedata.category(letter)
    flag = VISIBLE if category[0] in "LNPS" and letter not in _BLANK else 0
    if category[0] == "M" or any(low <= letter <= high for low, high in _CONTINUING):
        flag |= _TO_THE_LEFT
    if unicodedata.combining(letter) == _VIRAMA or any(low <= letter <= high for low, high in _OPENING):
        flag |= _TO_THE_RIGHT
    return flag | (_HALF_A_FLAG if "\U0001f1e6" <= letter <= "\U0001f1ff" else 0)


def joined_at(flags: npt.NDArray[np.uint8]) -> Bools:
    """Whether a place, 0 to the text's length, lies between code points that are shown as one.

    As the Unicode standard's grapheme clusters (UAX 29), or wider: a row of flags is one, and what follows a virama.
    """
    joined = np.zeros(len(flags) + 1, np.bool_)
    joined[:-1] |= (flags & _TO_THE_LEFT) > 0
    joined[1:] |= (flags & _TO_THE_RIGHT) > 0
    joined[1:-1] |= (flags[1:] & flags[:-1] & _HALF_A_FLAG) > 0
    return joined
