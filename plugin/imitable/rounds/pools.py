"""Drawing a stratified pool, at most one item a document, so that every item's probability is known.

Two phases (Särndal, Swensson and Wretman, Model Assisted Survey Sampling, 1992, chapter 9): every document draws one
of its strata with known probabilities and one place of that stratum; then each stratum draws its quota of the
documents that fell to it. The product of the phases' inverse probabilities, and of the document's own weight where
documents are a sample themselves, is an unbiased weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imitable.rounds.strata import INACTIVE

_LEAST = 0.02
"""A document draws no stratum that it holds with a smaller probability: weights stay bounded."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """A pool: documents, by row, and the stratum that each was drawn for."""

    rows: Ints
    strata: Ints
    weights: Floats


def draw_pool(counts: Ints, weights: Floats, quota: Ints, rng: np.random.Generator) -> Drawn:
    """Draw about as many documents of every stratum as `quota` asks; fewer when they run short.

    `counts` is (documents, strata), the places of each; `weights` the documents' own. Active and inactive halves are
    kept within a quarter of each other, so that constants earn nothing even in a small pool. A stratum that gets no
    item of its own is drawn together with its neighbour, so that the weights speak for all of the population.
    """
    if len(counts) == 0:
        return Drawn(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    chance = _chances(counts > 0, quota.astype(float))
    below = np.cumsum(chance, axis=1)
    fell = np.argmax(below / below[:, -1:] > rng.random((len(counts), 1)), axis=1)
    available = np.bincount(fell, minlength=counts.shape[1])
    taken = _sizes(quota, available)
    together = _together(taken, available)
    chosen = [rng.permutation(np.flatnonzero(together[fell] == s))[: taken[s]] for s in range(counts.shape[1])]
    rows = np.sort(np.concatenate(chosen).astype(np.int64))
    s = fell[rows]
    share = taken / np.maximum(np.bincount(together, available, len(taken)), 1)
    inverse = weights[rows] * counts[rows, s] / chance[rows, s] / share[together[s]]
    return Drawn(rows, s, inverse)


def _chances(holds: npt.NDArray[np.bool_], quota: Floats) -> Floats:
    """Probability with which each document draws each stratum it holds, raked so that strata fill as quotas ask."""
    pull = np.ones(holds.shape[1])
    chance = np.zeros(holds.shape)
    wanted = np.maximum(quota / quota.sum(), 1e-3)  # a stratum that no one asks for is drawn when there is no other
    for _ in range(100):
        chance = holds * pull
        chance *= (1 - _LEAST * holds.sum(axis=1, keepdims=True)) / chance.sum(axis=1, keepdims=True)
        chance += holds * _LEAST
        expected = chance.sum(axis=0)
        present = expected > 0
        pull[present] *= wanted[present] / (expected[present] / expected.sum())
        pull = np.maximum(pull / pull.max(), 1e-9)
    return chance


def _sizes(quota: Ints, available: Ints) -> Ints:
    """How many to take of each stratum: quotas, what some lack made up by others of their half, halves even."""
    taken = np.minimum(quota, available)
    halves = (slice(0, INACTIVE), slice(INACTIVE, None))
    for half in halves:
        for s in range(*half.indices(len(quota))):
            missing = int(quota[half].sum() - taken[half].sum())
            taken[s] += min(missing, int(available[s] - taken[s]))
    totals = [int(taken[half].sum()) for half in halves]
    for half, total, other in zip(halves, totals, totals[::-1], strict=True):
        for _ in range(max(0, total - -(-5 * other // 4))):
            taken[half][np.argmax(taken[half])] -= 1
    return taken


def _together(taken: Ints, available: Ints) -> Ints:
    """For every stratum the one that it is drawn with: itself, or the nearest of its half that gets an item."""
    found = np.arange(len(taken))
    for half in np.split(np.arange(len(taken)), [INACTIVE]):
        drawn = half[taken[half] > 0][::-1]
        for s in half[(taken[half] == 0) & (available[half] > 0)] if len(drawn) else ():
            found[s] = drawn[np.argmin(np.abs(drawn - s))]
    return found
