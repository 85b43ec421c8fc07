"""What may be chosen of a ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import TableError

if TYPE_CHECKING:
    from .engines import Name


@dataclass(frozen=True)
class Settings:
    """What may be chosen of a ranking; the defaults are those of `imitable rank`."""

    level: str | None = None
    """Level of information that estimates are for; None: the equal-weight mean of those present."""
    coverage: float = 0.9
    """Of all intervals, 0 to 1, exclusive."""
    top_k: int = 10
    """The k of `p_top`."""
    seed: int = 0
    by: tuple[str, ...] = ()
    """Columns that groups.csv contrasts."""
    keep_bad: bool = False
    """Whether annotators who seem not to play in earnest stay in the fit."""
    allow_simulated: bool = False
    """Whether programs may stand beside people."""
    engine: Name = "duckdb"
    """What passes over the guesses."""

    def __post_init__(self) -> None:
        if not 0 < self.coverage < 1:
            raise TableError(f"coverage {self.coverage:g} is not between 0 and 1", remedy="give for example 0.9")
        if self.top_k < 1:
            raise TableError(f"top_k {self.top_k} is below 1", remedy="give for example 10")
