"""Which documents teach, which measure, and which only serve as examples."""

from __future__ import annotations

import numpy as np

from imitable.rounds.records import Split

EXAMPLES_SHARE = 0.2
"""Share of the documents kept for examples; the rest is divided as the pools are."""


def assign_splits(documents: int, *, practice: int, held_out: int, rng: np.random.Generator) -> list[Split]:
    """Give every document its split, at random: a fifth to examples, the rest in proportion to the pools' sizes."""
    examples = round(documents * EXAMPLES_SHARE)
    measuring = round((documents - examples) * held_out / (practice + held_out))
    names: list[Split] = ["practice"] * documents
    order = rng.permutation(documents)
    for at in order[:examples]:
        names[at] = "examples"
    for at in order[examples : examples + measuring]:
        names[at] = "held_out"
    return names
