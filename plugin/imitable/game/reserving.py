"""Episodes that are planned before anybody plays: for platforms that keep tasks, where each is made for its annotator.

A reserved sitting has its places and items from the day it is published. It begins, with consent, when its annotator
does; until then no round of it was shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import Connection, and_, delete, select

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game import toy
from imitable.game.assignment import assign_next
from imitable.game.content import Content, Unit
from imitable.game.hosts import Entry
from imitable.game.sessions import open_sitting
from imitable.rounds.episodes import Phase
from imitable.store import Store, tables


@dataclass(frozen=True)
class ReservedRound:
    """One round of a reserved episode, with nothing that tells its truth."""

    round_id: str
    trial: int
    phase: Phase
    item_id: str


@dataclass(frozen=True)
class Reserved:
    """An episode that waits for its annotator."""

    episode_id: str
    sitting_id: str
    place: int
    """Of the episode in its sitting, from 0."""
    name: str
    """What the platform calls the annotator."""
    target_id: str
    level: str
    rounds: tuple[ReservedRound, ...]
    """In the order of their trials."""


def reserve(
    store: Store,
    folder: Folder,
    content: Content,
    *,
    platform: str,
    names: Sequence[str],
    share_items: bool,
    now: datetime,
    dry_run: bool = False,
    instead: bool = False,
) -> list[Reserved]:
    """A sitting for each of these annotators, planned to its end, or the one that was planned before.

    With `instead`, plans for anybody else of whom no task stands anywhere, and who has not begun, make room for them.
    Unless `share_items`, no item of a unit is given to two annotators of this platform. Who was forgotten gets none.
    With `dry_run` nothing is kept. Raises PlatformError, and keeps nothing, when the pools are too small for that, with
    the sizes needed, and when items that are yet to be guessed were shared before.
    """
    with store.write() as connection:
        # Held to the end: who plans at the same moment would read the same items as not yet given.
        connection.execute(select(tables.campaigns.c.campaign_id).with_for_update()).all()
        if instead:
            _make_room(connection, platform, names)
        given = None if share_items else _given(connection, content, platform)
        gone = forgotten(connection, folder, platform, names)
        names = [name for name in names if name not in gone]
        for name in names:
            _reserve_one(connection, folder, content, Entry(platform, name, name, proven=True), given, now)
        made = reserved(connection, platform=platform)
        if given is not None:
            _refuse_shared(connection, content, platform)
            _refuse_small_pools(folder, content, platform, names, made)
        if dry_run:
            connection.rollback()
    return [one for one in made if one.name in names]


def _make_room(connection: Connection, platform: str, names: Sequence[str]) -> None:
    """Drop the plans of open sittings, but for these annotators, that have no task and were not begun."""
    of, sittings = tables.sitting_episodes.c, tables.sittings.c
    sent = select(of.sitting_id).join(tables.tasks, tables.tasks.c.episode_id == of.episode_id)
    begun = select(of.sitting_id).join(tables.episodes, tables.episodes.c.episode_id == of.episode_id)
    idle = (
        select(of.episode_id, tables.identities.c.platform_id)
        .join(tables.sittings, sittings.sitting_id == of.sitting_id)
        .join(tables.identities, tables.identities.c.annotator_id == sittings.annotator_id)
        .where(sittings.platform == platform, sittings.ended_at.is_(None))
        .where(of.sitting_id.not_in(sent), of.sitting_id.not_in(begun.where(tables.BEGUN)))
    )
    dropped = [row.episode_id for row in connection.execute(idle) if row.platform_id not in names]
    for table in (tables.rounds, tables.sitting_episodes, tables.episodes):
        connection.execute(delete(table).where(table.c.episode_id.in_(dropped)))


def forgotten(connection: Connection, folder: Folder, platform: str, names: Sequence[str]) -> set[str]:
    """Those of a platform's annotators who were erased: whoever comes by that name again is not invited."""
    erased = select(tables.identities.c.annotator_id).where(tables.identities.c.platform == platform, tables.ERASED)
    gone = set(connection.execute(erased).scalars())
    return {name for name in names if folder.annotator_id(platform, name) in gone}


def _given(connection: Connection, content: Content, platform: str) -> set[str]:
    """Every question that stands in a plan of somebody of this platform."""
    items = connection.execute(
        select(tables.rounds.c.item_id)
        .join(tables.episodes, tables.episodes.c.episode_id == tables.rounds.c.episode_id)
        .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
        .where(tables.identities.c.platform == platform, tables.rounds.c.phase != "check")
    )
    return {content.asked(item) for item in items.scalars()}


