"""episodes.csv: one row for each episode, and which of them were played to their end."""

from __future__ import annotations

import pandas as pd


def finished(episodes: pd.DataFrame, episodes_played: pd.DataFrame | None) -> pd.Series[bool]:
    """By episode_id: what episodes_played.csv says; without it, whether it has as many rounds as is usual."""
    table = episodes.set_index("episode_id")
    name = "n_held_out" if (table["n_held_out"] > 0).any() else "n_practice"
    counts = table.loc[table[name] > 0, name]
    usual = int(counts.mode().max()) if len(counts) else 0
    done = table[name] >= usual
    if episodes_played is not None and "completed" in episodes_played:
        said = table.index.to_series().map(episodes_played.set_index("episode_id")["completed"])
        done = done.where(said.isna(), said.isin([True]))
    return done.astype(bool)


def episode_table(episodes: pd.DataFrame, done: pd.Series[bool]) -> pd.DataFrame:
    """episodes.csv from the episodes' sums (`statistics.Statistics.episodes`)."""
    names = ["episode_id", "annotator_id", "target_id", "level", "n_practice", "n_held_out"]
    table = episodes[names].assign(completed=episodes["episode_id"].map(done).astype(bool))
    return table.assign(**{name: episodes[name] for name in ("start", "held_out", "mean_skill")})
