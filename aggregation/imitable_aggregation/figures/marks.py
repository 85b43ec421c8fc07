"""What several figures draw with: dots that take few bytes, names that stay short, numbers as they are printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from imitable_aggregation.svg import ACCENT, SOFT

Floats = npt.NDArray[np.float64]

ENDS = "0 = best constant guess, 1 = exact"
"""What the ends of skill mean."""

LABELLED = 60
"""Rows up to which each is named."""
DRAWN = 400
"""Rows up to which each interval is drawn; beyond it they become a band."""
MOST_ROWS = 2000
"""Rows of a band beyond which only evenly spaced ones are drawn."""
LONGEST = 34
"""Letters of a name that are shown."""


def dots(axes: Axes, x: npt.ArrayLike, y: npt.ArrayLike, *, colour: str, size: float, label: str = "") -> None:
    """Round dots of `size` points, as one path: thousands of them take a tenth of the bytes of as many markers."""
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    gap = np.full(len(xs), np.nan)
    axes.plot(
        np.stack([xs, xs, gap], axis=1).ravel(),
        np.stack([ys, ys, gap], axis=1).ravel(),
        color=colour,
        linewidth=size,
        solid_capstyle="round",
    )
    if label:
        axes.plot([], [], "o", color=colour, markersize=max(size, 4.0), markeredgewidth=0, label=label)


def many(
    axes: Axes, place: npt.NDArray[np.int64], value: pd.Series[float], low: pd.Series[float], high: pd.Series[float]
) -> None:
    """Rows too many to be named: lines with dots up to `DRAWN`, else a band about a line."""
    n = len(place)
    if n <= DRAWN:
        axes.vlines(place, low, high, color=ACCENT, linewidth=0.9, alpha=0.5)
        dots(axes, place, value, colour=ACCENT, size=2.4)
    else:
        at = np.unique(np.linspace(0, n - 1, min(n, MOST_ROWS)).astype(np.int64))
        axes.fill_between(place[at], low.iloc[at], high.iloc[at], color=ACCENT, alpha=0.22, linewidth=0)
        axes.plot(place[at], value.iloc[at], color=ACCENT, linewidth=1.4)


def common(names: Sequence[str]) -> str:
    """What all names begin with, up to a slash; empty for a single name."""
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)
    same = 0
    while same < min(len(first), len(last)) and first[same] == last[same]:
        same += 1
    return first[: first.rfind("/", 0, same) + 1]


def shortened(names: Iterable[object], prefix: str = "", *, longest: int = LONGEST) -> list[str]:
    """Names without what they have in common, the beginning of those longer than `longest` cut."""
    rest = [str(name).removeprefix(prefix) for name in names]
    return [name if len(name) <= longest else "…" + name[1 - longest :] for name in rest]


def limits(*parts: pd.Series[float] | Floats, least: float, most: float, room: float = 0.04) -> tuple[float, float]:
    """Ends of an axis that hold all of these and at least [least, most], with some room."""
    values = np.concatenate([np.ravel(np.asarray(part, dtype=np.float64)) for part in parts])
    values = values[np.isfinite(values)]
    low = min(least, float(values.min())) if len(values) else least
    high = max(most, float(values.max())) if len(values) else most
    return low - room * (high - low), high + room * (high - low)


def grid(axes: Axes, axis: str) -> None:
    """Faint lines to read values by."""
    axes.grid(axis=axis, color=SOFT, alpha=0.2, linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def number(value: float) -> str:
    """Two decimals and a true minus sign."""
    return f"{value:.2f}".replace("-", "−")
