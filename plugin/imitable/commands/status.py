"""`imitable status`: where a campaign is, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, exists, func, or_, select

from imitable.campaign import open_folder
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
    money: Standing
    next_step: str


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
            reserved = count(tables.sittings)
            money = standing(connection, folder)
            finished = count(tables.episodes, tables.episodes.c.completed_at.is_not(None))
            begun = count(tables.episodes, tables.BEGUN)
            by_link = count(tables.sittings, tables.sittings.c.platform.in_(select(tables.links.c.platform)))
            offered = places(connection, folder)
            guesses = count(tables.guesses)
            planned = tables.planned.c
            query = select(func.count(planned.target_id.distinct()), func.sum(planned.probability))
            named, share = connection.execute(query).one()
    finally:
        store.close()
    config = folder.config
    cells = targets * len(config.episode.levels)
    filled = {one.platform: (one.filled(), cells * one.wanted) for one in offered}
    missing = {platform: whole - done for platform, (done, whole) in filled.items() if done < whole}
    if targets == 0:
        step = f"imitable build {directory}"
    elif not offered:
        step = f"imitable publish {directory} --platform web"
    elif [one.platform for one in offered] == ["label-studio"] and reserved == 0:
        step = f"imitable serve {directory}, and beside it imitable publish {directory} --platform label-studio"
    elif guesses == 0:
        step = f"imitable serve {directory}, and " + ("send people their links" if links else "invite as it says")
    elif not missing:
        step = f"imitable export {directory} --out OUT, then imitable rank OUT --out RESULTS"
    elif list(missing) == ["web"] and by_link >= links > 0:
        more = links + -(-missing["web"] // config.sitting.episodes)
        step = (
            f"all links were used: imitable publish {directory} --links {more}, or imitable export {directory} --out "
            "OUT and imitable rank OUT --out RESULTS"
        )
    else:
        step = f"imitable serve {directory} for the places left; any time: imitable export {directory} --out OUT"
    return Status(
        campaign=config.campaign.name,
        targets=targets,
        places=filled,
        links=links,
        sittings=sittings,
        episodes_finished=finished,
        episodes_open=begun - finished,
        guesses=guesses,
        planned=int(named),
        planned_share=min(1.0, float(share or 0.0)),
        money=money,
        next_step=step,
    )
