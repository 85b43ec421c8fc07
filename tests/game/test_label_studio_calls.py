"""The Label Studio door and what it is sent: strangers, floods, bodies of any kind, and a store that is away."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.testclient import TestClient

from imitable.errors import StoreError
from imitable.game import limits
from imitable.game.label_studio import names
from imitable.game.protocol import LARGEST_REQUEST
from imitable.game.web import web_app
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from labelling import ANN, BOB, SETTINGS, Page, authorization, published
from lengths import examples
from playing import Table
from wire import Wire, wired

GUARDED = (("GET", f"{names.DOOR}/health"), ("POST", f"{names.DOOR}/setup"), ("POST", names.PREDICT))


class Open(NamedTuple):
    """A served campaign, and the page of an annotator who answered the first round."""

    here: Table
    wire: Wire
    page: Page

    def __repr__(self) -> str:
        return "the door"  # a failing example is printed with it


@contextmanager
def opened(path: Path) -> Iterator[Open]:
    folder = invented_campaign(path, more=SETTINGS)
    here = Table(folder, open_store(folder, url="sqlite"), 1)
    tasks = published(here)
    with wired(here) as wire:
        page = Page(wire, here, tasks[ANN][0])
        page.play(4)
        yield Open(here, wire, page)
    here.store.close()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    with opened(tmp_path_factory.mktemp("door") / "campaign") as door:
        yield door


# Strangers


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_who_does_not_know_the_password_is_sent_away_before_a_body_is_read(door: Open, method: str, path: str) -> None:
    right = authorization(door.here)["Authorization"]
    before = door.here.dump()
    for said in ("", right[:-3] + "A==", right.replace("Basic", "Bearer"), "Basic", "Basic \xff"):
        head = f"{method} {path} HTTP/1.1\r\nHost: t\r\nAuthorization: {said}\r\nContent-Length: 9999\r\n"
        reply = door.wire.send(head.encode("latin-1") + b"Connection: close\r\n\r\n{", patience=5)
        assert reply.status == 401, said
        assert reply.headers["www-authenticate"].startswith("Basic ")
    assert door.here.dump() == before


def test_label_studio_is_told_that_we_are_up_and_its_webhooks_are_taken_and_not_read(door: Open) -> None:
    headers, before = authorization(door.here), door.here.dump()
    assert door.wire.ask("GET", f"{names.DOOR}/health", headers=headers).view["status"] == "UP"
    token = json.dumps({"project": "1.1", "schema": "<View/>", "access_token": "s" * 40}).encode()
    assert door.wire.ask("POST", f"{names.DOOR}/setup", token, headers).view == {"model_version": "imitable"}
    for body in (b"", b"{}", b"\xff" * 1000, door.page.body(guess2="5")):
        assert door.wire.ask("POST", f"{names.DOOR}/webhook", body).status == 204
    assert door.here.dump() == before


def test_a_campaign_that_is_not_on_label_studio_has_no_such_door(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign")
    here = Table(folder, open_store(folder, url="sqlite"), 1)
    http = TestClient(web_app(here.game))
    for method, path in (*GUARDED, ("POST", f"{names.DOOR}/webhook")):
        assert http.request(method, path, headers=authorization(here)).status_code == 404
    here.store.close()


def test_behind_a_proxy_the_door_stands_below_the_public_address_too(tmp_path: Path) -> None:
    public = '[serve]\npublic_url = "https://example.org/play"\n[platform.label_studio]\n'
    folder = invented_campaign(tmp_path / "campaign", more=public)
    here = Table(folder, open_store(folder, url="sqlite"), 1)
    assert names.backend_address(folder) == "https://example.org/play/label-studio"
    http = TestClient(web_app(here.game))
    for root in ("", "/play"):
        assert http.get(f"{root}{names.DOOR}/health", headers=authorization(here)).status_code == 200
    here.store.close()


# Floods


def test_the_address_of_label_studio_is_not_counted_and_that_of_who_tries_passwords_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ADDRESS_AT_ONCE", 20)
    monkeypatch.setattr(limits, "SESSION_AT_ONCE", 20)
    few = "[platform.label_studio]\n[serve.limits]\nunlimited = []\naddress_per_second = 0.001\n"
    folder = invented_campaign(tmp_path / "campaign", more=few + "session_per_second = 0.001\n")
    here = Table(folder, open_store(folder, url="sqlite"), 1)
    tasks = published(here)
    http = TestClient(web_app(here.game), client=("192.0.2.1", 5000))
    wire: Any = None
    ann, bob = (Page(wire, here, tasks[who][0]) for who in (ANN, BOB))

    def call(page: Page) -> int:
        return http.post(names.PREDICT, content=page.body(begin="yes"), headers=page.headers).status_code

    assert [call(ann) for _ in range(25)] == [200] * 20 + [429] * 5, "a task is counted, as a session is"
    assert [call(bob) for _ in range(20)] == [200] * 20
    assert {http.post(f"{names.DOOR}/webhook").status_code for _ in range(40)} == {204}
    wrong = {"Authorization": "Basic bm86bm8="}
    assert [http.get(f"{names.DOOR}/health", headers=wrong).status_code for _ in range(25)] == [401] * 20 + [429] * 5
    assert http.get(f"{names.DOOR}/health", headers=ann.headers).status_code == 200
    here.store.close()


# Bodies


def test_nobody_uses_up_what_another_may_ask_of_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SESSION_AT_ONCE", 20)
    slow = "[platform.label_studio]\n[serve.limits]\nsession_per_second = 0.001\n"
    folder = invented_campaign(tmp_path / "campaign", more=slow)
    here = Table(folder, open_store(folder, url="sqlite"), 1)
    tasks = published(here)
    with wired(here) as wire:
        mine, another = Page(wire, here, tasks[ANN][0]), Page(wire, here, tasks[ANN][0], caller=BOB)
        while another.ask(begin="yes").status == 200:
            pass
        assert another.ask(begin="yes").status == 429
        assert names.done(1) in mine.play(4)
    here.store.close()


def test_a_flood_of_hints_about_one_task_is_followed_up_by_one_at_a_time(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", more=SETTINGS)
    here = Table(folder, open_store(folder, url="sqlite"), 1)
    looked, go_on = Queue[int](), Event()

    def look(number: int) -> None:
        looked.put(number)
        assert go_on.wait(60)

    headers = {"Authorization": f"Bearer {names.hint_secret(folder)}"}
    with TestClient(web_app(here.game, look)) as http, ThreadPoolExecutor(2) as pool:

        def hint(number: int) -> int:
            told = {"action": "ANNOTATION_CREATED", "task": {"id": number}}
            return http.post(f"{names.DOOR}/webhook", json=told, headers=headers).status_code

        first = pool.submit(hint, 1)
        assert looked.get(timeout=60) == 1
        assert [hint(1) for _ in range(50)] == [204] * 50, "nobody of the flood waits"
        other = pool.submit(hint, 2)
        assert looked.get(timeout=60) == 2, "nor does another's task"
        go_on.set()
        assert [first.result(60), other.result(60)] == [204, 204]
        assert [looked.get_nowait() for _ in range(looked.qsize())] == [1], "one look finds all that came meanwhile"
        assert hint(1) == 204
        assert looked.get_nowait() == 1
    here.store.close()


def test_a_task_may_be_long_and_a_body_that_is_longer_still_is_refused(door: Open) -> None:
    before = door.here.dump()
    long = json.loads(door.page.body(guess1="4"))
    long["tasks"][0]["annotations"] = ["x" * LARGEST_REQUEST] * 4
    reply = door.wire.ask("POST", names.PREDICT, json.dumps(long).encode(), door.page.headers)
    assert (reply.status, len(reply.view["results"][0]["result"])) == (200, 7)
    long["tasks"][0]["annotations"] = "x" * names.LARGEST_CALL
    assert door.wire.ask("POST", names.PREDICT, json.dumps(long).encode(), door.page.headers).status == 413
    assert door.wire.ask("POST", f"{names.DOOR}/setup", b"x" * (LARGEST_REQUEST + 1), door.page.headers).status in (
        200,
        413,
    )
    assert door.here.dump() == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"5",
        b'"tasks"',
        b"{}",
        b'{"tasks": {}}',
        b'{"tasks": [1]}',
        b'{"tasks": [' + b"{}," * 10_000 + b"{}]}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"tasks": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_body_that_label_studio_would_not_send_is_refused(door: Open, body: bytes) -> None:
    before = door.here.dump()
    assert door.wire.ask("POST", names.PREDICT, body, door.page.headers).status == 400
    assert door.here.dump() == before


KEYS = ["tasks", "params", "context", "result", "data", "drafts", "user", names.KEY, names.ANNOTATOR, "from_name"]
KEYS += ["type", "value", "text", "annotations", "predictions", "id"]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([ANN, BOB, "textarea", "begin", "yes", "guess2", "guess0", "guess99", "5", "\0", "\ud800"]),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=15,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a value, as the keys that lead there."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _places(inner, (*path, key))


def _put(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    made = dict(value) if isinstance(value, dict) else list(value)
    made[path[0]] = _put(value[path[0]], path[1:], other)
    return made


@settings(
    max_examples=examples(300),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_call_with_anything_anywhere_is_no_error_of_ours_and_moves_nothing(
    door: Open, caplog: pytest.LogCaptureFixture, data: st.DataObject
) -> None:
    # What stands in the box of the second round is no number: no change can make it one that counts.
    asked: Any = json.loads(door.page.body(guess2="x"))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(list(_places(asked))))
        asked = _put(asked, place, data.draw(JSON.filter(lambda value: "5" not in json.dumps(value))))
    caplog.clear()
    before = door.here.dump()
    reply = door.wire.ask("POST", names.PREDICT, json.dumps(asked).encode(), door.page.headers)
    assert reply.status in (200, 400), asked
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
    assert door.here.dump() == before


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_no_error_of_ours(door: Open, body: bytes) -> None:
    before = door.here.dump()
    assert door.wire.ask("POST", names.PREDICT, body, door.page.headers).status in (200, 400)
    assert door.here.dump() == before


# Troubles


def test_who_types_while_the_store_is_away_is_told_and_the_same_guess_is_taken_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path / "campaign") as door:

        def away() -> Any:
            raise StoreError("The database is away. Start it again.")

        with monkeypatch.context() as broken:
            broken.setattr(door.here.store, "write", away)
            filled = door.page.type(guess2="6")
        assert (set(filled), filled["done2"]) == ({"guess2", "feedback2", "done2"}, "again")
        assert "wrong on our side" in filled["feedback2"]
        assert "The database is away. Start it again." in caplog.messages
        assert door.page.type(guess2="6")["done2"] == "yes"


def test_the_log_has_no_email_no_key_and_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with opened(tmp_path / "campaign") as door:
        door.page.task["drafts"] = [{"user": BOB}]
        door.page.type(guess2="6")
        door.page.task["drafts"] = [{"user": ANN}]
        door.page.type(guess2="oops@")
        door.page.type(guess2="6")
        door.wire.ask("POST", names.PREDICT, b"{" + door.page.body(), door.page.headers)
        truths = [f"{row.truth:.1f}" for row in door.here.rows(select(tables.truths)) if row.truth]
    said = "\n".join(
        message for message, record in zip(caplog.messages, caplog.records, strict=True) if record.name != "asyncio"
    )
    said = said.replace("127.0.0.1", "")
    assert "told nothing" in said
    secret = [ANN, BOB, door.page.task["data"][names.KEY], names.password(door.here.folder), "oops", *truths]
    assert not [one for one in secret if one in said]
