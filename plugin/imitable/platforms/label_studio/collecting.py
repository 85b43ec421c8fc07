"""What Label Studio says of the annotations: pulled since last time, and kept beside what it said first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from sqlalchemy import Connection, bindparam, distinct, func, insert, select, update

from imitable.game.label_studio import names
from imitable.game.play import LONGEST_EXPLANATION
from imitable.platforms import Progress
from imitable.platforms.label_studio.client import Row, Server, only
from imitable.platforms.label_studio.results import controls, rated, typed
from imitable.platforms.label_studio.sending import external_ids
from imitable.store import Store, insert_once, tables

OVERLAP = timedelta(minutes=10)
"""What was asked for last time is asked for again, this far back: what is written now may bear an earlier time."""

FIELDS = "id,updated_at,annotations,result,completed_by,updated_by,lead_time,was_cancelled"
_QUESTIONS = (names.FUN, names.INTEREST, names.EXPLANATION)
_IDS = 5000
"""Tasks of which only the ids are asked for, at a time."""


@dataclass(frozen=True)
class There:
    """What is in the project besides annotations."""

    gone: frozenset[str]
    """Keys of tasks that are no longer there."""
    strange: tuple[int, ...]
    """The server's ids of tasks that we did not make."""
    unreadable: tuple[int, ...]
    """Of annotations that the server cannot write down."""


def pull(server: Server, store: Store, project: int, progress: Progress) -> There:
    """Ask for everything that changed since the last pull, and note what is said of each annotation.

    All times are the server's: ours may be wrong by hours. What those wrote who were forgotten is left where it is.
    """
    with store.read() as connection:
        since = connection.execute(
            select(tables.pulls.c.up_to).where(tables.pulls.c.platform == names.PLATFORM)
        ).scalar()
    noted = external_ids(store)
    key_of = {number: key for key, number in noted.items()}
    answer = server.wire.get(f"/api/projects/{project}/")
    started, total = parsedate_to_datetime(answer.headers["date"]), int(answer.json()["task_number"])
    who = server.emails()
    filters = [] if since is None else [only("updated_at", "greater", "Datetime", _written(since - OVERLAP))]
    latest, unreadable, everything = since, [], set[int]()
    with progress("Collecting", total if since is None else 0) as advance:
        for rows in server.pages(project, include=FIELDS, whole=True, filters=filters):
            everything |= {row["id"] for row in rows}
            unreadable += [row for row in rows if row.get("unreadable")]
            with store.write() as connection:
                erased = _erased(connection)  # somebody may be forgotten meanwhile
                _note(connection, [row for row in rows if row["id"] in key_of and row["id"] not in erased], key_of, who)
            latest = max(filter(None, (latest, *(_time(row["updated_at"]) for row in rows))), default=None)
            advance(len(rows))
    if since is not None and total == len(key_of) and server.holds_all(project, key_of):
        everything = set(key_of)
    elif since is not None:
        everything = {row["id"] for row in server.tasks(project, include="id", page=_IDS)}
    gone = frozenset(key for key, number in noted.items() if number not in everything)
    up_to = min(filter(None, (latest, started, *(_time(row["updated_at"]) for row in unreadable))), default=None)
    with store.write() as connection:
        _note_gone(connection, gone, started)
        if up_to is not None and (since is None or up_to > since):
            row = {"platform": names.PLATFORM, "up_to": up_to}
            if not insert_once(connection, tables.pulls, row):
                connection.execute(update(tables.pulls).where(tables.pulls.c.platform == names.PLATFORM).values(row))
    strange = sorted(everything - set(key_of))
    return There(gone, tuple(strange), tuple(number for row in unreadable for number in row["unreadable"]))


def _erased(connection: Connection) -> set[int]:
    """The server's ids of tasks of people who were forgotten: what they wrote there is not taken in again."""
    episodes, who = tables.episodes.c, tables.identities.c
    query = (
        select(tables.tasks.c.external_id)
        .join(tables.episodes, episodes.episode_id == tables.tasks.c.episode_id)
        .join(tables.identities, who.annotator_id == episodes.annotator_id)
        .where(tables.tasks.c.platform == names.PLATFORM, tables.tasks.c.external_id.is_not(None))
        .where(tables.ERASED)
    )
    return {int(number) for number in connection.execute(query).scalars()}


