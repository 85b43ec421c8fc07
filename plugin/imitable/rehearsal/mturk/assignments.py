"""The work of workers, as they do it and as the requester sees it.

Accepted --submit--> Submitted --approve, or in time--> Approved;  Submitted --reject--> Rejected --override--> Approved
Accepted --give back--> Returned;  Accepted --deadline--> Abandoned

The requester sees nothing of what was not submitted.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from imitable.rehearsal.faults import Fields
from imitable.rehearsal.mturk import hits, questions, wallet
from imitable.rehearsal.mturk.paging import page
from imitable.rehearsal.mturk.qualifications import allows
from imitable.rehearsal.mturk.telling import tell
from imitable.rehearsal.mturk.world import Assignment, Hit, WireError, Worker, World, refused

SEEN = ("Submitted", "Approved", "Rejected")
"""All that the requester knows of."""
OVERRIDABLE_FOR = timedelta(days=30)


def accept(world: World, worker: Worker, hit: Hit) -> Assignment:
    """Take a place. Raises WireError where there is none for this worker. Who gave it back may take it again."""
    reason = why_not(world, worker, hit)
    if reason:
        raise refused("NotForYou", reason)
    free = [one.id for one in hit.assignments if one.status in ("Returned", "Abandoned")]
    free = [name for name in free if world.assignments[name].status in ("Returned", "Abandoned")]
    name = free[0] if free and world.settings.reuse_assignment_ids else world.fresh("ASSIGNMENT")
    made = Assignment(name, hit, worker, [])
    hit.assignments.append(made)
    world.assignments[name] = made
    become(world, made, "Accepted")
    return made


def why_not(world: World, worker: Worker, hit: Hit) -> str:
    """Why this worker cannot accept it; empty who can."""
    if hits.status(world, hit) != "Assignable":
        return "There is no place in this task."
    if not allows(world, worker, hit, "Accept"):
        return "Your qualifications do not meet the requirements of this task."
    if any(one.worker is worker and one.status in hits.TAKEN for one in hit.assignments):
        return "You have accepted this task before."
    return ""


def give_back(world: World, assignment: Assignment) -> None:
    """Return it: the place is free again."""
    _working(assignment)
    become(world, assignment, "Returned")


def submit(world: World, assignment: Assignment, fields: list[tuple[str, str]]) -> None:
    """Hand in a form. It must have a field beside the assignment's id."""
    _working(assignment)
    if all(name in questions.RESERVED for name, _ in fields):
        raise refused("NoAnswer", "The form has no field beside assignmentId.")
    assignment.answer = questions.answer(fields)
    become(world, assignment, "Submitted")


def _working(assignment: Assignment) -> None:
    if assignment.status != "Accepted":
        raise refused("InvalidAssignmentState", f"This assignment is {assignment.status.lower()}.")


def become(world: World, assignment: Assignment, status: str, at: datetime | None = None) -> None:
    """Change its status, and tell who wants to know."""
    assignment.history.append((at or world.now(), status))
    if status in ("Accepted", "Submitted"):
        world.open[assignment.id] = assignment
    else:
        world.open.pop(assignment.id, None)
    tell(world, f"Assignment{status}", assignment.hit, assignment)


def pass_time(world: World) -> None:
    """Let happen what happens by itself. What is approved by itself is paid even from an empty account."""
    now = world.now()
    for one in list(world.open.values()):
        if one.status == "Accepted" and one.deadline <= now:
            become(world, one, "Abandoned", one.deadline)
        elif one.approval is not None and one.approval <= now:
            wallet.pay_reward(world, one)
            become(world, one, "Approved", one.approval)
    for hit in world.hits.values() if world.subscriptions else ():
        state, expired = hits.status(world, hit), hit.expires <= now
        if expired and not hit.told_expired:
            tell(world, "HITExpired", hit)
        if state == "Reviewable" and not hit.told_reviewable:
            tell(world, "HITReviewable", hit)
        hit.told_expired, hit.told_reviewable = expired, state in ("Reviewable", "Reviewing", "Disposed")


def shown(assignment: Assignment, status: str) -> Fields:
    """An assignment as the API has it, at the time when it had that status."""
    approval = assignment.approval
    times = {
        "AutoApprovalTime": approval,
        "AcceptTime": assignment.accepted,
        "SubmitTime": assignment.since("Submitted"),
        "ApprovalTime": assignment.since("Approved") if status == "Approved" else None,
        "RejectionTime": assignment.since("Rejected") if status == "Rejected" else None,
        "Deadline": assignment.deadline,
    }
    return {
        "AssignmentId": assignment.id,
        "WorkerId": assignment.worker.id,
        "HITId": assignment.hit.id,
        "AssignmentStatus": status,
        **{name: at.timestamp() for name, at in times.items() if at is not None},
        "Answer": assignment.answer,
        **({"RequesterFeedback": assignment.feedback} if assignment.feedback and status != "Submitted" else {}),
    }


def get(world: World, fields: Fields) -> Fields:
    """GetAssignment."""
    one = world.assignment(fields["AssignmentId"])
    if one.status not in SEEN:
        raise _state("Submitted, Approved, Rejected")
    return {"Assignment": shown(one, one.status), "HIT": hits.shown(world, one.hit)}


def list_for_hit(world: World, fields: Fields) -> Fields:
    """ListAssignmentsForHIT, by time of submission."""
    hit, wanted = world.hit(fields["HITId"]), fields.get("AssignmentStatuses", SEEN)
    known = [(one, one.status_at(world.readable)) for one in hit.assignments]
    rows = [shown(one, status) for one, status in known if status in SEEN and status in wanted]
    return page(world, "Assignments", sorted(rows, key=lambda row: row["SubmitTime"]), fields)


def approve(world: World, fields: Fields) -> Fields:
    """ApproveAssignment: pays the reward."""
    one = world.assignment(fields["AssignmentId"])
    override = one.status == "Rejected" and fields.get("OverrideRejection", False)
    if one.status != "Submitted" and not override:
        raise _state("Submitted" if one.status in SEEN else "null")
    submitted = one.since("Submitted") or world.now()
    too_late = world.now() - submitted > OVERRIDABLE_FOR
    if override and (too_late or hits.status(world, one.hit) == "Disposed"):
        raise refused("InvalidAssignmentState", "It is too late to approve what was rejected.")
    if override or not world.settings.holds:
        wallet.need(world, wallet.price(one.hit.type, large=one.hit.large))
    wallet.pay_reward(world, one)
    return _decide(world, one, "Approved", fields)


def reject(world: World, fields: Fields) -> Fields:
    """RejectAssignment."""
    one = world.assignment(fields["AssignmentId"])
    if one.status != "Submitted":
        raise _state("Submitted" if one.status in SEEN else "null")
    return _decide(world, one, "Rejected", fields)


def _decide(world: World, one: Assignment, status: str, fields: Fields) -> Fields:
    one.feedback = fields.get("RequesterFeedback", one.feedback)
    become(world, one, status)
    return {}


def _state(allowed: str) -> WireError:
    return refused("InvalidAssignmentState", f"This operation can be called with a status of: {allowed}")
