"""The end of recruiting: what nobody began is taken away, so that nobody begins it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, exists, select

from imitable.game.label_studio import names
from imitable.game.showing import end_sitting
from imitable.platforms.label_studio.client import Server
from imitable.platforms.label_studio.sending import external_ids, key_of
from imitable.store import Store, insert_once, tables


def close_tasks(server: Server, store: Store, project: int | None, *, now: bool) -> str:
    """Withdraw every task that nobody began, first in our record and then on the server; with `now`, end what began.

    From that moment our door knows nothing of a withdrawn task. What fails in between, the same call finishes. A task
    that somebody answered all the same is put back into our record, for 'collect' to hear of.
    """
    rows = _withdraw(store, now=now)
    withdrawn = len(rows)
    kept, known = _kept(store), set(external_ids(store).values())
    if project is not None:
        surplus = [
            row
            for row in server.tasks(project, include="id,data,total_annotations")
            if key_of(row).startswith("t_") and key_of(row) not in kept and row["id"] not in known
        ]
        answered = {key_of(row) for row in surplus if row["total_annotations"]}
        back = [row for row in rows if row["task_key"] in answered]
        with store.write() as connection:
            for row in back:
                insert_once(connection, tables.tasks, row)
        server.remove_tasks(project, [int(row["id"]) for row in surplus if not row["total_annotations"]])
        withdrawn = max(withdrawn, len(surplus)) - len(answered)
        kept |= answered
    ended = " Sittings that had begun are over; what was done in them counts." if now else ""
    return f"{withdrawn} tasks that nobody had begun are withdrawn; {len(kept)} have begun.{ended}"


def _kept(store: Store) -> set[str]:
    ours = tables.tasks.c.platform == names.PLATFORM
    with store.read() as connection:
        return set(connection.execute(select(tables.tasks.c.task_key).where(ours)).scalars())


def _withdraw(store: Store, *, now: bool) -> list[dict[str, Any]]:
    """Take what nobody began out of our record, and return what stood there."""
    sittings, episodes, tasks = tables.sittings.c, tables.episodes.c, tables.tasks.c
    with store.write() as connection:
        locked = select(sittings.sitting_id).where(sittings.platform == names.PLATFORM, sittings.ended_at.is_(None))
        open_sittings = connection.execute(locked.with_for_update()).scalars().all()  # the door locks them to begin
        waiting = (
            select(tables.tasks)
            .join(tables.episodes, episodes.episode_id == tasks.episode_id)
            .where(tasks.platform == names.PLATFORM, ~tables.BEGUN)
            .where(~exists().where(tables.heard.c.task_key == tasks.task_key))
        )
        rows = [dict(row) for row in connection.execute(waiting).mappings()]
        connection.execute(delete(tables.tasks).where(tasks.task_key.in_([row["task_key"] for row in rows])))
        if now:
            for sitting_id in open_sittings:
                end_sitting(connection, sitting_id, why="closed", now=datetime.now(UTC))
    return rows
