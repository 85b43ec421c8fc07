"""Whom the stand-in for Mechanical Turk lets work, and what it would have told workers and the requester."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from rehearsal.mturk_requester import api, handed_in, hit, hit_type, process, there

from imitable.errors import PlatformError
from imitable.rehearsal.mturk import StandIn
from imitable.rehearsal.mturk.qualifications import ADULT, LOCALE, NUMBER_APPROVED, PERCENT_APPROVED

__all__ = ["api", "process", "there"]


def qualification(api: Any, name: str = "Screened", **other: Any) -> str:
    told = {"Name": name, "Description": "Ours", "QualificationTypeStatus": "Active", **other}
    return str(api.create_qualification_type(**told)["QualificationType"]["QualificationTypeId"])


def wanting(api: Any, *requirements: dict[str, Any]) -> str:
    return hit(api, hit_type(api, QualificationRequirements=list(requirements)))


def needs(type_id: str, comparator: str, *values: int, **other: Any) -> dict[str, Any]:
    given = {"IntegerValues": list(values)} if values else {}
    return {"QualificationTypeId": type_id, "Comparator": comparator, **given, **other}


def lets(there: StandIn, worker: str, task: str) -> bool:
    try:
        there.give_back(there.accept(worker, task)[0])
    except PlatformError as error:
        if "qualifications do not meet" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize(
    ("requirement", "about", "fits"),
    [
        (needs(NUMBER_APPROVED, "GreaterThanOrEqualTo", 500), {"approved_before": 500}, True),
        (needs(NUMBER_APPROVED, "GreaterThanOrEqualTo", 500), {"approved_before": 499}, False),
        (needs(PERCENT_APPROVED, "GreaterThan", 95), {"approved_before": 50, "rejected_before": 49}, True),  # under 100
        (needs(PERCENT_APPROVED, "GreaterThan", 95), {"approved_before": 50, "rejected_before": 50}, False),
        (needs(PERCENT_APPROVED, "LessThanOrEqualTo", 50), {"approved_before": 50, "rejected_before": 50}, True),
        (needs(ADULT, "EqualTo", 1), {"adult": True}, True),
        (needs(ADULT, "EqualTo", 1), {"adult": False}, False),
        (needs(LOCALE, "EqualTo", LocaleValues=[{"Country": "US"}]), {"country": "US", "subdivision": "CA"}, True),
        (needs(LOCALE, "EqualTo", LocaleValues=[{"Country": "US", "Subdivision": "NY"}]), {"subdivision": "CA"}, False),
        (needs(LOCALE, "In", LocaleValues=[{"Country": "DE"}, {"Country": "FR"}]), {"country": "FR"}, True),
        (needs(LOCALE, "NotIn", LocaleValues=[{"Country": "DE"}, {"Country": "FR"}]), {"country": "FR"}, False),
    ],
)
def test_the_systems_qualifications_keep_out_whom_they_name(
    there: StandIn, api: Any, requirement: dict[str, Any], about: dict[str, Any], fits: bool
) -> None:
    task = wanting(api, requirement)
    assert lets(there, there.workers(1, **about)[0], task) is fits


@pytest.mark.parametrize(
    ("comparator", "values", "without", "with_seven"),
    [
        ("Exists", (), False, True),
        ("DoesNotExist", (), True, False),
        ("EqualTo", (7,), False, True),
        ("NotEqualTo", (7,), False, False),
        ("GreaterThan", (6,), False, True),
        ("LessThan", (7,), False, False),
        ("In", (6, 7), False, True),
        ("NotIn", (6, 7), False, False),
    ],
)
def test_our_own_qualifications_are_compared(
    there: StandIn, api: Any, comparator: str, values: tuple[int, ...], without: bool, with_seven: bool
) -> None:
    own = qualification(api)
    task = wanting(api, needs(own, comparator, *values))
    [worker] = there.workers(1)
    assert lets(there, worker, task) is without
    api.associate_qualification_with_worker(QualificationTypeId=own, WorkerId=worker, IntegerValue=7)
    assert lets(there, worker, task) is with_seven
    api.disassociate_qualification_from_worker(QualificationTypeId=own, WorkerId=worker)
    assert lets(there, worker, task) is without, "revoked is as good as never given"


def test_what_is_guarded_is_kept_from_being_accepted_previewed_or_seen(there: StandIn, api: Any) -> None:
    own = qualification(api)
    [worker] = there.workers(1)
    for action, previewed in (("Accept", True), ("PreviewAndAccept", False), ("DiscoverPreviewAndAccept", False)):
        task = wanting(api, needs(own, "Exists", ActionsGuarded=action))
        assert not lets(there, worker, task)
        if previewed:
            assert "ASSIGNMENT_ID_NOT_AVAILABLE" in there.preview(worker, task)
        else:
            with pytest.raises(PlatformError, match="do not let you preview"):
                there.preview(worker, task)


@pytest.mark.parametrize(
    "requirement",
    [
        needs("NOSUCHTYPE", "Exists"),
        needs(NUMBER_APPROVED, "EqualTo"),
        needs(NUMBER_APPROVED, "EqualTo", 1, 2),
        needs(NUMBER_APPROVED, "In", *range(16)),
        needs(NUMBER_APPROVED, "Exists", 1),
        needs(LOCALE, "GreaterThan", LocaleValues=[{"Country": "US"}]),
        needs(LOCALE, "In", LocaleValues=[{"Country": "US"}] * 31),
        needs(NUMBER_APPROVED, "EqualTo", 1, ActionsGuarded="Accept", RequiredToPreview=True),
    ],
)
def test_requirements_that_cannot_be_are_refused(api: Any, requirement: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as caught:
        hit_type(api, QualificationRequirements=[requirement])
    assert caught.value.response["Error"]["Code"] == "RequestError"


def test_a_hit_has_at_most_ten_requirements(api: Any) -> None:
    one = needs(NUMBER_APPROVED, "GreaterThan", 1)
    hit_type(api, QualificationRequirements=[one] * 10)
    with pytest.raises(ClientError, match="10 at most"):
        hit_type(api, QualificationRequirements=[one] * 11)


def test_qualification_types_are_made_found_changed_and_deleted(there: StandIn, api: Any) -> None:
    own = qualification(api, "Screened in spring", Keywords="screening")
    qualification(api, "Another")
    with pytest.raises(ClientError, match="already created a QualificationType with this name"):
        qualification(api, "Another")
    found = api.list_qualification_types(Query="SPRING", MustBeRequestable=False, MustBeOwnedByCaller=True)
    assert [one["QualificationTypeId"] for one in found["QualificationTypes"]] == [own]
    api.update_qualification_type(QualificationTypeId=own, Description="Changed")
    told = api.get_qualification_type(QualificationTypeId=own)["QualificationType"]
    assert (told["Name"], told["Description"]) == ("Screened in spring", "Changed")
    task = wanting(api, needs(own, "Exists"))
    assert [one["HITId"] for one in api.list_hits_for_qualification_type(QualificationTypeId=own)["HITs"]] == [task]
    with pytest.raises(ClientError, match="used by HITs"):
        api.delete_qualification_type(QualificationTypeId=own)
    api.update_expiration_for_hit(HITId=task, ExpireAt=there.now())
    api.delete_hit(HITId=task)
    api.delete_qualification_type(QualificationTypeId=own)
    with pytest.raises(ClientError, match="does not exist"):
        api.get_qualification_type(QualificationTypeId=own)


def test_workers_ask_for_qualifications_and_are_given_them_or_not(there: StandIn, api: Any) -> None:
    asked, granted = qualification(api), qualification(api, "Free", AutoGranted=True, AutoGrantedValue=3)
    first, second = there.workers(2)
    there.ask_for(first, granted)
    score = api.get_qualification_score(QualificationTypeId=granted, WorkerId=first)["Qualification"]
    assert (score["IntegerValue"], score["Status"]) == (3, "Granted")
    for worker in (first, second):
        there.ask_for(worker, asked)
    with pytest.raises(PlatformError, match="asked for it already"):
        there.ask_for(first, asked)
    requests = api.list_qualification_requests(QualificationTypeId=asked)["QualificationRequests"]
    ids = {one["WorkerId"]: one["QualificationRequestId"] for one in requests}
    api.accept_qualification_request(QualificationRequestId=ids[first], IntegerValue=9)
    api.reject_qualification_request(QualificationRequestId=ids[second], Reason="not yet")
    held = api.list_workers_with_qualification_type(QualificationTypeId=asked)["Qualifications"]
    assert [(one["WorkerId"], one["IntegerValue"]) for one in held] == [(first, 9)]
    with pytest.raises(ClientError, match="does not have this Qualification"):
        api.get_qualification_score(QualificationTypeId=asked, WorkerId=second)


def test_who_is_blocked_cannot_work(there: StandIn, api: Any) -> None:
    task = hit(api)
    [worker] = there.workers(1)
    api.create_worker_block(WorkerId=worker, Reason="bad faith")
    assert not lets(there, worker, task)
    assert api.list_worker_blocks()["WorkerBlocks"] == [{"WorkerId": worker, "Reason": "bad faith"}]
    api.delete_worker_block(WorkerId=worker)
    assert lets(there, worker, task)


def test_a_qualification_is_e_mailed_unless_that_is_declined(there: StandIn, api: Any) -> None:
    own = qualification(api)
    first, second = there.workers(2)
    give = api.associate_qualification_with_worker
    give(QualificationTypeId=own, WorkerId=first, SendNotification=False)
    give(QualificationTypeId=own, WorkerId=second)
    assert [(one["to"], one["about"]) for one in there.emails()] == [(second, "qualification")]


def test_only_workers_whose_work_was_decided_are_written_to(there: StandIn, api: Any) -> None:
    worker, assignment = handed_in(there, hit(api))
    letter = {"Subject": "A second part", "MessageText": "Come back", "WorkerIds": [worker, "ANOBODY"]}
    failed = api.notify_workers(**letter)["NotifyWorkersFailureStatuses"]
    assert {one["WorkerId"] for one in failed} == {worker, "ANOBODY"}
    api.approve_assignment(AssignmentId=assignment)
    [one] = api.notify_workers(**letter)["NotifyWorkersFailureStatuses"]
    assert (one["WorkerId"], one["NotifyWorkersFailureCode"]) == ("ANOBODY", "HardFailure")
    assert [mail["about"] for mail in there.emails()] == ["A second part"]


def test_notifications_tell_what_lists_do_not_and_may_come_twice_and_backwards(there: StandIn, api: Any) -> None:
    kind = hit_type(api)
    events = ["HITCreated", "AssignmentAccepted", "AssignmentReturned", "AssignmentAbandoned", "AssignmentSubmitted"]
    events += ["HITExpired", "HITReviewable"]
    wanted = {"Destination": "https://queue.example", "Transport": "SQS", "Version": "2006-05-05", "EventTypes": events}
    api.update_notification_settings(HITTypeId=kind, Notification=wanted, Active=True)
    task = hit(api, kind)
    people = there.workers(3)
    there.give_back(there.accept(people[0], task)[0])
    there.accept(people[1], task)
    handed_in(there, task, worker=people[2])
    there.move(hours=25)
    told = [one["Message"]["Events"][0]["EventType"] for one in there.notifications()]
    work = ["Accepted", "Returned", "Accepted", "Accepted", "Submitted", "Abandoned"]
    assert told == ["HITCreated", *(f"Assignment{one}" for one in work), "HITExpired", "HITReviewable"]
    there.reset()
    there.set(notification_copies=2)
    api.send_test_event_notification(Notification=wanted, TestEventType="Ping")
    api.send_test_event_notification(Notification=wanted, TestEventType="HITExpired")
    told = [one["Message"]["Events"][0]["EventType"] for one in there.notifications()]
    assert told == ["HITExpired", "HITExpired", "Ping", "Ping"]
    with pytest.raises(ClientError):
        api.send_test_event_notification(Notification={**wanted, "Version": "2014-08-15"}, TestEventType="Ping")
