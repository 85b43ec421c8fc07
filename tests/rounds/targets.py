"""Invented targets that follow a rule, in texts of invented words: who solves what is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from imitable.rounds import AnswerKey, Example, Item, MadeTarget, PlayedTarget, Split
from imitable_aggregation import scoring

Rule = Callable[[Sequence[str], int], float]
"""From a text's words and a place to the truth there, which is on the display scale already."""

WORDS = tuple(f"w{number}" for number in range(30))
SEA = [f"sea{number}" for number in range(4)]


@cache
def invented(
    rule: Rule, *, words: tuple[str, ...] = WORDS, marked: str = "", themes: bool = False, seed: int = 0
) -> MadeTarget:
    """A target that follows a rule, in texts of 24 words; with `themes`, every other text is full of words of the sea.

    Half of the items are drawn so that their truth is above 3; with `marked`, this word is asked about in all of them.
    """
    rng = np.random.default_rng(seed)

    def text(about_the_sea: bool) -> list[str]:
        said = [str(word) for word in rng.choice(words, 24)]
        if about_the_sea:
            for at in rng.choice(20, 8, replace=False):
                said[at] = str(rng.choice(SEA))
        return said

    items, answers = [], []
    sizes: tuple[tuple[Split, int], ...] = (("practice", 40), ("held_out", 40))
    for split, size in sizes:
        for number in range(size):
            loud = number % 2 == 0
            for _ in range(2000):
                said = text(themes and loud)
                position = 23 if themes else int(rng.integers(8, 24))
                if (rule(said, position) > 3) == loud and said[position] == (marked or said[position]):
                    break
            else:
                raise AssertionError("the rule allows no such item")
            values = tuple(rule(said, at) for at in range(24))
            items.append(_item(f"i_{split}{number}", split, said, position, active=loud, document=number))
            answers.append(AnswerKey(f"i_{split}{number}", values[position], values[position], values))
    truths = [key.truth for item, key in zip(items, answers, strict=True) if item.split == "held_out"]
    target = PlayedTarget(
        "toy/mlp.0/0", "toy", "neuron", "mlp.0", 0, "pos", "units", scoring.l_ref(truths), 1.0, 1.0, "0" * 64, None
    )
    examples = []
    for place in range(6):
        said = text(themes and place % 2 == 0)
        values = tuple(rule(said, at) for at in range(24))
        position = int(np.argmax(values)) if place % 2 == 0 else int(np.argmin(values))
        joined, offsets = _laid_out(said)
        examples.append(Example("toy/mlp.0/0", place, "top", joined, offsets, position, values))
    return MadeTarget(target, tuple(items), tuple(answers), tuple(examples))


def _laid_out(said: Sequence[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    ends = np.cumsum([len(word) + 1 for word in said])
    return " ".join(said), tuple((int(end) - len(word) - 1, int(end) - 1) for word, end in zip(said, ends, strict=True))


def _item(name: str, split: Split, said: Sequence[str], position: int, *, active: bool, document: int) -> Item:
    text, offsets = _laid_out(said)
    stratum = "active-1" if active else "inactive"
    return Item(name, "toy/mlp.0/0", split, text, tuple(range(24)), offsets, position, document, stratum, 1.0)


def token(said: Sequence[str], at: int) -> float:
    """Depends on the word alone: one of the first three is loud."""
    return 9.0 if said[at] in WORDS[:3] else 0.0


def pair(said: Sequence[str], at: int) -> float:
    """Loud at w0 after w1, and silent at w0 after w2."""
    return 9.0 if said[at] == "w0" and at > 0 and said[at - 1] == "w1" else 0.0


def theme(said: Sequence[str], at: int) -> float:
    """As loud as there are words of the sea so far."""
    return 10.0 if sum(word in SEA for word in said[: at + 1]) > 3 else 0.0


def noise(said: Sequence[str], at: int) -> float:
    """The same for the same text and place, and otherwise as good as random."""
    return float(np.random.default_rng([at, *map(ord, "".join(said))]).uniform(0, 10))
