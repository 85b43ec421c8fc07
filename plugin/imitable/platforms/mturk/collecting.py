"""What was handed in beside our sittings, in both directions. The record counts; what differs is said, no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.platforms import Collected, Finding
from imitable.platforms.by_hand import BY_HAND
from imitable.platforms.mturk.assignments import Assignment, listed, took_part
from imitable.platforms.mturk.hits import made
from imitable.platforms.mturk.qualifications import grant
from imitable.platforms.sittings import Sitting, forgotten, sittings_of
from imitable.store import Store

if TYPE_CHECKING:
    from imitable.platforms.mturk.client import Api


def collect_assignments(api: Api, folder: Folder, store: Store) -> Collected:
    """Read what was handed in, note on the site who took part, and compare. Raises PlatformError without any HIT."""
    hits = made(api, folder)
    rows = list(listed(api, folder, hits))
    grant(api, folder, took_part(folder, store, rows))
    return compare(folder, store, {str(hit["HITId"]) for hit in hits.values()}, rows)


def compare(folder: Folder, store: Store, hits: set[str], rows: Sequence[Assignment]) -> Collected:
    """Everything that differs now between what was handed in for these HITs and the sittings that came from there.

    People who were forgotten are left out on both sides.
    """
    known, owners = {row.key: row for row in rows}, {row.assignment: row.worker for row in rows}
    everybody = [row for row in sittings_of(store, "mturk") if row.study not in ("", BY_HAND)]
    gone = forgotten(everybody)
    sittings = [row for row in everybody if row.annotator_id not in gone]
    found = [one for sitting in sittings for one in _of_sitting(sitting, hits, known, owners)]
    begun = {sitting.assignment for sitting in sittings}
    unplayed = [_unplayed(folder, row) for row in rows if row.key not in begun]
    found += [one for one in unplayed if one.annotator_id not in gone]
    return Collected(len(everybody), tuple(found))


def _of_sitting(
    sitting: Sitting, hits: set[str], known: dict[str, Assignment], owners: dict[str, str]
) -> Iterator[Finding]:
    who = f"Sitting {sitting.sitting_id} of {sitting.annotator_id}"
    row = known.get(sitting.assignment)
    said: tuple[str, str] | None = None
    if sitting.study not in hits:
        said = ("foreign", f"{who} came from a HIT that is not this campaign's. Its play counts, and nothing pays it.")
    elif row is not None:
        said = _of_pair(who, sitting, row)
    elif sitting.submission in owners:
        said = (
            "given back",
            f"{who} belongs to an assignment that another worker handed in: it was given back, or never theirs. Its "
            "play counts, and nothing is paid for it.",
        )
    elif sitting.ended_at is not None and sitting.rounds:
        said = ("not handed in", f"{who} is over here, and was not handed in yet. It is paid once it was.")
    if said is not None:
        yield Finding(*said, sitting.annotator_id)


def _of_pair(who: str, sitting: Sitting, row: Assignment) -> tuple[str, str] | None:
    """What differs between a sitting and its own assignment; None where all is well."""
    if row.status == "Rejected":
        return "rejected", f"{who} was rejected there. imitable never does that: whoever did, approve it after all."
    if sitting.ended_at is None:
        return (
            "unfinished",
            f"{who} was handed in after {sitting.rounds} rounds, and is not over here. The site approves it by itself.",
        )
    if not row.receipted:
        return (
            "no receipt",
            f"{who} was handed in without the receipt of its last page, so somebody else may have played it. imitable "
            "pays nothing for it; the site approves it by itself unless you decide otherwise there.",
        )
    if not sitting.rounds and sitting.ended_by == "stopped":
        return (
            "not played",
            f"{who} was stopped before its first round, and handed in. imitable pays nothing for it; the site approves "
            "it by itself unless you decide otherwise there.",
        )
    return None


def _unplayed(folder: Folder, row: Assignment) -> Finding:
    annotator = folder.annotator_id("mturk", row.worker)
    return Finding(
        "unplayed",
        f"Assignment {row.assignment} of {annotator} was handed in, and nothing of it was played here. imitable pays "
        "nothing for it; the site approves it by itself unless you decide otherwise there.",
        annotator,
    )
