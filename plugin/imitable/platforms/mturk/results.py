"""What came back by hand: the results CSV of an MTurk-style site, of a batch that `publish --files` wrote."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from sqlalchemy import Connection

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.hosts import Entry
from imitable.game.importing import Given, give_to
from imitable.game.label_studio.names import task_key
from imitable.game.reserving import Reserved, reserved
from imitable.platforms.by_hand import BY_HAND, Found, TakenIn, take_all
from imitable.platforms.mturk.assignments import key_of
from imitable.platforms.mturk.files import PLACEHOLDER, SITTING, field_of
from imitable.store import Store

_NEEDED = ("AssignmentId", "WorkerId", f"Input.{SITTING}")
_HOURS = {"UTC": 0, "GMT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
"""Time zones by the names that such files write."""

_TIME = re.compile(r"\w{3} (\w{3} +\d{1,2} \d\d:\d\d:\d\d) (\w+) (\d{4})")
"""Such as "Thu Nov 26 10:15:00 PST 2026"."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What the site calls work and workers."""

_LONGEST_CELL = 1_000_000


def take_in_results(folder: Folder, store: Store, path: Path) -> TakenIn:
    """Commit the guesses of a results file: all of them or, when something fails, none. Safe to repeat.

    A row is the worker's who handed it in first. Raises PlatformError for a file that is none.
    """
    rows = _read(path)
    return take_all(folder, store, lambda connection: _found(connection, folder, rows))


def _read(path: Path) -> list[dict[str, str]]:
    again = "Download the results again as CSV, and do not open them in a spreadsheet."
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header = reader.fieldnames or []
            missing = [name for name in _NEEDED if name not in header]
            rows = [{key: value or "" for key, value in row.items() if isinstance(key, str)} for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise PlatformError(f"{path} cannot be read ({error}). {again}") from error
    if missing:
        raise PlatformError(f"{path} has no column {missing[0]}, so it is no results file of a batch of ours. {again}")
    return rows


def _found(connection: Connection, folder: Folder, rows: list[dict[str, str]]) -> Iterator[Found]:
    sittings: dict[str, list[Reserved]] = {}
    for one in reserved(connection, platform="mturk"):
        sittings.setdefault(one.sitting_id, []).append(one)
    for place, row in enumerate(rows, start=1):
        why, episodes = "", sittings.get(row[f"Input.{SITTING}"], [])
        assignment, worker, when = row["AssignmentId"], row["WorkerId"], _moment(row.get("SubmitTime", ""))
        if not episodes:
            why = "unknown"
        elif when is None or not (_ID.fullmatch(assignment) and _ID.fullmatch(worker)):
            why = "unreadable"
        else:
            entry = Entry("mturk", worker, key_of(assignment, worker), assignment, BY_HAND)
            why = give_to(connection, folder, episodes[0].sitting_id, entry, waiting=PLACEHOLDER, now=when)
        if why:
            yield place, assignment, why
            continue
        assert when is not None  # noqa: S101  # or there is a reason
        yield from _guesses(folder, place, row, episodes, when)


def _guesses(
    folder: Folder, place: int, row: Mapping[str, str], episodes: list[Reserved], when: datetime
) -> Iterator[Found]:
    """The guesses of a row, in the order of its page; what was left empty is a guess that is none."""
    at = 0
    for one in episodes:
        for asked in one.rounds:
            at += 1
            text = row.get(f"Answer.{field_of(at)}", "")
            key = task_key(folder, one.episode_id, asked.trial)
            yield place, f"{row['AssignmentId']} {field_of(at)}", Given(key, None, text, when)


def _moment(text: str) -> datetime | None:
    """When something was handed in, as such files write it or by ISO 8601; None for anything else."""
    found = _TIME.fullmatch(text.strip())
    try:
        if found is None:
            moment = datetime.fromisoformat(text.strip())
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        zone = timezone(timedelta(hours=_HOURS[found[2]]))
        said = datetime.strptime(f"{found[1]} {found[3]}", "%b %d %H:%M:%S %Y").replace(tzinfo=zone)
        return said.astimezone(UTC)
    except (ValueError, KeyError, OverflowError):
        return None
