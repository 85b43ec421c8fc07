"""annotators.csv: how well each annotator imitates, how he uses the scale, and what looks odd in plain words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from .model import Fit
from .ranking import with_interval
from .result_tables import ANNOTATORS

Floats = npt.NDArray[np.float64]

FEWEST = 10
"""Guesses below which nothing is said about how somebody plays."""
HARDLY = 0.25
"""Standard deviation of guesses, display units, below which answers hardly vary."""
SAME = 0.05
"""Display units within which a guess repeats the last truth."""
HASTY = 1.0
"""Median seconds below which nobody can have read the text."""


def annotators_table(fit: Fit, rows: pd.DataFrame, *, coverage: float) -> pd.DataFrame:
    """One row for each annotator, with every column of annotators.csv."""
    by_person = rows.groupby("annotator_id", sort=True)
    table = pd.DataFrame(
        {
            "n_guesses": by_person.size().astype("int64"),
            "n_episodes": by_person["episode_id"].nunique().astype("int64"),
            "median_seconds": by_person["seconds"].median(),
        }
    )
    table = with_interval(table.join(fit.annotators), "skill", coverage)
    table = table.join(_use_of_scale(rows, table.index, coverage))
    table["learning"] = _learning(rows)
    table["evidence"] = _evidence(rows, table)
    table["p_bad"] = table["anomaly"] = np.nan
    table["bad_class"] = pd.Series(None, index=table.index, dtype="str")
    table["excluded"] = False
    return table.reset_index()[[column.name for column in ANNOTATORS.columns]]


def _use_of_scale(rows: pd.DataFrame, people: pd.Index[str], coverage: float) -> pd.DataFrame:
    """Bias (mean of guess - truth) and scale (slope of guess on truth), with intervals clustered by episode."""
    n = len(people)
    person = people.get_indexer(pd.Index(rows["annotator_id"]))
    episode, _ = pd.factorize(rows["episode_id"])
    of = np.zeros(episode.max() + 1, dtype=np.int64)
    of[episode] = person
    guess, truth = (rows[name].to_numpy(dtype=np.float64) for name in ("guess", "truth"))

    def mean(values: Floats) -> Floats:
        return np.asarray(np.bincount(person, values, n) / np.bincount(person, minlength=n), dtype=np.float64)

    count = np.bincount(person, minlength=n)
    episodes = np.bincount(of, minlength=n)
    bias = mean(guess - truth)
    off = guess - truth - bias[person]
    x = truth - mean(truth)[person]
    power = np.bincount(person, x * x, n)
    varied = power > 1e-12
    scale = np.where(varied, np.bincount(person, x * guess, n) / np.where(varied, power, 1.0), np.nan)
    rest = guess - mean(guess)[person] - np.nan_to_num(scale)[person] * x
    noise = np.sqrt(np.bincount(person, rest**2, n) / np.maximum(count - 2, 1))

    def clustered(score: Floats) -> Floats:
        """Variance of a sum of scores: by episode, or by guess for who played only one episode."""
        several = np.bincount(of, np.bincount(episode, score) ** 2, n) * episodes / np.maximum(episodes - 1, 1)
        single = np.bincount(person, score**2, n) * count / np.maximum(count - 1, 1)
        return np.asarray(np.where(episodes > 1, several, single), dtype=np.float64)

    freedom = np.where(episodes > 1, episodes - 1, np.maximum(count - 2, 1))
    reach = np.asarray(stats.t.ppf(0.5 + coverage / 2, freedom), dtype=np.float64)
    unknown = count < 2
    bias_reach = np.where(unknown, np.nan, reach * np.sqrt(clustered(off)) / count)
    scale_reach = np.where(unknown, np.nan, reach * np.sqrt(clustered(rest * x)) / np.where(varied, power, 1.0))
    return pd.DataFrame(
        {
            "bias": bias,
            "bias_low": bias - bias_reach,
            "bias_high": bias + bias_reach,
            "scale": scale,
            "scale_low": scale - scale_reach,
            "scale_high": scale + scale_reach,
            "noise_sd": np.where(count > 2, noise, np.nan),
        },
        index=people,
    )


def _learning(rows: pd.DataFrame) -> pd.Series[float]:
    """Mean over episodes of skill in the later half of practice minus the earlier half."""
    practice = rows[rows["phase"] == "practice"]
    place = practice.groupby("episode_id", sort=False).cumcount()
    size = practice.groupby("episode_id", sort=False)["trial"].transform("size")
    keys = [practice["annotator_id"], practice["episode_id"]]
    late = practice["skill"].where(2 * place >= size).groupby(keys).mean()
    early = practice["skill"].where(2 * place < size - size % 2).groupby(keys).mean()
    return (late - early).groupby(level=0).mean()


def _evidence(rows: pd.DataFrame, table: pd.DataFrame) -> pd.Series[str]:
    """Plain sentences on odd play, for who made enough guesses; empty for everybody else."""
    spread = rows.groupby("annotator_id")["guess"].std(ddof=0)
    last = rows["truth"].where(rows["feedback"]).groupby(rows["episode_id"], sort=False).shift()
    repeats = ((rows["guess"] - last).abs() <= SAME).where(last.notna())
    repeated = repeats.astype("float64").groupby(rows["annotator_id"]).mean()
    chance = ((rows["truth"] - last).abs() <= SAME).where(last.notna())
    expected = chance.astype("float64").groupby(rows["annotator_id"]).mean()
    lines = pd.DataFrame(
        {
            "answers hardly vary": spread < HARDLY,
            "repeats the last truth": (repeated > 0.6) & (repeated > expected + 0.3),
            "no better than a constant guess": table["skill_high"] < 0,
            "answers faster than the text can be read": (table["median_seconds"] < HASTY)
            & ~_programs(rows).reindex(table.index),
        }
    ).reindex(table.index)
    enough = table["n_guesses"] >= FEWEST
    told = ["; ".join(str(name) for name in lines.columns[flags]) for flags in lines.to_numpy(dtype=bool)]
    return pd.Series(told, index=table.index, dtype="str").where(enough & (pd.Series(told, index=table.index) != ""))


def _programs(rows: pd.DataFrame) -> pd.Series[bool]:
    """Whether an annotator is a simulated one, whose speed says nothing."""
    simulated = rows["platform"].eq("simulated") if "platform" in rows else pd.Series(data=False, index=rows.index)
    return simulated.groupby(rows["annotator_id"]).all()
