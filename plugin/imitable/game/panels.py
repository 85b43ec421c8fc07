"""What is shown beside a text at the levels beyond `examples`: other units by letters, never by name.

Readings are part of a question, as its text is: no truth is among them, and no other target's activation.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from imitable.game.views import Meter, Readings
from imitable.rounds import CONSULT, REST, TOKEN
from imitable.store import Quick, Store, insert_once, tables

_LOOKED = Quick(
    select(tables.looks.c.place).where(tables.looks.c.round_id == bindparam("round")).order_by(tables.looks.c.place)
)
_CONSULTED = Quick(
    select(tables.rounds.c.trial, tables.rounds.c.item_id, tables.looks.c.place)
    .join(tables.looks, tables.looks.c.round_id == tables.rounds.c.round_id)
    .where(tables.rounds.c.episode_id == bindparam("episode"))
    .order_by(tables.rounds.c.trial, tables.looks.c.place)
)


@dataclass(frozen=True)
class Panel:
    """The gauges of one target at one level, and what they show at each of its items."""

    level: str
    gauges: tuple[tuple[str, str, tuple[float, ...]], ...]
    """By place: letter (empty for `token` and `rest`), why it is there, weights."""
    values: Mapping[str, Sequence[Sequence[float]]]
    """By item, by gauge."""

    def at(self, item_id: str, *, looked: Collection[int], looks: int) -> Readings:
        """What is shown at an item. `looked`: places that were asked for, of `looks` that may be, at level consult."""
        values = self.values.get(item_id) or self._elsewhere(item_id)
        asking = self.level == CONSULT
        meters = tuple(
            Meter(letter, group, None if asking and place not in looked else row[0], weights, tuple(row[1:]))
            for place, ((letter, group, weights), row) in enumerate(zip(self.gauges, values, strict=True))
        )
        sums = tuple(round(sum(column), 2) + 0.0 for column in zip(*(meter.adds for meter in meters), strict=True))
        return Readings(self.level, meters, sums, max(0, looks - len(looked)) if asking else None)

    def _elsewhere(self, item_id: str) -> Sequence[Sequence[float]]:
        """For an attention check, which no model has read and which must not stand out: what another text has."""
        items = sorted(self.values)
        return self.values[items[int(hashlib.sha256(item_id.encode()).hexdigest(), 16) % len(items)]]


def read_panels(store: Store) -> dict[tuple[str, str], Panel]:
    """By target and level."""
    gauges: dict[tuple[str, str], list[Any]] = defaultdict(list)
    values: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    of_items = tables.items.c
    query = select(of_items.target_id, tables.readings).join(
        tables.items, of_items.item_id == tables.readings.c.item_id
    )
    with store.read() as connection:
        for row in connection.execute(select(tables.gauges).order_by("target_id", "level", "place")):
            mine = gauges[row.target_id, row.level]
            units = sum(bool(letter) for letter, _, _ in mine)
            letter = "" if row.chosen_by in (TOKEN, REST) else chr(ord("A") + units)
            mine.append((letter, row.chosen_by, tuple(row.weights)))
        if gauges:
            for row in connection.execute(query):
                values[row.target_id, row.level][row.item_id] = row.values
    return {key: Panel(key[1], tuple(each), values[key]) for key, each in gauges.items()}


def looked_at(connection: Connection, round_id: str) -> tuple[int, ...]:
    """The gauges that were asked for in a round, by place."""
    return tuple(row.place for row in _LOOKED.all(connection, {"round": round_id}))


def consulted(connection: Connection, episode_id: str) -> dict[int, tuple[str, list[int]]]:
    """The rounds of an episode in which gauges were asked for, by trial: their item, and the gauges by place."""
    found: dict[int, tuple[str, list[int]]] = {}
    for row in _CONSULTED.all(connection, {"episode": episode_id}):
        found.setdefault(row.trial, (row.item_id, []))[1].append(row.place)
    return found


def look(connection: Connection, panel: Panel, round_id: str, place: str, *, looks: int, now: datetime) -> bool:
    """Record that a gauge was asked for. False where there is no such one, or no look is left.

    The caller has locked the sitting, and seen that this round is the one that is being asked.
    """
    at = {str(at): at for at in range(len(panel.gauges))}.get(place)
    if at is None:
        return False
    seen = looked_at(connection, round_id)
    if at in seen or len(seen) >= looks:
        return at in seen
    return insert_once(connection, tables.looks, {"round_id": round_id, "place": at, "looked_at": now})
