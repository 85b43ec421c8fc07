"""The sums of every episode for the regression of its guesses on the truth and on the mean of the truths so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from . import scoring
from .symmetric import Floats, Ints, dot, times

BEFORE = 0.3
"""Weight of a round before any feedback: nobody knows the scale yet, and such guesses scatter about twice as widely."""

_ONCE = ("g", "z", "t_g", "t_z", "t_m", "t_c")
_TWICE = ("gg", "zz", "gz", "t_gg", "t_zz", "t_mm", "t_cc", "t_gz", "t_gm", "t_gc", "t_zm")


@dataclass(frozen=True)
class Sums:
    """Sums of guesses g, truths z, means m of the truths so far and last truths c, in tenths of the display scale.

    E episodes, T cells (a target at a level of information), A annotators. `t_` sums are over rounds after feedback.
    """

    cell: Ints
    """(E,)"""
    annotator: Ints
    """(E,)"""
    cells: int
    annotators: int
    n: Floats
    """(E,) rounds."""
    told: Floats
    """(E,) rounds after at least one feedback."""
    middle: Floats
    """(E,) middle of the display scale."""
    centre: Floats
    """(E,) mean truth of the cell."""
    of: dict[str, Floats]
    """Each sum, (E,)."""

    def by_annotator(self, values: npt.ArrayLike) -> Floats:
        """Sum (E,) over the episodes of each annotator, (A,)."""
        return np.asarray(np.bincount(self.annotator, np.asarray(values, np.float64), self.annotators), np.float64)

    def by_cell(self, values: npt.ArrayLike) -> Floats:
        """Sum (E,) over the episodes of each cell, (T,)."""
        return np.asarray(np.bincount(self.cell, np.asarray(values, np.float64), self.cells), np.float64)


def sums(episodes: pd.DataFrame) -> tuple[Sums, pd.Index[str]]:
    """From `statistics.Statistics.episodes`; and the annotators' ids in the order of their numbers."""
    annotator, ids = pd.factorize(episodes["annotator_id"], sort=True)
    target, targets = pd.factorize(episodes["target_id"], sort=True)
    level, _ = pd.factorize(episodes["level"], sort=True)
    cell, cells = pd.factorize(level.astype(np.int64) * len(targets) + target, sort=True)
    unit = 10.0 / (scoring.TOP - episodes["low"].to_numpy(np.float64))
    of = {name: unit * episodes[name].to_numpy(np.float64) for name in _ONCE}
    of |= {name: unit * unit * episodes[name].to_numpy(np.float64) for name in _TWICE}
    n = episodes["n"].to_numpy(np.float64)
    mean = np.bincount(cell, of["z"], len(cells)) / np.maximum(np.bincount(cell, n, len(cells)), 1.0)
    found = Sums(
        cell=cell.astype(np.int64),
        annotator=annotator.astype(np.int64),
        cells=len(cells),
        annotators=len(ids),
        n=n,
        told=episodes["t_n"].to_numpy(np.float64),
        middle=unit * scoring.TOP - 5.0,
        centre=mean[cell],
        of=of,
    )
    return found, pd.Index(ids, name="annotator_id", dtype="str")


@dataclass(frozen=True)
class Regressions:
    """X'X, X'y and y'y of y = g − z̄ on X = (1, z − z̄, m − z̄), z̄ the cell's mean truth.

    m − z̄ is 0 before any feedback, and such rounds count for `BEFORE`.
    """

    sums: Sums
    xx: Floats
    """(6, E)"""
    xy: Floats
    """(3, E)"""
    yy: Floats
    """(E,)"""

    def about(self, mean: Floats) -> tuple[Floats, Floats]:
        """X'y and y'y once the coefficients (3, T) of the cells are taken off."""
        at = mean[:, self.sums.cell]
        off = times(self.xx, at)
        return self.xy - off, np.maximum(self.yy - 2 * dot(at, self.xy) + dot(at, off), 0.0)


def regressions(data: Sums) -> Regressions:
    """The normal equations of every episode."""
    a, told, of = data.centre, data.told, data.of
    n = BEFORE * data.n + (1 - BEFORE) * told
    g, z, gg, zz, gz = (BEFORE * of[k] + (1 - BEFORE) * of[f"t_{k}"] for k in ("g", "z", "gg", "zz", "gz"))
    m = of["t_m"]
    xx = np.stack(
        [
            n,
            z - n * a,
            m - told * a,
            zz - 2 * a * z + n * a * a,
            of["t_zm"] - a * (of["t_z"] + m) + told * a * a,
            of["t_mm"] - 2 * a * m + told * a * a,
        ]
    )
    xy = np.stack(
        [g - n * a, gz - a * (g + z) + n * a * a, of["t_gm"] - a * (of["t_g"] + m) + told * a * a],
    )
    return Regressions(data, xx, xy, gg - 2 * a * g + n * a * a)
