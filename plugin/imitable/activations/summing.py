"""The inner loop of moments, compiled: everything that is done to an activation happens while it is in a register."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

_ROWS, _COLUMNS = 64, 512
"""Rows whose sums are float32, and columns at a time: they and their sums stay in the processor's first cache."""

Adder = Callable[[Any, int, Any, Any, Any], None]


@cache
def adder() -> Adder:
    """A function (rows, shift, origin, sums, extremes) that takes in rows, (tokens, units), in place.

    Rows are given as bits: uint32 and shift 0 for float32, uint16 and shift 16 for bfloat16, which is the upper half of
    a float32. `origin` is (units,) float32; `sums` (4, units) float64, of the first four powers of the distance from
    it; `extremes` (2, units) float32.
    """
    import numba

    def add(rows: Any, shift: int, origin: Any, sums: Any, extremes: Any) -> None:
        count, width = rows.shape
        up = np.uint32(shift)
        room = np.empty((6, _COLUMNS), np.float32)
        for start in range(0, count, _ROWS):
            stop = min(count, start + _ROWS)
            fours = start + (stop - start) // 4 * 4
            for left in range(0, width, _COLUMNS):
                right = min(width, left + _COLUMNS)
                n = right - left
                first, second, third, fourth, low, high = (
                    room[0, :n], room[1, :n], room[2, :n], room[3, :n], room[4, :n], room[5, :n],
                )  # fmt: skip
                room[:4] = 0
                low[:], high[:], mid = extremes[0, left:right], extremes[1, left:right], origin[left:right]
                for at in range(start, fours, 4):  # four rows at a time: a quarter of the traffic with the sums
                    p, q = rows[at, left:right], rows[at + 1, left:right]
                    r, s = rows[at + 2, left:right], rows[at + 3, left:right]
                    for u in range(n):
                        a, b, c, d = (
                            np.uint32(np.uint32(p[u]) << up).view(np.float32),
                            np.uint32(np.uint32(q[u]) << up).view(np.float32),
                            np.uint32(np.uint32(r[u]) << up).view(np.float32),
                            np.uint32(np.uint32(s[u]) << up).view(np.float32),
                        )
                        low[u] = min(low[u], a, b, c, d)
                        high[u] = max(high[u], a, b, c, d)
                        a, b, c, d = a - mid[u], b - mid[u], c - mid[u], d - mid[u]
                        aa, bb, cc, dd = a * a, b * b, c * c, d * d
                        first[u] += (a + b) + (c + d)
                        second[u] += (aa + bb) + (cc + dd)
                        third[u] += (a * aa + b * bb) + (c * cc + d * dd)
                        fourth[u] += (aa * aa + bb * bb) + (cc * cc + dd * dd)
                for at in range(fours, stop):
                    p = rows[at, left:right]
                    for u in range(n):
                        a = np.uint32(np.uint32(p[u]) << up).view(np.float32)
                        low[u], high[u] = min(low[u], a), max(high[u], a)
                        a = a - mid[u]
                        aa = a * a
                        first[u] += a
                        second[u] += aa
                        third[u] += a * aa
                        fourth[u] += aa * aa
                for power in range(4):
                    for u in range(n):
                        sums[power, left + u] += room[power, u]
                extremes[0, left:right], extremes[1, left:right] = low, high

    try:
        return numba.njit(nogil=True, cache=True)(add)
    except RuntimeError:  # there is no folder that it could be kept in: it takes seconds, once a process
        return numba.njit(nogil=True)(add)
