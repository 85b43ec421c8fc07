"""Prolific's calls are hints: what is forged, old, repeated or out of order changes nothing, and looks are seldom."""

from __future__ import annotations

import csv
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from imitable.commands.looking import Prompted
from imitable.commands.publish import publish
from imitable.commands.serve import serve
from imitable.errors import PlatformError
from imitable.game.signed_hooks import MOST_REMEMBERED, WINDOW, SignedHooks
from imitable.platforms.prolific.client import Api
from imitable.platforms.prolific.subscribing import SECRET
from imitable.rehearsal.prolific import TOKEN, StandIn
from imitable.rehearsal.prolific.signing import signature
from imitable.testing import invented_campaign
from prolific_campaign import OnProlific, campaign_on, settings, there, token

__all__ = ["there", "token"]

NOW = 1_800_000_000
BODY = json.dumps({"event_type": "submission.status.change", "resource_id": "s", "status": "APPROVED"}).encode()


def call(
    *, body: bytes = BODY, at: float = NOW, event: str = "e1", key: str = "known", **changed: str
) -> tuple[dict[str, str], bytes]:
    """Headers and body of a call that Prolific would make."""
    stamp = str(int(at))
    headers = {
        "x-prolific-request-timestamp": stamp,
        "x-prolific-request-signature": signature(key, stamp, body),
        "x-event-id": event,
    }
    return {**headers, **{name.replace("_", "-"): value for name, value in changed.items()}}, body


@pytest.fixture
def hooks() -> SignedHooks:
    return SignedHooks("known", clock=lambda: NOW)


def test_what_prolific_did_not_sign_or_signed_long_ago_is_nothing(hooks: SignedHooks) -> None:
    forged = [
        call(key="guessed"),
        (call()[0], BODY.replace(b"APPROVED", b"REJECTED")),
        call(x_prolific_request_signature=""),
        call(x_prolific_request_signature="ü"),
        call(x_prolific_request_timestamp=str(NOW - 1)),
        call(x_prolific_request_timestamp="now"),
        call(at=NOW - WINDOW - 1),
        call(at=NOW + WINDOW + 1),
        ({}, BODY),
    ]
    assert [hooks.heard(*one) for one in forged] == ["unsigned"] * len(forged)
    assert hooks.heard(*call()) == "new", "nothing forged is remembered"


def test_digits_that_wander_from_the_time_into_the_body_make_no_event(hooks: SignedHooks) -> None:
    """The two are signed without a mark between them."""
    stamp = str(NOW)
    signed = signature("known", stamp, BODY)
    headers = {"x-prolific-request-timestamp": stamp[:-1], "x-prolific-request-signature": signed, "x-event-id": "e"}
    assert hooks.heard(headers, stamp[-1:].encode() + BODY) == "unsigned"


def test_what_is_told_again_is_known_whoever_tells_it_and_order_does_not_matter(hooks: SignedHooks) -> None:
    later = call(at=NOW + 5, event="e2")
    assert hooks.heard(*later) == "new"
    assert hooks.heard(*call(at=NOW - 5, event="e1")) == "new"
    assert hooks.heard(*later) == "known", "replayed"
    assert hooks.heard({**later[0], "x-event-id": "e3"}, later[1]) == "known", "replayed under another name"
    assert hooks.heard(*call(at=NOW + 60, event="e1")) == "known", "told once more"
    assert hooks.heard(*call(at=NOW + 61, event="e3")) == "new"
    other = json.dumps({"event_type": "study.was.painted"}).encode()
    for body in (other, b"[]", b"{", b"\xff", b"[" * 5000):
        assert hooks.heard(*call(body=body, event=str(body[:20]))) == "other"


