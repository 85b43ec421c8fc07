"""The report's figures as SVG that takes its colours from the page, reads aloud, and is the same bytes every time."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .ranking import EASY, LEARNABLE
from .svg import ACCENT, SECOND, SOFT, STYLE, THIRD, svg

Floats = npt.NDArray[np.float64]

PHASE_NAMES = {"practice": "practice", "held_out": "held-out"}
LABELLED = 60
"""Rows up to which each is named."""
DRAWN = 400
"""Rows up to which each interval is drawn; beyond it they become a band."""


def caterpillar(ranking: pd.DataFrame, coverage: float) -> str:
    """Imitability of every target, most imitable first, with intervals."""
    best, worst = ranking.iloc[0], ranking.iloc[-1]
    said = (
        f"{len(ranking)} targets by imitability with {coverage:.0%} intervals, from {best['imitability']:.2f}"
        f" ({best['target_id']}) down to {worst['imitability']:.2f} ({worst['target_id']})."
    )
    with mpl.rc_context(STYLE):
        return _intervals(
            ranking["imitability"],
            ranking["imitability_low"],
            ranking["imitability_high"],
            names=ranking["target_id"],
            flagged=np.zeros(len(ranking), dtype=bool),
            axis="imitability: held-out skill",
            many="targets, most imitable first",
            key="imitability",
            title="Imitability of each target",
            said=said,
        )


def people(annotators: pd.DataFrame, coverage: float) -> str:
    """Skill of every annotator with intervals; those with evidence of odd play stand out."""
    table = annotators.sort_values("skill", ascending=False, kind="stable")
    odd = table["evidence"].notna().to_numpy()
    said = (
        f"{len(table)} annotators by skill with {coverage:.0%} intervals, from {table['skill'].iloc[0]:.2f} down to"
        f" {table['skill'].iloc[-1]:.2f}; {int(odd.sum())} of them are marked for odd play."
    )
    with mpl.rc_context(STYLE):
        return _intervals(
            table["skill"],
            table["skill_low"],
            table["skill_high"],
            names=table["annotator_id"],
            flagged=odd,
            axis="skill on the average target",
            many="annotators, most skilled first",
            key="people",
            title="Skill of each annotator",
            said=said,
        )


def start_and_end(ranking: pd.DataFrame) -> str:
    """Start against held-out skill: easy from the start, learned, or neither."""
    table = ranking[ranking["start"].notna()]
    easy = (table["p_easy"] > 0.5).to_numpy()
    learned = (table["p_learnable"] > 0.5).to_numpy()
    groups = (
        ("easy from the start", easy, "s", SECOND),
        ("learned", learned & ~easy, "o", ACCENT),
        ("neither", ~easy & ~learned, "^", SOFT),
    )
    said = "Start against held-out skill: " + ", ".join(f"{int(g.sum())} {name}" for name, g, _, _ in groups) + "."
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 5.4))
        axes = figure.subplots()
        bars = len(table) <= DRAWN / 4
        names = ("start", "imitability")
        reach = [table[f"{name}_{end}" if bars else name] for name in names for end in ("low", "high")]
        least, most = min(part.min() for part in reach), max(part.max() for part in reach)
        ends = np.array([min(least, -0.05) - 0.05, max(most, 0.4) + 0.05])
        axes.plot(ends, ends, color=SOFT, linewidth=0.8)
        axes.plot(ends, ends + LEARNABLE, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.axvline(EASY, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
        for name, group, marker, colour in groups:
            part = table[group]
            if not len(part):
                continue
            if bars:
                _error_bars(axes, part, colour)
            axes.plot(
                part["start"],
                part["imitability"],
                marker,
                color=colour,
                markersize=5.5,
                markeredgewidth=0,
                label=f"{name} ({len(part)})",
            )
        axes.set(xlim=ends, ylim=ends, aspect="equal")
        axes.set_xlabel("start: skill before any feedback")
        axes.set_ylabel("held-out skill")
        figure.legend(loc="outside upper left", ncols=3, handletextpad=0.2, columnspacing=1.2)
        return svg(figure, key="start", title="Start against held-out skill", said=said)


def _error_bars(axes: Axes, part: pd.DataFrame, colour: str) -> None:
    axes.hlines(part["imitability"], part["start_low"], part["start_high"], color=colour, linewidth=0.8, alpha=0.45)
    axes.vlines(
        part["start"], part["imitability_low"], part["imitability_high"], color=colour, linewidth=0.8, alpha=0.45
    )


def learning(curve: pd.DataFrame, coverage: float) -> str:
    """Mean skill by trial, practice against held-out, with a band over annotators."""
    said = f"Mean skill by trial with {coverage:.0%} bands over annotators: " + "; ".join(
        f"{PHASE_NAMES[str(phase)]} from {part['mean'].iloc[0]:.2f} (trial {part['trial'].iloc[0]})"
        f" to {part['mean'].iloc[-1]:.2f} (trial {part['trial'].iloc[-1]})"
        for phase, part in curve.groupby("phase", sort=False)
    )
    colours = {
        "practice": (ACCENT, "o", "practice: truth shown after each guess"),
        "held_out": (SECOND, "s", "held out: no feedback"),
    }
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 3.2))
        axes = figure.subplots()
        axes.axhline(0, color=SOFT, linewidth=0.8)
        for phase, part in curve.groupby("phase", sort=False):
            colour, marker, name = colours[str(phase)]
            axes.fill_between(part["trial"], part["low"], part["high"], color=colour, alpha=0.18, linewidth=0)
            axes.plot(part["trial"], part["mean"], color=colour, marker=marker, markersize=4, linewidth=1.4, label=name)
        axes.set_xlabel("trial")
        axes.set_ylabel("mean skill")
        axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
        figure.legend(loc="outside upper left", ncols=2)
        return svg(figure, key="learning", title="Learning curve", said=said + ".")


def _intervals(
    middle: pd.Series[float],
    low: pd.Series[float],
    high: pd.Series[float],
    *,
    names: pd.Series[str],
    flagged: npt.NDArray[np.bool_],
    axis: str,
    many: str,
    key: str,
    title: str,
    said: str,
) -> str:
    n = len(middle)
    place = np.arange(n)
    colours = np.where(flagged, THIRD, ACCENT)
    if n <= LABELLED:
        figure = Figure(figsize=(7.6, 1.0 + 0.19 * n))
        axes = figure.subplots()
        axes.axvline(0, color=SOFT, linewidth=0.8)
        axes.hlines(place, low, high, colors=list(colours), linewidth=1.6, alpha=0.55)
        for odd, marker, colour in ((False, "o", ACCENT), (True, "D", THIRD)):
            axes.plot(
                middle[flagged == odd], place[flagged == odd], marker, color=colour, markersize=4.5, markeredgewidth=0
            )
        axes.set_yticks(place, [_short(str(name)) for name in names])
        axes.set_ylim(n - 0.4, -0.6)
        axes.set_xlabel(f"{axis} (0 = best constant guess, 1 = exact)")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=SOFT, alpha=0.2, linewidth=0.6)
    else:
        figure = Figure(figsize=(7.6, 3.4))
        axes = figure.subplots()
        axes.axhline(0, color=SOFT, linewidth=0.8)
        if n <= DRAWN:
            axes.vlines(place + 1, low, high, colors=list(colours), linewidth=0.9, alpha=0.55)
        else:
            axes.fill_between(place + 1, low, high, color=ACCENT, alpha=0.2, linewidth=0)
        for odd, marker, colour in ((False, "o", ACCENT), (True, "D", THIRD)):
            axes.plot(
                (place + 1)[flagged == odd],
                middle[flagged == odd],
                marker,
                color=colour,
                markersize=2.2,
                markeredgewidth=0,
            )
        axes.set_xlim(0, n + 1)
        axes.set_xlabel(many)
        axes.set_ylabel(axis)
        axes.grid(axis="y", color=SOFT, alpha=0.2, linewidth=0.6)
    return svg(figure, key=key, title=title, said=said)


def _short(name: str) -> str:
    return name if len(name) <= 44 else "…" + name[-43:]
