"""From a fit to ranking.csv and levels.csv: order, intervals, ranks with their uncertainty, and figures to compare."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

from . import scoring
from .baselines import players_of
from .model import Fit
from .result_tables import LEVELS_TABLE, RANKING
from .tables import WHERE

EASY = 0.25
"""A target is easy where its start exceeds this skill."""
LEARNABLE = 0.10
"""A target is learnable where its gain exceeds this skill."""
APART = 0.95
"""Probability from which on the first of a tie group is above a target, so that the next group begins there."""

Floats = npt.NDArray[np.float64]


def ranking_table(
    fit: Fit,
    episodes: pd.DataFrame,
    targets: pd.DataFrame,
    finished: pd.Series[bool],
    *,
    coverage: float,
    top_k: int,
) -> pd.DataFrame:
    """Targets from most to least imitable, with the columns of ranking.csv but the crowd's; ties by target_id.

    `episodes` are those that the fit used, `targets` describes their targets (`Statistics.targets`, and baselines),
    `finished` says of every episode_id whether it was played to its end.
    """
    ids = pd.Index(fit.target_ids, name="target_id", dtype="str")
    table = _counts(episodes, finished).reindex(ids).join(fit.targets)
    for name in ("imitability", "start", "gain"):
        table = with_interval(table, name, coverage)
    table = table.join(_ranks(fit, coverage=coverage, top_k=top_k)).join(agreement(episodes))
    told = [column.name for column in WHERE] + ["selected_by", "l_ref", *sorted(players_of(targets))]
    table = table.join(targets.set_index("target_id")[told])
    table["rank"] = table["imitability"].rank(ascending=False, method="first").astype("int64")
    # the first of many that are hardly told apart is rarely the first of a draw: its interval holds its rank too
    table["rank_low"] = np.minimum(table["rank_low"], table["rank"])
    table["rank_high"] = np.maximum(table["rank_high"], table["rank"])
    table["tie_group"] = _tie_groups(fit, table["rank"].to_numpy(np.int64))
    return table.sort_values("rank").reset_index()


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """The table with exactly the columns of ranking.csv, and its baselines."""
    fixed = [column.name for column in RANKING.columns if not column.name.endswith("*")]
    return table[[*fixed, *players_of(table)]]


def levels_table(fit: Fit, episodes: pd.DataFrame, *, coverage: float) -> pd.DataFrame:
    """levels.csv: imitability of each target at each level where it was played, with its interval."""
    played = episodes[["target_id", "level"]].drop_duplicates().sort_values(["target_id", "level"])
    at = pd.Index(fit.target_ids).get_indexer(pd.Index(played["target_id"]))
    of_level = {level: fit.at(level) for level in fit.levels}
    draws = np.stack([of_level[level][:, one] for one, level in zip(at, played["level"], strict=True)], axis=1)
    table = played.assign(imitability=draws.mean(axis=0), imitability_sd=draws.std(axis=0)).reset_index(drop=True)
    return with_interval(table, "imitability", coverage)[[column.name for column in LEVELS_TABLE.columns]]


def by_level(fit: Fit, episodes: pd.DataFrame, *, coverage: float) -> pd.DataFrame:
    """Mean imitability of all targets at each level: `level, n_episodes`, `imitability` with its interval; best first.

    On fresh items of these very targets.
    """
    draws = {level: fit.at(level).mean(axis=1) for level in fit.levels}
    table = pd.DataFrame(
        {
            "level": list(draws),
            "n_episodes": [int((episodes["level"] == level).sum()) for level in draws],
            "imitability": [float(each.mean()) for each in draws.values()],
            "imitability_sd": [float(each.std()) for each in draws.values()],
        }
    ).sort_values("imitability", ascending=False, ignore_index=True)
    return with_interval(table, "imitability", coverage)


def draws_table(fit: Fit) -> pd.DataFrame:
    """draws.parquet: every joint draw of every target."""
    draws, n = fit.samples["held_out"].shape
    columns = {name: values.ravel() for name, values in fit.samples.items()}
    ids = pd.Series(np.tile(np.array(fit.target_ids, dtype=object), draws), dtype="str")
    return pd.DataFrame({"draw": np.repeat(np.arange(draws, dtype=np.int64), n), "target_id": ids, **columns})


def with_interval(table: pd.DataFrame, name: str, coverage: float) -> pd.DataFrame:
    """Add the ends of the central normal interval of `name` from its `_sd`."""
    reach = NormalDist().inv_cdf(0.5 + coverage / 2) * table[f"{name}_sd"]
    return table.assign(**{f"{name}_low": table[name] - reach, f"{name}_high": table[name] + reach})


def _counts(episodes: pd.DataFrame, finished: pd.Series[bool]) -> pd.DataFrame:
    by_target = episodes.groupby("target_id", sort=True)
    done = episodes["episode_id"].map(finished).astype("float64").groupby(episodes["target_id"]).mean()
    return pd.DataFrame(
        {
            "n_guesses": by_target["n"].sum().astype("int64"),
            "n_episodes": by_target.size().astype("int64"),
            "n_annotators": by_target["annotator_id"].nunique().astype("int64"),
            "completion": done,
        }
    )


def _ranks(fit: Fit, *, coverage: float, top_k: int) -> pd.DataFrame:
    """Ranks within each draw, summed up; the interval's ends are ranks that occurred."""
    held_out, start = fit.samples["held_out"], fit.samples["start"]
    order = np.argsort(-held_out, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(1, held_out.shape[1] + 1), order.shape), axis=1)
    tail = (1 - coverage) / 2
    unknown = np.isnan(start).any(axis=0)
    return pd.DataFrame(
        {
            "rank_low": np.quantile(ranks, tail, axis=0, method="lower").astype(np.int64),
            "rank_high": np.quantile(ranks, 1 - tail, axis=0, method="higher").astype(np.int64),
            "expected_rank": ranks.mean(axis=0),
            "p_top": (ranks <= top_k).mean(axis=0),
            "p_easy": np.where(unknown, np.nan, (start > EASY).mean(axis=0)),
            "p_learnable": np.where(unknown, np.nan, (held_out - start > LEARNABLE).mean(axis=0)),
        },
        index=pd.Index(fit.target_ids, dtype="str"),
    )


def _tie_groups(fit: Fit, rank: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """1 for the top; a group ends where its first member is above the next target with probability `APART`."""
    held_out = fit.samples["held_out"]
    order = np.argsort(rank)
    group = np.empty(len(order), dtype=np.int64)
    first, number = order[0], 1
    for at in order:
        if (held_out[:, first] > held_out[:, at]).mean() >= APART:
            first, number = at, number + 1
        group[at] = number
    return group


def agreement(episodes: pd.DataFrame) -> pd.DataFrame:
    """`r`, `r2` and `r_natural` of each target's held-out rounds, from sums; nan where undefined."""
    letters = ("g", "z", "gg", "zz", "gz")
    sums = episodes.groupby("target_id")[
        ["n_held_out", "w_n", *(f"{kind}_{letter}" for kind in "hw" for letter in letters)]
    ].sum()
    return pd.DataFrame(
        {
            "r": scoring.correlation(sums["n_held_out"], *(sums[f"h_{letter}"] for letter in letters)),
            "r2": scoring.r2(sums["h_gg"], sums["h_zz"], sums["h_gz"]),
            "r_natural": scoring.correlation(sums["w_n"], *(sums[f"w_{letter}"] for letter in letters)),
        },
        index=sums.index,
    )
