"""The stand-in for Prolific: it does what the API's documents say, and fails when it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from imitable.errors import GameError, PlatformError
from imitable.game.signed_links import SignedLinks
from imitable.rehearsal.prolific import TOKEN, Fault, StandIn, standing_in
from imitable.rehearsal.prolific.signing import signature

IDS = "PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
DONE = {"code": "DONE", "code_type": "COMPLETED", "actions": [{"action": "MANUALLY_REVIEW"}]}
STUDY: dict[str, Any] = {
    "name": "A study",
    "description": "To take part in",
    "external_study_url": f"https://play.example/prolific?{IDS}",
    "prolific_id_option": "url_parameters",
    "completion_codes": [DONE],
    "total_available_places": 3,
    "estimated_completion_time": 5,
    "reward": 300,
}


@pytest.fixture
def there() -> Iterator[StandIn]:
    with standing_in("--cents", "10000") as one:
        yield one


@pytest.fixture
def api(there: StandIn) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Token {TOKEN}"}
    with httpx.Client(base_url=f"{there.address}/api/v1", headers=headers, trust_env=False) as client:
        yield client


def published(api: httpx.Client, **fields: Any) -> str:
    """A study that recruits."""
    made = api.post("/studies/", json={**STUDY, **fields})
    assert made.status_code == 201, made.text
    study = str(made.json()["id"])
    assert api.post(f"/studies/{study}/transition/", json={"action": "PUBLISH"}).status_code == 200
    return study


def handed_in(there: StandIn, study: str) -> str:
    """A submission that waits for review."""
    [person] = there.participants(1)
    submission = there.reserve(person, study)
    there.start(submission)
    there.complete(submission, "DONE")
    return submission


def test_it_says_everywhere_that_it_is_a_stand_in(there: StandIn, api: httpx.Client) -> None:
    page = httpx.get(there.address, trust_env=False)
    assert "no real money, no real people" in page.text
    refused = httpx.get(f"{there.address}/api/v1/users/me/", trust_env=False)
    assert refused.status_code == 401
    assert refused.json()["error"]["status"] == 401
    for answer in (page, refused, api.get("/users/me/")):
        assert answer.headers["x-stand-in"].startswith("stand-in for Prolific")
    assert published(api).startswith("stand-in-")


def test_a_bonus_is_decimals_in_and_cents_out_and_each_call_to_pay_pays_again(
    there: StandIn, api: httpx.Client
) -> None:
    study = published(api)
    submission = handed_in(there, study)
    made = api.post("/submissions/bonus-payments/", json={"study_id": study, "csv_bonuses": f"{submission},4.25\n"})
    bulk = made.json()
    assert (bulk["amount"], bulk["fees"], bulk["vat"], bulk["total_amount"]) == (425, 182, 0, 607)
    assert there.state()["payments"] == []
    for _ in range(2):
        assert api.post(f"/bulk-bonus-payments/{bulk['id']}/pay/").status_code == 202
    assert api.get(f"/submissions/{submission}/").json()["bonus_payments"] == [], "it is paid minutes later"
    there.move(seconds=61)
    assert api.get(f"/submissions/{submission}/").json()["bonus_payments"] == [425, 425]
    assert there.state()["wallet"]["total_balance"] == 10000 - 2 * 607


def test_approving_pays_once_and_publishing_locks_what_it_may_cost(there: StandIn, api: httpx.Client) -> None:
    study = published(api)
    assert there.state()["wallet"] == {
        "currency_code": "USD",
        "total_balance": 10000,
        "available_balance": 10000 - 3 * 428,
    }
    submission = handed_in(there, study)
    for _ in range(2):
        answer = api.post(f"/submissions/{submission}/transition/", json={"action": "APPROVE"})
        assert answer.json()["status"] == "APPROVED"
    assert there.state()["wallet"]["total_balance"] == 10000 - 428
    dear = api.post("/studies/", json={**STUDY, "total_available_places": 30}).json()["id"]
    refused = api.post(f"/studies/{dear}/transition/", json={"action": "PUBLISH"})
    assert "not enough money" in refused.json()["error"]["detail"]


def test_places_only_grow_and_more_of_them_open_a_study_again(there: StandIn, api: httpx.Client) -> None:
    study = published(api)
    assert api.patch(f"/studies/{study}/", json={"total_available_places": 2}).status_code == 400
    assert api.patch(f"/studies/{study}/", json={"reward": 200}).status_code == 400
    assert api.post(f"/studies/{study}/transition/", json={"action": "STOP"}).json()["status"] == "COMPLETED"
    assert api.post(f"/studies/{study}/transition/", json={"action": "PUBLISH"}).status_code == 400
    assert api.patch(f"/studies/{study}/", json={"total_available_places": 4}).json()["status"] == "ACTIVE"


def test_what_participants_do_and_leave_undone_is_listed_by_page(there: StandIn, api: httpx.Client) -> None:
    study = published(api)
    people = there.participants(4)
    first, second, third = (there.reserve(person, study) for person in people[:3])
    with pytest.raises(PlatformError, match="no place"):
        there.reserve(people[3], study)
    for submission in (first, second, third):
        there.start(submission)
    there.complete(first, "DONE")
    there.give_back(second)
    there.move(hours=1)
    fourth = there.reserve(people[3], study)
    rows = [
        row
        for number in (1, 2)
        for row in api.get("/submissions/", params={"study": study, "page": number, "page_size": 2}).json()["results"]
    ]
    assert {row["id"]: row["status"] for row in rows} == {
        first: "AWAITING REVIEW",
        second: "RETURNED",
        third: "TIMED-OUT",
        fourth: "RESERVED",
    }
    assert rows[0]["study_code"] == "DONE"
    there.move(hours=24 * 22)
    assert api.get(f"/submissions/{first}/").json()["status"] == "APPROVED", "after 21 days it is approved by itself"


def test_a_code_can_put_a_participant_into_a_group_that_a_study_keeps_out(there: StandIn, api: httpx.Client) -> None:
    workspace = api.get("/workspaces/").json()["results"][0]["id"]
    group = api.post("/participant-groups/", json={"name": "played", "workspace_id": workspace}).json()["id"]
    code = {**DONE, "actions": [*DONE["actions"], {"action": "ADD_TO_PARTICIPANT_GROUP", "participant_group": group}]}
    out = [{"filter_id": "participant_group_blocklist", "selected_values": [group]}]
    first, second = (published(api, completion_codes=[code], filters=out) for _ in range(2))
    [person] = there.participants(1)
    submission = there.reserve(person, first)
    there.start(submission)
    there.complete(submission, "DONE")
    with pytest.raises(PlatformError, match="not for this participant"):
        there.reserve(person, second)


def test_its_signed_addresses_are_let_in_by_the_door_and_changed_ones_are_not(
    there: StandIn, api: httpx.Client
) -> None:
    study = published(api, is_external_study_url_secure=True)
    [person] = there.participants(1)
    submission = there.reserve(person, study)
    query = {name: value[0] for name, value in parse_qs(urlsplit(there.start(submission)).query).items()}
    links = SignedLinks(f"{there.address}/.well-known/study/jwks.json", "https://play.example")
    who = {"person": query["PROLIFIC_PID"], "study": query["STUDY_ID"], "session": query["SESSION_ID"]}
    links.check(query["prolific_token"], **who)
    with pytest.raises(GameError):
        links.check(query["prolific_token"], **{**who, "person": "somebody-else"})


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_drops_before_or_after_the_work(there: StandIn, api: httpx.Client, when: Any) -> None:
    there.fail(Fault("drop", path="/studies/$", method="POST", when=when, times=1))
    with pytest.raises(httpx.RemoteProtocolError):
        api.post("/studies/", json=STUDY)
    assert len(api.get("/studies/").json()["results"]) == (when == "after")
    [struck] = [one for one in there.journal() if one["fault"]]
    assert struck["done"] == (201 if when == "after" else None)


def test_it_throttles_fails_dawdles_and_accepts_without_doing(there: StandIn, api: httpx.Client) -> None:
    study = published(api)
    there.fail(
        Fault("throttle", path="/users/me/", seconds=7, times=1),
        Fault("status", path="/users/me/", status=503, times=1),
        Fault("slow", path="/users/me/", seconds=0.3, times=1),
        Fault("accept", path="/transition/", times=1),
    )
    waited = api.get("/users/me/")
    assert (waited.status_code, waited.headers["retry-after"]) == (429, "7")
    assert api.get("/users/me/").status_code == 503
    began = time.monotonic()
    assert api.get("/users/me/").status_code == 200
    assert time.monotonic() - began > 0.25
    assert api.post(f"/studies/{study}/transition/", json={"action": "STOP"}).status_code == 202
    assert api.get(f"/studies/{study}/").json()["status"] == "ACTIVE"


class _Listener:
    """Keeps the events that it is told, headers and all."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                listener.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_events_are_signed_told_more_than_once_and_out_of_order(there: StandIn, api: httpx.Client) -> None:
    listener = _Listener()
    try:
        secret = api.post("/hooks/secrets/", json={}).json()["value"]
        wanted = {"event_type": "submission.status.change", "target_url": listener.url}
        made = api.post("/hooks/subscriptions/", json=wanted)
        told = {"secret": made.headers["x-hook-secret"]}
        assert api.post(f"/hooks/subscriptions/{made.json()['id']}/", json=told).json()["is_enabled"] is True
        there.set(hook_copies=2, hooks_held=3)
        submission = handed_in(there, published(api))
        until = time.monotonic() + 10
        while len(listener.heard) < 6 and time.monotonic() < until:
            time.sleep(0.02)
        bodies = [json.loads(body) for _, body in listener.heard]
        assert [body["status"] for body in bodies[::2]] == ["AWAITING REVIEW", "ACTIVE", "RESERVED"]
        assert {body["resource_id"] for body in bodies} == {submission}
        assert len({headers["x-event-id"] for headers, _ in listener.heard}) == 3
        for headers, body in listener.heard:
            stamp = headers["x-prolific-request-timestamp"]
            assert headers["x-prolific-request-signature"] == signature(secret, stamp, body)
    finally:
        listener.close()


def test_what_changed_shows_only_after_the_lag_of_its_lists(there: StandIn, api: httpx.Client) -> None:
    study = published(api)
    submission = handed_in(there, study)
    there.move(seconds=60)
    there.set(listing_lag=30.0)
    api.post(f"/submissions/{submission}/transition/", json={"action": "APPROVE"})
    assert api.get(f"/submissions/{submission}/").json()["status"] == "AWAITING REVIEW"
    there.move(seconds=31)
    assert api.get(f"/submissions/{submission}/").json()["status"] == "APPROVED"
