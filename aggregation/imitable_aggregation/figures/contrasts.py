"""Differences between groups of targets, and what differences between guesses come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from imitable_aggregation.svg import ACCENT, SECOND, SOFT, STYLE, THIRD, WIDE, svg

from .marks import Floats, grid

MOST = 24
"""Contrasts that are drawn."""
SOURCES = (("target", "targets", ACCENT), ("annotator", "annotators", SECOND), ("episode", "their meeting", THIRD))
KNOT_NAMES = {"start": "start", "middle": "middle", "held_out": "held out"}


def drawn_contrasts(groups: pd.DataFrame) -> pd.DataFrame:
    """The first contrasts of imitability, one row each, with both populations' intervals."""
    of = groups[groups["estimand"] == "imitability"]
    keys = ["factor", "level_a", "level_b"]
    wide = of.pivot_table(index=keys, columns="population", values=["difference", "low", "high"], sort=False)
    wide.columns = pd.Index(["_".join(map(str, pair)) for pair in wide.columns.to_list()])
    return wide.reset_index().head(MOST)


def differences(groups: pd.DataFrame, coverage: float) -> str:
    """Contrasts of imitability: thick intervals for these targets, thin ones for targets like these."""
    table = drawn_contrasts(groups)
    names = [f"{row.level_a} − {row.level_b}" for row in table.itertuples()]
    several = table["factor"].nunique() > 1
    if several:
        names = [f"{factor}: {name}" for factor, name in zip(table["factor"], names, strict=True)]
    names = [name if len(name) <= 46 else name[:45] + "…" for name in names]
    place = np.arange(len(table))
    said = f"{len(table)} differences of imitability between groups, with {coverage:.0%} intervals."
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDE, 1.25 + 0.27 * len(table)))
        axes = figure.subplots()
        axes.axvline(0, color=SOFT, linewidth=0.8)
        value = None
        for population, width, label in (("like_these", 1.2, "targets like these"), ("these", 4.0, "these targets")):
            if f"low_{population}" not in table:
                continue
            value = table[f"difference_{population}"] if value is None else value
            axes.hlines(
                place,
                table[f"low_{population}"],
                table[f"high_{population}"],
                color=ACCENT,
                linewidth=width,
                alpha=0.9 if population == "like_these" else 0.35,
                label=label,
            )
        if value is not None:
            axes.plot(value, place, "o", color=ACCENT, markersize=5, markeredgewidth=0)
        axes.set_yticks(place, names)
        axes.set_ylim(len(table) - 0.4, -0.6)
        axes.set_xlabel("difference of imitability")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        grid(axes, "x")
        figure.legend(loc="outside upper left", ncols=2)
        return svg(figure, key="groups", title="Differences between groups", said=said)


def sources(components: Mapping[str, Any]) -> str:
    """Variance of skill between targets, annotators and their meetings at each knot of the learning curve."""
    knots = [KNOT_NAMES[name] for name in components["knots"]]
    variances = {name: np.diag(np.asarray(components[name], dtype=np.float64)) for name, _, _ in SOURCES}
    said = "Standard deviations of skill: " + "; ".join(
        f"{knot}: " + ", ".join(f"{label} {np.sqrt(variances[name][at]):.2f}" for name, label, _ in SOURCES)
        for at, knot in enumerate(knots)
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDE, 0.95 + 0.4 * len(knots)))
        axes = figure.subplots()
        before: Floats = np.zeros(len(knots))
        for name, label, colour in SOURCES:
            axes.barh(knots, variances[name], left=before, color=colour, alpha=0.7, height=0.62, label=label)
            before = before + variances[name]
        axes.invert_yaxis()
        axes.set_xlabel("variance of skill between …")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        grid(axes, "x")
        figure.legend(loc="outside upper left", ncols=3)
        return svg(figure, key="sources", title="Where differences come from", said=said + ".")
