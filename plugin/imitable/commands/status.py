"""`imitable status`: where a campaign is, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, exists, func, or_, select

from imitable.campaign import open_folder
from imitable.commands.closed import closed_on
from imitable.commands.next_step import next_step
from imitable.commands.places import places
from imitable.money.budget import Standing, standing
from imitable.store import open_store, tables


@dataclass(frozen=True)
class Status:
    """Counts of a campaign, and the next action in words."""

    campaign: str
    targets: int
    places: dict[str, tuple[int, int]]
    """Places filled and places in all, by platform: finished episodes over all targets and levels."""
    links: int
    sittings: int
    episodes_finished: int
    episodes_open: int
    guesses: int
    planned: int
    """Targets that a plan names (`imitable assign`); 0 without a plan."""
    planned_share: float
    """Of a sitting's later episodes that the plan gives to them, 0 to 1, while all have places left."""
    closed: dict[str, datetime]
    """Where recruiting is stopped, and since when."""
    money: Standing
    next_step: str
    also: tuple[str, ...]
    """What else there is to do meanwhile: each a command, and what it is for."""


def _came() -> ColumnElement[bool]:
    """Sittings whose annotator came: those that are only reserved have episodes, and none of them begun."""
    mine = tables.sitting_episodes.c
    of_it = mine.sitting_id == tables.sittings.c.sitting_id
    begun = exists().where(of_it, mine.episode_id == tables.episodes.c.episode_id, tables.BEGUN)
    return or_(~exists().where(of_it), begun)


def status(directory: Path) -> Status:
    """Look at a campaign's folder and store. Changes nothing but the database's schema, if that is old."""
    folder = open_folder(directory)
    store = open_store(folder)
    try:
        with store.read() as connection:

            def count(table: object, *where: object) -> int:
                query = select(func.count()).select_from(table).where(*where)  # type: ignore[arg-type]
                return int(connection.execute(query).scalar_one())

            targets = count(tables.targets)
            links = count(tables.links)
            sittings = count(tables.sittings, _came())
            money = standing(connection, folder)
            finished = count(tables.episodes, tables.episodes.c.completed_at.is_not(None))
            begun = count(tables.episodes, tables.BEGUN)
            cells = targets * len(folder.config.episode.levels)
            filled = {one.platform: (one.filled(), cells * one.wanted) for one in places(connection, folder)}
            step, closed = next_step(connection, folder, filled, owing=money.owed.minor > 0), closed_on(connection)
            guesses = count(tables.guesses)
            planned = tables.planned.c
            query = select(func.count(planned.target_id.distinct()), func.sum(planned.probability))
            named, share = connection.execute(query).one()
    finally:
        store.close()
    return Status(
        campaign=folder.config.campaign.name,
        targets=targets,
        places=filled,
        links=links,
        sittings=sittings,
        episodes_finished=finished,
        episodes_open=begun - finished,
        guesses=guesses,
        planned=int(named),
        planned_share=min(1.0, float(share or 0.0)),
        closed=closed,
        money=money,
        next_step=step.now,
        also=step.also,
    )
