"""The practice target: made by hand, obvious, and in no campaign. It reacts to words for food."""

from __future__ import annotations

from dataclasses import dataclass

from imitable.game.views import ExampleText, Piece, Stimulus


@dataclass(frozen=True)
class ToyRound:
    """One practice round. Its truth is no secret: it belongs to no campaign."""

    stimulus: Stimulus
    truth: float
    coaching: str


def _example(marked: str, value: float) -> ExampleText:
    before, focus, after = marked.split("|")
    pieces = [(piece, 0.0) for piece in before.split()] + [(focus.strip(), value)] + [(p, 0.0) for p in after.split()]
    spaced = [Piece(word if at == 0 else f" {word}", heat, round(heat)) for at, (word, heat) in enumerate(pieces)]
    return ExampleText(tuple(spaced), len(before.split()), value)


EXAMPLES = (
    _example("Grandma put a warm | pie | on the table and we all sat down.", 9.0),
    _example("For lunch Ben had some | soup | and a glass of milk.", 8.2),
    _example("The dog ran to the | door | and barked at the rain.", 0.0),
)

ROUNDS = (
    ToyRound(
        Stimulus("Mia was hungry, so her dad gave her a piece of", " bread", " and a smile."),
        8.6,
        "Look at the examples: this neuron reacts to words for food. 'bread' is food, so the number is high.",
    ),
    ToyRound(
        Stimulus("The children took their", " kite", " to the hill and waited for the wind."),
        0.0,
        "'kite' has nothing to do with food, so the neuron stays silent: 0.",
    ),
    ToyRound(
        Stimulus("Tom looked at the empty", " plate", " and wondered who had been there first."),
        4.1,
        "'plate' is close to food without being food: somewhere in the middle. Numbers between 0 and 10 count too.",
    ),
)
