"""Which targets have which value of a column: what `--by COLUMN` may name, and what it means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from .errors import TableError

LEVEL = "level"
"""The column that is no target's: what was seen besides the text."""
LAYER = "layer"
"""The column that follows from `site`."""
NOT_GROUPS = ("target_id", "low", LEVEL)
MOST_VALUES = 100
"""Values of a column that are contrasted, at most: each with each."""

_LAYER = re.compile(r"(?:mlp|head|direction|probe)\.(\d+)(?:\.|$)|sae\..+\.(\d+)$")


@dataclass(frozen=True)
class Values:
    """A column of N targets, split into values; a target may have several, or none."""

    column: str
    names: list[str]
    """The values by name, whole numbers in it by size."""
    has: npt.NDArray[np.bool_]
    """(N, values)"""
    cell: npt.NDArray[np.int64]
    """(N,): targets that have exactly the same values are in one cell."""


def known_columns(targets: pd.DataFrame) -> list[str]:
    """What `--by` may name, `level` included."""
    names = [str(name) for name in targets.columns if name not in NOT_GROUPS]
    if "site" in names and LAYER not in names:
        names.insert(names.index("site") + 1, LAYER)
    return [*names, LEVEL]


def values_of(column: str, target_ids: Sequence[str], targets: pd.DataFrame) -> Values:
    """Split a column of `targets` (with target_id) into its values, for the targets named, in their order.

    Raises TableError for a column that is not there, and for one that makes no groups.
    """
    known = known_columns(targets)
    if column not in known:
        raise TableError(
            f"there is no column {column!r} to group targets by (known: {', '.join(known)})",
            remedy="choose one of these, or add it to a targets.csv beside guesses.csv, and rank the folder",
            field=column,
        )
    cells = targets.set_index("target_id").reindex(list(target_ids))
    told = cells[column] if column in cells else cells["site"].map(layer_of)
    split = [_split(value) for value in told]
    names = _in_order({name for some in split for name in some})
    several = sum(bool(some) for some in split)
    if not names:
        raise TableError(
            f"no target says anything in the column {column!r}",
            remedy="fill it in a targets.csv beside guesses.csv, and rank the folder",
            field=column,
        )
    if len(names) == 1:
        raise TableError(
            f"every target has the same {column} ({names[0]}), so that there is nothing to contrast",
            remedy="choose a column that varies",
            field=column,
        )
    if len(names) >= several or len(names) > MOST_VALUES:
        raise TableError(
            f"the column {column!r} has {len(names)} values for {several} targets, which makes no groups",
            remedy="put several targets under one value, in a column of targets.csv, and group by that",
            field=column,
        )
    has = np.array([[name in some for name in names] for some in split])
    _, cell = np.unique(has, axis=0, return_inverse=True)
    return Values(column, names, has, cell.ravel().astype(np.int64))


def layer_of(site: object) -> str | None:
    """Number of the layer that a site lies in, such as `3` for mlp.3, head.3.norm and sae.NAME.3; None if unsaid."""
    found = _LAYER.match(str(site))
    return None if found is None else found.group(1) or found.group(2)


def _split(value: object) -> set[str]:
    """The values of a cell, which semicolons separate."""
    if pd.isna(value):  # type: ignore[call-overload]  # a cell is a scalar
        return set()
    if isinstance(value, float) and value.is_integer():
        return {str(int(value))}
    return {part.strip() for part in str(value).split(";")} - {""}


def _in_order(names: set[str]) -> list[str]:
    """By name, whole numbers in it by size: mlp.2 stands before mlp.10."""
    return sorted(names, key=lambda name: [(int(part or 0), "") if at % 2 else (0, part) for at, part in _pieces(name)])


def _pieces(name: str) -> list[tuple[int, str]]:
    return list(enumerate(re.split(r"([0-9]+)", name)))
