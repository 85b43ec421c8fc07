"""Who plays in earnest: the probability that an annotator does not, how, what shows it, and whom to leave out.

Each annotator's guesses are more or less likely under how people play on the very same items and targets (`honest`)
and under five described ways of not playing (`impostors`). Bayes' rule with the stated prior gives `p_bad`. People are
learned from everybody, in proportion to how far each is in earnest, starting from what is usual, so that bad players do
not set the standard. Only the per-episode sums of `statistics` are read.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from .anomaly import anomalies
from .evidence import sentences
from .honest import improved, played, usual
from .impostors import KINDS, impostors
from .regressions import regressions, sums
from .symmetric import Floats

PRIOR_BAD = 0.1
"""Share of annotators taken not to play in earnest, before their guesses are seen; the described ways alike."""
EXCLUDED_ABOVE = 0.5
"""`p_bad` above which an annotator is left out of the fit ..."""
FEWEST_TARGETS = 2
"""... if he played at least so many targets ..."""
FEWEST_GUESSES = 20
"""... and made at least so many guesses."""
ROUNDS = 2
"""Times that people are learned anew with the last verdict's weights."""
STEPS = 4
"""Steps of expectation-maximisation in each."""

COLUMNS = ("p_bad", "bad_class", "anomaly", "evidence", "excluded")


def judge(episodes: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """The verdict on every annotator, indexed by annotator_id, from `Statistics.episodes` and `Statistics.people`.

    * `p_bad`, 0 to 1: posterior probability of playing in one of the described ways; about `PRIOR_BAD` where too
      little was played to tell.
    * `bad_class`: the likeliest of `impostors.KINDS` where p_bad > 0.5, else missing.
    * `anomaly`, ≥ 0: minus the decimal logarithm of the share of people in earnest who lie as far from everybody's
      play, in either direction (`anomaly`): 2 is one in a hundred. For what nobody described; it excludes nobody.
    * `evidence`: what is odd, as a sentence, missing where nothing is; also of people who stay.
    * `excluded`: p_bad > `EXCLUDED_ABOVE` on at least `FEWEST_TARGETS` targets and `FEWEST_GUESSES` guesses.

    `people` may lack its optional columns or rows. The order of the rows changes nothing. No rows give no rows.
    """
    if episodes.empty:
        return _frame(pd.Index([], name="annotator_id", dtype="str"))
    if not episodes["episode_id"].is_monotonic_increasing:
        episodes = episodes.sort_values("episode_id", kind="stable")
    data, ids = sums(episodes)
    play = regressions(data)
    shams = impostors(data) + np.log(PRIOR_BAD / len(KINDS))
    weight: Floats = np.zeros(data.annotators)  # at first nobody moves what is usual, only his own noise
    population = usual(play)
    for _ in range(ROUNDS + 1):
        for _ in range(STEPS):
            population = improved(play, population, weight)
        found = played(play, population)
        against = np.logaddexp.reduce(shams, axis=0) - (found.likelihood + np.log(1 - PRIOR_BAD))
        weight = _probability(-against)
    earnest = against <= 0
    kind = shams.argmax(axis=0)
    anomaly, features = anomalies(episodes, data, population, found, earnest)
    targets = episodes.groupby("annotator_id", sort=True)["target_id"].nunique().to_numpy()
    enough = (data.by_annotator(data.n) >= FEWEST_GUESSES) & (targets >= FEWEST_TARGETS)
    p_bad = _probability(against)
    excluded = enough & (p_bad > EXCLUDED_ABOVE)
    known = people.set_index("annotator_id") if "annotator_id" in people else people
    evidence = sentences(
        episodes,
        known.reindex(ids),
        data,
        earnest=earnest,
        kind=kind,
        spared=~earnest & ~enough,
        anomaly=anomaly,
        features=features,
    )
    classes = [None if fine else KINDS[at] for at, fine in zip(kind, earnest, strict=True)]
    return _frame(ids, p_bad=p_bad, bad_class=classes, anomaly=anomaly, evidence=evidence, excluded=excluded)


def _frame(ids: pd.Index[str], **columns: object) -> pd.DataFrame:
    kinds = dict(zip(COLUMNS, ("float64", "str", "float64", "str", "bool"), strict=True))
    return pd.DataFrame(
        {name: pd.Series(columns.get(name, []), index=ids, dtype=kinds[name]) for name in COLUMNS},
        index=ids,
    )


def _probability(log_odds: Floats) -> Floats:
    result: Floats = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -700.0, 700.0)))
    return result


class Influence(NamedTuple):
    """What leaving annotators out did to the ranking: it selects on what they answered, so it must be shown."""

    tau: float
    """Kendall's tau between the rankings with and without them, over the targets in both, -1 to 1; 1 where fewer than
    two are."""
    share: pd.Series[float]
    """By target_id: share of its episodes that were left out, 0 to 1."""


def influence(
    cleaned: pd.Series[float], everybody: pd.Series[float], episodes: pd.DataFrame, excluded: Collection[str]
) -> Influence:
    """Compare imitability by target_id without the `excluded` annotators (`cleaned`) and with everybody."""
    both = cleaned.index.intersection(everybody.index)
    a, b = (np.asarray(series.reindex(both), np.float64) for series in (cleaned, everybody))
    out = episodes["annotator_id"].isin(list(excluded)).astype("float64")
    return Influence(_tau(a, b), out.groupby(episodes["target_id"], sort=True).mean().rename("excluded"))


def _tau(a: Floats, b: Floats) -> float:
    tau = float(stats.kendalltau(a, b).statistic) if len(a) > 1 else 1.0
    if np.isfinite(tau):
        return tau
    return 1.0 if np.array_equal(stats.rankdata(a), stats.rankdata(b)) else 0.0
