"""What grows: skill with feedback, of all and of single targets, and skill with the size of the crowd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from imitable_aggregation.svg import ACCENT, SECOND, SOFT, STYLE, WIDE, svg

from .marks import Floats, common, grid, limits, number, shortened

PHASE_NAMES = {"practice": "practice", "held_out": "held-out"}
PARTS = {"practice": (ACCENT, "o", "practice: truth shown after"), "held_out": (SECOND, "s", "held out: no feedback")}
MULTIPLES = 9
"""Targets whose learning curves are drawn."""
TITLE = 25
"""Letters of a name above its curve."""
KNOTS = ("start", "middle", "held_out")


def with_band(curve: pd.DataFrame, coverage: float) -> pd.DataFrame:
    """The learning curve with `low` and `high`, a normal band over annotators; trials that few reached are left out."""
    table: pd.DataFrame = curve[curve["n"] >= curve["n"].max() // 20]
    reach = NormalDist().inv_cdf(0.5 + coverage / 2) * table["sd"].fillna(0.0) / np.sqrt(table["n"])
    return table.assign(low=table["mean"] - reach, high=table["mean"] + reach).reset_index(drop=True)


def learning(curve: pd.DataFrame, coverage: float) -> str:
    """Mean skill by trial, practice and held-out, with a band over annotators; `curve` is `with_band`."""
    parts = {name: curve[curve["phase"] == name].sort_values("trial") for name in PARTS}
    said = f"Mean skill by trial with {coverage:.0%} bands over annotators: " + "; ".join(
        f"{PHASE_NAMES[name]} from {part['mean'].iloc[0]:.2f} (trial {part['trial'].iloc[0]})"
        f" to {part['mean'].iloc[-1]:.2f} (trial {part['trial'].iloc[-1]})"
        for name, part in parts.items()
        if len(part)
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDE, 3.2))
        axes = figure.subplots()
        axes.axhline(0, color=SOFT, linewidth=0.8)
        for name, (colour, marker, label) in PARTS.items():
            part = parts[name]
            if len(part):
                axes.fill_between(part["trial"], part["low"], part["high"], color=colour, alpha=0.2, linewidth=0)
                axes.plot(
                    part["trial"], part["mean"], color=colour, marker=marker, markersize=4, linewidth=1.4, label=label
                )
        axes.set_xlabel("trial")
        axes.set_ylabel("mean skill")
        axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
        grid(axes, "y")
        figure.legend(loc="outside upper left", ncols=2)
        return svg(figure, key="learning", title="Learning curve", said=said + ".")


def chosen(ranking: pd.DataFrame) -> pd.DataFrame:
    """The best, the middle and the worst three targets, or all of few."""
    n = len(ranking)
    if n <= MULTIPLES:
        return ranking
    middle = n // 2
    return ranking.iloc[[0, 1, 2, middle - 1, middle, middle + 1, n - 3, n - 2, n - 1]]


def multiples(
    ranking: pd.DataFrame,
    target_ids: Sequence[str],
    samples: Mapping[str, Floats],
    knots: Sequence[float],
    coverage: float,
) -> str:
    """Learning curves of the best, middle and worst targets as the fit has them, each before the mean of all."""
    shown = chosen(ranking)
    draws = np.stack([samples[name] for name in KNOTS])  # (knots, draws, targets)
    drawn = ~np.isnan(draws).all(axis=(1, 2))
    draws, at = draws[drawn], np.asarray(knots, dtype=np.float64)[drawn]
    columns = pd.Index(target_ids).get_indexer(pd.Index(shown["target_id"]))
    tail = (1 - coverage) / 2
    low, middle, high = np.quantile(draws[:, :, columns], [tail, 0.5, 1 - tail], axis=1)
    whole = draws.mean(axis=(1, 2))
    names = shortened(shown["target_id"], common(ranking["target_id"].tolist()), longest=TITLE)
    said = f"Learning curves of {len(shown)} targets, from skill at the start to held-out skill: " + "; ".join(
        f"{name} {number(curve[0])} to {number(curve[-1])}" for name, curve in zip(names, middle.T, strict=True)
    )
    with mpl.rc_context(STYLE):
        across = min(3, len(shown))
        down = -(-len(shown) // across)
        figure = Figure(figsize=(WIDE * across / 3 if across < 3 else WIDE, 0.55 + 1.5 * down))
        grids = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        ends = limits(low, high, whole, least=-0.1, most=0.5)
        for place, axes in enumerate(grids.ravel()):
            if place >= len(shown):
                axes.set_visible(False)
                continue
            axes.axhline(0, color=SOFT, linewidth=0.8)
            axes.plot(at, whole, color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)))
            axes.fill_between(at, low[:, place], high[:, place], color=ACCENT, alpha=0.22, linewidth=0)
            axes.plot(at, middle[:, place], color=ACCENT, linewidth=1.5, marker="o", markersize=3.5)
            axes.set_ylim(*ends)
            axes.set_title(f"{shown['rank'].iloc[place]}. {names[place]}", loc="left", fontsize=8.5)
            axes.set_xticks(at, [f"{knot:g}" for knot in at])
            grid(axes, "y")
        figure.supxlabel("truths seen in the episode", fontsize=9)
        figure.supylabel("skill", fontsize=9)
        return svg(figure, key="multiples", title="Learning curves of single targets", said=said + ".")


def crowd_size(curve: pd.DataFrame, coverage: float) -> str:
    """Skill of the pool and of the plain mean by how many guesses there are on an item."""
    first, last = curve.iloc[0], curve.iloc[-1]
    said = (
        f"Crowd skill grows from {first['skill']:.2f} with one guess on an item to {last['skill']:.2f} with"
        f" {last['size']:.0f} ({coverage:.0%} interval {last['low']:.2f} to {last['high']:.2f}); the plain mean of"
        f" guesses from {first['plain']:.2f} to {last['plain']:.2f}."
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 3.0))
        axes = figure.subplots()
        axes.axhline(0, color=SOFT, linewidth=0.8)
        axes.fill_between(curve["size"], curve["low"], curve["high"], color=ACCENT, alpha=0.2, linewidth=0)
        _line(axes, curve, "skill", ACCENT, "o", "-", "pooled and recalibrated")
        _line(axes, curve, "plain", SECOND, "s", (0, (4, 3)), "plain mean of all guesses")
        axes.set_xscale("log")
        axes.set_xticks(curve["size"], [f"{size:g}" for size in curve["size"]])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("guesses on an item")
        axes.set_ylabel("skill of the crowd")
        grid(axes, "y")
        figure.legend(loc="outside upper left", ncols=2)
        return svg(figure, key="crowd", title="Skill by the size of the crowd", said=said)


def _line(axes: Axes, curve: pd.DataFrame, name: str, colour: str, marker: str, style: object, label: str) -> None:
    axes.plot(curve["size"], curve[name], color=colour, marker=marker, markersize=4, lw=1.4, ls=style, label=label)
