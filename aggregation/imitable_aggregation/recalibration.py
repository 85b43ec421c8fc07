"""From the mean of a crowd's guesses to its best prediction, learned on other targets, and how far off that is.

With m what the crowd was told of a target on average, k guesses on an item and x their mean less bias, all in units of
the target's l_ref, the prediction is

    truth - m = (b0 + b1 / k) · (x - m) + b2

fitted by least absolute deviations, since skill is an absolute error (iteratively reweighted least squares;
Schlossmacher, An iterative technique for absolute deviations curve fitting, 1973). A weak prior at the identity, worth
`PRIOR` items, decides where there is next to nothing to learn from. Intervals are quantiles of what the learned
prediction misses on the items that it was learned from, apart by k and by height, with the finite-sample correction of
split conformal prediction (Vovk, Gammerman & Shafer, Algorithmic learning in a random world, 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

IDENTITY = np.array([1.0, 0.0, 0.0])
"""Coefficients b0, b1, b2 that take the mean of guesses as it is."""
PRIOR = 5.0
"""Items that the prior counts for."""
SMALLEST = 0.02
"""Residual, in units of l_ref, below which a smaller one gets no more weight."""
SWEEPS = 25
"""Reweightings: more change nothing that is printed."""
MOST = 100_000
"""Items that are learned from at most."""
SIZES = (1, 2, 3, 4, 6, 10)
"""Fewest guesses of each class of crowd sizes."""
HEIGHTS = 3
"""Classes of the predicted height, of equally many items."""
FEWEST = 60
"""Items below which a class is joined with its neighbour."""


@dataclass(frozen=True)
class Spread:
    """How far truths lie from predictions, in units of l_ref."""

    sizes: tuple[int, ...]
    """Fewest guesses of each class that was large enough to stand alone."""
    cuts: tuple[Floats, ...]
    """For each class of sizes, the heights between its classes of height."""
    ends: tuple[Floats, ...]
    """For each class of sizes, (heights, 2): lower and upper quantile of truth - prediction; infinite where unknown."""

    def around(self, predicted: Floats, k: Ints) -> Floats:
        """Lower and upper end of truth - m for each prediction of it, (items, 2)."""
        ends = np.empty((len(predicted), 2))
        size = np.searchsorted(self.sizes, k, side="right") - 1
        for at in range(len(self.sizes)):
            here = size == at
            height = np.searchsorted(self.cuts[at], predicted[here], side="right")
            ends[here] = predicted[here][:, None] + self.ends[at][height]
        return ends


def learn(design: Floats, y: Floats) -> Floats:
    """Coefficients (b0, b1, b2) from the `features` and truth - m of some items, in units of l_ref; (3,)."""
    found = IDENTITY.copy()
    if not len(y):
        return found
    prior = np.full(3, PRIOR)
    for _ in range(SWEEPS):
        missed = np.abs(y - design @ found)
        weight = 1.0 / np.maximum(missed, SMALLEST)
        weight /= weight.mean()
        inner = (design * weight[:, None]).T @ design + np.diag(prior)
        found = np.linalg.solve(inner, design.T @ (weight * y) + prior * IDENTITY)
    return found


def features(x: Floats, k: Ints) -> Floats:
    """What the coefficients multiply, from x - m in units of l_ref, and k: (items, 3)."""
    return np.stack([x, x / k, np.ones_like(x)], axis=1)


def thinned(items: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """At most `MOST` of them, evenly spaced."""
    return items[:: -(-len(items) // MOST)] if len(items) > MOST else items


def spread(predicted: Floats, k: Ints, y: Floats, coverage: float) -> Spread:
    """How far y lies from what was predicted, by crowd size and height."""
    sizes = _classes(k)
    size = np.searchsorted(sizes, k, side="right") - 1
    cuts, ends = [], []
    for at in range(len(sizes)):
        here = size == at
        parts = max(1, min(HEIGHTS, int(here.sum()) // FEWEST))
        cut = np.quantile(predicted[here], np.arange(1, parts) / parts) if parts > 1 else np.empty(0)
        height = np.searchsorted(cut, predicted[here], side="right")
        left = (y - predicted)[here]
        cuts.append(cut)
        ends.append(np.array([_ends(left[height == part], coverage) for part in range(len(cut) + 1)]))
    return Spread(tuple(sizes), tuple(cuts), tuple(ends))


def _classes(k: Ints) -> list[int]:
    """Fewest guesses of each class of sizes; from the largest down, a small class is joined with the next."""
    kept: list[int] = []
    waiting = 0
    for at in reversed(range(len(SIZES))):
        above = SIZES[at + 1] if at + 1 < len(SIZES) else np.inf
        waiting += int(((k >= SIZES[at]) & (k < above)).sum())
        if waiting >= FEWEST:
            kept.append(SIZES[at])
            waiting = 0
    kept.reverse()
    return [1, *kept[1:]] if kept else [1]


def _ends(left: Floats, coverage: float) -> tuple[float, float]:
    """Order statistics that a fresh value falls between with at least this probability."""
    ordered, n = np.sort(left), len(left)
    upper = int(np.ceil((n + 1) * (0.5 + coverage / 2)))
    if upper > n:
        return -np.inf, np.inf
    return float(ordered[n - upper]), float(ordered[upper - 1])
