"""The practice target: made by hand, obvious, and in no campaign. It reacts to words for food.

Its texts stand in the catalogue, so that the warm-up speaks the campaign's language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from imitable.game.views import ExampleText, Piece, Stimulus
from imitable_templates.texts import Texts

ROUNDS = 3
"""Rounds of the warm-up."""

_EXAMPLES = 3
_WORD = re.compile(r"\s*\[([^\[\]]*)=([\d.]+)\]|\s*[^\s\[]+|\s*\[|\s+")
"""A word with how strongly the target reacts to it, `[bread=8.6]`, or one to which it does not."""


@dataclass(frozen=True)
class ToyRound:
    """One practice round. Its truth is no secret: it belongs to no campaign."""

    stimulus: Stimulus
    truth: float
    shaded: ExampleText
    coaching: str


@dataclass(frozen=True)
class WarmUp:
    """Examples and rounds of the practice target, in one language."""

    examples: tuple[ExampleText, ...]
    rounds: tuple[ToyRound, ...]


def warm_up(words: Texts) -> WarmUp:
    """The practice target in the language of these texts."""
    return WarmUp(
        examples=tuple(shaded(words.plain(f"warm_up.example_{number + 1}")) for number in range(_EXAMPLES)),
        rounds=tuple(
            _round(words.plain(f"warm_up.round_{number + 1}"), words.plain(f"warm_up.coaching_{number + 1}"))
            for number in range(ROUNDS)
        ),
    )


def shaded(marked: str) -> ExampleText:
    """A text whose marked piece stands between bars, with the practice target's activation at every word.

    What stands between the bars is one piece.
    """
    before, focus, after = marked.split("|")
    left, right = _pieces(before), _pieces(after)
    middle = _pieces(focus)
    value = max((piece.value for piece in middle), default=0.0)
    here = Piece("".join(piece.text for piece in middle), value, round(value))
    return ExampleText((*left, here, *right), len(left), value)


def _pieces(text: str) -> tuple[Piece, ...]:
    pieces = []
    for found in _WORD.finditer(text):
        word, strength = found[1], found[2]
        value = float(strength) if strength else 0.0
        space = found[0][: len(found[0]) - len(found[0].lstrip())]
        pieces.append(Piece(space + word if strength else found[0], value, round(value)))
    return tuple(pieces)


def _round(marked: str, coaching: str) -> ToyRound:
    text = shaded(marked)
    before, after = text.pieces[: text.focus], text.pieces[text.focus + 1 :]
    stimulus = Stimulus(
        "".join(piece.text for piece in before),
        text.pieces[text.focus].text,
        "".join(piece.text for piece in after),
    )
    return ToyRound(stimulus, text.value, text, coaching)
