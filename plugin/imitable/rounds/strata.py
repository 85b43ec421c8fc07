"""Strata: disjoint sets of (text, focus) places, fixed for every unit before anything is drawn from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from imitable.targets import Polarity
from imitable_aggregation import scoring

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STRATA = (
    "inactive",
    "inactive-hard",
    "inactive-opposite",
    "active-1",
    "active-2",
    "active-3",
    "active-top",
    "negative-1",
    "negative-2",
    "negative-3",
    "negative-top",
)
"""By the played activation, in parts of its calibrated bound: below a tenth (`inactive`; `inactive-hard` where the
focus token is one on which the unit is elsewhere active; `inactive-opposite` where the side that is not played is
active), below 0.3, below 0.6, below the bound, and from the bound up. The negative ones are for polarity `both`."""

INACTIVE = 3
"""The first so many strata are inactive."""

LOUDNESS = np.array([0, 2, 1, 3, 4, 5, 6, 3, 4, 5, 6])
"""How rare each stratum is, as a rule: documents are kept by the rarest that they hold."""

_EDGES = np.array([0.1, 0.3, 0.6, 1.0])
_HOT_TOKENS = 64
_SHARES = np.array([0.5, 0.3, 0.2])


class TooFlat(Exception):
    """This unit cannot be played; the text says why. The name of a finding: the unit is left out, with a reason."""


@dataclass(frozen=True)
class Side:
    """How one unit is played and what counts as active."""

    polarity: Polarity
    bound: float
    """99.9 % quantile of the played activation (of its absolute value for `both`), over a sample of the corpus."""
    hot: Ints
    """Ids of tokens on which the unit is active somewhere: at most 64, the most frequent."""

    def played(self, raw: npt.NDArray[np.float32]) -> Floats:
        """The activation in the target's polarity."""
        return scoring.played(raw.astype(np.float64), self.polarity)

    def strata(self, y: Floats, tokens: npt.NDArray[np.int32]) -> Ints:
        """Index into STRATA for played activations and their focus tokens."""
        above = np.searchsorted(_EDGES * self.bound, y, side="right")
        below = np.searchsorted(_EDGES * self.bound, -y, side="right")
        found = np.where(above > 0, INACTIVE - 1 + above, 0)
        found = np.where(below > 0, INACTIVE + 3 + below if self.polarity == "both" else 2, found)
        found[(found == 0) & np.isin(tokens, self.hot)] = 1
        return found

    def quota(self, size: int) -> Ints:
        """Items wanted of every stratum, in a pool of `size`: half inactive, the active ones alike."""
        active = len(STRATA) - INACTIVE if self.polarity == "both" else 4
        shares = np.concatenate([_SHARES, np.zeros(len(STRATA) - INACTIVE)])
        if self.polarity == "both":
            shares[:INACTIVE] = 0.6, 0.4, 0
        ends = np.round(np.cumsum(shares) * (size - size // 2)).astype(np.int64)
        wanted = np.diff(ends, prepend=0)
        wanted[INACTIVE : INACTIVE + active] = np.diff(np.arange(active + 1) * (size // 2) // active)
        return wanted


def calibrate(raw: npt.NDArray[np.float32], tokens: npt.NDArray[np.int32], asked: str) -> Side:
    """Choose the side to play (for `auto` the one with the larger extreme) and what counts as active on it.

    `raw` and `tokens` hold one entry a sampled place. Raises TooFlat for a unit that never fires.
    """
    larger = "pos" if raw.max() >= -raw.min() else "neg"
    side = Side(cast(Polarity, larger if asked == "auto" else asked), 0.0, np.empty(0, np.int64))
    y = side.played(raw)
    size = np.abs(y) if side.polarity == "both" else y
    bound = float(np.quantile(size, 0.999))
    if not bound > 0:
        raise TooFlat("never fires: its 99.9 % quantile over the corpus is not above zero")
    ids, counts = np.unique(tokens[size >= _EDGES[1] * bound], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_HOT_TOKENS]
    return Side(side.polarity, bound, np.sort(ids[most]).astype(np.int64))
