"""The numbers behind a figure as a table of printed cells, for who reads with the ears or wants to copy them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from . import figures
from .sentences import skill

MOST = 60
"""Contrasts that are printed."""


@dataclass(frozen=True)
class Printed:
    """Cells as they are printed; the first of a row names it."""

    columns: list[str]
    rows: list[list[str]]


def learning(curve: pd.DataFrame) -> Printed:
    """The learning curve with its bands (`figures.with_band`)."""
    rows = [
        [
            f"{figures.PHASE_NAMES[str(row['phase'])]}, trial {row['trial']}",
            f"{row['n']:,}",
            skill(row["mean"]),
            f"{skill(row['low'])} to {skill(row['high'])}",
        ]
        for row in curve.to_dict(orient="records")
    ]
    return Printed(["", "annotators", "mean skill", "interval"], rows)


def crowd(curve: pd.DataFrame) -> Printed:
    """Skill by the size of the crowd (`Crowd.curve`)."""
    rows = [
        [f"{row['size']:.0f}", skill(row["skill"]), f"{skill(row['low'])} to {skill(row['high'])}", skill(row["plain"])]
        for row in curve.to_dict(orient="records")
    ]
    return Printed(["guesses on an item", "pooled", "interval", "plain mean"], rows)


def calibration(singles: pd.DataFrame | None, pooled: pd.DataFrame | None, coverage: float) -> Printed:
    """Truth by class of what was said."""
    rows = []
    for name, said, table in (("a guess", "guess", singles), ("the crowd", "crowd", pooled)):
        if table is None:
            continue
        for row in figures.by_height(table[said], table["truth"], coverage).to_dict(orient="records"):
            span = f"{skill(row['low'])} to {skill(row['high'])}"
            rows.append([name, skill(row["said"]), skill(row["mean"]), span, f"{row['n']:,}"])
    return Printed(["", "said", "mean truth", "truths between", "number"], rows)


def levels(table: pd.DataFrame | None) -> Printed:
    """Mean imitability by level (`ranking.by_level`)."""
    rows = [
        [
            str(row["level"]),
            f"{row['n_episodes']:,}",
            skill(row["imitability"]),
            f"{skill(row['imitability_low'])} to {skill(row['imitability_high'])}",
        ]
        for row in ([] if table is None else table.to_dict(orient="records"))
    ]
    return Printed(["level", "episodes", "imitability", "interval"], rows)


def groups(table: pd.DataFrame | None) -> Printed:
    """The first contrasts of groups.csv."""
    rows = []
    for row in [] if table is None else table.head(MOST).to_dict(orient="records"):
        name = f"{row['factor']}: {row['level_a']} − {row['level_b']}"
        population = str(row["population"]).replace("_", " ")
        span = f"{skill(row['low'])} to {skill(row['high'])}"
        cells = [skill(row["difference"]), span, skill(row["p_positive"]), f"{row['n_a']} and {row['n_b']}"]
        rows.append([name, str(row["estimand"]), population, *cells])
    return Printed(["", "of", "targets", "difference", "interval", "P(above 0)", "sizes"], rows)
