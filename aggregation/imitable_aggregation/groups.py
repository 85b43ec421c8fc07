"""Contrasts between groups of targets, or between levels: groups.csv.

A difference comes with two intervals: of the means of these targets, and of new targets like these, which is wider by
how much targets of a group differ. Means of groups are partially pooled (`pooling`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from .errors import TableError
from .group_values import LEVEL, Values, values_of
from .pooling import POOLED, Floats, group_means
from .result_tables import GROUPS

POPULATIONS = ("these", "like_these")
KNOTS = ("start", "middle", "held_out")

Row = dict[str, Any]


def groups_table(
    samples: Mapping[str, Floats],
    target_ids: Sequence[str],
    targets: pd.DataFrame,
    by: Sequence[str],
    *,
    levels: Mapping[str, Floats] | None = None,
    played: Mapping[str, int] | None = None,
    coverage: float = 0.9,
    seed: int = 0,
) -> pd.DataFrame:
    """Contrast the values of each column of `by`: the columns of groups.csv.

    `samples` holds joint draws (draws, N) of `start`, `middle` and `held_out`, in the order of `target_ids`; `targets`
    describes the targets by target_id; `levels` holds draws of what each level of information adds, and `played` on how
    many targets each was played (None: on all). A cell with semicolons belongs to each of its values, and a target that
    has both values is left out of that contrast. A level adds the same to every target in the model, so that its two
    populations are one. Raises TableError for a column that is not there or makes no groups.
    """
    rows: list[Row] = []
    for column in dict.fromkeys(by):
        if column == LEVEL:
            rows += _between_levels(levels or {}, played or dict.fromkeys(levels or {}, len(target_ids)), coverage)
        else:
            values = values_of(column, target_ids, targets)
            rows += _between_groups(samples, values, coverage, np.random.default_rng([20261127, seed]))
    return pd.DataFrame(rows, columns=pd.Index([column.name for column in GROUPS.columns]))


def _between_groups(
    samples: Mapping[str, Floats], values: Values, coverage: float, rng: np.random.Generator
) -> list[Row]:
    pairs = _pairs(values)
    known = [name for name in KNOTS if name in samples and not np.isnan(samples[name]).any()]
    theta = np.stack([samples[name] for name in known], axis=2)
    means = group_means(theta, values.cell, pooled=len(values.names) >= POOLED, rng=rng)
    rows: list[Row] = []
    for estimand, read in _estimands(known).items():
        drawn = [each @ read for each in (means.finite, means.kind)]
        for a, b, weight, n_a, n_b in pairs:
            used = np.flatnonzero(weight)
            for population, draws in zip(POPULATIONS, drawn, strict=True):
                about = (values.column, a, b, estimand, population)
                found = _summary(draws[:, used] @ weight[used], coverage)
                rows.append({**dict(zip(GROUPS.key, about, strict=True)), **found, "n_a": n_a, "n_b": n_b})
    return rows


def _pairs(values: Values) -> list[tuple[str, str, Floats, int, int]]:
    """Every two values, what each cell weighs in their difference, and how many targets have the one or the other."""
    cells = int(values.cell.max()) + 1
    pairs = []
    for a, b in combinations(range(len(values.names)), 2):
        only_a, only_b = values.has[:, a] & ~values.has[:, b], values.has[:, b] & ~values.has[:, a]
        if not only_a.any() or not only_b.any():
            continue
        share_a, share_b = (np.bincount(values.cell[each], minlength=cells) / each.sum() for each in (only_a, only_b))
        pairs.append((values.names[a], values.names[b], share_a - share_b, int(only_a.sum()), int(only_b.sum())))
    if not pairs:
        raise TableError(
            f"no target has one value of {values.column!r} without another, so that nothing can be contrasted",
            remedy="choose another column",
            field=values.column,
        )
    return pairs


def _estimands(known: list[str]) -> dict[str, Floats]:
    """What is read off the knots: imitability, and where there was practice, start and gain."""
    unit = dict(zip(known, np.eye(len(known)), strict=True))
    if "start" not in unit:
        return {"imitability": unit["held_out"]}
    return {"imitability": unit["held_out"], "start": unit["start"], "gain": unit["held_out"] - unit["start"]}


def _summary(draws: Floats, coverage: float) -> Row:
    low, high = np.quantile(draws, [(1 - coverage) / 2, (1 + coverage) / 2])
    return {
        "difference": float(draws.mean()),
        "low": float(low),
        "high": float(high),
        "p_positive": float((draws > 0).mean()),
    }


def _between_levels(levels: Mapping[str, Floats], played: Mapping[str, int], coverage: float) -> list[Row]:
    if len(levels) < 2:
        raise TableError(
            "every guess was made at the same level, so that there is nothing to contrast",
            remedy="choose a column that varies",
            field=LEVEL,
        )
    reach = NormalDist().inv_cdf(0.5 + coverage / 2)
    rows: list[Row] = []
    for a, b in combinations(sorted(levels), 2):
        draws = levels[a] - levels[b]
        mean, sd = float(draws.mean()), float(draws.std())
        for population in POPULATIONS:
            about = (LEVEL, a, b, "imitability", population)
            rows.append(
                {
                    **dict(zip(GROUPS.key, about, strict=True)),
                    "difference": mean,
                    "low": mean - reach * sd,
                    "high": mean + reach * sd,
                    "p_positive": float((draws > 0).mean()),
                    "n_a": played[a],
                    "n_b": played[b],
                }
            )
    return rows
