"""Tasks on their way to a project: each of them ends up there exactly once, whatever fails in between.

Our record says first which tasks are to be there. Then the project is looked at, what it lacks is sent in bulk, and
what the server answers is noted. After an answer that did not come, the project is looked at again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from imitable.game.label_studio import names
from imitable.platforms import Progress
from imitable.platforms.label_studio.client import Row, Server
from imitable.platforms.label_studio.refusals import NoAnswer, Refused
from imitable.store import Store, insert_once, tables

BULK = 5000
"""Tasks sent in one request, at most."""
BULK_CHARACTERS = 20_000_000
"""Characters of them, about."""

STILL = 5.0
"""Seconds without a new task, after which a server that gave no answer is taken to have ended."""
_TRIES = 4


@dataclass(frozen=True)
class Task:
    """A task that is to stand in the project, once."""

    key: str
    """Our own key: it stands in the task's data."""
    episode_id: str
    trial: int
    """0 for a whole episode, or its round."""
    name: str
    """The e-mail of whom it is for."""
    draw: Callable[[], dict[str, str]]
    """Its data, the key included."""


def send(server: Server, store: Store, project: int, tasks: Sequence[Task], progress: Progress) -> None:
    """See to it that each of these tasks stands in the project once, and that our record knows its id there.

    Raises PlatformError; the same call again goes on where it ended.
    """
    _intend(store, project, tasks)
    with progress("Sending tasks", len(tasks)) as advance:
        done, sure = 0, True
        for left in reversed(range(_TRIES)):
            missing = _settled(server, store, project, tasks)
            advance(len(tasks) - len(missing) - done)
            done = len(tasks) - len(missing)
            try:
                for some in _in_bulk(missing):
                    _import(server, store, project, some)
                    advance(len(some))
                    done += len(some)
                if sure or not missing:
                    return
            except (NoAnswer, Refused) as error:
                if not left or (isinstance(error, Refused) and not error.unsure):
                    raise
                sure = False
                _wait_until_still(server, project)


def send_once(server: Server, store: Store, project: int, tasks: Sequence[Task]) -> None:
    """Send tasks that nobody has begun to send. One that fails on its way is left to `send`, which looks first."""
    now = datetime.now(UTC)
    with store.write() as connection:
        mine = [task for task in tasks if insert_once(connection, tables.tasks, _row(task, project, now))]
    for task in mine:
        _import(server, store, project, [(task, task.draw())])


def _intend(store: Store, project: int, tasks: Sequence[Task]) -> None:
    """Write down what is to be there, before it is. Tasks of a project that is gone are to be in this one."""
    now = datetime.now(UTC)
    with store.write() as connection:
        known = set(connection.execute(select(tables.tasks.c.task_key)).scalars())
        fresh = [_row(task, project, now) for task in tasks if task.key not in known]
        if fresh:
            connection.execute(insert(tables.tasks), fresh)
        of_another = (tables.tasks.c.platform == names.PLATFORM) & (tables.tasks.c.project != str(project))
        connection.execute(update(tables.tasks).where(of_another).values(project=str(project), external_id=None))


def _row(task: Task, project: int, now: datetime) -> dict[str, Any]:
    return {
        "task_key": task.key,
        "episode_id": task.episode_id,
        "trial": task.trial,
        "platform": names.PLATFORM,
        "project": str(project),
        "published_at": now,
    }


def _settled(server: Server, store: Store, project: int, tasks: Sequence[Task]) -> list[Task]:
    """Look at the project, put right what is wrong there, note what is there, and return the tasks that it lacks.

    Wrong is a task that is there twice, as long as nobody answered it, and one whose key was changed: every annotator
    may change tasks.
    """
    there = {int(row["id"]): row for row in server.tasks(project, include="id,data,total_annotations")}
    by_key: dict[str, list[Row]] = defaultdict(list)
    for row in there.values():
        by_key[key_of(row)].append(row)
    noted = external_ids(store)
    placed, missing, twice = {}, [], []
    for task in tasks:
        copies = by_key.pop(task.key, [])
        ours = there.get(noted.get(task.key, 0))
        if ours is None and copies:
            ours = max(copies, key=lambda row: (row["total_annotations"] > 0, -row["id"]))
        if ours is None:
            missing.append(task)
            continue
        placed[task.key] = int(ours["id"])
        twice += [int(row["id"]) for row in copies if row is not ours and not row["total_annotations"]]
        fresh = noted.get(task.key) != int(ours["id"]) and not ours["total_annotations"]  # perhaps of an earlier plan
        changed = key_of(ours) != task.key or ours["data"].get(names.ANNOTATOR) != task.name
        if changed or (fresh and ours["data"] != task.draw()):
            server.wire.patch(f"/api/tasks/{ours['id']}/", json={"data": task.draw()})
    server.remove_tasks(project, twice)
    _note(store, {key: number for key, number in placed.items() if noted.get(key) != number})
    return missing


def key_of(row: Row) -> str:
    """Our own key in a task's data, which anybody may have changed; empty where there is none."""
    data = row["data"]
    return str(data.get(names.KEY) or "") if isinstance(data, dict) else ""


def _in_bulk(tasks: Iterable[Task]) -> Iterator[list[tuple[Task, dict[str, str]]]]:
    some: list[tuple[Task, dict[str, str]]] = []
    size = 0
    for task in tasks:
        data = task.draw()
        some.append((task, data))
        size += sum(map(len, data.values()))
        if len(some) == BULK or size >= BULK_CHARACTERS:
            yield some
            some, size = [], 0
    if some:
        yield some


def _import(server: Server, store: Store, project: int, some: list[tuple[Task, dict[str, str]]]) -> None:
    """Send tasks in one request, and note the ids that they got."""
    from imitable.platforms.label_studio import wire

    answer = server.wire.post(
        f"/api/projects/{project}/import",
        params={"return_task_ids": "true"},
        json=[{"data": data} for _task, data in some],
        timeout=wire.LONG,
    ).json()
    ids = answer.get("task_ids") or []
    if len(ids) != len(some):
        raise NoAnswer(
            f"Label Studio at {server.url} took {len(some)} tasks and named {len(ids)}: it may still be at work. The "
            "same command again looks first what is there, and makes nothing twice."
        )
    _note(store, {task.key: int(number) for (task, _data), number in zip(some, ids, strict=True)})


def _note(store: Store, ids: dict[str, int]) -> None:
    if not ids:
        return
    noted = update(tables.tasks).where(tables.tasks.c.task_key == bindparam("key")).values(external_id=bindparam("id"))
    rows: list[dict[str, Any]] = [{"key": key, "id": str(number)} for key, number in ids.items()]
    with store.write() as connection:
        connection.execute(noted, rows)


def external_ids(store: Store) -> dict[str, int]:
    """The server's ids of our tasks, by our keys, as far as they are known."""
    found = select(tables.tasks.c.task_key, tables.tasks.c.external_id).where(
        tables.tasks.c.platform == names.PLATFORM, tables.tasks.c.external_id.is_not(None)
    )
    with store.read() as connection:
        return {row.task_key: int(row.external_id) for row in connection.execute(found)}


def _wait_until_still(server: Server, project: int) -> None:
    """Wait until the number of tasks has not changed for a while: the server may still be at what it did not answer."""
    count, since = -1, time.monotonic()
    while time.monotonic() - since < STILL:
        now = int(server.wire.get(f"/api/projects/{project}/").json()["task_number"])
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(STILL / 10)
