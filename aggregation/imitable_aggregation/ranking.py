"""From a fit to ranking.csv and levels.csv: order, intervals, ranks with their uncertainty, and figures to compare."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from . import scoring
from .model import Fit
from .result_tables import LEVELS_TABLE, RANKING

EASY = 0.25
"""A target is easy where its start exceeds this skill."""
LEARNABLE = 0.10
"""A target is learnable where its gain exceeds this skill."""

Floats = npt.NDArray[np.float64]


def ranking_table(
    fit: Fit,
    rows: pd.DataFrame,
    episodes: pd.DataFrame,
    targets: pd.DataFrame | None,
    *,
    coverage: float,
    top_k: int,
) -> pd.DataFrame:
    """Targets from most to least imitable, with every column of ranking.csv; ties by target_id."""
    table = _counts(rows, episodes).join(fit.targets)
    for name in ("imitability", "start", "gain"):
        table = with_interval(table, name, coverage)
    table = table.join(_ranks(fit, coverage=coverage, top_k=top_k)).join(_agreement(rows))
    table["crowd_skill"] = table["crowd_low"] = table["crowd_high"] = np.nan
    table["l_ref"] = rows.groupby("target_id")["l_ref"].first()
    baselines: list[str] = []
    if targets is not None:
        baselines = [str(name) for name in targets if str(name).startswith("baseline_")]
        table = table.join(targets.set_index("target_id")[baselines])
    order = table["imitability"].rank(ascending=False, method="first").astype("int64")
    table = table.assign(rank=order).sort_values("rank").reset_index()
    fixed = [column.name for column in RANKING.columns if not column.name.endswith("*")]
    return table[[*fixed, *baselines]]


def levels_table(levels: pd.DataFrame, *, coverage: float) -> pd.DataFrame:
    """levels.csv: imitability at each level with its interval."""
    table = with_interval(levels, "imitability", coverage)
    return table[[column.name for column in LEVELS_TABLE.columns]]


def with_interval(table: pd.DataFrame, name: str, coverage: float) -> pd.DataFrame:
    """Add the ends of the central normal interval of `name` from its `_sd`."""
    reach = NormalDist().inv_cdf(0.5 + coverage / 2) * table[f"{name}_sd"]
    return table.assign(**{f"{name}_low": table[name] - reach, f"{name}_high": table[name] + reach})


def _counts(rows: pd.DataFrame, episodes: pd.DataFrame) -> pd.DataFrame:
    by_target = rows.groupby("target_id", sort=True)
    table = by_target[["model_id", "kind", "site", "unit", "selected_by"]].first()
    table["n_guesses"] = by_target.size().astype("int64")
    table["n_episodes"] = by_target["episode_id"].nunique().astype("int64")
    table["n_annotators"] = by_target["annotator_id"].nunique().astype("int64")
    table["completion"] = episodes.groupby("target_id")["completed"].mean().astype("float64")
    return table


def _ranks(fit: Fit, *, coverage: float, top_k: int) -> pd.DataFrame:
    """Ranks within each draw, summed up; the interval's ends are ranks that occurred."""
    ids = fit.targets.index
    held_out = _by_draw(fit, "held_out")
    order = np.argsort(-held_out, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(1, len(ids) + 1), order.shape), axis=1)
    tail = (1 - coverage) / 2
    low = np.quantile(ranks, tail, axis=0, method="lower")
    high = np.quantile(ranks, 1 - tail, axis=0, method="higher")
    start = _by_draw(fit, "start")
    unknown = np.isnan(start).any(axis=0)
    return pd.DataFrame(
        {
            "rank_low": low.astype(np.int64),
            "rank_high": high.astype(np.int64),
            "expected_rank": ranks.mean(axis=0),
            "p_top": (ranks <= top_k).mean(axis=0),
            "p_easy": np.where(unknown, np.nan, (start > EASY).mean(axis=0)),
            "p_learnable": np.where(unknown, np.nan, (held_out - start > LEARNABLE).mean(axis=0)),
        },
        index=ids,
    )


def _by_draw(fit: Fit, name: str) -> Floats:
    return fit.draws[name].to_numpy(dtype=np.float64).reshape(-1, len(fit.targets))


def _agreement(rows: pd.DataFrame) -> pd.DataFrame:
    """Correlation and r2 on the held-out rounds, for comparison with published figures."""
    found: dict[str, dict[str, Any]] = {}
    for name, part in rows[rows["at_end"]].groupby("target_id", sort=True):
        guess, truth, weight = (part[c].to_numpy(dtype=np.float64) for c in ("guess", "truth", "weight"))
        known = weight > 0
        found[str(name)] = {
            "r": scoring.correlation(guess, truth),
            "r2": scoring.r2(guess, truth),
            "r_natural": scoring.correlation(guess[known], truth[known], weight[known]),
        }
    return pd.DataFrame.from_dict(found, orient="index", columns=["r", "r2", "r_natural"], dtype="float64")
