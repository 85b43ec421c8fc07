"""The estimator: from episodes to every target's start, middle and held-out level, and every annotator's skill.

The crossed linear mixed model of `mixed`, over knots of the learning curve, with a correlated effect of whom a target
met, so that a target that skilled people were given does not look easier than it is. Its reference is the average
annotator who played and, where levels of information or platforms vary, their equal-weight mean (sum coding). Rounds of
one guess are taken to scatter equally: weighting by estimated noise would bias levels, since noise and mean of a
skewed score go together. Items that several annotators met are a sample of items: what they share is estimated
(`items`) and widens the intervals, so that these hold for fresh items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .coding import code
from .errors import TableError
from .identified import unidentified
from .items import item_excess, item_variance
from .mixed import Design, Floats
from .posterior import posterior
from .variance import estimate, noise_within

DRAWS = 400
"""Draws from the joint posterior."""
KNOTS = ("start", "middle", "held_out")
"""Points of the learning curve: before any feedback, after about three, and the held-out rounds."""


@dataclass(frozen=True)
class Fit:
    """What was estimated. Skill is on its own scale: 1 is exact, 0 the best constant guess."""

    target_ids: list[str]
    """In the order of every array here."""
    targets: pd.DataFrame
    """By target_id: `imitability`, `start`, `gain`, each with `_sd`; start and gain are nan where no round shows it."""
    samples: dict[str, Floats]
    """Joint draws, (draws, targets), of `start`, `middle` and `held_out`; nan where a knot has no rounds."""
    people: pd.DataFrame
    """By annotator_id: `skill` on the average target, `skill_sd`."""
    levels: dict[str, Floats]
    """Draws, (draws,), of what each level of information adds to held-out skill; they sum to 0."""
    level: str | None
    """The level that `targets` and `samples` are at; None: the mean of all."""
    components: dict[str, Any]
    """Covariances over knots in squared skill: target, annotator, episode; noise of one guess; item; gamma."""
    estimand: str
    """What imitability estimates, in words."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know about this fit."""
    iterations: int = 0
    """Steps of expectation-maximisation."""

    def at(self, level: str) -> Floats:
        """Draws, (draws, targets), of held-out skill at one level of `levels`."""
        here = self.levels[self.level] if self.level is not None else 0.0
        return self.samples["held_out"] + (self.levels[level] - here)[:, None]


