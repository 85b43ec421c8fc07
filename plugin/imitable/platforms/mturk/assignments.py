"""Work that was handed in, as the site lists it, and whether it is a sitting's: the same worker, and our receipt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.game.finishing import receipt
from imitable.game.sessions import sitting_id_of
from imitable.platforms.mturk.questions import fields_of
from imitable.platforms.sittings import forgotten, sittings_of
from imitable.store import Store

if TYPE_CHECKING:
    from imitable.platforms.mturk.client import Api, Row


@dataclass(frozen=True)
class Assignment:
    """One worker's work on one HIT, as it was handed in."""

    key: str
    """What its sitting is called: the assignment's id and the worker's, for an id that is given back goes on to
    others."""
    assignment: str
    worker: str
    hit: str
    status: str
    """`Submitted`, `Approved`, `Rejected`: what was not handed in is in no list."""
    receipted: bool
    """Whether the receipt came with it that only this sitting's last page shows."""


def read(folder: Folder, row: Row) -> Assignment:
    """An assignment of the site's list."""
    assignment, worker = str(row["AssignmentId"]), str(row["WorkerId"])
    key = key_of(assignment, worker)
    fields = fields_of(row.get("Answer")) or {}
    right = fields.get("receipt") == receipt(folder, sitting_id_of(folder, "mturk", key))
    return Assignment(key, assignment, worker, str(row["HITId"]), str(row["AssignmentStatus"]), right)


def key_of(assignment: str, worker: str) -> str:
    """What the door calls the sitting of an assignment that this worker has (`game/hosts.py`)."""
    return f"{assignment} {worker}"


def listed(api: Api, folder: Folder, hits: Mapping[int, Row]) -> Iterator[Assignment]:
    """Everything that was handed in for these HITs."""
    for hit in hits.values():
        for row in api.rows("ListAssignmentsForHIT", "Assignments", HITId=hit["HITId"]):
            yield read(folder, row)


def took_part(folder: Folder, store: Store, rows: Iterable[Assignment]) -> dict[str, int]:
    """Workers who handed something in, and how much of their sitting they have played, in percent.

    People who were forgotten are not among them: the site is told nothing more about them.
    """
    whole = folder.config.sitting.episodes * folder.config.episode.rounds
    sittings = sittings_of(store, "mturk")
    played, gone = {row.assignment: row for row in sittings}, forgotten(sittings)
    shares: dict[str, int] = {}
    for one in rows:
        if folder.annotator_id("mturk", one.worker) in gone:
            continue
        row = played.get(one.key)
        share = 0 if row is None else 100 if row.ended_by == "finished" else min(99, 100 * row.rounds // whole)
        shares[one.worker] = max(share, shares.get(one.worker, 0))
    return shares
