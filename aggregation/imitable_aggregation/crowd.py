"""What the crowd knows together: one prediction for every held-out item, and how skilled it is.

Truths are known, so that pooling is regression (and neither voting nor a precision-weighted mean, which do worse): who
did not play in earnest is left out, each annotator's shrunken bias is taken off his guesses, the rest is averaged and
recalibrated by how many guesses there are (`recalibration`). Nothing learns from the truth that it predicts: what the
prediction of an item uses of its target is only what the crowd could know before it guessed, that is the mean of the
practice truths that it was shown (where nothing was shown, the mean of its own guesses), and l_ref, which is in the
rules of the game; coefficients and interval widths are learned on other targets, by folds.

A target's crowd skill is the mean skill of the predictions of its held-out items. Its interval is that of a bootstrap
over items, in closed form: for a mean, resampling items has variance sum (y - mean)² / n². Items share annotators,
and so the variance is multiplied by what a two-way jackknife over annotators and items finds beyond items alone, over
all targets together (Cameron, Gelbach & Miller, Robust inference with multiway clustering, 2011).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import stats

from .crowd_size import size_curve
from .recalibration import Floats, Ints, features, learn, spread, thinned
from .scoring import TOP

FOLDS = 10
"""Folds of targets; of items where there is one target only."""
PRIOR_FREEDOM = 8.0
"""Items that the usual spread of all targets counts for in each target's own."""
WIDEST = 4.0
"""Factor of variance that annotators in common may add at most."""
KEYS = ["target_id", "item_id"]
USUAL = 0.6
"""Variance of skill between items that is taken where no target has two."""
SAMPLED = 40_000
"""Single guesses that the curve and the sharing of annotators are estimated from, about."""


class Pooled(Protocol):
    """What is asked of `statistics.Statistics`."""

    @property
    def targets(self) -> pd.DataFrame:
        """`target_id, l_ref, low`."""
        ...

    def items(self, excluded: AbstractSet[str], bias: pd.DataFrame) -> pd.DataFrame:
        """`target_id, item_id, truth, n, h_n, h_y, h_g` without the excluded, guesses less bias."""
        ...

    def sample(self, limit: int) -> pd.DataFrame:
        """`annotator_id, target_id, item_id, guess, truth, l_ref`: all held-out guesses on some items."""
        ...


@dataclass(frozen=True)
class Crowd:
    """What the crowd knows."""

    items: pd.DataFrame
    """crowd.csv: `target_id, item_id, n_guesses, crowd, crowd_low, crowd_high, truth`, in this order of rows."""
    targets: pd.DataFrame
    """By target_id: `crowd_skill, crowd_low, crowd_high`; nan where no held-out item has a guess."""
    curve: pd.DataFrame
    """`size, skill, low, high, plain`: skill of the pool and of the plain mean of so many guesses on an item."""
    skill: float
    """Mean over held-out items of the skill of their prediction; nan without any."""
    plain: float
    """The same of the plain mean of all guesses on these items, nobody left out, nothing adjusted; from the sample."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know."""


def crowd(
    statistics: Pooled,
    excluded: AbstractSet[str],
    bias: pd.DataFrame,
    *,
    items: pd.DataFrame | None = None,
    coverage: float = 0.9,
    seed: int = 0,
) -> Crowd:
    """Pool what everybody but the excluded guessed; `bias` has `annotator_id, bias`, display units.

    `items` is what `statistics.items(excluded, bias)` gave, where it was asked for before. `coverage` is that of the
    intervals, 0 to 1; `seed` orders the guesses that the curve adds one by one.
    """
    every = statistics.items(excluded, bias) if items is None else items
    every = every.sort_values(["target_id", "item_id"], kind="stable")
    items = every[every["h_n"] > 0].reset_index(drop=True)
    targets = statistics.targets.set_index("target_id").sort_index()
    if items.empty:
        return _nothing(targets.index)
    pool = _Pool(items, every, targets)
    pool.learn(coverage)
    table = pool.predicted()
    sample = statistics.sample(SAMPLED)
    mine = sample[~sample["annotator_id"].isin(list(excluded))].merge(table[[*KEYS, "fold"]], on=KEYS)
    taken = bias.set_index("annotator_id")["bias"].reindex(mine["annotator_id"]).fillna(0.0).to_numpy(np.float64)
    mine = mine.assign(guess=mine["guess"] - taken)
    shared = _shared(table, mine, pool, targets.index)
    notes = (
        [] if pool.by_target else ["There is one target: what recalibrates its crowd is learned on its other items."]
    )
    return Crowd(
        items=table[["target_id", "item_id", "n_guesses", "crowd", "crowd_low", "crowd_high", "truth"]],
        targets=_by_target(table, coverage, shared).reindex(targets.index),
        curve=size_curve(mine, sample, targets.index, pool.predict, coverage=coverage, seed=seed),
        skill=float(table["skill"].mean()),
        plain=_plain(sample, table),
        notes=notes,
    )


