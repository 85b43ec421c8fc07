"""Marginal confidence sets for ranks, to see how wide rank intervals would be that promise their coverage.

Mogstad, Romano, Shaikh & Wilhelm, Inference for ranks with applications to mobility across neighbourhoods and academic
achievement across countries, Review of Economic Studies 91 (2024), two-sided and stepwise, as the R package csranks has
them by default; written from the mathematics.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from aggregation_methods import COVERAGE, Floats, Found
from aggregation_rivals import by_episode

REPLICATIONS = 1000


def of_means(guesses: pd.DataFrame) -> Found:
    """Rank sets from targets' means over episodes and their standard errors, which are independent."""
    value, sd, _ = by_episode(guesses)
    spread = np.maximum(sd.fillna(sd.median()).to_numpy(np.float64), 1e-6)
    noise = np.random.default_rng(0).standard_normal((REPLICATIONS, len(value))) * spread
    return Found(value, sd, rank_sets(value, noise))


def of_ours(found: Found) -> pd.DataFrame:
    """Rank sets from imitable's own estimates and joint draws: the same knowledge, another way to make intervals."""
    assert found.draws is not None
    return rank_sets(found.value, found.draws - found.draws.mean(axis=0))


def rank_sets(value: pd.Series[float], noise: Floats) -> pd.DataFrame:
    """`low, high`: a 90 % set for the rank of each target, from draws of the estimates' errors, (draws, targets).

    Which others are certainly better or worse follows from simultaneous intervals of the differences to all others. The
    stepwise rule repeats that with only those that could not be told apart, until nothing changes.
    """
    x = value.to_numpy(np.float64)
    columns = np.ascontiguousarray(noise.T)
    low, high = np.empty(len(x), int), np.empty(len(x), int)
    for at in range(len(x)):
        errors = columns - columns[at]
        scale = np.maximum(errors.std(axis=1), 1e-12)
        errors = np.abs(errors / scale[:, None])
        apart = (x - x[at]) / scale
        open_ = np.arange(len(x)) != at
        while open_.any():
            far = np.quantile(errors[open_].max(axis=0), COVERAGE)
            told = open_ & (np.abs(apart) > far)
            if not told.any():
                break
            open_ &= ~told
        told = ~open_
        told[at] = False
        low[at] = 1 + int((told & (apart > 0)).sum())
        high[at] = len(x) - int((told & (apart < 0)).sum())
    return pd.DataFrame({"low": low, "high": high}, index=value.index)
