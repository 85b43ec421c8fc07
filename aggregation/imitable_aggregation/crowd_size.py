"""How skill grows with the crowd: the same items, guessed by one, two, three … annotators.

Few items have many guesses, and those that have are not like the others. So sizes are compared step by step: from one
size to the next, skill changes by what it changes on average on the items that have enough guesses for both, and the
curve adds these steps up. Which guesses count first is drawn at random, several times.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pandas as pd

from .recalibration import Floats, Ints

LARGEST = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200)
"""Crowd sizes that are looked at."""
FEWEST = 20
"""Items below which a size is left out."""
ORDERS = 6
"""Random orders of the guesses on an item."""

Predict = Callable[[Ints, Ints, Floats, Ints], Floats]
"""Places of targets, folds, means of guesses, their numbers: predicted truths."""


def size_curve(
    mine: pd.DataFrame, sample: pd.DataFrame, targets: pd.Index[str], predict: Predict, *, coverage: float, seed: int
) -> pd.DataFrame:
    """`size, skill, low, high, plain`, one row a size that enough items have.

    `mine` holds the guesses of who is not excluded, less their bias; `sample` everybody's, as they were; both have
    `annotator_id, target_id, item_id, guess, truth, l_ref`, and `mine` the `fold` that predicts an item. Intervals are
    over targets (over items, where there is one target).
    """
    rng = np.random.default_rng([20261127, seed])
    ours = _added(mine, targets, predict, rng)
    theirs = _added(sample.assign(fold=0), targets, lambda _target, _fold, mean, _k: mean, rng)
    sizes = [size for size in LARGEST if size in ours and size in theirs]
    reach = NormalDist().inv_cdf(0.5 + coverage / 2)
    skill, plain, rows = 0.0, 0.0, []
    off: pd.Series[float] = pd.Series(dtype="float64")
    for size in sizes:
        step = ours[size]
        cluster = step["target"] if step["target"].nunique() > 1 else step["item"]
        skill, plain = skill + float(step["change"].mean()), plain + float(theirs[size]["change"].mean())
        part = (step["change"] - step["change"].mean()).groupby(cluster).sum() / len(step)
        off = off.add(part, fill_value=0.0)
        n = len(off)
        half = reach * float(np.sqrt((off**2).sum() * n / (n - 1))) if n > 1 else np.nan
        rows.append((size, skill, skill - half, skill + half, plain))
    return pd.DataFrame(rows, columns=["size", "skill", "low", "high", "plain"])


def _added(
    guesses: pd.DataFrame, targets: pd.Index[str], predict: Predict, rng: np.random.Generator
) -> dict[int, pd.DataFrame]:
    """For each size that enough items have, what the guesses since the size before changed: `target, item, change`."""
    table = guesses.sort_values(["target_id", "item_id", "annotator_id"], kind="stable")
    item = table.groupby(["target_id", "item_id"], sort=True).ngroup().to_numpy(np.int64)
    if not len(item):
        return {}
    count = np.bincount(item)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    target = targets.get_indexer(pd.Index(table["target_id"])).astype(np.int64)[first]
    fold = table["fold"].to_numpy(np.int64)[first]
    truth, unit = (table[name].to_numpy(np.float64)[first] for name in ("truth", "l_ref"))
    guess = table["guess"].to_numpy(np.float64)
    sizes = [size for size in LARGEST if size == 1 or (count >= size).sum() >= FEWEST]
    total = {size: np.zeros(len(count)) for size in sizes}
    for _ in range(ORDERS):
        order = np.lexsort((rng.random(len(item)), item))
        running = np.concatenate([[0.0], np.cumsum(guess[order])])
        for size in sizes:
            has = np.flatnonzero(count >= size)
            mean = (running[first[has] + size] - running[first[has]]) / size
            said = predict(target[has], fold[has], mean, np.full(len(has), size))
            total[size][has] += (1 - np.abs(said - truth[has]) / unit[has]) / ORDERS
    steps: dict[int, pd.DataFrame] = {}
    for at, size in enumerate(sizes):
        has = np.flatnonzero(count >= size)
        before = total[sizes[at - 1]][has] if at else 0.0
        steps[size] = pd.DataFrame({"target": target[has], "item": has, "change": total[size][has] - before})
    return steps