def _note(connection: Connection, rows: Sequence[Row], key_of: Mapping[int, str], who: Mapping[int, str]) -> None:
    """Note what these tasks' annotations are now; those that were there before and are not any more are gone."""
    heard = tables.heard
    keys = {key_of[row["id"]]: row for row in rows}
    ids = [str(annotation["id"]) for row in rows for annotation in row["annotations"]]  # anybody may move one
    of_these = (heard.c.platform == names.PLATFORM) & (heard.c.task_key.in_(keys) | heard.c.annotation_id.in_(ids))
    known = {row.annotation_id: row for row in connection.execute(select(heard).where(of_these))}
    fresh, changed = [], []
    for key, row in keys.items():
        for annotation in row["annotations"]:
            said = _said(annotation, key, who)
            before = known.pop(said["annotation_id"], None)
            if before is None:
                fresh.append({**said, "first_result": said["result"], "platform": names.PLATFORM})
            elif any(getattr(before, name) != value for name, value in said.items()):
                first = before.first_result if before.task_key == key else said["result"]
                changed.append({f"new_{name}": value for name, value in {**said, "first_result": first}.items()})
    if fresh:
        connection.execute(insert(heard), fresh)
    if changed:
        values: dict[str, Any] = {name.removeprefix("new_"): bindparam(name) for name in changed[0]}
        one = (heard.c.platform == names.PLATFORM) & (heard.c.annotation_id == bindparam("new_annotation_id"))
        connection.execute(update(heard).where(one).values(values), changed)
    for left in known.values():
        if left.gone_at is None and int(left.annotation_id) not in keys[left.task_key].get("unreadable", ()):
            one = (heard.c.platform == names.PLATFORM) & (heard.c.annotation_id == left.annotation_id)
            gone_at = _time(keys[left.task_key]["updated_at"])
            connection.execute(update(heard).where(one).values(gone_at=gone_at))


def _said(annotation: Row, key: str, who: Mapping[int, str]) -> dict[str, Any]:
    lead_time = annotation["lead_time"]
    return {
        "annotation_id": str(annotation["id"]),
        "task_key": key,
        "completed_by": _named(annotation["completed_by"], who) or "",
        "updated_by": _named(annotation["updated_by"], who),
        "updated_at": _time(annotation["updated_at"]),
        "lead_time": float(lead_time) if isinstance(lead_time, int | float) else None,
        "cancelled": bool(annotation["was_cancelled"]),
        "result": annotation["result"],
        "gone_at": None,
    }


def _named(user: Any, who: Mapping[int, str]) -> str | None:
    """Whose id this is: in some replies it is a number, in others an object that holds one."""
    number = user.get("id") if isinstance(user, dict) else user
    return None if number is None else who.get(number, f"account {number}")


def _note_gone(connection: Connection, keys: frozenset[str], now: datetime) -> None:
    """With a task, its annotations are gone."""
    heard = tables.heard.c
    one = (heard.platform == names.PLATFORM) & (heard.task_key == bindparam("key")) & heard.gone_at.is_(None)
    if keys:
        gone = update(tables.heard).where(one).values(gone_at=now)
        connection.execute(gone, [{"key": key} for key in sorted(keys)])


def take_answers(store: Store) -> None:
    """Keep what annotators answered to the three questions in annotations of their own; the first answer stands."""
    heard, episodes = tables.heard.c, tables.episodes.c
    of_their_own = (
        select(tables.tasks.c.episode_id, heard.first_result, heard.updated_at)
        .select_from(tables.heard)
        .join(tables.tasks, tables.tasks.c.task_key == heard.task_key)
        .join(tables.episodes, episodes.episode_id == tables.tasks.c.episode_id)
        .join(tables.identities, tables.identities.c.annotator_id == episodes.annotator_id)
        .outerjoin(tables.answers, tables.answers.c.episode_id == episodes.episode_id)
        .where(
            heard.platform == names.PLATFORM,
            heard.completed_by == tables.identities.c.platform_id,
            func.coalesce(heard.updated_by, heard.completed_by) == heard.completed_by,
            ~heard.cancelled,
            episodes.completed_at.is_not(None),
            tables.answers.c.episode_id.is_(None),
        )
        .order_by(heard.updated_at, heard.annotation_id)
    )
    with store.write() as connection:
        for row in connection.execute(of_their_own).all():
            fun, interest, explanation = map(controls(row.first_result).get, _QUESTIONS, ({}, {}, {}))
            answer = {
                "fun": rated(fun),
                "interest": rated(interest),
                "explanation": typed(explanation)[:LONGEST_EXPLANATION] or None,
            }
            if any(answer.values()):
                given = {"episode_id": row.episode_id, **answer, "answered_at": row.updated_at}
                insert_once(connection, tables.answers, given)


def begun(store: Store) -> int:
    """The sittings of which a round was shown or answered."""
    query = (
        select(func.count(distinct(tables.sitting_episodes.c.sitting_id)))
        .join(tables.episodes, tables.episodes.c.episode_id == tables.sitting_episodes.c.episode_id)
        .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
        .where(tables.identities.c.platform == names.PLATFORM, tables.BEGUN)
    )
    with store.read() as connection:
        return int(connection.execute(query).scalar_one())


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
