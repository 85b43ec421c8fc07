"""One row a target, most imitable first: intervals of imitability and of ranks, and tie groups."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from imitable_aggregation.svg import ACCENT, SOFT, STYLE, WIDE, svg

from .marks import ENDS, LABELLED, common, grid, many, shortened

MOST_GROUPS = 40
"""Tie groups up to which they are shaded."""


def caterpillar(ranking: pd.DataFrame, coverage: float) -> str:
    """Imitability and rank of every target, most imitable first, with intervals and tie groups."""
    best, worst = ranking.iloc[0], ranking.iloc[-1]
    width = float((ranking["rank_high"] - ranking["rank_low"] + 1).median())
    said = (
        f"{len(ranking)} targets by imitability with {coverage:.0%} intervals, from {best['imitability']:.2f}"
        f" ({best['target_id']}) down to {worst['imitability']:.2f} ({worst['target_id']}), and beside them the"
        f" intervals of their ranks, half of which span at most {width:.0f} ranks."
    )
    with mpl.rc_context(STYLE):
        draw = _by_name if len(ranking) <= LABELLED else _by_rank
        return svg(draw(ranking), key="imitability", title="Imitability and rank of each target", said=said)


def _by_name(ranking: pd.DataFrame) -> Figure:
    """A named line for each target; imitability on the left, ranks on the right."""
    n, place = len(ranking), np.arange(len(ranking))
    prefix = common(ranking["target_id"].tolist())
    figure = Figure(figsize=(WIDE, 1.15 + 0.19 * n))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for axes, value, low, high in (
        (left, ranking["imitability"], ranking["imitability_low"], ranking["imitability_high"]),
        (right, ranking["expected_rank"], ranking["rank_low"], ranking["rank_high"]),
    ):
        _shade(axes, ranking, place, upright=False)
        axes.hlines(place, low, high, color=ACCENT, linewidth=1.8, alpha=0.5)
        axes.plot(value, place, "o", color=ACCENT, markersize=4.2, markeredgewidth=0)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        grid(axes, "x")
    left.axvline(0, color=SOFT, linewidth=0.8)
    left.set_yticks(place, shortened(ranking["target_id"], prefix))
    left.set_ylim(n - 0.4, -0.6)
    left.set_xlabel(f"imitability ({ENDS})")
    right.set_xlabel("rank")
    right.set_xlim(*((0.5, n + 0.5) if n > 1 else (0, 2)))
    right.xaxis.get_major_locator().set_params(integer=True)
    if prefix:
        left.set_title(prefix + "…", loc="left", fontsize=8.5, color=SOFT, x=0)
    _number_groups(right, ranking)
    return figure


def _by_rank(ranking: pd.DataFrame) -> Figure:
    """A thin line for each target, or a band; imitability above, ranks below."""
    n, place = len(ranking), np.arange(1, len(ranking) + 1)
    figure = Figure(figsize=(WIDE, 5.4))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for axes, value, low, high in (
        (above, ranking["imitability"], ranking["imitability_low"], ranking["imitability_high"]),
        (below, ranking["expected_rank"], ranking["rank_low"], ranking["rank_high"]),
    ):
        _shade(axes, ranking, place, upright=True)
        many(axes, place, value, low, high)
        grid(axes, "y")
    above.axhline(0, color=SOFT, linewidth=0.8)
    above.set_ylabel("imitability")
    below.set_ylabel("rank")
    below.set_ylim(n + 0.02 * n, 1 - 0.02 * n)
    step = below.yaxis.get_major_locator().tick_values(1, n)[1:]
    below.set_yticks([1, *(at for at in step if 1 < at <= n)])
    below.set_xlabel("targets, most imitable first")
    below.set_xlim(0, n + 1)
    return figure


def _shade(axes: Axes, ranking: pd.DataFrame, place: npt.NDArray[np.int64], *, upright: bool) -> None:
    """Every other tie group behind a tint."""
    if "tie_group" not in ranking or not 1 < ranking["tie_group"].nunique() <= MOST_GROUPS:
        return
    group = ranking["tie_group"].to_numpy()
    for name in np.unique(group)[::2]:
        of = place[group == name]
        span = axes.axvspan if upright else axes.axhspan
        span(float(of[0]) - 0.5, float(of[-1]) + 0.5, color=SOFT, alpha=0.13, linewidth=0)


def _number_groups(axes: Axes, ranking: pd.DataFrame) -> None:
    """The number of each tie group at the right edge."""
    if "tie_group" not in ranking or ranking["tie_group"].nunique() < 2:
        return
    group = ranking["tie_group"].to_numpy()
    for name in np.unique(group):
        of = np.flatnonzero(group == name)
        axes.annotate(
            f"{name}",
            (1.0, float(of.mean())),
            xytext=(4, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=SOFT,
            annotation_clip=False,
        )
    axes.set_title("tie group", loc="right", fontsize=8.5, color=SOFT)
