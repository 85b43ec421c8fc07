"""What a way to rank targets from guesses says, and ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

Z = 1.6448536269514722
"""Half-width of a 90 % normal interval, in standard deviations."""
COVERAGE = 0.9
DRAWS = 400


@dataclass
class Found:
    """What a method says. Frames and series are indexed by target_id or annotator_id."""

    value: pd.Series[float]
    """Imitability, or whatever stands for it in the order."""
    sd: pd.Series[float] | None = None
    """Its standard deviation, where the method knows."""
    ranks: pd.DataFrame | None = None
    """`low, high`: 90 % rank intervals."""
    start: pd.DataFrame | None = None
    """`value` before any feedback, and its `sd` where the method knows."""
    gain: pd.DataFrame | None = None
    """The same of imitability minus start."""
    people: pd.Series[float] | None = None
    """Skill of annotators."""
    excluded: list[str] = field(default_factory=list)
    """Annotators who were left out as bad players."""
    draws: Floats | None = None
    """Joint draws of `value`, (draws, targets), where the method has them."""
    cpu: float = 0.0
    """Seconds of CPU, all threads together."""
    wall: float = 0.0
    """Seconds by the clock."""


Method = Callable[[pd.DataFrame], Found]


def timed(method: Method, guesses: pd.DataFrame) -> Found:
    """Run a method; seconds of this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = method(guesses)
    found.cpu, found.wall = time.process_time() - cpu, time.perf_counter() - wall
    return found


def ours(*, conduct: bool = True, correlated: bool = True, shared_items: bool = True) -> Method:
    """imitable: statistics, conduct, the fit, ranks. The rows are in memory already, as they are for the others.

    `conduct` False leaves nobody out; `correlated` False is the plain crossed model; `shared_items` False takes every
    item as fresh.
    """

    def run(guesses: pd.DataFrame) -> Found:
        from imitable_aggregation.conduct import judge
        from imitable_aggregation.defaults import filled
        from imitable_aggregation.model import fit
        from imitable_aggregation.statistics import collect

        statistics = collect(filled(guesses))
        episodes, excluded = statistics.episodes, []
        if conduct:
            verdict = judge(episodes, statistics.people)
            excluded = sorted(verdict.index[verdict["excluded"]])
            episodes = episodes[~episodes["annotator_id"].isin(excluded)]
        items = statistics.items(excluded) if shared_items else None
        fitted = fit(episodes, items, statistics.knots, correlated=correlated)
        table = fitted.targets
        return Found(
            value=table["imitability"],
            sd=table["imitability_sd"],
            ranks=ranks_of(fitted.samples["held_out"], fitted.target_ids),
            start=table[["start", "start_sd"]].set_axis(["value", "sd"], axis=1),
            gain=table[["gain", "gain_sd"]].set_axis(["value", "sd"], axis=1),
            people=fitted.people["skill"],
            excluded=excluded,
            draws=fitted.samples["held_out"],
        )

    return run


def skills(rows: pd.DataFrame) -> pd.Series[float]:
    """Skill of every guess."""
    result: pd.Series[float] = 1 - (rows["guess"] - rows["truth"]).abs() / rows["l_ref"]
    return result


def ranks_of(draws: Floats, ids: list[str]) -> pd.DataFrame:
    """90 % rank intervals from joint draws, (draws, targets)."""
    ranks = (-draws).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable") + 1
    tail = (1 - COVERAGE) / 2
    low = np.quantile(ranks, tail, axis=0, method="lower")
    high = np.quantile(ranks, 1 - tail, axis=0, method="higher")
    return pd.DataFrame({"low": low, "high": high}, index=ids)


def independent_ranks(value: pd.Series[float], sd: pd.Series[float]) -> pd.DataFrame:
    """90 % rank intervals where nothing is known but a mean and a standard deviation for each target."""
    known = sd.fillna(sd.median()).to_numpy(np.float64)
    noise = np.random.default_rng(0).standard_normal((DRAWS, len(value)))
    return ranks_of(value.to_numpy(np.float64) + known * noise, list(value.index))