def _refuse_shared(connection: Connection, content: Content, platform: str) -> None:
    """Raise PlatformError when somebody has yet to guess what another plan holds too: its answer may stand there."""
    waits = and_(tables.guesses.c.trial.is_(None), tables.sittings.c.ended_at.is_(None))
    planned = (
        select(tables.rounds.c.item_id, tables.episodes.c.annotator_id, waits.label("waits"))
        .join(tables.episodes, tables.episodes.c.episode_id == tables.rounds.c.episode_id)
        .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
        .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.episodes.c.episode_id)
        .join(tables.sittings, tables.sittings.c.sitting_id == tables.sitting_episodes.c.sitting_id)
        .outerjoin(tables.guesses, tables.OF_ROUND)
        .where(tables.identities.c.platform == platform, tables.rounds.c.phase != "check")
    )
    people, waiting = defaultdict(set), set()
    for row in connection.execute(planned):
        question = content.asked(row.item_id)
        people[question].add(row.annotator_id)
        if row.waits:
            waiting.add(question)
    if found := sum(len(people[question]) > 1 for question in waiting):
        raise PlatformError(
            f"{found} items that are yet to be guessed were given to more than one annotator, and what is revealed to "
            "one could now be read by all. Nothing was made. Set proxied and mode back to what they were when this was "
            "published, or make a campaign of its own: imitable new DIR"
        )


def _reserve_one(
    connection: Connection, folder: Folder, content: Content, entry: Entry, given: set[str] | None, now: datetime
) -> None:
    sitting_id, _new = open_sitting(connection, folder, entry, consent_version="", tutorial_step=toy.ROUNDS, now=now)
    annotator_id = folder.annotator_id(entry.platform, entry.platform_id)
    while assign_next(
        connection,
        folder,
        content,
        sitting_id=sitting_id,
        annotator_id=annotator_id,
        platform=entry.platform,
        now=now,
        lasting=True,
        given=given,
    ):
        pass


def reserved(connection: Connection, *, platform: str, sittings: Sequence[str] | None = None) -> list[Reserved]:
    """The reserved episodes of a platform, or of these sittings of it, in the order of annotators and places."""
    only = [] if sittings is None else [tables.sitting_episodes.c.sitting_id.in_(sittings)]
    episodes, rounds = tables.episodes.c, tables.rounds.c
    found = connection.execute(
        select(
            episodes.episode_id,
            tables.sitting_episodes.c.sitting_id,
            tables.sitting_episodes.c.place,
            tables.identities.c.platform_id,
            episodes.target_id,
            episodes.level,
            rounds.round_id,
            rounds.trial,
            rounds.phase,
            rounds.item_id,
        )
        .select_from(tables.episodes)
        .join(tables.identities, tables.identities.c.annotator_id == episodes.annotator_id)
        .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == episodes.episode_id)
        .join(tables.rounds, rounds.episode_id == episodes.episode_id)
        .where(tables.identities.c.platform == platform, *only)
        .order_by(tables.identities.c.platform_id, tables.sitting_episodes.c.place, rounds.trial)
    ).all()
    made = []
    for _, group in groupby(found, key=lambda row: row.episode_id):
        rows = list(group)
        first = rows[0]
        asked = tuple(ReservedRound(row.round_id, row.trial, row.phase, row.item_id) for row in rows)
        made.append(Reserved(*first[:6], asked))
    return made


def _refuse_small_pools(
    folder: Folder, content: Content, platform: str, names: Sequence[str], made: Sequence[Reserved]
) -> None:
    """Raise PlatformError when somebody has too few episodes although a target has places left: for want of items."""
    config = folder.config
    wanted = config.platform.annotators_per_target(platform) * len(config.episode.levels)
    held = Counter(one.target_id for one in made)
    open_units = {target.unit for name, target in content.targets.items() if held[name] < wanted}
    played: dict[str, set[Unit]] = {name: set() for name in names}
    for one in made:
        if not one.name.startswith(tables.FORGOTTEN):
            played.setdefault(one.name, set()).add(content.targets[one.target_id].unit)
    if all(len(mine) >= config.sitting.episodes or open_units <= mine for mine in played.values()):
        return
    most = min(wanted, len(played))
    pool, practice, held_out = config.episode.pool, most * config.episode.practice, most * config.episode.held_out
    larger = f"pool = {{ practice = {max(practice, pool.practice)}, held_out = {max(held_out, pool.held_out)} }}"
    mend = f"Set [episode] {larger} and build again"
    if practice <= pool.practice and held_out <= pool.held_out:
        mend = "The build found fewer items than [episode] pool asks for: give it more texts ([corpus]) and build again"
    raise PlatformError(
        f"The pools are too small for {len(played)} annotators: what was revealed to one can be read by all, so no "
        f"item of a target may go to two of them. Nothing was made. {mend}, invite fewer annotators, or lower "
        "annotators_per_target; where a proxy hides the tasks of others, set proxied = true."
    )
