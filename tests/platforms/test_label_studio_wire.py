"""What goes wrong between us and a Label Studio, tried on a real one where that can be: tokens, clocks, refusals."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from imitable.errors import MissingExtra, PlatformError
from imitable.platforms.label_studio.client import Server, as_account, connected
from imitable.platforms.label_studio.refusals import KEY, Refused, refused
from imitable.platforms.label_studio.wire import Token
from label_studio_server import LabelStudio as Real

pytestmark = pytest.mark.xdist_group("label-studio")

ASKED: dict[str, str] = {"asked": "POST /api/x", "url": "http://ls:8080"}


def token_of(server: Server) -> Token:
    token = server.wire._auth
    assert isinstance(token, Token)
    return token


def test_a_token_that_has_run_out_is_renewed_and_the_request_is_carried_out_once(label_studio: Real) -> None:
    with as_account(label_studio.url, label_studio.admin.token) as server:
        assert server.me() == label_studio.admin.email
        token_of(server)._access = "not.valid.anymore"  # what a server says to one that ran out
        made = server.sdk.projects.create(title="run out")
        assert len([one for one in every_project(server) if one["title"] == "run out"]) == 1
        server.wire.delete(f"/api/projects/{made.id}/")


def every_project(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.wire.get("/api/projects/", params={"page_size": 1000}).json()["results"]
    return found


def test_a_token_is_renewed_before_it_runs_out(label_studio: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    with as_account(label_studio.url, label_studio.admin.token) as server:
        server.me()
        first, real = token_of(server)._access, time.monotonic
        server.me()
        assert token_of(server)._access == first
        monkeypatch.setattr(time, "monotonic", lambda: real() + 290)  # of three hundred seconds
        server.me()
        assert token_of(server)._access != first


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_wrong_by_an_hour_asks_for_no_token_too_many_and_none_too_few(
    label_studio: Real, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * hours)
    with as_account(label_studio.url, label_studio.admin.token) as server:
        server.me()
        first = token_of(server)._access
        for _ in range(3):
            assert server.me() == label_studio.admin.email
        assert token_of(server)._access == first


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (
            "0123456789abcdef0123456789abcdef01234567",
            rf"does not accept {KEY} \(Invalid token\).*Personal Access Token",
        ),
        ("no.such.token", rf"does not accept {KEY} \(Token is invalid\)"),
    ],
)
def test_a_key_that_is_not_accepted_says_where_to_get_one(
    label_studio: Real, key: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, key)
    with pytest.raises(PlatformError, match=said), connected(label_studio.url) as server:
        server.me()


def test_an_access_token_is_told_from_a_personal_one(label_studio: Real) -> None:
    with as_account(label_studio.url, label_studio.admin.token) as server:
        server.me()
        access = token_of(server)._access
    with (
        pytest.raises(Refused, match=rf"{KEY} is an access token, which ends after minutes"),
        as_account(label_studio.url, access) as server,
    ):
        server.me()


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "a.b.c")
    monkeypatch.setattr("imitable.platforms.label_studio.wire.WAITS", (0.01,))
    with (
        pytest.raises(PlatformError, match=r"http://127.0.0.1:9 cannot be reached .*Start it"),
        connected("http://127.0.0.1:9/") as server,
    ):
        server.me()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            401,
            b'{"detail": "Authentication token no longer valid: legacy token authentication has been disabled for this '
            b'organization"}',
            rf"{KEY} is a legacy token, and this Label Studio takes none .*personal access token instead",
        ),
        (
            403,
            b'{"detail": "URL resolves to a reserved network address (block: 127.0.0.0/8)"}',
            "SSRF_PROTECTION_ENABLED=false and ML_BLOCK_LOCAL_IP=false",
        ),
        (413, b"<html><title>413 Request Entity Too Large</title></html>", "Raise the limit of the proxy"),
        (302, b"", r"leads elsewhere.*\[platform.label_studio\] url"),
        (502, b"<html><title>502 Bad Gateway</title></html>", r"502 Bad Gateway\)\. Look into its log\."),
        (500, b'{"detail": "boom"}', r"failed \(POST /api/x: 500 boom\)"),
        (400, b'{"validation_errors": {"title": ["Too short."]}}', r"refused POST /api/x \(400\): Too short\."),
        (404, b"not json <b>at all", r"refused POST /api/x \(404\)"),
        (418, b"x" * 10_000, r"refused POST /api/x \(418\): x{400} \.\.\."),
    ],
)
def test_every_refusal_says_what_to_do(status: int, body: bytes, said: str) -> None:
    error = refused(status, body, **ASKED)
    assert error.status == status
    with pytest.raises(Refused, match=said):
        raise error


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (
            "HTTPConnectionPool(host='x', port=1): Max retries exceeded with url: /health (Caused by "
            "NewConnectionError('<Connection object at 0x7f>: Failed to establish: [Errno 111] Connection refused'))",
            "nothing runs at http://x:1",
        ),
        (
            "HTTPConnectionPool(host='x'): Read timed out. (read timeout=1.0)",
            "http://x:1 did not answer in time",
        ),
        (
            "Failed to resolve 'x' ([Errno -2] Name or service not known)",
            "it knows no machine by the name in http://x:1",
        ),
        ("404 Client Error: Not Found for url", "another campaign's game, or another program, runs at http://x:1"),
        ("the moon is full", "the moon is full"),
    ],
)
def test_why_the_game_cannot_be_reached_is_said_in_plain_words(info: str, said: str) -> None:
    words = (
        "Can't connect to ML backend http://x:1, health check failed. Make sure it is up. "
        f'<a href="https://example.org">Learn more</a> about it. Additional info: {info}'
    )
    body = json.dumps({"validation_errors": {"non_field_errors": [words]}}).encode()
    message = str(refused(400, body, **ASKED))
    assert f"cannot reach the game: {said}. Start" in message
    assert "Start it with 'imitable serve DIR'" in message
    assert "HTTPConnectionPool" not in message


def test_without_the_extra_the_command_to_install_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "label_studio_sdk", None)
    with pytest.raises(MissingExtra, match=r"pip install 'imitable\[label-studio\]'"):
        Server("http://127.0.0.1:9", "a.b.c")
