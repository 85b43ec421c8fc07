"""Qualifications: the requester's own and the system's, and what they allow a worker to see, preview and accept."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from imitable.rehearsal.faults import Fields
from imitable.rehearsal.mturk.paging import page
from imitable.rehearsal.mturk.wallet import MASTERS
from imitable.rehearsal.mturk.world import (
    Hit,
    QualificationRequest,
    QualificationType,
    WireError,
    Worker,
    World,
    refused,
)

PERCENT_APPROVED = "000000000000000000L0"
"""Reads 100 until a worker has a hundred decided assignments."""
NUMBER_APPROVED = "00000000000000000040"
LOCALE = "00000000000000000071"
ADULT = "00000000000000000060"
SYSTEM = (PERCENT_APPROVED, NUMBER_APPROVED, LOCALE, ADULT, *MASTERS)

ACTIONS = ("DiscoverPreviewAndAccept", "PreviewAndAccept", "Accept")
"""What a requirement guards: each one less than the one before."""
MOST = 10
"""Requirements of one HIT."""
MOST_INTEGERS, MOST_LOCALES = 15, 30

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "EqualTo": operator.eq,
    "NotEqualTo": operator.ne,
}


def checked(world: World, requirements: list[Fields]) -> tuple[Fields, ...]:
    """Requirements as a HIT can have them. Raises WireError for others."""
    if len(requirements) > MOST:
        raise _wrong(f"There are {len(requirements)} qualification requirements; {MOST} at most are allowed.")
    for one in requirements:
        name, comparator = one["QualificationTypeId"], one["Comparator"]
        if name not in SYSTEM:
            world.qualification(name)
        if "ActionsGuarded" in one and "RequiredToPreview" in one:
            raise _wrong("Give ActionsGuarded or RequiredToPreview, not both.")
        integers, locales = one.get("IntegerValues", []), one.get("LocaleValues", [])
        given, most = (locales, MOST_LOCALES) if name == LOCALE else (integers, MOST_INTEGERS)
        if comparator in ("Exists", "DoesNotExist"):
            if integers or locales:
                raise _wrong(f"{comparator} takes no values.")
        elif not given or (integers and locales):
            raise _wrong(f"{comparator} for {name} needs {'LocaleValues' if name == LOCALE else 'IntegerValues'}.")
        elif len(given) > (most if comparator in ("In", "NotIn") else 1):
            raise _wrong(f"{comparator} for {name} has too many values.")
        if name == LOCALE and comparator not in ("EqualTo", "NotEqualTo", "In", "NotIn", "Exists", "DoesNotExist"):
            raise _wrong(f"Locales cannot be compared by {comparator}.")
    return tuple(requirements)


def allows(world: World, worker: Worker, hit: Hit, action: str) -> bool:
    """Whether a worker may do this: one of `ACTIONS`."""
    if worker.id in world.blocks:
        return False
    guarding = [one for one in hit.type.requirements if ACTIONS.index(_guarded(one)) <= ACTIONS.index(action)]
    return all(meets(world, worker, one) for one in guarding)


def _guarded(requirement: Fields) -> str:
    old = "PreviewAndAccept" if requirement.get("RequiredToPreview") else "Accept"
    return str(requirement.get("ActionsGuarded", old))


def meets(world: World, worker: Worker, requirement: Fields) -> bool:
    """Whether a worker fulfils one requirement. Who has no such qualification only fulfils DoesNotExist."""
    comparator = requirement["Comparator"]
    value = _value(world, worker, requirement["QualificationTypeId"])
    if comparator in ("Exists", "DoesNotExist"):
        return (value is not None) is bool(comparator == "Exists")
    if value is None:
        return False
    if requirement["QualificationTypeId"] == LOCALE:
        fits: bool = any(_same_place(one, value) for one in requirement["LocaleValues"])
        return fits is (comparator in ("EqualTo", "In"))
    if comparator in ("In", "NotIn"):
        found: bool = value in requirement["IntegerValues"]
        return found is (comparator == "In")
    return _COMPARE[comparator](value, requirement["IntegerValues"][0])


def _value(world: World, worker: Worker, type_id: str) -> Any:
    """An integer, a locale for LOCALE, or None for whoever has none."""
    if type_id not in SYSTEM:
        held = world.qualification(type_id).held.get(worker.id)
        return held["IntegerValue"] if held and held["Status"] == "Granted" else None
    if type_id == LOCALE:
        return (worker.country, worker.subdivision)
    if type_id in (ADULT, *MASTERS):
        return 1 if (worker.adult if type_id == ADULT else worker.masters) else None
    mine = [one.status for one in world.assignments.values() if one.worker is worker]
    approved = worker.approved_before + mine.count("Approved")
    decided = approved + worker.rejected_before + mine.count("Rejected")
    if type_id == NUMBER_APPROVED:
        return approved
    return 100 if decided < 100 else 100 * approved // decided


def _same_place(wanted: Fields, place: tuple[str, str]) -> bool:
    return (wanted["Country"], wanted.get("Subdivision", place[1])) == place


def create(world: World, fields: Fields) -> Fields:
    """CreateQualificationType: its name is the requester's only one."""
    if any(one.described["Name"] == fields["Name"] for one in world.qualifications.values()):
        raise refused(
            "QualificationTypeAlreadyExists",
            "You have already created a QualificationType with this name. A QualificationType's name must be unique "
            "among all of the QualificationTypes created by the same user.",
        )
    _consistent(fields)
    made = QualificationType(world.fresh("QUAL"), world.now(), dict(fields))
    world.qualifications[made.id] = made
    return {"QualificationType": shown(made)}


