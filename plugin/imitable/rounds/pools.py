"""Drawing a stratified pool, at most one item a document, so that every item's probability is known.

Two phases (Särndal, Swensson and Wretman, Model Assisted Survey Sampling, 1992, chapter 9): every document draws one
of its strata with known probabilities and one pair of that stratum; then each stratum draws its quota of the
documents that fell to it. The product of the phases' inverse probabilities is an unbiased weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

STRATA = ("inactive", "active-1", "active-2", "active-3")
"""By |y| / m: below 0.1, below 0.3, below 0.6, and above."""

_EDGES = (0.1, 0.3, 0.6)
_LEAST = 0.02
"""A document draws no stratum that it holds with a smaller probability: weights stay bounded."""

Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Drawn:
    """A pool, as indices into the pairs it was drawn from."""

    pairs: Ints
    weights: npt.NDArray[np.float64]
    strata: Ints


def strata_of(size: npt.NDArray[np.float64], m: float) -> Ints:
    """Index into STRATA for played activations (|y| where both sides are), with the scale's bound `m` (> 0)."""
    return np.searchsorted(np.array(_EDGES) * m, size, side="right")


def draw_pool(strata: Ints, documents: Ints, size: int, rng: np.random.Generator) -> Drawn:
    """Draw about `size` pairs, half of them inactive, at most one a document; fewer when documents run short.

    `strata` and `documents` hold one entry a pair. Active and inactive halves are kept within a quarter of each
    other, so that constants earn nothing even in a small pool. Below six items a stratum may go without, and the
    weights then speak for the strata that were drawn.
    """
    if len(strata) == 0:
        return Drawn(np.empty(0, np.intp), np.empty(0), np.empty(0, np.intp))
    ids, row = np.unique(documents, return_inverse=True)
    counts = np.zeros((len(ids), len(STRATA)))
    np.add.at(counts, (row, strata), 1)
    quota = np.array([size - size // 2, *np.diff(np.arange(4) * (size // 2) // 3)], dtype=float)
    chance = _chances(counts > 0, quota)
    below = np.cumsum(chance, axis=1)
    fell = np.argmax(below / below[:, -1:] > rng.random((len(ids), 1)), axis=1)
    order = np.lexsort((np.arange(len(row)), strata, row))
    starts = np.zeros((len(ids), len(STRATA)), dtype=np.intp)
    starts.flat[1:] = np.cumsum(counts.astype(np.intp).ravel())[:-1]
    here = np.arange(len(ids))
    candidates = order[starts[here, fell] + rng.integers(counts[here, fell].astype(np.intp))]
    available = np.bincount(fell, minlength=len(STRATA))
    taken = _sizes(quota.astype(np.intp), available)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(fell == s))[: taken[s]] for s in range(len(STRATA))])
    chosen = np.sort(chosen.astype(np.intp))
    s = fell[chosen]
    weights = counts[chosen, s] / chance[chosen, s] * available[s] / np.maximum(taken[s], 1)
    return Drawn(candidates[chosen], weights, s)


def _chances(holds: npt.NDArray[np.bool_], quota: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probability with which each document draws each stratum it holds, raked so that strata fill as quotas ask."""
    pull = np.ones(len(STRATA))
    chance = np.zeros(holds.shape)
    for _ in range(100):
        chance = holds * pull
        chance *= (1 - _LEAST * holds.sum(axis=1, keepdims=True)) / chance.sum(axis=1, keepdims=True)
        chance += holds * _LEAST
        expected = chance.sum(axis=0)
        present = expected > 0
        pull[present] *= (quota[present] / quota.sum()) / (expected[present] / expected.sum())
        pull = np.maximum(pull / pull.max(), 1e-9)
    return chance


def _sizes(quota: Ints, available: Ints) -> Ints:
    """How many to take of each stratum: quotas, what active strata lack made up by other active ones, halves even."""
    taken = np.minimum(quota, available)
    for s in (1, 2, 3):
        missing = int(quota[1:].sum() - taken[1:].sum())
        taken[s] += min(missing, int(available[s] - taken[s]))
    active, inactive = int(taken[1:].sum()), int(taken[0])
    taken[0] = min(inactive, -(-5 * active // 4))
    surplus = max(0, active - -(-5 * inactive // 4))
    for _ in range(surplus):
        taken[1 + int(np.argmax(taken[1:]))] -= 1
    return taken
