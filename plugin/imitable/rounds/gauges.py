"""Which other units are shown beside a text, and on what scale they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from imitable_aggregation import scoring

Floats = npt.NDArray[np.float64]

Place = tuple[str, int]
"""A unit: site and index."""

TOKEN, REST = "token", "rest"
"""Rows of a table of weights that are no unit: what the token itself brings, and everything that is not listed."""


def in_turn(ranked: Mapping[str, Sequence[tuple[Place, float]]], *, most: int) -> list[tuple[Place, str, float]]:
    """The best of several lists, taken in turn, each unit once: (unit, name of the list, its strength there).

    Sorted by list, the strongest first, so that units chosen for one reason stand together.
    """
    chosen: dict[Place, tuple[str, float]] = {}
    waiting = {name: iter(each) for name, each in ranked.items()}
    while waiting and len(chosen) < most:
        for name in list(waiting):
            new = next((pair for pair in waiting[name] if pair[0] not in chosen), None)
            if new is None:
                del waiting[name]
            elif len(chosen) < most:
                chosen[new[0]] = (name, new[1])
    order = {name: at for at, name in enumerate(ranked)}
    found = [(place, name, strength) for place, (name, strength) in chosen.items()]
    return sorted(found, key=lambda one: (order[one[1]], -abs(one[2])))


def strongest(strengths: Mapping[str, Floats], *, without: frozenset[Place], most: int) -> list[tuple[Place, float]]:
    """Units by the size of their strength, (width,) a site, without some, and without those of strength zero."""
    found: list[tuple[Place, float]] = []
    for site, each in strengths.items():
        for unit in np.argsort(-np.abs(each), kind="stable")[: most + len(without)].tolist():
            if (site, unit) not in without and each[unit] != 0:
                found.append(((site, unit), float(each[unit])))
    return sorted(found, key=lambda one: -abs(one[1]))[:most]


def shown(activations: Floats) -> Floats:
    """Activations (items, units) as they are shown: `10 · asinh(a / s) / asinh(m / s)`, to one decimal, -10 to 10.

    s is the median size of a unit's activations at these items, m the largest; the scale of targets, by each unit's
    own activations (DATA.md, the display scale). A unit that is silent here reads 0.
    """
    size = np.abs(activations)
    m = size.max(0)
    s = np.maximum(np.median(size, 0), 1e-3 * m)
    seen = np.zeros_like(activations)
    for unit in np.flatnonzero(m):
        seen[:, unit] = scoring.display(activations[:, unit], s=float(s[unit]), m=float(m[unit]), polarity="both")
    return np.round(seen, 1) + 0.0
