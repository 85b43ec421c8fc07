"""What was shown beside the texts at levels beyond `examples`, and what was looked up there, round by round.

Nothing is stored for the first: once an episode has begun no build replaces the one that its readings came from, so
that what a round showed can be said for good, by the very function that showed it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, or_, select

from imitable.game.panels import Panel, read_panels
from imitable.rounds import CONSULT
from imitable.store import Store, tables

if TYPE_CHECKING:
    import pandas as pd

Panels = dict[tuple[str, str], Panel]
"""By target and level."""

_PARTS = 2
"""Parts that a table of weights may have: a gated neuron has two."""


def beside(store: Store, connection: Connection) -> dict[str, pd.DataFrame]:
    """The tables `readings` and `looks` of every round that was shown or answered; none where the build has no such
    level, and no `looks` where it has no level `consult`."""
    panels = read_panels(store)
    if not panels:
        return {}
    gauges = connection.execute(select(tables.gauges))
    named = {(row.target_id, row.level, row.place): row.unit or None for row in gauges}
    looks = _looks(connection, panels, named)
    asked: dict[tuple[str, int], list[int]] = {}
    for episode_id, trial, place in zip(looks["episode_id"], looks["trial"], looks["place"], strict=True):
        asked.setdefault((episode_id, trial), []).append(place)
    found = {"readings": _readings(connection, panels, named, asked)}
    return found | ({"looks": looks} if any(level == CONSULT for _, level in panels) else {})


def _readings(
    connection: Connection,
    panels: Panels,
    named: dict[tuple[str, str, int], str | None],
    asked: dict[tuple[str, int], list[int]],
) -> pd.DataFrame:
    """One row a reading that an annotator saw, as it stood on the page."""
    import pandas as pd

    rounds, episodes = tables.rounds.c, tables.episodes.c
    query = (
        select(rounds.episode_id, rounds.trial, rounds.item_id, episodes.target_id, episodes.level)
        .join(tables.episodes, episodes.episode_id == rounds.episode_id)
        .outerjoin(tables.guesses, tables.OF_ROUND)
        .where(or_(rounds.shown_at.is_not(None), tables.guesses.c.answered_at.is_not(None)))
        .order_by(rounds.episode_id, rounds.trial)
    )
    columns = ["episode_id", "trial", "place", "letter", "unit", "chosen_by", "reading"]
    columns += [f"{name}_{part + 1}" for part in range(_PARTS) for name in ("weight", "adds")]
    rows = []
    for row in connection.execute(query):
        panel = panels.get((row.target_id, row.level))
        if panel is None:
            continue
        shown = panel.at(row.item_id, looked=asked.get((row.episode_id, row.trial), ()), looks=0)
        for place, meter in enumerate(shown.meters):
            if meter.value is None:
                continue
            weights = meter.weights if meter.letter else ()
            sums = [
                each[part] if part < len(each) else None for part in range(_PARTS) for each in (weights, meter.adds)
            ]
            unit = named[row.target_id, row.level, place]
            reading = meter.value if meter.letter else None
            rows.append((row.episode_id, row.trial, place, meter.letter or None, unit, meter.group, reading, *sums))
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"trial": "int64", "place": "int64"} | dict.fromkeys(columns[6:], "float64"))


def _looks(connection: Connection, panels: Panels, named: dict[tuple[str, str, int], str | None]) -> pd.DataFrame:
    """One row a unit that was looked up, in the order in which that was done."""
    import pandas as pd

    rounds, episodes, looks = tables.rounds.c, tables.episodes.c, tables.looks.c
    query = (
        select(rounds.episode_id, rounds.trial, looks.place, looks.looked_at, episodes.target_id, episodes.level)
        .select_from(tables.looks)
        .join(tables.rounds, rounds.round_id == looks.round_id)
        .join(tables.episodes, episodes.episode_id == rounds.episode_id)
        .order_by(rounds.episode_id, rounds.trial, looks.looked_at, looks.place)
    )
    rows = []
    for row in connection.execute(query):
        letter, chosen_by, _ = panels[row.target_id, row.level].gauges[row.place]
        unit = named[row.target_id, row.level, row.place]
        at = f"{row.looked_at:%Y-%m-%dT%H:%M:%S.%fZ}"
        rows.append((row.episode_id, row.trial, row.place, letter, unit, chosen_by, at))
    frame = pd.DataFrame(rows, columns=["episode_id", "trial", "place", "letter", "unit", "chosen_by", "looked_at"])
    frame = frame.astype({"trial": "int64", "place": "int64"})
    frame.insert(2, "look", frame.groupby(["episode_id", "trial"]).cumcount() + 1)
    return frame
