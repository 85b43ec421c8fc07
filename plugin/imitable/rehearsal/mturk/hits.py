"""HIT types and HITs.

Assignable --all places taken, or expired--> Unassignable --nobody works on it--> Reviewable <--> Reviewing
Reviewable, Reviewing --more places, or more time--> Assignable;  --deleted, or 120 days--> Disposed

Where a HIT stands follows from its clock and its assignments, and is not kept.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from imitable.rehearsal.faults import Fields
from imitable.rehearsal.mturk import questions, wallet
from imitable.rehearsal.mturk.paging import page
from imitable.rehearsal.mturk.qualifications import checked
from imitable.rehearsal.mturk.telling import tell
from imitable.rehearsal.mturk.world import Hit, HitType, WireError, World, dollars, refused

DISPOSED_AFTER = timedelta(days=120)
APPROVAL_DELAY = 2_592_000
"""Seconds, where none is given."""
SMALL = 10
"""HITs of fewer assignments cost less, and cannot grow to this many."""
TAKEN = ("Accepted", "Submitted", "Approved", "Rejected")
"""Assignments that occupy a place."""


def create_type(world: World, fields: Fields) -> Fields:
    """CreateHITType: the same values are the same type."""
    return {"HITTypeId": _type(world, fields).id}


def _type(world: World, fields: Fields) -> HitType:
    requirements = checked(world, fields.get("QualificationRequirements", []))
    delay = fields.get("AutoApprovalDelayInSeconds", APPROVAL_DELAY)
    reward, duration = wallet.to_cents(fields["Reward"]), fields["AssignmentDurationInSeconds"]
    words = (fields["Title"], fields["Description"], fields.get("Keywords", ""))
    values = (*words, reward, duration, delay, repr(requirements))
    if values not in world.types:
        ids = (world.fresh("TYPE"), world.fresh("GROUP"))
        world.types[values] = HitType(*ids, *words, reward, duration, delay, requirements)
    return world.types[values]


def create(world: World, fields: Fields) -> Fields:
    """CreateHIT."""
    return _create(world, "CreateHIT", fields, lambda: _type(world, fields))


def create_with_type(world: World, fields: Fields) -> Fields:
    """CreateHITWithHITType."""
    return _create(world, "CreateHITWithHITType", fields, lambda: world.hit_type(fields["HITTypeId"]))


def _create(world: World, operation: str, fields: Fields, kind: Any) -> Fields:
    token = fields.get("UniqueRequestToken")
    before = world.once(operation, token)
    if before is not None:
        raise refused("HitAlreadyExists", f"A HIT was already created with the token {token}. HITId: {before}")
    for name in ("HITLayoutId", "AssignmentReviewPolicy", "HITReviewPolicy"):
        if name in fields:
            raise refused("ParameterValidationError", f"This stand-in has no layouts and no review policies: {name}.")
    if "Question" not in fields:
        raise refused("ParameterValidationError", "Give a Question.")
    questions.read(fields["Question"])
    its_type, places = kind(), fields.get("MaxAssignments", 1)
    wallet.need(world, places * wallet.price(its_type, large=places >= SMALL))
    hit = Hit(
        world.fresh("HIT"),
        its_type,
        world.now(),
        world.now() + timedelta(seconds=fields["LifetimeInSeconds"]),
        places,
        places >= SMALL,
        fields["Question"],
        fields.get("RequesterAnnotation", ""),
    )
    world.hits[hit.id] = hit
    world.used(operation, token, hit.id)
    tell(world, "HITCreated", hit)
    return {"HIT": shown(world, hit)}


def status(world: World, hit: Hit) -> str:
    """Where it stands."""
    if hit.deleted:
        return "Disposed"
    expired = hit.expires <= world.now()
    if not expired and hit.places > hit.count(*TAKEN):
        return "Assignable"
    if hit.count("Accepted"):
        return "Unassignable"
    changes = [one.history[-1][0] for one in hit.assignments]
    idle = max([hit.expires if expired else hit.created, *changes])
    if world.now() - idle > DISPOSED_AFTER:
        return "Disposed"
    return "Reviewing" if hit.reviewing else "Reviewable"


def shown(world: World, hit: Hit) -> Fields:
    """A HIT as the API has it."""
    kind = hit.type
    optional = {"RequesterAnnotation": hit.annotation, "Keywords": kind.keywords}
    return {
        "HITId": hit.id,
        "HITTypeId": kind.id,
        "HITGroupId": kind.group,
        "CreationTime": hit.created.timestamp(),
        "Title": kind.title,
        "Description": kind.description,
        "Question": hit.question,
        "HITStatus": status(world, hit),
        "MaxAssignments": hit.places,
        "Reward": dollars(kind.reward),
        "AutoApprovalDelayInSeconds": kind.approval_delay,
        "Expiration": hit.expires.timestamp(),
        "AssignmentDurationInSeconds": kind.duration,
        "QualificationRequirements": list(kind.requirements),
        "HITReviewStatus": "NotReviewed",
        "NumberOfAssignmentsPending": hit.count("Accepted"),
        "NumberOfAssignmentsAvailable": hit.places - hit.count(*TAKEN),
        "NumberOfAssignmentsCompleted": hit.count("Approved", "Rejected"),
        **{name: text for name, text in optional.items() if text},
    }


def get(world: World, fields: Fields) -> Fields:
    """GetHIT."""
    return {"HIT": shown(world, world.hit(fields["HITId"]))}


def listed(world: World) -> list[Hit]:
    """All that lists show, the newest first."""
    ours = [hit for hit in world.hits.values() if hit.created <= world.readable]
    return [hit for hit in reversed(ours) if status(world, hit) != "Disposed"]


def list_all(world: World, fields: Fields) -> Fields:
    """ListHITs."""
    return page(world, "HITs", [shown(world, hit) for hit in listed(world)], fields)


def list_reviewable(world: World, fields: Fields) -> Fields:
    """ListReviewableHITs."""
    wanted = fields.get("Status", "Reviewable")
    kinds = (fields["HITTypeId"],) if "HITTypeId" in fields else {hit.type.id for hit in world.hits.values()}
    rows = [shown(world, hit) for hit in listed(world) if status(world, hit) == wanted and hit.type.id in kinds]
    return page(world, "HITs", rows, fields)


def list_for_qualification(world: World, fields: Fields) -> Fields:
    """ListHITsForQualificationType."""
    wanted = fields["QualificationTypeId"]
    world.qualification(wanted)
    rows = [
        shown(world, hit)
        for hit in listed(world)
        if any(one["QualificationTypeId"] == wanted for one in hit.type.requirements)
    ]
    return page(world, "HITs", rows, fields)


def add_places(world: World, fields: Fields) -> Fields:
    """CreateAdditionalAssignmentsForHIT."""
    hit, more = world.hit(fields["HITId"]), fields["NumberOfAdditionalAssignments"]
    token = fields.get("UniqueRequestToken")
    if world.once("CreateAdditionalAssignmentsForHIT", token) is not None:
        raise wallet.repeated(str(token))
    _only(world, hit, "Assignable", "Unassignable", "Reviewable", "Reviewing")
    if not hit.large and hit.places + more >= SMALL:
        raise refused(
            "InvalidMaximumAssignmentsIncrease",
            f"A HIT that was created with fewer than {SMALL} assignments cannot be extended to {SMALL} or more.",
        )
    wallet.need(world, more * wallet.price(hit.type, large=hit.large))
    hit.places += more
    hit.reviewing = False
    world.used("CreateAdditionalAssignmentsForHIT", token, hit.id)
    tell(world, "HITExtended", hit)
    return {}


def expire_at(world: World, fields: Fields) -> Fields:
    """UpdateExpirationForHIT. The same time twice within a day is refused as a repeated token, as it was live."""
    hit, at = world.hit(fields["HITId"]), datetime.fromtimestamp(fields["ExpireAt"], UTC)
    token = f"{hit.id}{at:%a %b %d %H:%M:%S UTC %Y}"
    if world.once("UpdateExpirationForHIT", token) is not None:
        raise wallet.repeated(token)
    _only(world, hit, "Assignable", "Unassignable", "Reviewable", "Reviewing")
    later = at > hit.expires
    hit.expires = max(at, world.now())
    world.used("UpdateExpirationForHIT", token, hit.id)
    if later and status(world, hit) == "Assignable":
        hit.reviewing = False
        tell(world, "HITExtended", hit)
    return {}


def delete(world: World, fields: Fields) -> Fields:
    """DeleteHIT: only what is reviewable, and reviewed."""
    hit = world.hit(fields["HITId"])
    _only(world, hit, "Reviewing", "Reviewable")
    if hit.count("Submitted"):
        raise refused("InvalidHITState", f"Hit {hit.id} has assignments that were neither approved nor rejected.")
    hit.deleted = True
    tell(world, "HITDisposed", hit)
    return {}


def review(world: World, fields: Fields) -> Fields:
    """UpdateHITReviewStatus."""
    hit = world.hit(fields["HITId"])
    back = fields.get("Revert", False)
    _only(world, hit, "Reviewing" if back else "Reviewable")
    hit.reviewing = not back
    return {}


def change_type(world: World, fields: Fields) -> Fields:
    """UpdateHITTypeOfHIT."""
    hit = world.hit(fields["HITId"])
    hit.type = world.hit_type(fields["HITTypeId"])
    return {}


def _only(world: World, hit: Hit, *allowed: str) -> None:
    now = status(world, hit)
    if now not in allowed:
        raise _state(now, allowed)


def _state(now: str, allowed: tuple[str, ...]) -> WireError:
    may = ", ".join(allowed)
    said = f"This HIT is currently in the state '{now}'. This operation can be called with a status of: {may}"
    return refused("InvalidHITState", said)
