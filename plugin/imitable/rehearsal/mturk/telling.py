"""What would have been told: notifications to the requester, and e-mails to workers. Nothing leaves the stand-in."""

from __future__ import annotations

from collections import Counter

from imitable.rehearsal.faults import Fields
from imitable.rehearsal.mturk.world import Assignment, Hit, World, bad_value

VERSION = "2006-05-05"
"""The only one of the notification API."""


def tell(world: World, event: str, hit: Hit, assignment: Assignment | None = None) -> None:
    """Note an event for whoever wants to hear of those of this type of HIT."""
    wanted = world.subscriptions.get(hit.type.id)
    if wanted and wanted["Active"] and event in wanted["Notification"]["EventTypes"]:
        told: Fields = {"EventType": event, "HITTypeId": hit.type.id, "HITId": hit.id}
        if assignment is not None:
            told["AssignmentId"] = assignment.id
        _send(world, wanted["Notification"], told)


def _send(world: World, specification: Fields, told: Fields) -> None:
    stamped = {**told, "EventTimestamp": world.now().strftime("%Y-%m-%dT%H:%M:%SZ")}
    message = {"EventDocId": world.fresh("N"), "EventDocVersion": VERSION, "Events": [stamped]}
    sent = {"Transport": specification["Transport"], "Destination": specification["Destination"], "Message": message}
    world.notifications += [sent] * world.settings.notification_copies


def told(world: World) -> list[Fields]:
    """What was sent so far, as it may have arrived."""
    return world.notifications[::-1] if world.settings.notification_copies > 1 else world.notifications


def update_settings(world: World, fields: Fields) -> Fields:
    """UpdateNotificationSettings."""
    kind = world.hit_type(fields["HITTypeId"])
    before: Fields = world.subscriptions.get(kind.id, {"Active": False, "Notification": None})
    after = {name: fields.get(name, before[name]) for name in ("Active", "Notification")}
    if after["Notification"] is None:
        raise bad_value("Notification", None)
    _check(after["Notification"])
    world.subscriptions[kind.id] = after
    return {}


def send_test(world: World, fields: Fields) -> Fields:
    """SendTestEventNotification."""
    _check(fields["Notification"])
    _send(world, fields["Notification"], {"EventType": fields["TestEventType"]})
    return {}


def _check(specification: Fields) -> None:
    if specification["Version"] != VERSION:
        raise bad_value("Version", specification["Version"])
    if not specification["EventTypes"]:
        raise bad_value("EventTypes", [])


def notify_workers(world: World, fields: Fields) -> Fields:
    """NotifyWorkers: who has never had work approved or rejected here is not written to, and named in the answer."""
    if len(fields["WorkerIds"]) > 100:
        raise bad_value("WorkerIds", f"{len(fields['WorkerIds'])} of them")
    known = Counter(one.worker.id for one in world.assignments.values() if one.status in ("Approved", "Rejected"))
    failed = []
    for worker in fields["WorkerIds"]:
        if known[worker]:
            world.emails.append({"to": worker, "about": fields["Subject"], "text": fields["MessageText"]})
        else:
            why = "This worker has no work that you approved or rejected."
            failed.append(
                {
                    "NotifyWorkersFailureCode": "HardFailure",
                    "NotifyWorkersFailureMessage": why,
                    "WorkerId": worker,
                }
            )
    return {"NotifyWorkersFailureStatuses": failed}
