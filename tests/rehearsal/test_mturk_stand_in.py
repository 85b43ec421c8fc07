"""The stand-in for Mechanical Turk, driven by real boto3: what it takes, what it refuses, and how it says so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import fields
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from botocore.exceptions import ClientError
from rehearsal.mturk_requester import api, client, handed_in, hit, hit_type, process, question, there

from imitable.errors import PlatformError
from imitable.rehearsal.faults import How
from imitable.rehearsal.mturk import KEY, Fault, StandIn
from imitable.rehearsal.mturk.sides import PATHS
from imitable.rehearsal.mturk.world import Settings

__all__ = ["api", "process", "there"]


def refusal(call: Any, **fields: Any) -> tuple[str, str]:
    """The code and the words of a refusal: the service's own code where there is one."""
    with pytest.raises(ClientError) as caught:
        call(**fields)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    return answer.get("TurkErrorCode", answer["Error"]["Code"]), answer["Error"]["Message"]


def status(api: Any, task: str) -> str:
    return str(api.get_hit(HITId=task)["HIT"]["HITStatus"])


def test_it_says_everywhere_that_it_is_a_stand_in(there: StandIn, api: Any) -> None:
    for path in ("/", "/worker"):
        page = httpx.get(f"{there.address}{path}", trust_env=False)
        assert "no real money, no real people" in page.text
        assert page.headers["x-stand-in"].startswith("stand-in for Mechanical Turk")
    answered = api.get_account_balance()["ResponseMetadata"]["HTTPHeaders"]
    assert answered["x-stand-in"].startswith("stand-in for Mechanical Turk")
    task = hit(api)
    worker, assignment = handed_in(there, task)
    assert all("STANDIN" in name for name in (task, worker, assignment))
    there.fail(Fault("status"))
    with pytest.raises(ClientError) as caught:
        api.get_account_balance()
    assert "x-stand-in" in caught.value.response["ResponseMetadata"]["HTTPHeaders"]


@pytest.mark.parametrize(
    ("call", "fields", "words"),
    [
        ("send_bonus", {"BonusAmount": "0.30000000000000004"}, "'bonusAmount' failed to satisfy .*regular expression"),
        ("send_bonus", {"BonusAmount": "1e-05"}, "regular expression"),
        ("send_bonus", {"UniqueRequestToken": "x" * 65}, "'uniqueRequestToken' .*length less than or equal to 64"),
        ("send_bonus", {"WorkerId": "bob"}, r"'workerId' .*pattern: \^A\[A-Z0-9\]\+\$"),
        ("list_assignments_for_hit", {"AssignmentStatuses": ["Nope"]}, r"enum value set: \[Submitted, Approved, Rejec"),
        ("list_assignments_for_hit", {"MaxResults": 101}, "'maxResults' .*value less than or equal to 100"),
    ],
)
def test_what_botocore_sends_without_a_look_is_held_against_its_own_model(
    api: Any, call: str, fields: dict[str, Any], words: str
) -> None:
    bonus = {"WorkerId": "A1", "AssignmentId": "A1", "BonusAmount": "1.00", "Reason": "r"}
    asked = bonus if call == "send_bonus" else {"HITId": "H1"}
    code, said = refusal(getattr(api, call), **{**asked, **fields})
    assert code == "ValidationException"
    assert said.startswith("1 validation error detected: Value '")
    assert re.search(words, said)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({"AssignmentId": "A1"}, "ValidationException", "Value null at 'requesterFeedback' .*Member must not be null"),
        ({}, "ValidationException", "2 validation errors detected"),
        ({"AssignmentId": 7, "RequesterFeedback": "x"}, "SerializationException", "assignmentId is no string"),
        ([], "SerializationException", "The request is no structure"),
        ("not json", "SerializationException", "no JSON"),
    ],
)
def test_what_botocore_would_not_send_is_refused_as_well(there: StandIn, body: Any, kind: str, words: str) -> None:
    there.set(check_signatures=False)
    headers = {"X-Amz-Target": "MTurkRequesterServiceV20170117.RejectAssignment"}
    sent = body if isinstance(body, str) else json.dumps(body)
    answer = httpx.post(there.address, content=sent, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["__type"]) == (400, kind)
    assert re.search(words, answer.json()["message"])