def update(world: World, fields: Fields) -> Fields:
    """UpdateQualificationType: all but its name."""
    one = world.qualification(fields["QualificationTypeId"])
    changed = {**one.described, **{name: value for name, value in fields.items() if name != "QualificationTypeId"}}
    _consistent(changed)
    one.described = changed
    return {"QualificationType": shown(one)}


def _consistent(fields: Fields) -> None:
    if "Test" in fields and fields.get("AutoGranted"):
        raise _wrong("A QualificationType cannot have both a Test and AutoGranted.")
    if "Test" in fields and "TestDurationInSeconds" not in fields:
        raise _wrong("A Test needs TestDurationInSeconds.")
    if "AnswerKey" in fields and "Test" not in fields:
        raise _wrong("An AnswerKey needs a Test.")


def shown(one: QualificationType) -> Fields:
    """A qualification type as the API has it."""
    value = {"AutoGrantedValue": 1, **one.described} if one.described.get("AutoGranted") else one.described
    return {"QualificationTypeId": one.id, "CreationTime": one.created.timestamp(), "IsRequestable": True, **value}


def get(world: World, fields: Fields) -> Fields:
    """GetQualificationType."""
    return {"QualificationType": shown(world.qualification(fields["QualificationTypeId"]))}


def list_types(world: World, fields: Fields) -> Fields:
    """ListQualificationTypes. The query may be in its name, keywords or description; no system ones."""
    words = fields.get("Query", "").lower()
    rows = [
        shown(one)
        for one in world.qualifications.values()
        if one.created <= world.readable
        and words in " ".join(one.described.get(name, "") for name in ("Name", "Keywords", "Description")).lower()
    ]
    return page(world, "QualificationTypes", rows, fields)


def delete(world: World, fields: Fields) -> Fields:
    """DeleteQualificationType. Here it is gone at once; there it took up to 48 hours."""
    one = world.qualification(fields["QualificationTypeId"])
    used = [
        hit for hit in world.hits.values() for asked in hit.type.requirements if asked["QualificationTypeId"] == one.id
    ]
    if any(not hit.deleted for hit in used):
        raise refused(
            "InvalidQualificationTypeState", f"QualificationType {one.id} is used by HITs; delete them first."
        )
    del world.qualifications[one.id]
    world.requests = {name: asked for name, asked in world.requests.items() if asked.type is not one}
    return {}


def associate(world: World, fields: Fields) -> Fields:
    """AssociateQualificationWithWorker. Unless it is told not to, the service wrote to the worker."""
    one, worker = world.qualification(fields["QualificationTypeId"]), world.worker(fields["WorkerId"])
    grant(world, one, worker, fields.get("IntegerValue", 1))
    if fields.get("SendNotification", True):
        name = one.described["Name"]
        world.emails.append({"to": worker.id, "about": "qualification", "text": f"You were given: {name}"})
    return {}


