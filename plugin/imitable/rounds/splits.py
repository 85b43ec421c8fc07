"""Which documents teach, which measure, and which only serve as examples; and no text that stands on two sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imitable.activations import Window
from imitable.rounds.records import Split

EXAMPLES_SHARE = 0.2
"""Share of the documents kept for examples; the rest is divided as the pools are."""

RUN = 12
"""Texts of two splits may not share a run of this many tokens."""

_KEPT_FIRST: tuple[Split, ...] = ("held_out", "practice", "examples")


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


def without_shared_runs(
    windows: Sequence[Window], splits: Sequence[Split], *, special: frozenset[int] = frozenset()
) -> tuple[list[Window], int]:
    """Drop windows that share a run of 12 tokens with a window kept in another split; held-out ones are kept first.

    `splits` is by document; `special` token ids do not count. Returns the windows kept, in order, and how many
    were dropped.
    """
    owner: dict[tuple[int, ...], Split] = {}
    keep = [False] * len(windows)
    for split in _KEPT_FIRST:
        for at, window in enumerate(windows):
            if splits[window.document] != split:
                continue
            tokens = [token for token in window.token_ids if token not in special]
            runs = [tuple(tokens[start : start + RUN]) for start in range(len(tokens) - RUN + 1)]
            if all(owner.get(run, split) == split for run in runs):
                keep[at] = True
                owner.update(dict.fromkeys(runs, split))
    kept = [window for window, stays in zip(windows, keep, strict=True) if stays]
    return kept, len(windows) - len(kept)
