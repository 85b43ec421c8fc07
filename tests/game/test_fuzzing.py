"""Whatever is sent to whatever address: no error of ours, no move that is not one, always the same headers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from imitable.game.web import web_app
from imitable.store import open_store
from imitable.testing import invented_campaign
from lengths import examples
from playing import Table
from wire import PATIENT, Reply, Wire, wired

PLATFORMS = '[platform.prolific]\n[platform.mturk]\nworker_sites = ["https://worker.example"]\n'
NAMES = ["token", "round_id", "guess", "step", "code", "agree", "episode_id", "fun", "interest", "explanation"]
NAMES += ["pasted", "blurred", "away", "PROLIFIC_PID", "STUDY_ID", "SESSION_ID", "assignmentId", "workerId", "hitId"]
ODD = [
    "",
    "0",
    "11",
    "-1",
    "nan",
    "inf",
    "1e999",
    "1_0",
    "0x5",
    "\0",
    "\ud7ff",
    "٣",
    "'; DROP TABLE guesses;--",
    "{{7*7}}",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "X"]
SLOW = settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Target(NamedTuple):
    here: Table
    wire: Wire
    live: dict[str, str]
    """The fields of the move that would be valid."""
    paths: list[str]
    before: dict[str, Any]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server in the middle of a sitting."""
    path: Path = tmp_path_factory.mktemp("fuzzed") / "campaign"
    folder = invented_campaign(path, targets=3, more=PLATFORMS + PATIENT)
    here = Table(folder, open_store(folder, url="sqlite"), 2)
    with wired(here) as wire:
        view = wire.begin(here)
        live = {"token": view["token"], "round_id": view["round_id"], "code": here.links[0].code}
        routes = [one.path for one in web_app(here.game).routes if isinstance(one, Route)]
        paths = [one.replace("{code}", live["code"]) for one in routes] + ["/static/app.js", "/nowhere"]
        yield Target(here, wire, live, paths, here.dump())
    here.store.close()


def harmless(target: Target, reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    assert reply.status not in range(500, 600)
    assert b"Traceback" not in reply.raw
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
    assert target.here.dump() == target.before


@SLOW
@given(data=st.data())
def test_fields_of_any_kind_at_any_address_move_nothing(
    target: Target, caplog: pytest.LogCaptureFixture, data: st.DataObject
) -> None:
    method = data.draw(st.sampled_from([*METHODS, "POST", "POST", "POST"]), label="method")
    path = data.draw(st.sampled_from(target.paths), label="path")
    values = st.one_of(
        st.sampled_from([*ODD, *target.live.values(), *(one[::-1] for one in target.live.values())]),
        st.text(max_size=40),
    )
    fields = data.draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=8), label="fields")
    if data.draw(st.booleans(), label="with the live token"):
        fields |= {"token": target.live["token"], "round_id": target.live["round_id"]}
    valid_guess = path == "/guess" and fields.get("round_id") == target.live["round_id"] and _counts(fields)
    assume(not (fields.get("token") == target.live["token"] and (path == "/stop" or valid_guess)))
    accept = data.draw(st.sampled_from(["application/json", "text/html", "*/*", ""]), label="accept")
    body = urlencode({name: value.encode("utf-8", "surrogatepass") for name, value in fields.items()}).encode()
    query = f"?{body.decode()}" if data.draw(st.booleans(), label="as a query") else ""
    caplog.clear()
    reply = target.wire.ask(method, path + query, b"" if method == "HEAD" else body, {"Accept": accept})
    harmless(target, reply, caplog)
    if method in ("GET", "POST") and not path.startswith(("/static", "/healthz", "/livez")):
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["cache-control"] == "no-store"


@SLOW
@given(
    method=st.sampled_from(METHODS),
    path=st.text(max_size=60).map(lambda text: "/" + quote(text))
    | st.binary(max_size=60).map(lambda raw: "/" + quote(raw)),
    body=st.binary(max_size=300),
    kind=st.sampled_from(
        ["application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x", "é"]
    ),
)
def test_any_path_and_any_body_move_nothing(
    target: Target, caplog: pytest.LogCaptureFixture, method: str, path: str, body: bytes, kind: str
) -> None:
    caplog.clear()
    harmless(target, target.wire.ask(method, path, body, {"Content-Type": kind}), caplog)
    caplog.clear()
    harmless(target, target.wire.ask("POST", "/guess", body, {"Content-Type": kind}), caplog)


@SLOW
@given(
    raw=st.binary(max_size=400)
    | st.text(max_size=200).map(lambda text: f"POST /guess HTTP/1.1\r\n{text}\r\n\r\n".encode())
)
def test_bytes_that_are_no_request_move_nothing(target: Target, caplog: pytest.LogCaptureFixture, raw: bytes) -> None:
    caplog.clear()
    harmless(target, target.wire.send(raw + b"\r\n\r\n", patience=0.3), caplog)


def test_the_server_still_plays_after_all_that(target: Target) -> None:
    view = target.wire.post("/guess", token=target.live["token"], round_id=target.live["round_id"], guess="5")
    assert view["kind"] == "reveal"


def _counts(fields: dict[str, str]) -> bool:
    """Whether these fields hold a guess that the game takes."""
    try:
        return 0 <= float(fields.get("guess", "").replace(",", ".")) <= 10
    except ValueError:
        return False