def grant(world: World, one: QualificationType, worker: Worker, value: int) -> None:
    """Give a worker a qualification, or another value of it."""
    one.held[worker.id] = {"IntegerValue": value, "GrantTime": world.now().timestamp(), "Status": "Granted"}


def disassociate(world: World, fields: Fields) -> Fields:
    """DisassociateQualificationFromWorker."""
    one, worker = world.qualification(fields["QualificationTypeId"]), world.worker(fields["WorkerId"])
    if one.held.get(worker.id, {}).get("Status") != "Granted":
        raise _not_held(worker.id)
    one.held[worker.id]["Status"] = "Revoked"
    world.emails.append({"to": worker.id, "about": "qualification revoked", "text": fields.get("Reason", "")})
    return {}


def score(world: World, fields: Fields) -> Fields:
    """GetQualificationScore."""
    one = world.qualification(fields["QualificationTypeId"])
    if fields["WorkerId"] not in one.held:
        raise _not_held(fields["WorkerId"])
    return {"Qualification": _held(one, fields["WorkerId"])}


def list_workers(world: World, fields: Fields) -> Fields:
    """ListWorkersWithQualificationType."""
    one = world.qualification(fields["QualificationTypeId"])
    rows = [_held(one, worker) for worker in one.held]
    wanted, until = fields.get("Status"), world.readable.timestamp()
    rows = [row for row in rows if row["GrantTime"] <= until and wanted in (None, row["Status"])]
    return page(world, "Qualifications", rows, fields)


def _held(one: QualificationType, worker: str) -> Fields:
    return {"QualificationTypeId": one.id, "WorkerId": worker, **one.held[worker]}


def request(world: World, worker: Worker, one: QualificationType) -> None:
    """A worker asks for it: granted at once where it says so, else for the requester to decide."""
    if one.described["QualificationTypeStatus"] != "Active":
        raise _wrong("This qualification cannot be asked for.")
    if one.described.get("AutoGranted"):
        grant(world, one, worker, one.described.get("AutoGrantedValue", 1))
        return
    if any(asked.type is one and asked.worker is worker for asked in world.requests.values()):
        raise _wrong("This worker has asked for it already.")
    made = QualificationRequest(world.fresh("REQUEST"), one, worker, world.now())
    world.requests[made.id] = made


def open_to(world: World, worker: Worker) -> list[QualificationType]:
    """What a worker can ask for: active, not held, and not asked for yet."""
    asked = {id(one.type) for one in world.requests.values() if one.worker is worker}
    return [
        one
        for one in world.qualifications.values()
        if one.described["QualificationTypeStatus"] == "Active" and worker.id not in one.held and id(one) not in asked
    ]


def list_requests(world: World, fields: Fields) -> Fields:
    """ListQualificationRequests."""
    wanted = fields.get("QualificationTypeId")
    rows = [
        {
            "QualificationRequestId": one.id,
            "QualificationTypeId": one.type.id,
            "WorkerId": one.worker.id,
            "SubmitTime": one.at.timestamp(),
        }
        for one in world.requests.values()
        if wanted in (None, one.type.id)
    ]
    return page(world, "QualificationRequests", rows, fields)


def accept_request(world: World, fields: Fields) -> Fields:
    """AcceptQualificationRequest."""
    one = _take(world, fields["QualificationRequestId"])
    grant(world, one.type, one.worker, fields.get("IntegerValue", 1))
    return {}


def reject_request(world: World, fields: Fields) -> Fields:
    """RejectQualificationRequest."""
    one = _take(world, fields["QualificationRequestId"])
    world.emails.append({"to": one.worker.id, "about": "request rejected", "text": fields.get("Reason", "")})
    return {}


def _take(world: World, name: str) -> QualificationRequest:
    if name not in world.requests:
        raise refused("QualificationRequestDoesNotExist", f"QualificationRequest {name} does not exist.")
    return world.requests.pop(name)


def _wrong(why: str) -> WireError:
    return refused("ParameterValidationError", why)


def _not_held(worker: str) -> WireError:
    return refused("QualificationDoesNotExist", f"Worker {worker} does not have this Qualification.")