def fit(
    episodes: pd.DataFrame,
    items: pd.DataFrame | None = None,
    knots: Sequence[float] = (0.0, 3.0, 15.0),
    *,
    level: str | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    correlated: bool = True,
) -> Fit:
    """Fit the episodes of everybody who counts (`statistics.Statistics.episodes`).

    `items` (`Statistics.items`) says how items were shared; without it they are taken as fresh for everybody. `level`
    is the level of information that estimates are for; default: the equal-weight mean of those present. `correlated`
    False gives the plain crossed model. The same arguments give the same numbers, whatever the number of threads.
    Raises TableError for no episode, and for a level that nobody played.
    """
    if episodes.empty:
        raise TableError("there is no episode to rank from", remedy="give a file with practice or held-out rounds")
    frame = episodes.sort_values("episode_id", kind="stable").reset_index(drop=True)
    target_ids = sorted(str(name) for name in frame["target_id"].unique())
    annotator_ids = sorted(str(name) for name in frame["annotator_id"].unique())
    used = _used(frame)
    coding = code(frame, level)
    design = Design(
        target=pd.Index(target_ids).get_indexer(pd.Index(frame["target_id"])).astype(np.int64),
        annotator=pd.Index(annotator_ids).get_indexer(pd.Index(frame["annotator_id"])).astype(np.int64),
        fixed=coding.rows,
        xy=frame[[f"xy{knot}" for knot in used]].to_numpy(np.float64),
        targets=len(target_ids),
        annotators=len(annotator_ids),
        **_patterns(frame, used),
    )
    noise, uneven = noise_within(design, frame["yy"].to_numpy(np.float64), frame["n"].to_numpy(np.float64))
    shared = np.zeros((len(target_ids), len(used), len(used)))
    item = 0.0
    if items is not None:
        item = min(item_variance(frame, items), noise)
        shared[:, range(len(used)), range(len(used))] = item * item_excess(frame, items, target_ids)[:, used]
    rng = np.random.default_rng([20261126, seed])
    columns = design.columns(int(np.clip(8_000 // len(target_ids), 8, 40)), least=8)
    found = estimate(design, noise, shared, columns=columns, correlated=correlated, rng=rng)
    drawn = posterior(design, found, shared, uneven, coding, draws, rng)
    samples: dict[str, Floats] = {name: np.full((draws, len(target_ids)), np.nan) for name in KNOTS}
    means: dict[str, Floats] = dict.fromkeys(KNOTS, np.full(len(target_ids), np.nan))
    for place, knot in enumerate(used):
        samples[KNOTS[knot]] = drawn.levels[:, place, 1:].T
        means[KNOTS[knot]] = drawn.levels[:, place, 0]
    if used[-1] != len(KNOTS) - 1:  # nothing was played to the end: the last that was stands for it
        samples["held_out"], means["held_out"] = samples[KNOTS[used[-1]]], means[KNOTS[used[-1]]]
        samples[KNOTS[used[-1]]] = np.full_like(samples["held_out"], np.nan)
        means[KNOTS[used[-1]]] = np.full(len(target_ids), np.nan)
    p = found.parameters
    return Fit(
        target_ids=target_ids,
        targets=_targets(target_ids, means, samples),
        samples=samples,
        people=pd.DataFrame(
            {"skill": drawn.people[:, 0], "skill_sd": drawn.people[:, 1:].std(axis=1)},
            index=pd.Index(annotator_ids, name="annotator_id", dtype="str"),
        ),
        levels=drawn.effects,
        level=level if drawn.effects else None,
        components={
            "knots": [KNOTS[knot] for knot in used],
            **{name: getattr(p, name).tolist() for name in ("target", "annotator", "episode", "gamma")},
            "noise": noise,
            "item": item,
        },
        estimand=_estimand(frame, level),
        notes=[*coding.notes, *unidentified(frame, [KNOTS[knot] for knot in used])],
        iterations=found.steps,
    )


def _used(frame: pd.DataFrame) -> list[int]:
    """The knots that any round says something of."""
    return [knot for knot in range(len(KNOTS)) if float(frame[f"x{knot}{knot}"].sum()) > 1e-9]


def _patterns(frame: pd.DataFrame, used: list[int]) -> dict[str, Any]:
    """The different X'X there are, and which each episode has."""
    pairs = [(a, b) for a in range(len(used)) for b in range(a, len(used))]
    flat = frame[[f"x{used[a]}{used[b]}" for a, b in pairs]].to_numpy(np.float64).round(9)
    kinds, pattern = np.unique(flat, axis=0, return_inverse=True)
    xx = np.empty((len(kinds), len(used), len(used)))
    for at, (a, b) in enumerate(pairs):
        xx[:, a, b] = xx[:, b, a] = kinds[:, at]
    return {"xx": xx, "pattern": pattern.ravel().astype(np.int64)}


def _targets(target_ids: list[str], means: dict[str, Floats], samples: dict[str, Floats]) -> pd.DataFrame:
    start, end = samples["start"], samples["held_out"]
    return pd.DataFrame(
        {
            "imitability": means["held_out"],
            "imitability_sd": end.std(axis=0),
            "start": means["start"],
            "start_sd": start.std(axis=0),
            "gain": means["held_out"] - means["start"],
            "gain_sd": (end - start).std(axis=0),
        },
        index=pd.Index(target_ids, name="target_id", dtype="str"),
    )


def _estimand(frame: pd.DataFrame, level: str | None) -> str:
    where = f"at the level {level!r}" if level is not None else "at the equal-weight mean of the levels present"
    if (frame["n_held_out"] > 0).any():
        what = "expected skill in held-out rounds, on fresh items"
    else:
        what = "expected skill in the last practice round, on fresh items (there are no held-out rounds)"
    return f"{what}, of the average annotator who played, {where}"
