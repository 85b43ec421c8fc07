"""The report's figures as SVG that takes its colours from the page, reads aloud, and is the same bytes every time."""

from .calibration import by_height, guess_and_truth
from .contrasts import differences, drawn_contrasts, sources
from .curves import MULTIPLES, PHASE_NAMES, crowd_size, learning, multiples, with_band
from .levels import levels
from .marks import DRAWN, common
from .people import people, shares, use_of_scale
from .plane import INTERVALS, kinds, start_and_end
from .players import against_players
from .targets import caterpillar

__all__ = [
    "DRAWN",
    "INTERVALS",
    "MULTIPLES",
    "PHASE_NAMES",
    "against_players",
    "by_height",
    "caterpillar",
    "common",
    "crowd_size",
    "differences",
    "drawn_contrasts",
    "guess_and_truth",
    "kinds",
    "learning",
    "levels",
    "multiples",
    "people",
    "shares",
    "sources",
    "start_and_end",
    "use_of_scale",
    "with_band",
]
