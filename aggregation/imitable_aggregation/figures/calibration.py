"""What was said against what was true: single guesses, and the crowd's predictions."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from imitable_aggregation.svg import ACCENT, SECOND, SOFT, STYLE, WIDE, svg

from .marks import limits

BINS = 10
"""Classes of what was said, of about equally many rows."""


def by_height(said: pd.Series[float], truth: pd.Series[float], coverage: float) -> pd.DataFrame:
    """Truth by class of what was said: `said` and `mean` (means), `low, high` (central `coverage`), `n`."""
    frame = pd.DataFrame({"said": said.to_numpy(), "truth": truth.to_numpy()}).sort_values(["said", "truth"])
    cuts = np.unique(frame["said"].quantile(np.arange(1, BINS) / BINS))
    by = frame.groupby(np.searchsorted(cuts, frame["said"], side="right"))
    tail = (1 - coverage) / 2
    return pd.DataFrame(
        {
            "said": by["said"].mean(),
            "mean": by["truth"].mean(),
            "low": by["truth"].quantile(tail),
            "high": by["truth"].quantile(1 - tail),
            "n": by.size(),
        }
    ).reset_index(drop=True)


def guess_and_truth(singles: pd.DataFrame | None, pooled: pd.DataFrame | None, coverage: float) -> str:
    """Truth against single guesses on the left, against the crowd's predictions on the right."""
    panels: list[tuple[str, str, pd.DataFrame]] = []
    if singles is not None and len(singles):
        panels.append(("single guesses", "guess", by_height(singles["guess"], singles["truth"], coverage)))
    if pooled is not None and len(pooled):
        panels.append(("the crowd", "crowd’s prediction", by_height(pooled["crowd"], pooled["truth"], coverage)))
    told = [
        f"{name}: where {table['said'].iloc[0]:.1f} was said, the truth is {table['mean'].iloc[0]:.1f} on average, and"
        f" {table['mean'].iloc[-1]:.1f} where {table['said'].iloc[-1]:.1f} was said"
        for name, _, table in panels
    ]
    tables = [table for _, _, table in panels]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDE if len(panels) > 1 else WIDE * 0.55, 3.7))
        grids = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        ends = limits(*(table[name] for table in tables for name in ("said", "low", "high")), least=0, most=10)
        for axes, (name, axis, table), colour in zip(grids, panels, (SECOND, ACCENT), strict=False):
            _panel(axes, table, colour, ends)
            axes.set_title(name, loc="left")
            axes.set_xlabel(f"{axis}, display units")
        grids[0].set_ylabel("truth, display units")
        return svg(figure, key="calibration", title="What was said against the truth", said="; ".join(told) + ".")


def _panel(axes: Axes, table: pd.DataFrame, colour: str, ends: tuple[float, float]) -> None:
    axes.plot(ends, ends, color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.vlines(table["said"], table["low"], table["high"], color=colour, linewidth=4, alpha=0.25)
    axes.plot(table["said"], table["mean"], "o-", color=colour, markersize=4.5, linewidth=1.4)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