def test_no_more_is_remembered_than_fits(hooks: SignedHooks) -> None:
    for number in range(MOST_REMEMBERED):
        hooks.heard(*call(event=f"e{number}", at=NOW + number % 200, body=BODY + b" " * (number // 200)))
    assert len(hooks._known) == MOST_REMEMBERED
    assert hooks.heard(*call(event="e0", at=NOW, body=BODY)) == "new", "forgotten: one more look, and no harm"


def test_many_who_ask_at_once_have_it_done_once_more_and_nobody_is_left_out() -> None:
    done: list[float] = []
    going_on, began = threading.Event(), threading.Event()

    def does() -> None:
        done.append(time.monotonic())
        began.set()
        going_on.wait(10)

    prompted = Prompted(does, pause=0.2)
    prompted.ask()
    assert began.wait(10)
    for _ in range(50):
        prompted.ask()
    assert len(done) == 1
    going_on.set()
    until = time.monotonic() + 10
    while len(done) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.5)
    assert len(done) == 2
    assert done[1] - done[0] >= 0.2


def test_serving_says_what_is_missing(there: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET, raising=False)
    folder = invented_campaign(tmp_path, more=settings(there, "hooks = true"))
    with pytest.raises(PlatformError, match=r"hooks is true, and PROLIFIC_HOOK_SECRET is not set\. Ask Prolific"):
        serve(folder.path, port=0)
    monkeypatch.setenv(SECRET, "x")
    monkeypatch.delenv("PROLIFIC_TOKEN")
    with pytest.raises(PlatformError, match=r"PROLIFIC_TOKEN is not set\. In Prolific, make one"):
        serve(folder.path, port=0)


def test_a_study_whose_calls_cannot_be_had_is_published_all_the_same(
    there: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SECRET, raising=False)
    with campaign_on(there, tmp_path, "hooks = true") as here:
        assert any("PROLIFIC_HOOK_SECRET is not set" in note for note in here.publish(3).notes)
        monkeypatch.setenv(SECRET, "x")
        notes = here.publish(3).notes  # the workspace has no secret yet
        assert any("Create a secret first" in note and "'imitable collect'" in note for note in notes)
        assert here.study["status"] == "ACTIVE"


def test_a_change_on_prolific_is_looked_at_and_a_forged_call_is_not(
    there: StandIn, tmp_path: Path, serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api(there.address, TOKEN)
    secret = api.post("/hooks/secrets/", {})["value"]
    monkeypatch.setenv(SECRET, secret)
    invented_campaign(tmp_path, more=settings(there, "hooks = true") + '[pay]\nbase = "3.00"\n')
    server = serving(tmp_path)
    server.stop()
    config = tmp_path / "campaign.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("http://127.0.0.1:9", server.address))
    server.start()
    for _ in range(2):
        publish(tmp_path, platform="prolific", places=5)
    subscribed = api.get("/hooks/subscriptions/")["results"]
    assert [(one["event_type"], one["is_enabled"]) for one in subscribed] == [
        ("submission.status.change", True),
        ("study.status.change", True),
    ], "once each, however often it is published"

    looks = _looks(there)
    collected = tmp_path / "collected.csv"
    for headers, body in (call(key="guessed", at=time.time()), call(key=secret, at=time.time() - 3600)):
        answer = httpx.post(f"{server.address}/prolific/hook", content=body, headers=headers, trust_env=False)
        assert answer.status_code == 401
    assert httpx.post(f"{server.address}/prolific/hook", content=b"x" * 70_000, trust_env=False).status_code == 413
    assert httpx.get(f"{server.address}/prolific/hook", trust_env=False).status_code in (404, 405)
    assert _looks(there) == looks
    assert not collected.exists()

    there.set(hook_copies=3, hooks_held=4)  # each is told three times, and the last of four first
    here = OnProlific(there, *_folder_and_store(tmp_path))
    for _, submission in here.arrive(2):
        there.start(submission)
        there.complete(submission, "GUESSED")
    until = time.monotonic() + 60
    while not collected.exists() and time.monotonic() < until:
        time.sleep(0.05)
    with collected.open(encoding="utf-8", newline="") as file:
        found = [row["kind"] for row in csv.DictReader(file)]
    assert set(found) <= {"unplayed"}
    assert found
    assert _looks(there) == looks + 1, "many calls, one look in a minute"
    here.store.close()
    api.close()


def _looks(there: StandIn) -> int:
    """How often somebody read the list of submissions."""
    return sum(one["method"] == "GET" and one["path"].endswith("/submissions/") for one in there.journal())


def _folder_and_store(path: Path) -> tuple[Any, Any]:
    from imitable.campaign import open_folder
    from imitable.store import open_store

    folder = open_folder(path)
    return folder, open_store(folder)
