"""From guesses to scored guesses, and to one row for each episode."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import scoring
from .errors import TableError

MIDDLE = (2, 4)
"""Feedbacks seen before a guess that stands for the middle of the learning curve (about three)."""


def scored(guesses: pd.DataFrame) -> pd.DataFrame:
    """The guesses that count (no attention checks), with their skill and their place on the learning curve.

    Added columns: `skill`; `seen`, how many truths of the episode were shown before; `at_start`, whether it is the
    episode's first practice guess, before any feedback; `at_middle`; `at_end`, whether it is held out.
    """
    checks = guesses["phase"] == "check"
    place = guesses.groupby("episode_id", sort=False)
    told = guesses["feedback"].astype("int64")
    frame = guesses.assign(
        skill=scoring.skill(guesses["guess"], guesses["truth"], guesses["l_ref"]),
        seen=told.groupby(guesses["episode_id"], sort=False).cumsum() - told,
        earlier=place.cumcount(),
    )[~checks]
    practice = frame["phase"] == "practice"
    first = ~frame["episode_id"].duplicated() & (frame["seen"] == 0) & (frame["earlier"] == frame["trial"] - 1)
    return frame.assign(
        at_start=practice & first,
        at_middle=practice & frame["seen"].between(*MIDDLE),
        at_end=frame["phase"] == "held_out",
    ).reset_index(drop=True)


def at_level(rows: pd.DataFrame, level: str | None) -> pd.DataFrame:
    """The scored guesses made at one level, or all of them."""
    if level is None:
        return rows
    if not (rows["level"] == level).any():
        present = ", ".join(sorted(str(name) for name in rows["level"].unique()))
        raise TableError(f"no guess was made at the level {level!r}", remedy=f"choose one of {present}", field="level")
    return rows[rows["level"] == level].reset_index(drop=True)


def episode_table(rows: pd.DataFrame, episodes_played: pd.DataFrame | None) -> pd.DataFrame:
    """episodes.csv from scored guesses; without episodes_played.csv, finished means as many rounds as is usual."""
    by_episode = rows.groupby("episode_id", sort=True)
    table = by_episode[["annotator_id", "target_id", "level"]].first()
    table["n_practice"] = (rows["phase"] == "practice").groupby(rows["episode_id"]).sum().astype("int64")
    table["n_held_out"] = rows["at_end"].groupby(rows["episode_id"]).sum().astype("int64")
    table["completed"] = _finished(table)
    if episodes_played is not None and "completed" in episodes_played:
        said = table.index.to_series().map(episodes_played.set_index("episode_id")["completed"])
        table["completed"] = np.where(said.isna(), table["completed"], said.isin([True])).astype(bool)
    table["start"] = rows["skill"].where(rows["at_start"]).groupby(rows["episode_id"]).mean()
    table["held_out"] = rows["skill"].where(rows["at_end"]).groupby(rows["episode_id"]).mean()
    table["mean_skill"] = by_episode["skill"].mean()
    return table.reset_index()


def _finished(table: pd.DataFrame) -> pd.Series[bool]:
    """As many held-out (else practice) guesses as most episodes have."""
    name = "n_held_out" if (table["n_held_out"] > 0).any() else "n_practice"
    counts = table.loc[table[name] > 0, name]
    usual = int(counts.mode().max()) if len(counts) else 0
    return table[name] >= usual
