"""Fixed effects: what is not one target's or one annotator's.

The level of information and the platform, where they vary; and how much an annotator played, since who plays more is
often better: without it, those with one episode, of whom little is known, would be taken to be like those with many
(informative cluster size; compare Seaman, Pavlou & Copas, Review of methods for handling confounding by cluster and
informative cluster size, 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .errors import TableError
from .mixed import Floats

FEWEST = 20
"""Annotators from which on how much they played is taken into account."""


@dataclass(frozen=True)
class Coding:
    """Rows of F, (episodes, p): the intercept, then sum-coded columns of what varies, so that it is their mean."""

    rows: Floats
    at: Floats
    """(p,): the row that estimates are for."""
    levels: list[str]
    """Levels of information, where there are several."""
    own: Floats
    """(annotators by id, p): what an annotator's own part adds."""
    effects: Floats
    """(levels, p): what each adds."""
    notes: list[str]


def code(episodes: pd.DataFrame, level: str | None) -> Coding:
    """Code the columns `level` and `platform`. Raises TableError for a level that nobody played."""
    levels = sorted(str(name) for name in episodes["level"].unique())
    if level is not None and level not in levels:
        raise TableError(
            f"no guess was made at the level {level!r}", remedy=f"choose one of {', '.join(levels)}", field="level"
        )
    notes: list[str] = []
    blocks: list[Floats] = [np.ones((len(episodes), 1))]
    by_level = _sum_coded(len(levels))
    if len(levels) > 1:
        blocks.append(by_level[pd.Index(levels).get_indexer(pd.Index(episodes["level"].astype("str")))])
    platforms = sorted(str(name) for name in episodes["platform"].fillna("").unique())
    if len(platforms) > 1:
        place = pd.Index(platforms).get_indexer(pd.Index(episodes["platform"].fillna("").astype("str")))
        added = np.concatenate([*blocks, _sum_coded(len(platforms))[place]], axis=1)
        if np.linalg.matrix_rank(added) == added.shape[1]:
            blocks = [added]
        else:
            notes.append("Levels and platforms go together, so that what is due to a platform cannot be told apart.")
    keen = np.log(episodes.groupby("annotator_id", sort=True).size())
    keen = keen - keen.mean()
    if len(keen) >= FEWEST and np.ptp(keen) > 0:
        added = np.concatenate([*blocks, episodes["annotator_id"].map(keen).to_numpy(np.float64)[:, None]], axis=1)
        if np.linalg.matrix_rank(added) == added.shape[1]:
            blocks = [added]
        else:
            keen = 0.0 * keen
    else:
        keen = 0.0 * keen
    rows = np.concatenate(blocks, axis=1)
    effects = np.zeros((len(levels), rows.shape[1]))
    if len(levels) > 1:
        effects[:, 1 : len(levels)] = by_level
    own = np.zeros((len(keen), rows.shape[1]))
    if rows.shape[1] > 1 and keen.any():
        own[:, -1] = keen
    at = np.zeros(rows.shape[1])
    at[0] = 1.0
    if level is not None:
        at = at + effects[levels.index(level)]
    several = len(levels) > 1
    return Coding(rows, at, levels if several else [], own, effects if several else effects[:0], notes)


def _sum_coded(count: int) -> Floats:
    """(count, count - 1): each value's row; the columns sum to 0."""
    rows: Floats = np.concatenate([np.eye(count - 1), -np.ones((1, count - 1))])
    return rows