class _Pool:
    """The held-out items, and what predicts each from the others."""

    def __init__(self, items: pd.DataFrame, every: pd.DataFrame, targets: pd.DataFrame) -> None:
        self._items = items
        self._target = targets.index.get_indexer(pd.Index(items["target_id"])).astype(np.int64)
        self._l_ref = targets["l_ref"].to_numpy(np.float64)
        self._low = targets["low"].to_numpy(np.float64)
        self._told = _told(every, items, targets.index)
        self._k: Ints = items["h_n"].to_numpy(np.int64)
        self._mean: Floats = items["h_g"].to_numpy(np.float64) / self._k
        self._truth: Floats = items["truth"].to_numpy(np.float64)
        played, place = np.unique(self._target, return_inverse=True)
        self.by_target = len(played) > 1
        """Whether each is learned on other targets, and not on other items of the only one."""
        self._fold: Ints = (place.ravel() if self.by_target else np.arange(len(items))).astype(np.int64) % FOLDS
        self._coefficients = np.empty((FOLDS, 3))
        self._ends = np.empty((len(items), 2))

    def learn(self, coverage: float) -> None:
        """Coefficients of each fold from the others, and the intervals of its items."""
        m, unit = self._told[self._target], self._l_ref[self._target]
        x, y = features((self._mean - m) / unit, self._k), (self._truth - m) / unit
        for fold in range(FOLDS):
            mine, others = np.flatnonzero(self._fold == fold), thinned(np.flatnonzero(self._fold != fold))
            self._coefficients[fold] = learn(x[others], y[others])
            predicted = x @ self._coefficients[fold]
            about = spread(predicted[others], self._k[others], y[others], coverage)
            self._ends[mine] = about.around(predicted[mine], self._k[mine])

    def predict(self, target: Ints, fold: Ints, mean: Floats, k: Ints) -> Floats:
        """Truths predicted from means of k guesses, less bias: on targets (their places), by what a fold learned."""
        m, unit = self._told[target], self._l_ref[target]
        by = (features((mean - m) / unit, k) * self._coefficients[fold]).sum(axis=1)
        said: Floats = np.clip(m + unit * by, self._low[target], TOP)
        return said

    def predicted(self) -> pd.DataFrame:
        """crowd.csv, with each prediction's `skill` and the `fold` that it was not learned on."""
        low, unit, m = (each[self._target][:, None] for each in (self._low, self._l_ref, self._told))
        value = self.predict(self._target, self._fold, self._mean, self._k)
        ends = np.clip(m + unit * self._ends, low, TOP)
        return pd.DataFrame(
            {
                "target_id": self._items["target_id"],
                "item_id": self._items["item_id"],
                "n_guesses": self._k,
                "crowd": value,
                "crowd_low": np.minimum(ends[:, 0], value),
                "crowd_high": np.maximum(ends[:, 1], value),
                "truth": self._truth,
                "skill": 1 - np.abs(value - self._truth) / unit[:, 0],
                "fold": self._fold,
            }
        )


def _told(every: pd.DataFrame, items: pd.DataFrame, targets: pd.Index[str]) -> Floats:
    """Per target, mean practice truth that was shown; without practice, mean of the guesses; (targets,)."""

    def mean(value: pd.Series[float], weight: pd.Series[float], of: pd.Series[str]) -> Floats:
        at = targets.get_indexer(pd.Index(of))
        total = np.bincount(at, value, minlength=len(targets))
        count = np.bincount(at, weight, minlength=len(targets))
        found: Floats = np.divide(total, count, out=np.full(len(targets), np.nan), where=count > 0)
        return found

    shown = every[every["n"] > every["h_n"]]
    told = mean(shown["truth"], shown["truth"] * 0 + 1, shown["target_id"])
    said = mean(items["h_g"], items["h_n"], items["target_id"])
    return np.where(np.isnan(told), said, told)


