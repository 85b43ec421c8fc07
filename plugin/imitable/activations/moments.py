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

from imitable.activations.summing import adder

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
        sd: Doubles = np.sqrt(self.powers[0] / max(self.count, 1))
        return sd

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
    """Moments of one site, batch by batch, from power sums about the mean of the first batch.

    A few rows at a time are summed in float32, everything else in float64.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._count = 0
        self._origin: Any = None

    def add(self, rows: Any) -> None:
        """Take in a (tokens, units) float32 or bfloat16 tensor."""
        import torch

        if self._origin is None:
            self._origin = rows.mean(dim=0, dtype=torch.float32)
            self._sums = rows.new_zeros((4, self._width), dtype=torch.float64)
            self._extremes = torch.stack([rows[0], rows[0]]).float()
        self._count += len(rows)
        if rows.device.type == "cpu":
            half = rows.dtype == torch.bfloat16
            bits = rows.contiguous().view(torch.uint16 if half else torch.uint32).numpy()
            adder()(bits, 16 * half, self._origin.numpy(), self._sums.numpy(), self._extremes.numpy())
        else:
            self._add_on_device(rows)

    def _add_on_device(self, rows: Any) -> None:
        """The same on an accelerator, by torch's own functions."""
        import torch

        away = rows.float() - self._origin
        square = away * away
        for power, values in enumerate((away, square, away * square, square * square)):
            self._sums[power] += values.sum(dim=0)
        self._extremes[0] = torch.minimum(self._extremes[0], rows.amin(dim=0).float())
        self._extremes[1] = torch.maximum(self._extremes[1], rows.amax(dim=0).float())

    def result(self) -> Moments:
        """The moments of everything taken in."""
        if self._origin is None:
            return Moments.none(self._width)
        n = self._count
        a, b, c, d = _doubles(self._sums) / n
        second, third = np.maximum(b - a**2, 0), c - 3 * a * b + 2 * a**3
        fourth = np.maximum(d - 4 * a * c + 6 * a**2 * b - 3 * a**4, 0)
        return Moments(
            count=n,
            mean=_doubles(self._origin) + a,
            powers=n * np.stack([second, third, fourth]),
            minimum=_doubles(self._extremes[0]),
            maximum=_doubles(self._extremes[1]),
        )


def _doubles(values: Any) -> Doubles:
    found: Doubles = values.double().cpu().numpy()
    return found
