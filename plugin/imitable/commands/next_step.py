"""What a runner does next: it follows from the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Table, exists, func, select

from imitable.campaign import Folder
from imitable.commands.closed import closed_on
from imitable.commands.collect import COLLECTED
from imitable.commands.offered import published_on
from imitable.game.label_studio import names
from imitable.money.earned import earned
from imitable.platforms.by_hand import BY_HAND
from imitable.platforms.label_studio.desks import FILE
from imitable.store import tables
from imitable.store.money_tables import obligations

_OWN = ("web", "simulated")
"""Platforms that know nothing which our record does not."""


@dataclass(frozen=True)
class NextStep:
    """What a runner does next, and what else there is to do meanwhile."""

    now: str
    also: tuple[str, ...] = ()
    """Each a command, and what it is for."""


def next_step(
    connection: Connection, folder: Folder, places: Mapping[str, tuple[int, int]], *, owing: bool
) -> NextStep:
    """What comes next in a campaign whose platforms have these places: filled, and in all.

    `owing`: whether its books say that something is owed.
    """
    here = folder.path
    if not _count(connection, tables.targets):
        return NextStep(f"imitable build {here}")
    published, closed = published_on(connection), closed_on(connection).keys()
    missing = {platform: whole - done for platform, (done, whole) in places.items() if done < whole}
    guesses = _count(connection, tables.guesses)
    also = []
    by_hand = {names.PLATFORM} if _by_hand(connection) else set()
    if guesses and published - set(_OWN) - by_hand and _not_collected(connection, folder):
        also.append(f"imitable collect {here} says in what the platforms differ from our record")
    if owing or _earned_since(connection, folder):
        also.append(f"imitable pay {here} says who is owed what, and why")
    if guesses and published & missing.keys() - closed:
        also.append(f"imitable close {here} stops recruiting before every place is filled")
    if guesses and names.PLATFORM in published - closed and (more := _more_accounts(connection, folder, missing)):
        also.append(f"{more} for places that wait for nobody yet")
    ranked = f"imitable export {here} --out OUT, then imitable rank OUT --out RESULTS"
    if published and published <= closed:
        step = ranked if guesses else "nobody played; imitable publish opens it again"
        return NextStep(f"recruiting is closed: {step}", tuple(also))
    step = _in_label_studio(connection, folder, missing, played=guesses > 0, alone=places.keys() <= {names.PLATFORM})
    step = step or _anywhere(connection, folder, places, missing, played=guesses > 0, ranked=ranked)
    return NextStep(step, tuple(also))


def _anywhere(
    connection: Connection,
    folder: Folder,
    places: Mapping[str, tuple[int, int]],
    missing: Mapping[str, int],
    *,
    played: bool,
    ranked: str,
) -> str:
    here, links = folder.path, _count(connection, tables.links)
    if not places:
        return f"imitable publish {here} --platform web"
    if not played:
        return f"imitable serve {here}, and " + ("send people their links" if links else "invite as it says")
    if not missing:
        return ranked
    of_links = tables.sittings.c.platform.in_(select(tables.links.c.platform))
    if list(missing) == ["web"] and _count(connection, tables.sittings, of_links) >= links > 0:
        more = links + -(-missing["web"] // folder.config.sitting.episodes)
        return f"all links were used: imitable publish {here} --links {more}, or {ranked.replace(', then', ' and')}"
    return f"imitable serve {here} for the places left; any time: imitable export {here} --out OUT"


def _in_label_studio(
    connection: Connection, folder: Folder, missing: Mapping[str, int], *, played: bool, alone: bool
) -> str:
    """What is to be done about its tasks; empty where there is nothing that is peculiar to them."""
    here, settings = folder.path, folder.config.platform.label_studio
    by_hand = tables.tasks.c.platform == BY_HAND
    guesses = tables.guesses.c
    read_back = exists().where(guesses.episode_id == tables.tasks.c.episode_id, guesses.trial == tables.tasks.c.trial)
    if _count(connection, tables.tasks, by_hand):
        first = "" if played else "upload the files as what lies beside them says, let people play, then "
        waiting = (missing or not played) and _count(connection, tables.tasks, by_hand, ~read_back)
        return f"{first}imitable collect {here} --from-file FILE" if waiting else ""
    if settings is None:
        return ""
    ours = tables.tasks.c.platform == names.PLATFORM
    lost = _count(connection, tables.tasks, ours, tables.tasks.c.external_id.is_(None))
    there = _count(connection, tables.tasks, ours) - lost
    publish = f"imitable publish {here} --platform {names.PLATFORM}"
    serve = "" if settings.mode == "plain" else f"imitable serve {here}, and beside it "
    if lost:
        return f"{serve}{publish}: the last time broke off, and nothing is made twice"
    if not there:
        return f"{serve}{publish}" if alone else ""
    if alone and not played:
        running = f"send each person the address in {here / FILE}"
        return f"{running}, and later imitable collect {here}" if not serve else f"imitable serve {here}, and {running}"
    if list(missing) == [names.PLATFORM] and not _waiting(connection):
        more = _more_accounts(connection, folder, missing)
        return f"all tasks were played: {more}; or, as it is: imitable export {here} --out OUT"
    return ""


def _more_accounts(connection: Connection, folder: Folder, missing: Mapping[str, int]) -> str:
    """How to invite as many as its places need beyond those who have tasks; empty where they are enough."""
    settings = folder.config.platform.label_studio
    left = missing.get(names.PLATFORM, 0) - _waiting(connection)
    if settings is None or left <= 0:
        return ""
    more = -(-left // folder.config.sitting.episodes)
    publish = f"imitable publish {folder.path} --platform {names.PLATFORM}"
    if there := _by_hand(connection):
        publish += " --files OUT"
        if not settings.accounts:
            return f"{publish} --links {there + more}"
    where = f"to {folder.path / settings.accounts}" if settings.accounts else "in Label Studio"
    return f"add {more} account{'s'[: more != 1]} {where}, then {publish}"


def _by_hand(connection: Connection) -> int:
    """Annotators of Label Studio whose tasks were written to files."""
    episodes, sittings = tables.sitting_episodes.c, tables.sittings.c
    query = (
        select(func.count(sittings.sitting_id.distinct()))
        .join(tables.sitting_episodes, episodes.sitting_id == sittings.sitting_id)
        .join(tables.tasks, tables.tasks.c.episode_id == episodes.episode_id)
        .where(sittings.platform == names.PLATFORM, tables.tasks.c.platform == BY_HAND)
    )
    return int(connection.execute(query).scalar_one())


def _waiting(connection: Connection) -> int:
    """Episodes that were planned for somebody in Label Studio and can still be played."""
    of_it = tables.sitting_episodes
    query = (
        select(func.count())
        .select_from(tables.episodes)
        .join(of_it, of_it.c.episode_id == tables.episodes.c.episode_id)
        .join(tables.sittings, tables.sittings.c.sitting_id == of_it.c.sitting_id)
        .where(tables.sittings.c.platform == names.PLATFORM, tables.sittings.c.ended_at.is_(None))
        .where(tables.episodes.c.completed_at.is_(None))
    )
    return int(connection.execute(query).scalar_one())


def _not_collected(connection: Connection, folder: Folder) -> bool:
    """Whether somebody was answered since the platforms were last asked."""
    last = connection.execute(select(func.max(tables.guesses.c.answered_at))).scalar()
    try:
        asked = datetime.fromtimestamp((folder.path / COLLECTED).stat().st_mtime, UTC)
    except OSError:
        return True
    return last is not None and last > asked


def _earned_since(connection: Connection, folder: Folder) -> bool:
    """Whether a sitting that is over, and of which the books say nothing yet, earned anything."""
    sittings = tables.sittings.c
    decided = exists().where(obligations.c.sitting_id == sittings.sitting_id)
    query = select(sittings.sitting_id).where(
        sittings.ended_at.is_not(None), sittings.platform != "simulated", ~decided
    )
    new = set(connection.execute(query).scalars())
    return bool(new) and any(one.amount.minor and one.sitting_id in new for one in earned(connection, folder))


def _count(connection: Connection, table: Table, *where: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())