def _by_target(table: pd.DataFrame, coverage: float, shared: float) -> pd.DataFrame:
    """Crowd skill of each target with its interval."""
    by = table.groupby("target_id", sort=True)["skill"]
    n, mean = by.size().astype("float64"), by.mean()
    squares = ((table["skill"] - table["target_id"].map(mean)) ** 2).groupby(table["target_id"]).sum()
    freedom = float((n - 1).sum())
    usual = float(squares.sum()) / freedom if freedom > 0 else USUAL
    variance = (squares + PRIOR_FREEDOM * usual) / (n - 1 + PRIOR_FREEDOM)
    reach = stats.t.ppf(0.5 + coverage / 2, n - 1 + PRIOR_FREEDOM) * np.sqrt(shared * variance / n)
    return pd.DataFrame({"crowd_skill": mean, "crowd_low": mean - reach, "crowd_high": np.minimum(mean + reach, 1.0)})


def _shared(table: pd.DataFrame, mine: pd.DataFrame, pool: _Pool, targets: pd.Index[str]) -> float:
    """How much sharing annotators widens the variance of a target's mean over items: 1 to `WIDEST`.

    By the jackknife: variance from leaving out one annotator, plus one item, minus one guess at a time, over variance
    from leaving out one item at a time; summed over the targets of `mine`, single guesses less bias.
    """
    each = mine.merge(table[[*KEYS, "n_guesses", "skill"]], on=KEYS)
    size = each.groupby(KEYS)["guess"].transform("size")
    each = each[size == each["n_guesses"]].reset_index(drop=True)
    if each.empty:
        return 1.0
    k = each["n_guesses"].to_numpy(np.int64)
    lone = k == 1
    at = targets.get_indexer(pd.Index(each["target_id"])).astype(np.int64)
    rest = np.maximum(k - 1, 1)
    guess = each["guess"].to_numpy(np.float64)
    others = (each.groupby(KEYS)["guess"].transform("sum").to_numpy(np.float64) - guess) / rest
    said = pool.predict(at, each["fold"].to_numpy(np.int64), others, rest)
    without = 1 - np.abs(said - each["truth"]) / each["l_ref"]
    each = each.assign(gone=lone.astype("float64"), loss=np.where(lone, -each["skill"], without - each["skill"]))
    items = each.drop_duplicates(KEYS).assign(gone=1.0, loss=lambda rows: -rows["skill"])
    by = items.groupby("target_id")["skill"]
    whole = pd.DataFrame({"n": by.size(), "sum": by.sum()})
    whole = whole[whole["n"] > 1]
    if whole.empty:
        return 1.0

    def variance(parts: pd.DataFrame) -> float:
        """Of target means, from what leaving out each part takes off their sum and their number."""
        rows = parts.join(whole, on="target_id", how="inner")
        rows = rows[rows["n"] > rows["gone"]]
        value = (rows["sum"] + rows["loss"]) / (rows["n"] - rows["gone"])
        grouped = value.groupby(rows["target_id"])
        count = grouped.size().astype("float64")
        return float((grouped.var(ddof=0).fillna(0.0) * (count - 1)).sum())

    people = each.groupby(["target_id", "annotator_id"])[["gone", "loss"]].sum().reset_index()
    alone = variance(items)
    added = variance(people) - variance(each)
    # a sample of items has fewer pairs with an annotator in common
    full = table.groupby("target_id").size().reindex(whole.index)
    kept = float((whole["n"] * (whole["n"] - 1)).sum() / (whole["n"] * (full - 1)).sum())
    return float(np.clip(1 + added / alone / kept, 1.0, WIDEST)) if alone > 0 else 1.0


def _plain(sample: pd.DataFrame, table: pd.DataFrame) -> float:
    by = sample.merge(table[KEYS], on=KEYS).groupby(KEYS, sort=True)[["guess", "truth", "l_ref"]].mean()
    return float((1 - (by["guess"] - by["truth"]).abs() / by["l_ref"]).mean()) if len(by) else float("nan")


def _nothing(targets: pd.Index[str]) -> Crowd:
    columns = ["target_id", "item_id", "n_guesses", "crowd", "crowd_low", "crowd_high", "truth"]
    items = pd.DataFrame(columns=columns).astype(
        dict.fromkeys(columns[:2], "str") | {"n_guesses": "int64"} | dict.fromkeys(columns[3:], "float64")
    )
    empty = pd.DataFrame(np.nan, index=targets, columns=["crowd_skill", "crowd_low", "crowd_high"])
    curve = pd.DataFrame(columns=["size", "skill", "low", "high", "plain"], dtype="float64")
    note = (
        "No held-out guess names its item (item_id), by which guesses are pooled: crowd.csv and crowd_skill are empty."
    )
    return Crowd(items, empty, curve, float("nan"), float("nan"), [note])
