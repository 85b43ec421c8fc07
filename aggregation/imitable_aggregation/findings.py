"""What a report shows: the tables that were written, and what of the fit and the statistics is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .conduct import Influence
from .crowd import Crowd

__all__ = ["Findings", "Influence"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Findings:
    """Everything that the report shows. N targets, most imitable first."""

    ranking: pd.DataFrame
    """ranking.csv."""
    annotators: pd.DataFrame
    """annotators.csv."""
    curve: pd.DataFrame
    """Learning curve, `Statistics.curve`: `phase, trial, n` annotators, `mean` and `sd` of their mean skills."""
    estimand: str
    """What imitability estimates, in words."""
    notes: list[str]
    """What was filled in, ignored, assumed, or could not be identified, in sentences."""
    quarantine: pd.DataFrame
    """quarantine.csv."""
    banner: str
    """First line and part of the title, where programs played; else empty."""
    coverage: float
    """Of all intervals, 0 to 1."""
    top_k: int
    """The k of `p_top`."""
    target_ids: Sequence[str] = ()
    """The targets of `samples`, in their order."""
    samples: Mapping[str, Floats] = field(default_factory=dict)
    """Joint draws, (draws, N), of `start`, `middle` and `held_out`; nan where a knot has no rounds."""
    knots: tuple[float, ...] = (0.0, 3.0, 15.0)
    """Feedbacks seen at `start`, `middle` and `held_out`."""
    components: Mapping[str, Any] = field(default_factory=dict)
    """`Fit.components`: covariances over `knots` in squared skill."""
    crowd: Crowd | None = None
    """What the crowd knows; None: it was not asked."""
    guesses: pd.DataFrame | None = None
    """A sample of held-out guesses, `Statistics.sample`: `guess, truth`."""
    groups: pd.DataFrame | None = None
    """groups.csv; None: no grouping was asked for."""
    levels: pd.DataFrame | None = None
    """Mean imitability at each level of information, `ranking.by_level`; None: there was one level."""
    influence: Influence | None = None
    """What leaving annotators out did to the ranking; None: nobody was left out."""

    @property
    def excluded(self) -> int:
        """How many annotators are left out of the fit."""
        return int(self.annotators["excluded"].sum())
