"""The work that participants do, as they do it and as the researcher sees it.

RESERVED --start--> ACTIVE --code--> AWAITING REVIEW --APPROVE--> APPROVED
RESERVED, ACTIVE, AWAITING REVIEW --give back--> RETURNED;  RESERVED, ACTIVE --in time--> TIMED-OUT

Documented: a place is reserved for ten minutes; approving twice is ignored; after 21 days work is approved by itself.
Not documented: whether work that timed out can be approved (here it can), and which codes are taken (here any).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta

from imitable.rehearsal.faults import Fields
from imitable.rehearsal.prolific import wallet
from imitable.rehearsal.prolific.hooks import tell
from imitable.rehearsal.prolific.signing import Signer, filled
from imitable.rehearsal.prolific.studies import BLOCKED
from imitable.rehearsal.prolific.world import Refusal, Submission, World, bad_request

RESERVED_FOR = timedelta(minutes=10)
APPROVED_AFTER = timedelta(days=21)
SHORTEST_REASON = 100
"""Characters of what a participant is told with a rejection."""


def reserve(world: World, participant: str, study_id: str) -> Submission:
    """Take a place. Raises Refusal when the study does not recruit, is full, or is not for this participant."""
    study = world.study(study_id)
    if participant not in world.participants:
        raise Refusal(404, "Not found", "There is no such participant.")
    blocked = [
        member
        for one in study.described.get("filters", ())
        if one["filter_id"] == BLOCKED
        for group in one["selected_values"]
        for member in world.groups[group].members
    ]
    ours = world.of_study(study)
    taken = sum(one.status not in ("RETURNED", "TIMED-OUT", "REJECTED") for one in ours)
    if study.status != "ACTIVE" or taken >= study.places:
        raise Refusal(409, "No place", "This study has no place.")
    if participant in blocked or any(one.participant == participant for one in ours):
        raise Refusal(403, "Not eligible", "This study is not for this participant.")
    made = Submission(world.fresh("submission"), study, participant, [(world.now(), "RESERVED")])
    world.submissions[made.id] = made
    tell_of(world, made)
    return made


def start(world: World, submission: Submission, signer: Signer) -> str:
    """Begin, or go on: the address of the study with this participant's ids, signed where the study says so."""
    if submission.status == "RESERVED":
        become(world, submission, "ACTIVE")
    if submission.status != "ACTIVE":
        raise bad_request(f"This submission is {submission.status}.")
    described = submission.study.described
    ids = {
        "PROLIFIC_PID": submission.participant,
        "STUDY_ID": submission.study.id,
        "SESSION_ID": submission.id,
    }
    address = filled(described["external_study_url"], ids)
    if described.get("is_external_study_url_secure"):
        return signer.signed(address, submission.id, world.workspace)
    return address


def complete(world: World, submission: Submission, code: str) -> None:
    """Hand in, with a code: what it brings about happens at once."""
    if submission.status != "ACTIVE":
        raise bad_request(f"This submission is {submission.status}.")
    submission.code, submission.completed = code, world.now()
    become(world, submission, "AWAITING REVIEW")
    known = next((one for one in submission.study.described["completion_codes"] if one["code"] == code), None)
    for action in () if known is None else known["actions"]:
        match action["action"]:
            case "AUTOMATICALLY_APPROVE":
                approve(world, submission)
            case "REQUEST_RETURN":
                submission.return_requested = world.now()
            case "ADD_TO_PARTICIPANT_GROUP":
                world.groups[action["participant_group"]].members.setdefault(submission.participant, world.now())
            case "REMOVE_FROM_PARTICIPANT_GROUP":
                world.groups[action["participant_group"]].members.pop(submission.participant, None)


def give_back(world: World, submission: Submission) -> None:
    """Return the submission: it will not be rewarded."""
    if submission.status not in wallet.UNDER_WAY:
        raise bad_request(f"This submission is {submission.status}.")
    become(world, submission, "RETURNED")


def transition(world: World, submission: Submission, fields: Fields) -> None:
    """What the researcher decides: APPROVE, which pays the reward, or REJECT."""
    match fields.get("action"):
        case "APPROVE":
            approve(world, submission)
        case "REJECT" if fields.get("rejection_category") and len(fields.get("message", "")) >= SHORTEST_REASON:
            if submission.status != "AWAITING REVIEW":
                raise bad_request(f"A submission that is {submission.status} cannot be rejected.")
            become(world, submission, "REJECTED")
        case _:
            raise bad_request("Give an action, and with REJECT a rejection_category and a message of 100 characters.")


def approve(world: World, submission: Submission) -> None:
    """Pay the reward, once."""
    if submission.status == "APPROVED":
        return
    if submission.status not in ("AWAITING REVIEW", "TIMED-OUT"):
        raise bad_request(f"A submission that is {submission.status} cannot be approved.")
    wallet.pay_reward(world, submission)
    become(world, submission, "APPROVED")


def pass_time(world: World) -> None:
    """Let happen what happens by itself."""
    wallet.pay_what_is_due(world)
    now = world.now()
    for one in world.submissions.values():
        most = {"RESERVED": RESERVED_FOR, "ACTIVE": longest(one.study.described), "AWAITING REVIEW": APPROVED_AFTER}
        if now - one.since <= most.get(one.status, timedelta.max):
            continue
        if one.status == "AWAITING REVIEW":
            approve(world, one)
        else:
            become(world, one, "TIMED-OUT")


def longest(described: Fields) -> timedelta:
    """How long a submission may take: as described, else the least that Prolific would allow."""
    minutes = described["estimated_completion_time"]
    return timedelta(minutes=described.get("maximum_allowed_time") or 2 + 2 * minutes + 2 * math.sqrt(minutes))


def become(world: World, submission: Submission, status: str) -> None:
    """Change its status, and tell who wants to know."""
    submission.history.append((world.now(), status))
    tell_of(world, submission)


def tell_of(world: World, submission: Submission) -> None:
    """The event of a status that changed."""
    told = {"participant_id": submission.participant, "status": submission.status}
    tell(world, "submission.status.change", submission.id, **told)


def readable(world: World, ours: Iterable[Submission]) -> list[Submission]:
    """Those that reads show by now."""
    return [one for one in ours if one.started <= world.readable]


def shown(world: World, submission: Submission, *, status: str = "") -> Fields:
    """A submission as `GET /submissions/{id}/` has it; with `status`, as the answer to what gave it that status."""
    until = world.readable
    past = [name for at, name in submission.history if at <= until] or ["RESERVED"]
    return {
        "id": submission.id,
        "study_id": submission.study.id,
        "participant": submission.participant,
        "status": status or past[-1],
        "started_at": submission.started.isoformat(),
        "completed_at": submission.completed.isoformat() if submission.completed else None,
        "entered_code": submission.code,
        "bonus_payments": wallet.bonuses_of(world, submission),
        "return_requested": submission.return_requested.isoformat() if submission.return_requested else None,
    }


def listed(world: World, submission: Submission) -> Fields:
    """A submission as a list has it."""
    whole = shown(world, submission)
    kept = ("id", "status", "started_at", "completed_at", "return_requested")
    return {
        **{name: whole[name] for name in kept},
        "participant_id": whole["participant"],
        "study_code": whole["entered_code"],
        "has_siblings": False,
    }
