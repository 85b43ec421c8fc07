"""Start against held-out skill, with the regions that decide what a target is called."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from imitable_aggregation.ranking import EASY, LEARNABLE
from imitable_aggregation.svg import ACCENT, SECOND, SOFT, STYLE, svg

from .marks import DRAWN, dots, limits

INTERVALS = 120
"""Targets up to which both intervals of each are drawn."""


def kinds(ranking: pd.DataFrame) -> pd.Series[str]:
    """What each target is called: easy, learnable or opaque, whichever is more likely than not; empty without start."""
    easy, learned = ranking["p_easy"] > 0.5, ranking["p_learnable"] > 0.5
    name = pd.Series("opaque", index=ranking.index).mask(learned, "learnable").mask(easy, "easy")
    return name.where(ranking["start"].notna())


def start_and_end(ranking: pd.DataFrame) -> str:
    """Every target at its start and held-out skill."""
    table = ranking[ranking["start"].notna()]
    kind = kinds(table)
    looks = (("easy", SECOND), ("learnable", ACCENT), ("opaque", SOFT))
    counts = {name: int((kind == name).sum()) for name, _ in looks}
    said = "Start against held-out skill: " + ", ".join(f"{n} {name}" for name, n in counts.items()) + "."
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.2, 5.6))
        axes = figure.subplots()
        few = len(table) <= INTERVALS
        tails = ("_low", "_high") if few else ("",)
        x = limits(*(table["start" + tail] for tail in tails), least=-0.3, most=0.6)
        y = limits(*(table["imitability" + tail] for tail in tails), least=-0.2, most=0.7, room=0.11)
        axes.set(xlim=x, ylim=y)
        _regions(axes, x, y)
        for name, colour in looks:
            part = table[kind == name]
            if few:
                axes.hlines(part["imitability"], part["start_low"], part["start_high"], color=colour, lw=0.8, alpha=0.4)
                axes.vlines(
                    part["start"], part["imitability_low"], part["imitability_high"], color=colour, lw=0.8, alpha=0.4
                )
            size = 5.5 if few else 3.6 if len(table) <= DRAWN * 2 else 2.0
            dots(axes, part["start"], part["imitability"], colour=colour, size=size, label=f"{name} ({counts[name]:,})")
        axes.set_xlabel("start: skill before any feedback")
        axes.set_ylabel("imitability: held-out skill")
        figure.legend(loc="outside upper left", ncols=3, handletextpad=0.2, columnspacing=1.2)
        return svg(figure, key="start", title="Start against held-out skill", said=said)


def _regions(axes: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Tint and name where a target is easy, learnable, or opaque."""
    bend = float(np.clip(y[0] - LEARNABLE, x[0], EASY))
    line = np.array([x[0], bend, EASY])
    axes.fill_between([EASY, x[1]], y[0], y[1], color=SECOND, alpha=0.08, linewidth=0)
    axes.fill_between(line, np.clip(line + LEARNABLE, *y), y[1], color=ACCENT, alpha=0.08, linewidth=0)
    axes.axvline(EASY, color=SOFT, linewidth=0.9, linestyle=(0, (1, 2)))
    axes.plot(x, np.add(x, LEARNABLE), color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.plot(x, x, color=SOFT, linewidth=0.7)
    wide, tall = x[1] - x[0], y[1] - y[0]
    for name, across, up, sides in (
        ("learnable", x[0] + 0.02 * wide, y[1] - 0.03 * tall, ("left", "top")),
        ("easy, and\nstill learned", EASY + 0.02 * wide, y[1] - 0.03 * tall, ("left", "top")),
        ("easy", x[1] - 0.02 * wide, y[0] + 0.03 * tall, ("right", "bottom")),
        ("opaque", EASY - 0.02 * wide, y[0] + 0.03 * tall, ("right", "bottom")),
    ):
        axes.text(across, up, name, ha=sides[0], va=sides[1], fontsize=10, color=SOFT, style="italic")