@pytest.mark.parametrize(
    "fields",
    [
        {"Title": "x" * 129},
        {"Description": "x" * 2001},
        {"AssignmentDurationInSeconds": 29},
        {"AutoApprovalDelayInSeconds": 2_592_001},
    ],
)
def test_limits_that_only_the_documents_have_are_kept(api: Any, fields: dict[str, Any]) -> None:
    code, said = refusal(lambda **more: hit_type(api, **more), **fields)
    assert code == "AWS.MechanicalTurk.InvalidParameterValue"
    assert next(iter(fields)) in said


def test_only_what_the_accounts_keys_signed_is_answered(there: StandIn, api: Any) -> None:
    assert api.get_account_balance()["AvailableBalance"] == "10000.00"
    wrong = client(there, secret="another-secret")
    assert refusal(wrong.get_account_balance)[0] == "InvalidSignatureException"
    assert refusal(client(there, key="another-key").get_account_balance)[0] == "UnrecognizedClientException"
    code, said = refusal(client(there, key="AKIAIOSFODNN7EXAMPLE").get_account_balance)
    assert code == "UnrecognizedClientException"
    assert "it needs no real keys" in said
    target = {"X-Amz-Target": "MTurkRequesterServiceV20170117.GetAccountBalance"}
    bare = httpx.post(there.address, json={}, headers=target, trust_env=False)
    assert bare.json()["__type"] == "MissingAuthenticationTokenException"
    assert "AKIA" not in json.dumps(there.journal()), "the journal keeps no keys"


def test_a_body_that_was_changed_on_the_way_is_refused(there: StandIn, api: Any) -> None:
    sent: dict[str, Any] = {}

    def keep(request: Any, **_: Any) -> None:
        sent.update(url=request.url, headers=dict(request.headers), body=request.body)

    api.meta.events.register("before-send", keep)
    hit_type(api)
    api.meta.events.unregister("before-send", keep)
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in sent["headers"].items()}
    again = httpx.post(sent["url"], content=sent["body"], headers=headers, trust_env=False)
    assert again.status_code == 200, "the same bytes are still signed"
    dearer = sent["body"].replace(b"0.50", b"5.00")
    changed = httpx.post(sent["url"], content=dearer, headers=headers, trust_env=False)
    assert changed.json()["__type"] == "InvalidSignatureException"


def test_an_unknown_operation_and_what_the_stand_in_does_not_do_are_said(there: StandIn, api: Any) -> None:
    there.set(check_signatures=False)
    for target in ("MTurkRequesterServiceV20170117.Nonsense", "AnotherService.GetHIT", ""):
        answer = httpx.post(there.address, json={}, headers={"X-Amz-Target": target}, trust_env=False)
        assert answer.json()["__type"] == "UnknownOperationException"
    asked = {"AssignmentId": "A1", "QuestionIdentifier": "q"}
    code, said = refusal(api.get_file_upload_url, **asked)
    assert code == "UnknownOperationException"
    assert "does not do GetFileUploadURL" in said


def test_what_cannot_be_done_is_a_request_error_with_its_code_and_the_time(there: StandIn, api: Any) -> None:
    there.move(hours=24)
    with pytest.raises(api.exceptions.RequestError) as caught:
        api.get_hit(HITId="NOSUCHHIT")
    answer = caught.value.response
    assert answer["TurkErrorCode"] == "AWS.MechanicalTurk.HITDoesNotExist"
    assert answer["Error"]["Message"].startswith("Hit NOSUCHHIT does not exist. (")
    said_at = int(answer["Error"]["Message"].rpartition("(")[2].rstrip(")")) / 1000
    assert said_at - time.time() > 23 * 3600, "by its own clock"


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        ("<no", "well-formed"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "well-formed"),
        ("<Other/>", "not one of ExternalQuestion"),
        (question("http://play.example/task"), "must begin with https://"),
        (question(height="tall"), "FrameHeight is no number"),  # type: ignore[arg-type]
    ],
)
def test_a_question_that_is_none_is_refused(api: Any, xml: str, words: str) -> None:
    code, said = refusal(lambda **more: hit(api, **more), Question=xml)
    assert code == "AWS.MechanicalTurk.XMLParseError"
    assert words in said


