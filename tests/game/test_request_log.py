"""The log of a server: what its runner needs, and nothing about people, guesses or truths."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import select, text

from imitable.errors import PlatformError, StoreError
from imitable.game.request_log import Logged, keep_log
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from playing import Table

if TYPE_CHECKING:
    from conftest import Server

    from imitable.campaign import Folder

HOSTILE = [
    b"GET /j/secretcode?PROLIFIC_PID=5f0c9a1b&SESSION_ID=hush HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /secretpath/..%2f..%2fetc HTTP/1.1\r\nHost: x\r\nReferer: http://secretreferrer/\r\n\r\n",
    b"POST /guess?token=secrettoken HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secretbearer\r\n"
    b"Content-Length: 20\r\n\r\nround_id=secretround",
    b"secretmethod / HTTP/1.1\r\n\r\n",
    b"GET /\r\nsecretheader: secretvalue\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"secretflood" * 2000,
    b"GET /j/%0a%7b%22secretinjection%22:1%7d HTTP/1.1\r\nHost: x\r\nUser-Agent: secretagent\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: secretkey\r\n\r\n",
]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def play(address: str, code: str) -> list[dict[str, Any]]:
    """A whole sitting, with mistakes in it; every view that was answered."""
    seen: list[dict[str, Any]] = []
    with httpx.Client(base_url=address, headers={"Accept": "application/json"}) as http:

        def post(path: str, **fields: str) -> dict[str, Any]:
            seen.append(http.post(path, data=fields).json())
            return seen[-1]

        http.get(f"/j/{code}")
        view = post("/start", code=code, agree="yes")
        token = view["token"]
        while view["kind"] != "done":
            match view["kind"]:
                case "round" if view["tutorial"]:
                    view = post("/tutorial", token=token, step=view["round_id"], guess="5")
                case "round":
                    post("/guess", token=token, round_id=view["round_id"], guess="secretnumber")
                    view = post("/guess", token=token, round_id=view["round_id"], guess="6.283")
                    post("/guess", token=token, round_id="secretround", guess="6.283")
                case "questions":
                    told = {"episode_id": view["episode_id"], "fun": "4", "interest": "2"}
                    view = post("/answers", token=token, **told, explanation="secretexplanation")
                case _:
                    view = post("/play", token=token)
        post("/play", token=token + "secret")
    return seen


def secrets_of(folder: Folder, seen: list[dict[str, Any]]) -> set[str]:
    """What must stand in no log: tokens, ids, guesses, truths, codes, the key."""
    found = {"127.0.0.1", "6.283", "5f0c9a1b", "hush", "link-0", (folder.path / "secret.key").read_text().strip()}
    for view in seen:
        found |= {view["token"], *view["token"].split("."), str(view.get("round_id", "")), str(view.get("truth", ""))}
    with_store = open_store(folder)
    with with_store.read() as connection:
        for table in (tables.identities, tables.sittings, tables.episodes, tables.rounds, tables.truths, tables.links):
            for row in connection.execute(select(table)):
                found |= {str(value) for value in row if isinstance(value, str | float) and len(str(value)) > 5}
    with_store.close()
    return {one for one in found if len(one) > 3} - {"practice", "held_out", "examples", "simulated"}


def test_a_whole_sitting_with_errors_and_attacks_leaves_nothing_secret_in_the_log(
    tmp_path: Path, serving: Callable[..., Server], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMITABLE_STORE_URL", raising=False)
    folder = invented_campaign(tmp_path / "campaign")
    store = open_store(folder)
    here = Table(folder, store, 2)
    log = tmp_path / "requests.jsonl"
    server = serving(folder.path, "--log", str(log))
    seen = play(server.address, here.links[0].code)
    hostile(server)
    with store.write() as connection:  # and something that breaks
        connection.execute(text("ALTER TABLE guesses RENAME TO gone"))
    assert httpx.post(f"{server.address}/play", data={"token": seen[0]["token"]}).status_code == 503
    with store.write() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO guesses"))
    server.stop()
    written = log.read_text(encoding="utf-8") + capfd.readouterr().err
    assert [secret for secret in secrets_of(folder, seen) if secret in written] == []
    assert "secret" not in written
    assert re.findall(r"\d+\.\d+\.\d+\.\d+", written) == []
    store.close()
    noted = [line for line in lines(log) if line["event"] == "request"]
    assert {line["route"] for line in noted} >= {"/j/{code}", "/start", "/guess", "/answers", "/play", "(refused)"}
    assert {line["status"] for line in noted} >= {200, 400, 404, 431, 503}
    assert sum(line["route"] == "/guess" and line["status"] == 200 for line in noted) >= 20
    assert all(line["ms"] >= 0 for line in noted if "ms" in line)
    mine = {line["sitting"] for line in noted if line["route"] in ("/answers", "/tutorial")}
    assert len(mine) == 1  # one person's requests can be followed
    assert re.fullmatch("[0-9a-f]{8}", mine.pop())
    assert [line["level"] for line in lines(log) if line["event"] == "imitable.game.web"] == ["error"]


def test_a_flood_of_requests_that_are_refused_leaves_few_lines(
    tmp_path: Path, serving: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMITABLE_STORE_URL", raising=False)
    limits = '[serve]\ntrusted_proxies = ["127.0.0.1"]\n'
    log = tmp_path / "requests.jsonl"
    server = serving(invented_campaign(tmp_path / "campaign", more=limits).path, "--log", str(log))
    with httpx.Client(base_url=server.address, headers={"X-Forwarded-For": "192.0.2.7"}) as http:
        answers = [http.get(path).status_code for path in ("/j/x", "/livez") for _ in range(1000)]
    assert answers.count(429) > 500
    for _ in range(300):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(b"nothing\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    server.stop()
    written = [(line["event"], line.get("status"), line.get("route")) for line in lines(log)]
    assert 100 <= sum(event == "request" and status != 400 for event, status, _ in written) < 250
    assert sum(route == "/j/{code}" and status == 400 for _, status, route in written) == answers.count(400)
    assert sum(route == "(refused)" for _, _, route in written) < 100
    assert sum(event == "imitable.game.guard" for event, _, _ in written) == 1


def hostile(server: Server) -> None:
    for said in HOSTILE:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
            wire.sendall(said)
            wire.shutdown(socket.SHUT_WR)
            while wire.recv(65536):
                pass


def test_a_trouble_is_told_with_its_place_and_not_with_what_somebody_sent(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, root_logger: None
) -> None:
    keep_log(str(tmp_path / "log"))
    try:
        int("secretnumber")
    except ValueError as error:
        try:
            raise StoreError("secret too") from error
        except StoreError:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    terminal, [line] = capfd.readouterr().err, lines(tmp_path / "log")
    for told in (terminal, json.dumps(line)):
        assert "secret" not in told
        assert "ValueError at test_request_log.py:" in told
        assert "StoreError at " in told
    assert line["message"] == "Exception in ASGI application"


def test_the_terminal_is_quiet_and_a_trouble_that_lasts_is_said_once(
    capfd: pytest.CaptureFixture[str], root_logger: None
) -> None:
    keep_log(None)
    for _ in range(50):
        logging.getLogger("imitable.game.web").error("The database did not answer.")
    logging.getLogger("imitable.requests").info("request")
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith(" The database did not answer.\n")


def test_a_log_that_cannot_be_written_is_said_before_anybody_plays(tmp_path: Path, root_logger: None) -> None:
    with pytest.raises(PlatformError, match=r"The log .* cannot be written .*Choose another file\."):
        keep_log(str(tmp_path / "nowhere" / "log"))


def test_nobody_else_can_read_the_log_and_one_that_was_moved_away_is_begun_anew(
    tmp_path: Path, root_logger: None
) -> None:
    log = tmp_path / "log"
    keep_log(str(log))
    logging.getLogger("imitable").warning("before")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    log.rename(tmp_path / "log.1")
    logging.getLogger("imitable").warning("after")
    assert [line["message"] for line in lines(log)] == ["after"]


def test_a_log_on_a_full_disk_stops_nobody(root_logger: None, capfd: pytest.CaptureFixture[str]) -> None:
    if sys.platform != "linux":
        pytest.skip("/dev/full is Linux's")
    keep_log("/dev/full")
    said: list[int] = []

    async def door(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        said.append(message["status"])

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    for _ in range(3):
        asyncio.run(Logged(door)({"type": "http", "method": "GET"}, receive, send))
    assert said == [200] * 3
    assert capfd.readouterr().err.count("The log /dev/full cannot be written. Make room") == 1


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Give the root logger back as it was."""
    root, requests = logging.getLogger(), logging.getLogger("imitable.requests")
    before = list(root.handlers)
    yield
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
        with suppress(OSError):  # a disk that is full
            handler.close()
    requests.setLevel(logging.NOTSET)
