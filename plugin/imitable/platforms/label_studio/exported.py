"""What came back by hand: a JSON export of Label Studio, of tasks that are one round each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.importing import Given
from imitable.game.label_studio import names
from imitable.platforms.by_hand import Found, TakenIn, take_all
from imitable.platforms.label_studio import results
from imitable.store import Store


def take_in_export(folder: Folder, store: Store, path: Path) -> TakenIn:
    """Commit the guesses of an export: all of them or, when something fails, none. Safe to repeat.

    Raises PlatformError for a file that is none.
    """
    tasks = _read(path)
    return take_all(folder, store, lambda _connection: _found(tasks))


def _found(tasks: Sequence[dict[str, Any]]) -> Iterator[Found]:
    for place, task in enumerate(tasks, start=1):
        for at, (annotation, given) in enumerate(annotations_of(task)):
            yield place, annotation, "second" if at and isinstance(given, Given) else given


def _read(path: Path) -> list[Any]:
    try:
        with path.open(encoding="utf-8") as file:
            tasks = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise PlatformError(f"{path} cannot be read ({error}). Export again from Label Studio, as JSON.") from error
    if not isinstance(tasks, list) or not all(isinstance(task, dict) and "annotations" in task for task in tasks):
        raise PlatformError(f"{path} is no JSON export of Label Studio. Export again and choose JSON, not JSON-MIN.")
    return tasks


def annotations_of(task: dict[str, Any], emails: Mapping[int, str] | None = None) -> Iterator[tuple[str, Given | str]]:
    """The annotations of a task of one round, the earliest first: their numbers, and a reason where one is no guess.

    `emails` are those of the organization, by id, for lists of tasks that name people by id only.
    """
    data, found = task.get("data"), task["annotations"]
    key = data.get(names.KEY) if isinstance(data, dict) else None
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    for row in sorted(rows, key=lambda row: (bool(row.get("was_cancelled")), str(row.get("created_at")))):
        number = str(row.get("id", ""))
        if row.get("was_cancelled"):
            yield number, "skipped"
        elif not isinstance(key, str):
            yield number, "unknown"
        else:
            yield number, _given(key, row, emails or {})


def _given(key: str, row: dict[str, Any], emails: Mapping[int, str]) -> Given | str:
    try:
        given_at = datetime.fromisoformat(str(row["created_at"]))
        when = given_at.astimezone(UTC) if given_at.tzinfo else given_at.replace(tzinfo=UTC)
        typed = [one["value"]["number"] for one in row["result"] if one.get("from_name") == names.GUESS]
        lead_time = results.seconds(row.get("lead_time"))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return "unreadable"
    who, changed = row.get("completed_by"), row.get("updated_by")
    number = who.get("id") if isinstance(who, dict) else who
    if changed is not None and (changed.get("id") if isinstance(changed, dict) else changed) != number:
        return "not_theirs"
    if not isinstance(number, int | None):
        return "unreadable"
    email = str(who["email"]).lower() if isinstance(who, dict) and "email" in who else emails.get(number or 0)
    return Given(key, email, str(typed[0]) if typed else "", when, lead_time)