def test_the_same_values_are_the_same_type_of_hit(api: Any) -> None:
    assert hit_type(api) == hit_type(api)
    assert hit_type(api, Reward="0.51") != hit_type(api)


def test_a_hit_goes_from_assignable_to_disposed(there: StandIn, api: Any) -> None:
    task = hit(api, MaxAssignments=1, LifetimeInSeconds=3600)
    first, second = there.workers(2)
    assert status(api, task) == "Assignable"
    assignment, _ = there.accept(first, task)
    assert status(api, task) == "Unassignable"
    with pytest.raises(PlatformError, match="no place"):
        there.accept(second, task)
    there.give_back(assignment)
    assert status(api, task) == "Assignable"
    handed_in(there, task, worker=second)
    assert status(api, task) == "Reviewable"
    api.update_hit_review_status(HITId=task)
    assert status(api, task) == "Reviewing"
    assert api.list_reviewable_hits()["NumResults"] == 0
    assert api.list_reviewable_hits(Status="Reviewing")["HITs"][0]["HITId"] == task
    assert refusal(api.delete_hit, HITId=task)[0] == "AWS.MechanicalTurk.InvalidHITState"
    [row] = api.list_assignments_for_hit(HITId=task)["Assignments"]
    api.approve_assignment(AssignmentId=row["AssignmentId"])
    api.create_additional_assignments_for_hit(HITId=task, NumberOfAdditionalAssignments=1)
    assert status(api, task) == "Assignable"
    assert "currently in the state 'Assignable'" in refusal(api.delete_hit, HITId=task)[1]
    there.move(hours=1)
    assert status(api, task) == "Reviewable"
    api.delete_hit(HITId=task)
    assert status(api, task) == "Disposed"
    assert api.list_hits()["NumResults"] == 0


def test_the_counts_of_a_hit_say_who_works_on_it_and_what_is_left(there: StandIn, api: Any) -> None:
    task = hit(api)
    _, submitted = handed_in(there, task)
    there.accept(there.workers(1)[0], task)

    def counts() -> tuple[int, int, int]:
        told = api.get_hit(HITId=task)["HIT"]
        return tuple(told[f"NumberOfAssignments{name}"] for name in ("Pending", "Available", "Completed"))

    assert counts() == (1, 1, 0)
    api.approve_assignment(AssignmentId=submitted)
    assert counts() == (1, 1, 1)
    there.move(seconds=601)
    assert counts() == (0, 2, 1), "who took too long abandoned it"


def test_expiry_lets_those_hand_in_who_have_accepted(there: StandIn, api: Any) -> None:
    task = hit(api)
    worker, late = there.workers(2)
    assignment, _ = there.accept(worker, task)
    api.update_expiration_for_hit(HITId=task, ExpireAt=there.now())
    assert status(api, task) == "Unassignable"
    with pytest.raises(PlatformError, match="no place"):
        there.accept(late, task)
    there.submit(assignment, {"seen": "a cat"})
    assert status(api, task) == "Reviewable"
    api.update_expiration_for_hit(HITId=task, ExpireAt=there.now().timestamp() + 3600)
    assert status(api, task) == "Assignable"


def test_the_requester_sees_nothing_of_what_was_not_handed_in(there: StandIn, api: Any) -> None:
    task = hit(api)
    people = there.workers(3)
    accepted, returned, abandoned = (there.accept(one, task)[0] for one in people)
    there.give_back(returned)
    there.move(seconds=601)
    accepted, _ = there.accept(people[0], task)
    assert api.list_assignments_for_hit(HITId=task)["Assignments"] == []
    for name in (accepted, returned, abandoned):
        assert refusal(api.get_assignment, AssignmentId=name)[0] == "AWS.MechanicalTurk.InvalidAssignmentState"
    assert "status of: null" in refusal(api.approve_assignment, AssignmentId=accepted)[1]
    with pytest.raises(PlatformError, match="abandoned"):
        there.submit(abandoned, {"seen": "a cat"})


