"""Imitability by what players saw besides the text."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from imitable_aggregation.svg import ACCENT, SOFT, STYLE, WIDE, svg

from .marks import ENDS, grid, number


def levels(table: pd.DataFrame, coverage: float) -> str:
    """Mean imitability of all targets at each level, `ranking.by_level`, with intervals."""
    place = np.arange(len(table))
    said = f"Mean imitability with {coverage:.0%} intervals: " + "; ".join(
        f"{row['level']} {number(row['imitability'])}"
        f" ({number(row['imitability_low'])} to {number(row['imitability_high'])})"
        for row in table.to_dict(orient="records")
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDE, 0.85 + 0.3 * len(table)))
        axes = figure.subplots()
        axes.axvline(0, color=SOFT, linewidth=0.8)
        axes.hlines(place, table["imitability_low"], table["imitability_high"], color=ACCENT, linewidth=2.4, alpha=0.5)
        axes.plot(table["imitability"], place, "o", color=ACCENT, markersize=6, markeredgewidth=0)
        axes.set_yticks(place, [str(name) for name in table["level"]])
        axes.set_ylim(len(table) - 0.4, -0.6)
        axes.set_xlabel(f"imitability: mean held-out skill ({ENDS})")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        grid(axes, "x")
        return svg(figure, key="levels", title="Imitability by level of information", said=said + ".")
