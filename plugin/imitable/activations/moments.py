"""Moments of every unit of a site, streamed: batches and shards are merged without keeping what they held.

Central moments are merged pairwise by the formulas of Pébay, Formulas for Robust, One-Pass Parallel Computation of
Covariances and Arbitrary-Order Statistical Moments, Sandia report SAND2008-6212, 2008.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Moments of every unit of a site over all focusable tokens. Arrays have one entry a unit."""

    count: int
    """Tokens they are taken over."""
    mean: Doubles
    powers: Doubles
    """(3, units): sums of the second, third and fourth powers of the distance from the mean."""
    minimum: Doubles
    maximum: Doubles

    @property
    def sd(self) -> Doubles:
        """Standard deviation."""
        return np.sqrt(self.powers[0] / max(self.count, 1))

    @property
    def kurtosis(self) -> Doubles:
        """Excess kurtosis; 0 for a constant unit."""
        variance = self.powers[0] / max(self.count, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Doubles = np.where(variance > 1e-12, self.powers[2] / max(self.count, 1) / variance**2 - 3, 0.0)
        return found

    def __add__(self, other: Moments) -> Moments:
        if self.count == 0 or other.count == 0:
            return other if self.count == 0 else self
        a, b = float(self.count), float(other.count)
        n = a + b
        delta = other.mean - self.mean
        step = delta / n
        (a2, a3, a4), (b2, b3, b4) = self.powers, other.powers
        second = a2 + b2 + a * b * delta * step
        third = a3 + b3 + a * b * (a - b) * delta * step**2 + 3 * step * (a * b2 - b * a2)
        fourth = (
            a4
            + b4
            + a * b * (a * a - a * b + b * b) * delta * step**3
            + 6 * step**2 * (a * a * b2 + b * b * a2)
            + 4 * step * (a * b3 - b * a3)
        )
        return Moments(
            count=self.count + other.count,
            mean=self.mean + b * step,
            powers=np.stack([second, third, fourth]),
            minimum=np.minimum(self.minimum, other.minimum),
            maximum=np.maximum(self.maximum, other.maximum),
        )

    @classmethod
    def none(cls, width: int) -> Moments:
        """Of no token at all."""
        return cls(0, np.zeros(width), np.zeros((3, width)), np.full(width, np.inf), np.full(width, -np.inf))


def merged(parts: Iterable[Moments], width: int) -> Moments:
    """All parts as one, in their order: the same parts give the same bytes."""
    return reduce(Moments.__add__, parts, Moments.none(width))


class Sums:
    """Moments of one site, batch by batch."""

    def __init__(self, width: int) -> None:
        self._so_far = Moments.none(width)

    def add(self, rows: Any) -> None:
        """Take in a (tokens, units) float32 tensor. Within a batch, sums are float32; between batches, float64."""
        mean = rows.mean(dim=0)
        minimum, maximum = rows.aminmax(dim=0)
        away = rows - mean
        square = away * away
        third = away.mul_(square).sum(dim=0)
        second = square.sum(dim=0)
        fourth = square.mul_(square).sum(dim=0)
        self._so_far += Moments(
            count=len(rows),
            mean=_doubles(mean),
            powers=np.stack([_doubles(second), _doubles(third), _doubles(fourth)]),
            minimum=_doubles(minimum),
            maximum=_doubles(maximum),
        )

    def result(self) -> Moments:
        """The moments of everything taken in."""
        return self._so_far


def _doubles(values: Any) -> Doubles:
    found: Doubles = values.double().cpu().numpy()
    return found