def test_what_was_handed_in_comes_back_as_xml(there: StandIn, api: Any) -> None:
    task = hit(api)
    [worker] = there.workers(1)
    assignment, url = there.accept(worker, task)
    assert url.startswith("https://play.example/task?campaign=1&assignmentId=")
    with pytest.raises(PlatformError, match="no field beside"):
        there.submit(assignment, {"hitId": task})
    there.submit(assignment, {"workerId": "AFORGED", "seen": "<é> & \x00 more"})
    one = api.get_assignment(AssignmentId=assignment)
    answer = one["Assignment"]["Answer"]
    assert "<QuestionIdentifier>seen</QuestionIdentifier><FreeText>&lt;&#233;&gt; &amp;  more</FreeText>" in answer
    assert "AFORGED" not in answer
    assert (one["Assignment"]["WorkerId"], one["HIT"]["HITId"]) == (worker, task)
    assert (one["Assignment"]["AutoApprovalTime"] - one["Assignment"]["SubmitTime"]).days == 30


def test_every_page_with_a_row_has_a_next_token_and_the_last_is_empty(there: StandIn, api: Any) -> None:
    task = hit(api, MaxAssignments=25)
    expected = {handed_in(there, task, worker=one)[1] for one in there.workers(25)}
    first = api.list_assignments_for_hit(HITId=task)
    assert first["NumResults"] == 10
    pages = list(api.get_paginator("list_assignments_for_hit").paginate(HITId=task))
    assert [page["NumResults"] for page in pages] == [10, 10, 5, 0]
    assert ["NextToken" in page for page in pages] == [True, True, True, False]
    assert {one["AssignmentId"] for page in pages for one in page["Assignments"]} == expected
    other = {"HITId": task, "AssignmentStatuses": ["Approved"], "NextToken": first["NextToken"]}
    for asked in (other, {"HITId": task, "NextToken": "nonsense"}):
        assert refusal(api.list_assignments_for_hit, **asked)[0] == "AWS.MechanicalTurk.InvalidParameterValue"


def test_lists_show_late_what_is_there_when_they_lag(there: StandIn, api: Any) -> None:
    there.set(listing_lag=60)
    task = hit(api)
    worker, assignment = handed_in(there, task)
    api.send_bonus(WorkerId=worker, AssignmentId=assignment, BonusAmount="1.00", Reason="r")

    def listed() -> list[int]:
        mine = {"HITId": task}
        lists = (api.list_hits(), api.list_assignments_for_hit(**mine), api.list_bonus_payments(**mine))
        return [one["NumResults"] for one in lists]

    assert listed() == [0, 0, 0]
    assert api.get_assignment(AssignmentId=assignment)["Assignment"]["AssignmentStatus"] == "Submitted"
    there.move(seconds=61)
    assert listed() == [1, 1, 1]
    api.approve_assignment(AssignmentId=assignment)
    assert api.list_assignments_for_hit(HITId=task)["Assignments"][0]["AssignmentStatus"] == "Submitted"


def test_an_assignments_id_may_pass_on_to_the_next_worker(there: StandIn, api: Any) -> None:
    there.set(reuse_assignment_ids=True)
    task = hit(api)
    first, second = there.workers(2)
    name, _ = there.accept(first, task)
    there.give_back(name)
    assert there.accept(second, task)[0] == name
    there.submit(name, {"seen": "a cat"})
    assert api.get_assignment(AssignmentId=name)["Assignment"]["WorkerId"] == second


