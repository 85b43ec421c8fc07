"""The one rule by which guesses are scored: display scale, reference loss, skill, points, par and bonus.

Everything here is a pure function of numbers. The game, the plans, the money and the ranking all call these
functions, so that what an annotator sees, what is paid and what is published cannot disagree.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

import numpy as np
import numpy.typing as npt

Polarity = Literal["pos", "neg", "both"]
"""Which side of an activation is played: as it is, negated, or both sides at once."""

Floats = npt.NDArray[np.float64]

TOP = 10.0
"""Upper end of the display scale. The lower end is 0, or -10 where both sides are played."""

FLATTEST_L_REF = 0.5
"""A target whose best constant guess loses less than this is left out of a campaign as too flat to play."""


LEAST_L_REF = 1e-6
"""A reference loss below this is none: truths are equal, but for rounding. The largest that there can be is `TOP`."""


def played(activation: npt.ArrayLike, polarity: Polarity) -> Floats:
    """Turn raw activations into `y`, the side that is played (negated for `neg`), in the activation's unit."""
    y = np.asarray(activation, dtype=np.float64)
    return -y if polarity == "neg" else y


def lowest(polarity: Polarity) -> float:
    """Lower end of the display scale: 0, or -10 for `both`."""
    return -TOP if polarity == "both" else 0.0


def display(y: npt.ArrayLike, *, s: float, m: float, polarity: Polarity) -> Floats:
    """Map played activations to the display scale: `10 · asinh(y/s) / asinh(m/s)`.

    `s` (> 0) is the median of the positive `y` of the target's pool and `m` (> 0) its upper bound, both in the
    activation's unit. Values below zero are shown as 0 unless both sides are played.

    Returns an array of the shape of `y`, within [0, 10] or [-10, 10] wherever |y| ≤ m.
    """
    if not (s > 0 and m > 0 and np.isfinite(s) and np.isfinite(m)):
        raise ValueError(f"s and m must be finite and positive, not s={s!r}, m={m!r}")
    z: Floats = TOP * np.arcsinh(np.asarray(y, dtype=np.float64) / s) / np.arcsinh(m / s)
    shown: Floats = np.clip(z, lowest(polarity), TOP)
    return shown


def l_ref(truths: npt.ArrayLike) -> float:
    """Reference loss: mean |truth - median truth|, the loss of the best constant guess, in display units."""
    t = np.asarray(truths, dtype=np.float64)
    if t.size == 0:
        raise ValueError("l_ref needs at least one truth")
    return float(np.mean(np.abs(t - np.median(t))))


def skill(guess: npt.ArrayLike, truth: npt.ArrayLike, reference: npt.ArrayLike) -> Floats:
    """Skill of a guess: `1 - |guess - truth| / l_ref`. Exact is 1, the best constant is 0 on average.

    Never clipped: a clipped score would no longer reward the honest median.
    """
    loss = np.abs(np.asarray(guess, dtype=np.float64) - np.asarray(truth, dtype=np.float64))
    return 1.0 - loss / np.asarray(reference, dtype=np.float64)


def points(guess: float, truth: float, polarity: Polarity) -> float:
    """Points of a round, 0 to 10, as people see them: `10 - |guess - truth|`, half the distance for `both`."""
    return TOP - abs(guess - truth) * (0.5 if polarity == "both" else 1.0)


def par(reference: float, polarity: Polarity) -> float:
    """Points that the best constant guess earns on average: `10 - l_ref`, or `10 - l_ref/2` for `both`."""
    return TOP - reference * (0.5 if polarity == "both" else 1.0)


def bonus(above_par: float, *, per_point: Decimal, minor_units: int = 2) -> int:
    """Bonus of a sitting in minor currency units (cents).

    `above_par` is the sum over the sitting's held-out rounds of (points - par); negative sums earn nothing.
    Rounded half up, once.
    """
    exact = per_point * Decimal(repr(max(0.0, above_par))) * (Decimal(10) ** minor_units)
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def correlation(
    n: npt.ArrayLike, g: npt.ArrayLike, t: npt.ArrayLike, gg: npt.ArrayLike, tt: npt.ArrayLike, gt: npt.ArrayLike
) -> Floats:
    """Correlation of guesses with truths, -1 to 1, from sums: of weights, guesses, truths, squares and products.

    With weights of 1 it is neuron-explainer's score; with inverse sampling probabilities, the correlation under the
    natural distribution. nan where either side is constant or fewer than two pairs are there. Kept for comparison
    only: it is blind to bias and to scale, and undefined for a constant guess.
    """
    n_, g_, t_, gg_, tt_, gt_ = (np.asarray(each, dtype=np.float64) for each in (n, g, t, gg, tt, gt))
    safe = np.maximum(n_, 1e-300)
    of_g, of_t, both = gg_ - g_ * g_ / safe, tt_ - t_ * t_ / safe, gt_ - g_ * t_ / safe
    known = (n_ > 0) & (of_g > 1e-9 * np.maximum(gg_, 1e-9)) & (of_t > 1e-9 * np.maximum(tt_, 1e-9))
    spread = np.sqrt(np.where(known, of_g * of_t, 1.0))
    return np.clip(np.where(known, both / spread, np.nan), -1.0, 1.0)


def r2(gg: npt.ArrayLike, tt: npt.ArrayLike, gt: npt.ArrayLike) -> Floats:
    """neuron-explainer's r2, `1 - mean((truth - guess)²) / mean(truth²)`, from sums; nan where every truth is 0.

    Its zero is the guess 0, not the best constant, so that a constant guess may earn up to half: kept for
    comparison with published figures only.
    """
    gg_, tt_, gt_ = (np.asarray(each, dtype=np.float64) for each in (gg, tt, gt))
    some = tt_ > 0
    return np.where(some, 1.0 - (gg_ - 2 * gt_ + tt_) / np.where(some, tt_, 1.0), np.nan)
