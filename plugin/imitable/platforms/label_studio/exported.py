"""What came back by hand: a JSON export of Label Studio, of tasks that are one round each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.content import read_content
from imitable.game.importing import Given, Outcome, take_in
from imitable.game.label_studio import names
from imitable.store import Store

_LONGEST = 86_400.0
"""Seconds of a lead time that are believed: it is the page's own word."""

WHY: dict[str, str] = {
    "other": "another number was taken in before, and stands",
    "unknown": "its task was not made by this campaign",
    "not_theirs": "it was given, or changed, by somebody else than its annotator",
    "no_number": "it holds no number on the target's scale",
    "over": "its annotator's sitting had ended",
    "skipped": "it was skipped",
    "second": "the same task was answered before",
    "unreadable": "it is no annotation as Label Studio exports them",
}
"""What is wrong with an annotation that was not taken in."""


@dataclass(frozen=True)
class NotTaken:
    """An annotation of the file that changed nothing."""

    place: int
    """Of its task in the file, from 1."""
    annotation: str
    """Label Studio's number of it."""
    why: str
    """A key of `WHY`."""


@dataclass(frozen=True)
class TakenIn:
    """What reading an export did."""

    taken: int
    """Guesses that are new."""
    known: int
    """Guesses that stood already."""
    not_taken: tuple[NotTaken, ...]


def take_in_export(folder: Folder, store: Store, path: Path) -> TakenIn:
    """Commit the guesses of an export: all of them or, when something fails, none. Safe to repeat.

    Raises PlatformError for a file that is none.
    """
    tasks = _read(path)
    content = read_content(store, folder.texts())
    count: Counter[str] = Counter()
    not_taken: list[NotTaken] = []
    with store.write() as connection:
        for place, task in enumerate(tasks, start=1):
            for at, (annotation, given) in enumerate(annotations_of(task)):
                outcome: Outcome | str = given if isinstance(given, str) else "second" if at else ""
                if not outcome and isinstance(given, Given):
                    outcome = take_in(connection, folder, content, given)
                if outcome in ("taken", "same"):
                    count[outcome] += 1
                else:
                    not_taken.append(NotTaken(place, annotation, outcome))
    return TakenIn(count["taken"], count["same"], tuple(not_taken))


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
        lead_time = max(0.0, min(float(row.get("lead_time") or 0.0), _LONGEST))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return "unreadable"
    who, changed = row.get("completed_by"), row.get("updated_by")
    number = who.get("id") if isinstance(who, dict) else who
    if changed is not None and (changed.get("id") if isinstance(changed, dict) else changed) != number:
        return "not_theirs"
    if not isinstance(number, int | None):
        return "unreadable"
    email = str(who["email"]).lower() if isinstance(who, dict) and "email" in who else emails.get(number or 0)
    return Given(key, email, str(typed[-1]) if typed else "", when, lead_time)