def test_faults_strike_the_operations_that_they_name(there: StandIn, api: Any) -> None:
    there.fail(Fault("throttle", path="GetHIT", times=1))
    api.get_account_balance()
    assert refusal(api.get_hit, HITId="H1") == ("ThrottlingException", "Rate exceeded")
    assert refusal(api.get_hit, HITId="H1")[0] == "AWS.MechanicalTurk.HITDoesNotExist"
    there.fail(Fault("throttle", path="Balance", times=2))
    client(there, attempts=3).get_account_balance()
    noted = [one for one in there.journal() if one["path"] == "GetAccountBalance"][-3:]
    assert [one["attempt"] for one in noted] == ["attempt=1", "attempt=2", "attempt=3"]
    assert len({one["call"] for one in noted}) == 1, "a retry can be told from a second call"


def test_its_clock_is_moved_and_told(there: StandIn, api: Any) -> None:
    there.move(hours=48)
    told = api.get_account_balance()["ResponseMetadata"]["HTTPHeaders"]["date"]
    assert abs((parsedate_to_datetime(told) - there.now()).total_seconds()) < 5
    assert there.now().timestamp() - time.time() > 47 * 3600


def test_it_says_what_it_needs_when_botocore_has_dropped_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import UnknownServiceError
    from botocore.loaders import Loader

    from imitable.rehearsal.mturk.model import load

    def gone(*_: Any, **__: Any) -> None:
        raise UnknownServiceError(service_name="mturk", known_service_names="s3")

    monkeypatch.setattr(Loader, "load_service_model", gone)
    with pytest.raises(PlatformError, match=r"closed on 2026-09-30.*botocore==1\.44\.5"):
        load()


def test_every_operation_of_the_model_is_done_or_said_not_to_be(there: StandIn) -> None:
    from imitable.rehearsal.mturk.api import OPERATIONS
    from imitable.rehearsal.mturk.model import load

    assert set(load().operations) - set(OPERATIONS) == {"GetFileUploadURL", "ListReviewPolicyResultsForHIT"}
    root = httpx.get(there.address, trust_env=False).text
    assert "Not done: GetFileUploadURL, ListReviewPolicyResultsForHIT." in root
    assert KEY in root


DOCS = (Path(__file__).parents[2] / "docs" / "mturk-stand-in.md").read_text(encoding="utf-8")


def test_the_examples_of_its_docs_run(there: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # another test's, with keys of its own
    monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", there.address)
    for name, value in re.findall(r"(AWS_\w+)=([\w-]+)", DOCS.replace("AWS_ENDPOINT_URL_MTURK=", "")):
        monkeypatch.setenv(name, value)
    examples = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(example, {})  # noqa: S102  # our own docs
    assert re.fullmatch(r"HITSTANDIN\w+ 10000\.00\n", capsys.readouterr().out)


def test_its_docs_name_every_setting_fault_and_control() -> None:
    rows = re.findall(r"^\| `(.*?)\|", DOCS, re.MULTILINE)
    named = set(re.findall(r"\w+", " ".join(rows)))
    assert {one.name for one in fields(Settings)} | set(get_args(How)) <= named
    assert {path.rpartition("/")[2] for path in re.findall(r"/stand-in/\S+", PATHS)} <= named


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (["botocore", "httpx", "starlette"], r"needs the extra 'aws'.*pip install 'imitable\[aws\]'"),
        (["uvicorn"], r"pip install 'imitable\[aws,serve\]'"),
    ],
)
def test_what_is_not_installed_is_named_with_what_to_install(without: list[str], words: str) -> None:
    hidden = f"import runpy, sys; sys.modules.update(dict.fromkeys({without})); sys.argv = ['x', *sys.argv[1:]]; "
    command = [sys.executable, "-c", hidden + "runpy.run_module('imitable.rehearsal.mturk', run_name='__main__')"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert re.fullmatch(f"error: .*{words}\n", ended.stderr)
    helped = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "AWS_ENDPOINT_URL_MTURK" in helped.stdout


def test_a_port_that_is_taken_is_said(there: StandIn) -> None:
    port = there.address.rpartition(":")[2]
    command = [sys.executable, "-m", "imitable.rehearsal.mturk", "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"cannot listen on port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr
