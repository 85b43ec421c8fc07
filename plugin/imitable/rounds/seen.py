"""What one shard holds of a unit, document by document: enough to draw pools and examples, and no matrix is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from imitable.activations import Shard
from imitable.rounds.strata import STRATA, Side

Ints = npt.NDArray[np.int64]

_TAIL_FROM = 0.3
_TAIL_STEP = 1.002
_TAIL_BINS = 4096
"""The histogram of large activations: from 0.3 of the calibrated bound up, in steps of 0.2 %."""


@dataclass(frozen=True)
class Seen:
    """One shard, some units. Tokens are named by their place in the shard; -1 where there is none."""

    document: Ints
    """(documents,): those that hold a place that may be asked about."""
    places: Ints
    """(1,): how many places there are in all."""
    counts: npt.NDArray[np.int32]
    """(units, documents, strata): places in each."""
    picks: npt.NDArray[np.int32]
    """(units, documents, strata): one of these places, drawn uniformly."""
    top: npt.NDArray[np.float32]
    """(units, documents): the largest played activation, and in `top_at` where."""
    top_at: npt.NDArray[np.int32]
    quiet_at: npt.NDArray[np.int32]
    """(units, documents): a place in a window without any activation, drawn uniformly."""
    tickets: npt.NDArray[np.float64]
    """(units, documents): uniform random numbers by which documents are kept."""
    tail: npt.NDArray[np.int32]
    """(units, bins): a histogram of large activations."""

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Everything, by name, to be written to a file."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Place:
    """The places of a shard, laid out once for all units."""

    def __init__(self, shard: Shard) -> None:
        self.token = np.flatnonzero(shard.focusable)
        self.ids = shard.tokens[self.token]
        window = shard.window_at(self.token)
        documents = shard.document[window]
        self.document, self.first, self.row = np.unique(documents, return_index=True, return_inverse=True)
        _, self.window_first, self.window_row = np.unique(window, return_index=True, return_inverse=True)


def see(
    shard: Shard, columns: npt.NDArray[np.float32], sides: Sequence[Side], rngs: Sequence[np.random.Generator]
) -> Seen:
    """Look at one shard: `columns` is (tokens, units), one side and one generator a unit."""
    at = Place(shard)
    units, documents = len(sides), len(at.document)
    found = Seen(
        document=at.document,
        places=np.array([len(at.token)], dtype=np.int64),
        counts=np.zeros((units, documents, len(STRATA)), np.int32),
        picks=np.full((units, documents, len(STRATA)), -1, np.int32),
        top=np.zeros((units, documents), np.float32),
        top_at=np.full((units, documents), -1, np.int32),
        quiet_at=np.full((units, documents), -1, np.int32),
        tickets=np.stack([rng.random(documents) for rng in rngs]),
        tail=np.zeros((units, _TAIL_BINS), np.int32),
    )
    if documents:
        for unit, (side, rng) in enumerate(zip(sides, rngs, strict=True)):
            _see_unit(found, unit, at, columns[at.token, unit], side, rng)
    return found


def _see_unit(
    found: Seen, unit: int, at: Place, raw: npt.NDArray[np.float32], side: Side, rng: np.random.Generator
) -> None:
    y = side.played(raw)
    size = np.abs(y) if side.polarity == "both" else y
    strata = side.strata(y, at.ids)
    cell = at.row * len(STRATA) + strata
    cells = found.counts[unit].size
    found.counts[unit] = np.bincount(cell, minlength=cells).reshape(found.counts[unit].shape)
    shuffled = rng.permutation(len(cell))
    found.picks[unit].reshape(-1)[cell[shuffled]] = at.token[shuffled]  # the last one stays: any is as likely
    found.top[unit] = np.maximum.reduceat(size, at.first)
    tops = np.flatnonzero(size.astype(np.float32) == found.top[unit][at.row])[::-1]
    found.top_at[unit][at.row[tops]] = at.token[tops]
    loudest = np.maximum.reduceat(size, at.window_first)[at.window_row]
    quiet = shuffled[loudest[shuffled] < 0.1 * side.bound]
    found.quiet_at[unit][at.row[quiet]] = at.token[quiet]
    loud = size[size >= _TAIL_FROM * side.bound]
    bins = np.log(loud / (_TAIL_FROM * side.bound)) / np.log(_TAIL_STEP)
    found.tail[unit] = np.bincount(np.minimum(bins.astype(np.int64), _TAIL_BINS - 1), minlength=_TAIL_BINS)


def upper_quantile(tail: Ints, places: int, *, bound: float, share: float = 0.999) -> float:
    """The quantile of played activations from their histogram, to 0.2 %; at least 0.3 of the calibrated bound."""
    above = np.cumsum(tail[::-1])[::-1]
    """Places in this bin or a higher one."""
    bins = np.flatnonzero(above >= (1 - share) * places)
    at = float(bins[-1]) + 0.5 if len(bins) else 0.0
    return float(_TAIL_FROM * bound * _TAIL_STEP**at)
