"""One dot an annotator: skill with intervals, bias and scale, and what leaving some out costs."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from imitable_aggregation.svg import ACCENT, SECOND, SOFT, STYLE, THIRD, WIDE, svg

from .marks import DRAWN, ENDS, LABELLED, MOST_ROWS, Floats, dots, grid, limits, many, shortened

LOOKS = ((0, "o", ACCENT, "in the fit"), (1, "D", SECOND, "in the fit, marked"), (2, "X", THIRD, "left out"))
"""Who counts; who counts though something is odd; who is left out."""


def people(annotators: pd.DataFrame, coverage: float) -> str:
    """Skill of every annotator with intervals; those with evidence of odd play and those left out stand apart."""
    known = annotators[annotators["skill"].notna()]
    table = known.sort_values("skill", ascending=False, kind="stable").reset_index(drop=True)
    look = np.where(table["excluded"], 2, np.where(table["evidence"].notna(), 1, 0))
    n, place = len(table), np.arange(len(table))
    counts = [int((look == kind).sum()) for kind, *_ in LOOKS]
    said = (
        f"{n} annotators by skill with {coverage:.0%} intervals, from {table['skill'].iloc[0]:.2f} down to"
        f" {table['skill'].iloc[-1]:.2f}; {counts[1]} of them are marked for odd play and {counts[2]} left out."
    )
    with mpl.rc_context(STYLE):
        if n > LABELLED:
            figure = Figure(figsize=(WIDE, 3.4))
            axes = figure.subplots()
            many(axes, place + 1, table["skill"], table["skill_low"], table["skill_high"])
            _marked(axes, table, look)
            axes.axhline(0, color=SOFT, linewidth=0.8)
            axes.set_xlim(0, n + 1)
            axes.set_xlabel("annotators, most skilled first")
            axes.set_ylabel("skill on the average target")
            grid(axes, "y")
        else:
            figure = Figure(figsize=(WIDE, 1.1 + 0.19 * n))
            axes = figure.subplots()
            axes.axvline(0, color=SOFT, linewidth=0.8)
            for kind, marker, colour, _ in LOOKS:
                part, at = table[look == kind], place[look == kind]
                axes.hlines(at, part["skill_low"], part["skill_high"], color=colour, linewidth=1.8, alpha=0.5)
                axes.plot(part["skill"], at, marker, color=colour, markersize=4.2, markeredgewidth=0)
            axes.set_yticks(place, shortened(table["annotator_id"]))
            axes.set_ylim(n - 0.4, -0.6)
            axes.set_xlabel(f"skill on the average target ({ENDS})")
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
            grid(axes, "x")
        for (_, marker, colour, label), count in zip(LOOKS, counts, strict=True):
            if count:
                shape = marker if n <= LABELLED else "o"
                axes.plot([], [], shape, color=colour, markersize=5, markeredgewidth=0, label=f"{label} ({count:,})")
        figure.legend(loc="outside upper left", ncols=3, handletextpad=0.2)
        return svg(figure, key="people", title="Skill of each annotator", said=said)


def _marked(axes: Axes, table: pd.DataFrame, look: npt.NDArray[np.int64]) -> None:
    """Those who stand apart, over the many."""
    for kind, _, colour, _ in LOOKS[1:]:
        of = np.flatnonzero(look == kind)
        of = of[:: -(-len(of) // MOST_ROWS)] if len(of) else of
        part = table.iloc[of]
        if len(table) <= DRAWN:
            axes.vlines(of + 1, part["skill_low"], part["skill_high"], color=colour, linewidth=0.9)
        dots(axes, of + 1, part["skill"], colour=colour, size=3.0)


def use_of_scale(annotators: pd.DataFrame) -> str:
    """Bias against scale of every annotator: who guesses too high or low, who spreads guesses too little or much."""
    table = annotators[annotators["bias"].notna() & annotators["scale"].notna()]
    out = table["excluded"].to_numpy(dtype=bool)
    kept = table[~out]
    said = (
        f"Bias against scale of {len(table)} annotators. Half of those who count have a bias between"
        f" {kept['bias'].quantile(0.25):.2f} and {kept['bias'].quantile(0.75):.2f} and a scale between"
        f" {kept['scale'].quantile(0.25):.2f} and {kept['scale'].quantile(0.75):.2f}; 0 and 1 would be perfect."
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 3.9))
        axes = figure.subplots()
        axes.axvline(0, color=SOFT, linewidth=0.8)
        axes.axhline(1, color=SOFT, linewidth=0.8)
        axes.axhline(0, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
        x, y = (_inside(table[name]) for name in ("bias", "scale"))
        size = 3.6 if len(table) <= DRAWN else 2.2
        dots(axes, x[~out], y[~out], colour=ACCENT, size=size, label="in the fit")
        if out.any():
            dots(axes, x[out], y[out], colour=THIRD, size=size, label="left out")
        axes.set_xlim(*limits(x, least=-1, most=1))
        axes.set_ylim(*limits(y, least=-0.1, most=1.3))
        axes.set_xlabel("bias: mean of guess − truth, display units")
        axes.set_ylabel("scale: slope of guess on truth")
        figure.legend(loc="outside upper left", ncols=2, handletextpad=0.2)
        return svg(figure, key="scale", title="Bias and scale of each annotator", said=said)


def _inside(values: pd.Series[float]) -> Floats:
    """Values, the most extreme half per cent at either end drawn in."""
    ends = values.quantile([0.005, 0.995]) if len(values) > DRAWN else values.quantile([0.0, 1.0])
    inside: Floats = values.clip(*ends).to_numpy().astype(np.float64)
    return inside


def shares(left_out: pd.Series[float]) -> str:
    """How many targets lost which share of their episodes with the annotators that are left out."""
    said = (
        f"Share of a target's episodes played by annotators who are left out: on average {left_out.mean():.0%},"
        f" at most {left_out.max():.0%}."
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 2.3))
        axes = figure.subplots()
        bins = np.linspace(0, max(0.1, float(np.ceil(left_out.max() * 20) / 20)), 21)
        axes.hist(100 * left_out, bins=list(100 * bins), color=THIRD, alpha=0.6, rwidth=0.9)
        axes.set_xlabel("share of a target’s episodes that is left out, %")
        axes.set_ylabel("targets")
        axes.yaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
        return svg(figure, key="shares", title="Share of episodes left out", said=said)
