"""The estimator: from scored guesses to every target's start, middle and held-out level, and annotators' skill.

This version is simple and means to be honest about it. At each point of the learning curve a target's level is the
mean over annotators of their mean skill there; its variance counts people and items (`moments`); levels are drawn
towards their mean (`shrinkage`). It does not correct a target for having met better or worse people: targets must be
given out at random for that not to matter. A crossed mixed model may replace this file: `fit` and `Fit` are all that
the other files know of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .moments import Floats, Level, cells, level
from .shrinkage import Shrunk, shrink

DRAWS = 400
"""Draws from the posterior."""
KNOTS = ("start", "middle", "held_out")
"""Points of the learning curve: before any feedback, after about three, and the held-out rounds."""


@dataclass(frozen=True)
class Fit:
    """What was estimated. Skill is on its own scale: 1 is exact, 0 the best constant guess."""

    targets: pd.DataFrame
    """By target_id: `imitability`, `start`, `gain`, each with `_sd`; start and gain are nan without practice."""
    draws: pd.DataFrame
    """draw, target_id, start, middle, held_out."""
    annotators: pd.DataFrame
    """By annotator_id: `skill`, `skill_sd`."""
    components: dict[str, float]
    """Variances by name, in squared skill."""
    estimand: str
    """What imitability estimates, in words."""
    notes: list[str]
    """What a reader must know about this fit."""


def fit(rows: pd.DataFrame, *, level: str | None = None, seed: int = 0) -> Fit:
    """Fit scored guesses (`episodes.scored`): of the one `level` named, or of several that count the same."""
    notes: list[str] = []
    ids = np.array(sorted(rows["target_id"].unique()), dtype=object)
    everyone = np.array(sorted(rows["annotator_id"].unique()), dtype=object)
    ends, estimand = _ends(rows, level, notes)
    knots = {
        "start": _knot(rows[rows["at_start"]], ids),
        "middle": _knot(rows[rows["at_middle"]], ids),
        "held_out": _knot(ends, ids),
    }
    shrunk = {name: shrink(knot.mean, knot.variance) for name, knot in knots.items()}
    _describe(knots, ids, rows, notes)
    unseen = ~np.isfinite(knots["start"].variance)
    start = np.where(unseen, np.nan, shrunk["start"].mean)
    start_sd = np.where(unseen, np.nan, shrunk["start"].sd)
    end = shrunk["held_out"]
    targets = pd.DataFrame(
        {
            "imitability": end.mean,
            "imitability_sd": end.sd,
            "start": start,
            "start_sd": start_sd,
            "gain": end.mean - start,
            "gain_sd": np.hypot(end.sd, start_sd),
        },
        index=pd.Index(ids, name="target_id", dtype="str"),
    )
    components = _named(knots, shrunk)
    return Fit(
        targets=targets,
        draws=_draws(ids, shrunk, unseen, np.random.default_rng(seed)),
        annotators=_annotators(
            ends, ids=ids, everyone=everyone, knot=knots["held_out"], end=end, components=components
        ),
        components=components,
        estimand=estimand,
        notes=notes,
    )


def fit_levels(rows: pd.DataFrame) -> pd.DataFrame:
    """Imitability of each target at each level where it was played: target_id, level, imitability, _sd."""
    tables = []
    for name, part in rows.groupby("level", sort=True):
        ends, _ = _ends(part, str(name), [])
        ids = np.array(sorted(part["target_id"].unique()), dtype=object)
        knot = _knot(ends, ids)
        values = shrink(knot.mean, knot.variance)
        columns = {"target_id": ids, "level": name, "imitability": values.mean, "imitability_sd": values.sd}
        tables.append(pd.DataFrame(columns).astype({"target_id": "str", "level": "str"}))
    return pd.concat(tables).sort_values(["target_id", "level"], kind="stable").reset_index(drop=True)


def _ends(rows: pd.DataFrame, level: str | None, notes: list[str]) -> tuple[pd.DataFrame, str]:
    """The guesses that measure imitability, and what they measure."""
    where = f"at the level {level!r}" if level is not None else "at the equal-weight mean of the levels present"
    held_out = rows[rows["at_end"]]
    if len(held_out):
        told = "expected skill in held-out rounds, on fresh items"
        return held_out, f"{told}, of the average annotator who played, {where}"
    notes.append("There are no held-out rounds: imitability is the skill in the last practice round of each episode.")
    last = rows[~rows["episode_id"].duplicated(keep="last")]
    told = "expected skill in the last practice round (there are no held-out rounds)"
    return last, f"{told}, of the average annotator who played, {where}"


def _codes(values: pd.Series[Any], ids: npt.NDArray[np.object_] | None = None) -> npt.NDArray[np.int64]:
    if ids is None:
        return pd.factorize(values, sort=True)[0].astype(np.int64)
    return pd.Index(ids).get_indexer(pd.Index(values)).astype(np.int64)


def _items(rows: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Codes of the items; where an item has no id, its target's equal truths are taken for one item."""
    return _codes(rows["item_id"].fillna(rows["truth"].map(repr)))


