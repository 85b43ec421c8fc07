"""The practice target: made by hand, obvious, and in no campaign. It reacts to words for food."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imitable.game.views import ExampleText, Piece, Stimulus

REACTS_TO = {
    "pie": 9.0,
    "bread": 8.6,
    "soup": 8.2,
    "milk": 7.1,
    "Lunch": 6.3,
    "lunch": 6.3,
    "plate": 4.1,
    "hungry": 3.4,
    "table": 0.8,
}
"""The whole target: words and how strongly it reacts to them. To all others it does not."""


@dataclass(frozen=True)
class ToyRound:
    """One practice round. Its truth is no secret: it belongs to no campaign."""

    stimulus: Stimulus
    truth: float
    shaded: ExampleText
    coaching: str


def shaded(marked: str) -> ExampleText:
    """A text whose marked word stands between bars, with the practice target's activation at every word."""
    before, focus, after = marked.split("|")
    words = [word for part in (before, focus, after) for word in re.findall(r"\s*\S+", part)]
    values = [REACTS_TO.get(word.strip(" .,"), 0.0) for word in words]
    at = len(before.split())
    pieces = tuple(Piece(word, value, round(value)) for word, value in zip(words, values, strict=True))
    return ExampleText(pieces, at, values[at])


def _round(marked: str, coaching: str) -> ToyRound:
    text = shaded(marked)
    return ToyRound(Stimulus(*marked.split("|")), text.value, text, coaching)


EXAMPLES = (
    shaded("Grandma put a warm| pie| on the table and we all sat down."),
    shaded("For lunch Ben had some| soup| and a glass of milk."),
    shaded("The dog ran to the| door| and barked at the rain."),
)

ROUNDS = (
    _round(
        "Mia was hungry, so her dad gave her a piece of| bread| and a smile.",
        "Look at the examples: this neuron reacts to words for food. 'bread' is food, so the number is high.",
    ),
    _round(
        "The children took their| kite| to the hill and waited for the wind.",
        "'kite' has nothing to do with food, so the neuron stays silent: 0.",
    ),
    _round(
        "Tom looked at the empty| plate| and wondered who had been there first.",
        "'plate' is close to food without being food: somewhere in the middle. Numbers between 0 and 10 count too.",
    ),
)
