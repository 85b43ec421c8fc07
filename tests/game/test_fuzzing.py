"""Whatever is sent to whatever address: no error of ours, no move that is not one, always the same headers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
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
NAMES += ["pasted", "copied", "blurs", "away_ms", "PROLIFIC_PID", "STUDY_ID", "SESSION_ID", "prolific_token"]
NAMES += ["assignmentId", "workerId", "hitId", "turkSubmitTo"]
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

    def __repr__(self) -> str:
        return "the server"  # a failing example is printed with it


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
    if reply.status:
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in reply.headers
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


FIELD = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=30)
HEADERS = ["Authorization", "Cookie", "Accept", "Accept-Language", "Content-Type", "Content-Length", "Host", "Range"]
HEADERS += ["If-Modified-Since", "If-None-Match", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Expect"]
HEADERS += ["Transfer-Encoding", "Content-Encoding", "Upgrade", "Connection", "Origin", "Access-Control-Request-Method"]
ODD_VALUES = [
    b"Bearer",
    b"Bearer \xff",
    b"bytes=0-,-1",
    b"websocket",
    b"100-continue",
    b"chunked",
    b"gzip",
    b"-1",
    b"1e9",
]


@SLOW
@given(
    method=st.sampled_from(METHODS),
    path=st.integers(0, 1000),
    headers=st.lists(
        st.tuples(
            st.sampled_from(HEADERS) | FIELD,
            st.sampled_from(ODD_VALUES) | st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\r\n\0")),
        ),
        max_size=6,
    ),
)
@example(method="POST", path=0, headers=[("Expect", b"100-continue")])
@example(method="GET", path=-2, headers=[("Range", b"bytes=0-,-1"), ("If-None-Match", b"*")])
@example(method="GET", path=-2, headers=[("Range", b"bytes=5-1,0-0,9-")])
@example(method="GET", path=-2, headers=[("If-Modified-Since", b"Thu, 01 Jan 2099 00:00:00 GMT")])
@example(method="GET", path=0, headers=[("Upgrade", b"websocket"), ("Connection", b"Upgrade")])
@example(method="POST", path=0, headers=[("Authorization", b"Bearer \xff\xfe.\x80")])
def test_headers_of_any_kind_move_nothing(
    target: Target, caplog: pytest.LogCaptureFixture, method: str, path: int, headers: list[tuple[str, bytes]]
) -> None:
    address = target.paths[path % len(target.paths)]
    body = urlencode({"round_id": target.live["round_id"], "guess": "5"}).encode()
    lines = [f"{name}: ".encode() + value for name, value in headers]
    head = [f"{method} {address} HTTP/1.1".encode(), b"Host: t", *lines, f"Content-Length: {len(body)}".encode()]
    caplog.clear()
    harmless(target, target.wire.send(b"\r\n".join([*head, b"Connection: close", b"", body]), patience=0.5), caplog)


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
