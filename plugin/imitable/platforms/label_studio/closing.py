"""The end of recruiting: what nobody began is taken away, so that nobody begins it."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, exists, select

from imitable.game.label_studio import names
from imitable.game.showing import end_sitting
from imitable.platforms.label_studio.client import Server
from imitable.platforms.label_studio.sending import external_ids, key_of
from imitable.store import Store, tables


def close_tasks(server: Server, store: Store, project: int | None, *, now: bool) -> str:
    """Withdraw every task that nobody began, first in our record and then on the server; with `now`, end what began.

    From that moment our door knows nothing of a withdrawn task. What fails in between, the same call finishes.
    """
    withdrawn = _withdraw(store, now=now)
    kept, known = _kept(store), set(external_ids(store).values())
    if project is not None:
        surplus = [
            int(row["id"])
            for row in server.tasks(project, include="id,data")
            if key_of(row).startswith("t_") and key_of(row) not in kept and row["id"] not in known
        ]
        server.remove_tasks(project, surplus)
        withdrawn = max(withdrawn, len(surplus))
    ended = " Sittings that had begun are over; what was done in them counts." if now else ""
    return f"{withdrawn} tasks that nobody had begun are withdrawn; {len(kept)} have begun.{ended}"


def _kept(store: Store) -> set[str]:
    ours = tables.tasks.c.platform == names.PLATFORM
    with store.read() as connection:
        return set(connection.execute(select(tables.tasks.c.task_key).where(ours)).scalars())


def _withdraw(store: Store, *, now: bool) -> int:
    sittings, episodes, tasks = tables.sittings.c, tables.episodes.c, tables.tasks.c
    with store.write() as connection:
        locked = select(sittings.sitting_id).where(sittings.platform == names.PLATFORM, sittings.ended_at.is_(None))
        open_sittings = connection.execute(locked.with_for_update()).scalars().all()  # the door locks them to begin
        waiting = (
            select(tasks.task_key)
            .join(tables.episodes, episodes.episode_id == tasks.episode_id)
            .where(tasks.platform == names.PLATFORM, ~tables.BEGUN)
            .where(~exists().where(tables.heard.c.task_key == tasks.task_key))
        )
        keys = connection.execute(waiting).scalars().all()
        connection.execute(delete(tables.tasks).where(tasks.task_key.in_(keys)))
        if now:
            for sitting_id in open_sittings:
                end_sitting(connection, sitting_id, why="closed", now=datetime.now(UTC))
    return len(keys)
