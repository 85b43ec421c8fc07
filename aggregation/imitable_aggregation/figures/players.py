"""People against the best automatic player, a point a target."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from imitable_aggregation.baselines import above, below
from imitable_aggregation.svg import ACCENT, SECOND, SOFT, STYLE, svg

from .marks import DRAWN, dots, limits
from .plane import INTERVALS


def against_players(ranking: pd.DataFrame, best: pd.DataFrame, who: str = "people") -> str:
    """Imitability of every target against the best automatic player's skill, `best_player`'s.

    `who` played: people, or simulated players.
    """
    table = ranking.loc[best.index]
    over, under = above(ranking, best), below(ranking, best)
    looks = (
        (over, ACCENT, f"{who} better"),
        (~over & ~under, SOFT, "not told apart"),
        (under, SECOND, "player better"),
    )
    said = f"{who.capitalize()} against the best automatic player: " + ", ".join(
        f"{int(part.sum())} {name}" for part, _, name in looks
    )
    few = len(table) <= INTERVALS
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.2, 5.6))
        axes = figure.subplots()
        tails = ("_low", "_high") if few else ("",)
        x = limits(best["skill"], least=-0.1, most=0.7)
        y = limits(*(table["imitability" + tail] for tail in tails), least=-0.2, most=0.7)
        axes.set(xlim=x, ylim=y)
        ends = (max(x[0], y[0]), min(x[1], y[1]))
        axes.plot(ends, ends, color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)))
        for part, colour, name in looks:
            some, skills = table[part], best.loc[part, "skill"]
            if few:
                axes.vlines(skills, some["imitability_low"], some["imitability_high"], color=colour, lw=0.8, alpha=0.4)
            size = 5.5 if few else 3.6 if len(table) <= DRAWN * 2 else 2.0
            dots(axes, skills, some["imitability"], colour=colour, size=size, label=f"{name} ({len(some):,})")
        axes.set_xlabel("best automatic player: held-out skill")
        axes.set_ylabel(f"imitability: held-out skill of {who}")
        figure.legend(loc="outside upper left", ncols=3, handletextpad=0.2, columnspacing=1.2)
        return svg(figure, key="players", title=f"{who.capitalize()} against automatic players", said=said + ".")
