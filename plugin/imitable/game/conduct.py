"""What a page may tell beside a guess: whether text was copied or pasted, and for how long it was out of sight.

Weak evidence, and hearsay: a client can leave it out or make it up. It is kept beside the guess and exported, and
changes nothing of what an annotator is shown, earns or is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MOST_BLURS = 1000
"""Larger counts are kept as this one."""


@dataclass(frozen=True)
class Signals:
    """What one round's page told of itself. None: it told nothing, as pages do without JavaScript."""

    pasted: bool | None = None
    """True when something was pasted into the guess."""
    copied: bool | None = None
    """True when text of the page was copied or cut."""
    blurs: int | None = None
    """Times that the page lost the focus, 0 to 1000."""
    away_seconds: float | None = None
    """Seconds without the focus, at most those of the whole round."""

    def row(self, *, seconds: float) -> dict[str, bool | int | float | None]:
        """Columns of `guesses`, for a round that took so many seconds."""
        away = self.away_seconds
        return {
            "pasted": self.pasted,
            "copied": self.copied,
            "blurs": self.blurs,
            "away_seconds": None if away is None else min(away, seconds),
        }


NOTHING_TOLD = Signals()


def read_signals(form: Mapping[str, str]) -> Signals:
    """Read what a form tells. What is not of its kind is as if it were not there; nothing is refused."""
    blurs, away = _whole(form.get("blurs", "")), _whole(form.get("away_ms", ""))
    return Signals(
        pasted=_YES_NO.get(form.get("pasted", "")),
        copied=_YES_NO.get(form.get("copied", "")),
        blurs=None if blurs is None else min(blurs, MOST_BLURS),
        away_seconds=None if away is None else away / 1000,
    )


_YES_NO = {"1": True, "0": False}


def _whole(text: str) -> int | None:
    """A whole number of up to nine ASCII digits, or None."""
    return int(text) if len(text) <= 9 and text.isascii() and text.isdigit() else None
