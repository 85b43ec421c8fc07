"""People beside automatic players: what a ranking says of targets that simple rules do not imitate."""

from __future__ import annotations

import pandas as pd

PREFIX = "baseline_"
"""How the columns begin that hold the held-out skill of an automatic player."""
PER_LEVEL = [f"{PREFIX}readings", f"{PREFIX}bigram_readings"]
"""Of players who go by what a level shows: means over all levels of a campaign."""


def over_levels(ranking: pd.DataFrame) -> bool:
    """Whether some player's skill is a mean over levels, so that people of one level cannot be set beside it."""
    return bool(ranking.reindex(columns=PER_LEVEL).notna().any(axis=None))


def players_of(table: pd.DataFrame) -> list[str]:
    """The columns of a table that hold automatic players' skills."""
    return [str(name) for name in table if str(name).startswith(PREFIX)]


def best_player(ranking: pd.DataFrame) -> pd.DataFrame | None:
    """`skill` and `player` of the best automatic player on each target, by the ranking's index; None without any.

    Targets on which none played are left out.
    """
    skills = ranking[players_of(ranking)].apply(pd.to_numeric, errors="coerce").dropna(how="all")
    if skills.empty:
        return None
    names = skills.idxmax(axis=1).str.removeprefix(PREFIX)
    return pd.DataFrame({"skill": skills.max(axis=1), "player": names})


def above(ranking: pd.DataFrame, best: pd.DataFrame) -> pd.Series[bool]:
    """Which targets people imitate better than the best automatic player, the whole interval of imitability."""
    found: pd.Series[bool] = ranking.loc[best.index, "imitability_low"] > best["skill"]
    return found


def below(ranking: pd.DataFrame, best: pd.DataFrame) -> pd.Series[bool]:
    """Which targets the best automatic player imitates better than people, the whole interval."""
    found: pd.Series[bool] = ranking.loc[best.index, "imitability_high"] < best["skill"]
    return found
