"""Prolific's submissions beside our sittings, in both directions. The record counts; what differs is said, no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.finishing import completion_code
from imitable.platforms import Collected, Finding
from imitable.platforms.prolific.account import account_of
from imitable.platforms.prolific.study import find
from imitable.platforms.sittings import Sitting, forgotten, sittings_of
from imitable.store import Store

if TYPE_CHECKING:
    from imitable.platforms.prolific.client import Api, Row

HANDED_IN = ("AWAITING REVIEW", "APPROVED", "PARTIALLY APPROVED")
"""Statuses of submissions that came with a code, or were approved without."""


def collect_submissions(api: Api, folder: Folder, store: Store) -> Collected:
    """Read the study's submissions and compare them. Raises PlatformError, where there is no study, too."""
    study = find(api, folder, account_of(api, folder))
    if study is None:
        raise PlatformError(
            f"There is no study of this campaign on Prolific. Make it with: imitable publish {folder.path} --platform "
            "prolific"
        )
    rows = {str(row["id"]): row for row in api.rows("/submissions/", study=study["id"], ordering="started_at")}
    return compare(folder, store, str(study["id"]), list(rows.values()))


def compare(folder: Folder, store: Store, study_id: str, rows: Sequence[Row]) -> Collected:
    """Everything that differs now between the submissions of a study and the sittings that came from Prolific.

    People who were forgotten are left out on both sides.
    """
    everybody = sittings_of(store, "prolific")
    gone = forgotten(everybody)
    sittings = [one for one in everybody if one.annotator_id not in gone]
    known = {str(row["id"]): row for row in rows if _pseudonym(folder, row) not in gone}
    found = [finding for sitting in sittings for finding in _of_sitting(folder, sitting, study_id, known)]
    begun = {sitting.submission for sitting in sittings}
    found += [finding for key, row in known.items() if key not in begun for finding in _of_submission(folder, row)]
    return Collected(len(everybody), tuple(found))


def _of_sitting(folder: Folder, sitting: Sitting, study_id: str, known: dict[str, Row]) -> Iterator[Finding]:
    who = f"Sitting {sitting.sitting_id} of {sitting.annotator_id}"
    row = known.get(sitting.submission)
    said: tuple[str, str] | None
    if sitting.study != study_id:
        said = ("foreign", f"{who} came from another study, {sitting.study}. Its play counts, and nothing pays for it.")
    elif row is None:
        proven = "signed, so the list may lag behind: collect again later" if sitting.proven else "made up, it seems"
        said = ("unknown", f"{who} belongs to no submission of the study; its address was {proven}.")
    elif str(row["participant_id"]) != sitting.platform_id:
        said = (
            "forged",
            f"{who} was begun with the id of a submission of {_pseudonym(folder, row)}. Nothing is paid for it.",
        )
    else:
        said = _of_pair(folder, who, sitting, row)
    if said is not None:
        yield Finding(*said, sitting.annotator_id)


def _of_pair(folder: Folder, who: str, sitting: Sitting, row: Row) -> tuple[str, str] | None:
    """What differs between a sitting and its own submission; None where all is well, or is still going on."""
    status, code = str(row["status"]), row.get("study_code")
    if status == "REJECTED":
        return "rejected", f"{who} was rejected on Prolific. imitable never does that: whoever did, undo it there."
    if status == "RETURNED":
        if sitting.ended_by == "stopped":
            return None
        return "returned", f"{who} was returned after {sitting.rounds} rounds. They count, and its place is free again."
    if status == "TIMED-OUT":
        paid = (
            "It was played to its end: 'imitable pay' tries to approve it." if sitting.ended_at else "Its play counts."
        )
        return "timed-out", f"{who} was not handed in in time, after {sitting.rounds} rounds. {paid}"
    if status not in HANDED_IN:
        if sitting.ended_at is None:
            return None
        return "not handed in", f"{who} is over here, and its code was not handed in yet. It is paid once it was."
    if sitting.ended_at is None:
        return (
            "unfinished",
            f"{who} was handed in after {sitting.rounds} rounds, and is not over here. Ask them, or wait.",
        )
    return _of_codes(folder, who, sitting, status, code)


def _of_codes(folder: Folder, who: str, sitting: Sitting, status: str, code: str | None) -> tuple[str, str] | None:
    stopped = sitting.ended_by == "stopped"
    right, other = (completion_code(folder, stopped=one) for one in (stopped, not stopped))
    if stopped and status != "AWAITING REVIEW":
        return (
            "approved",
            f"{who} was stopped, and on Prolific approved for the whole reward: its part is not paid too.",
        )
    if stopped:
        return (
            "not returned",
            f"{who} was stopped, and not returned yet. After 21 days Prolific approves it for the whole reward: ask "
            "for it back, or leave it at that.",
        )
    if code == other:
        return "wrong code", f"{who} was played to its end and handed in with the code for stopping. The record counts."
    if code != right:
        return (
            "wrong code",
            f"{who} was played to its end and handed in with a code that is not ours. The record counts.",
        )
    return None


def _of_submission(folder: Folder, row: Row) -> Iterator[Finding]:
    """A submission of which no sitting tells: only one that was handed in means anything."""
    if row["status"] not in HANDED_IN:
        return
    codes = [completion_code(folder, stopped=one) for one in (False, True)]
    how = (
        "with a code of ours that it cannot have from here"
        if row.get("study_code") in codes
        else "with no code of ours"
    )
    annotator = _pseudonym(folder, row)
    yield Finding(
        "unplayed",
        f"Submission {row['id']} of {annotator} was handed in {how}, and nothing of it was played here. imitable pays "
        "nothing for it; decide on Prolific.",
        annotator,
    )


def _pseudonym(folder: Folder, row: Row) -> str:
    return folder.annotator_id("prolific", str(row["participant_id"]))