def _levelled(rows: pd.DataFrame, target: npt.NDArray[np.int64], n: int) -> Floats:
    """Skill less the effect of its level, so that targets met at different levels can be compared.

    Level effects are additive and estimated within targets by least squares; their mean over levels is zero.
    """
    skill = rows["skill"].to_numpy(dtype=np.float64)
    names = sorted(rows["level"].unique())
    if len(names) < 2:
        return skill
    seen = np.stack([(rows["level"] == name).to_numpy(dtype=np.float64) for name in names], axis=1)
    size = np.maximum(np.bincount(target, minlength=n), 1)
    inside = np.stack([c - (np.bincount(target, c, minlength=n) / size)[target] for c in (*seen.T, skill)], axis=1)
    within = inside[:, :-1]
    effect = np.linalg.lstsq(within.T @ within, within.T @ inside[:, -1], rcond=1e-9)[0]
    return np.asarray(skill - seen @ (effect - effect.mean()), dtype=np.float64)


def _knot(rows: pd.DataFrame, ids: npt.NDArray[np.object_]) -> Level:
    target = _codes(rows["target_id"], ids)
    skill = _levelled(rows, target, len(ids))
    return level(skill, target, _codes(rows["annotator_id"]), _items(rows), n=len(ids))


def _describe(knots: dict[str, Level], ids: npt.NDArray[np.object_], rows: pd.DataFrame, notes: list[str]) -> None:
    end, start = knots["held_out"], knots["start"]
    if end.components.assumed:
        notes.append(
            "No target was played by two annotators: how much people differ is assumed (sd 0.32 of skill), not seen."
        )
    lost = [str(name) for name in ids[~np.isfinite(end.variance)]]
    if lost:
        more = " …" if len(lost) > 5 else ""
        notes.append(
            f"{len(lost)} targets have no such round and stand at the mean of the others: {', '.join(lost[:5])}{more}."
        )
    if not np.isfinite(start.variance).any():
        notes.append("There is no first practice guess before feedback: start and gain are empty.")
    if rows["item_id"].isna().any():
        notes.append("Where item_id is absent, equal truths of one target are taken for the same item.")


def _named(knots: dict[str, Level], shrunk: dict[str, Shrunk]) -> dict[str, float]:
    named: dict[str, float] = {}
    for name in KNOTS:
        if np.isfinite(shrunk[name].centre):
            parts = knots[name].components
            named |= {
                f"{name}_mean": shrunk[name].centre,
                f"{name}_target": shrunk[name].between,
                f"{name}_annotator": parts.annotator,
                f"{name}_item": parts.item,
                f"{name}_noise": parts.noise,
            }
    return named


def _draws(
    ids: npt.NDArray[np.object_],
    shrunk: dict[str, Shrunk],
    no_start: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Independent normal draws; start and held-out of a target share people, so that gain errs on the wide side."""
    columns: dict[str, Any] = {
        "draw": np.repeat(np.arange(DRAWS, dtype=np.int64), len(ids)),
        "target_id": pd.Series(np.tile(ids, DRAWS), dtype="str"),
    }
    for name in KNOTS:
        noise = rng.standard_normal((DRAWS, len(ids)))
        values = shrunk[name].mean + shrunk[name].sd * noise
        columns[name] = np.where(no_start, np.nan, values).ravel() if name == "start" else values.ravel()
    return pd.DataFrame(columns)


def _annotators(
    ends: pd.DataFrame,
    *,
    ids: npt.NDArray[np.object_],
    everyone: npt.NDArray[np.object_],
    knot: Level,
    end: Shrunk,
    components: dict[str, float],
) -> pd.DataFrame:
    """Skill adjusted for the targets played: mean over episodes of (skill - target) + grand mean, shrunken."""
    target, person = _codes(ends["target_id"], ids), _codes(ends["annotator_id"], everyone)
    n = len(everyone)
    cell, of = cells(person, target)
    size = np.bincount(cell)
    surplus = np.bincount(cell, _levelled(ends, target, len(ids)) - end.mean[target]) / size
    episodes = np.bincount(of, minlength=n)
    mean = np.bincount(of, surplus, minlength=n) / np.maximum(episodes, 1)
    freedom = int((episodes - (episodes > 0)).sum())
    by_chance = (knot.components.item + knot.components.noise) / float(size.mean())
    within = float(((surplus - mean[of]) ** 2).sum() / freedom) if freedom else by_chance
    variance = np.where(episodes > 0, _widening(freedom) * within / np.maximum(episodes, 1), np.inf)
    skill = shrink(mean, variance)
    components["annotator_skill"] = skill.between
    return pd.DataFrame(
        {"skill": skill.mean + end.centre, "skill_sd": skill.sd},
        index=pd.Index(everyone, name="annotator_id", dtype="str"),
    )


def _widening(freedom: int) -> float:
    return freedom / (freedom - 2) if freedom > 3 else 3.0
