"""Connections that bring too much, too slowly, or no HTTP at all: refused, cheaply, while others are served."""

from __future__ import annotations

import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn
from sqlalchemy import func, select

from imitable.game import bodies, protocol
from imitable.game.listening import configured
from imitable.game.protocol import LARGEST_HEAD, LONGEST_URL, MOST_HEADERS
from imitable.game.web import LARGEST_BODY, web_app
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from playing import Table

if TYPE_CHECKING:
    from conftest import Server

Serve = Callable[..., int]

FORM = b"POST /play HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"


class Wire:
    """A TCP connection on which one says whatever one likes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=15)

    def say(self, *parts: bytes) -> bool:
        """Send; False when the other side has hung up."""
        try:
            for part in parts:
                self.socket.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def hear(self) -> bytes:
        """All that is said until the other side hangs up."""
        heard = b""
        try:
            while more := self.socket.recv(65536):
                heard += more
        except ConnectionResetError:
            pass
        self.socket.close()
        return heard


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """A table to play at."""
    monkeypatch.delenv("IMITABLE_STORE_URL", raising=False)
    folder = invented_campaign(tmp_path / "campaign")
    store = open_store(folder)
    yield Table(folder, store, 3)
    store.close()


@pytest.fixture
def port(here: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serve the table on a real socket, with uvicorn in a thread: `port(arriving=1.0, reading=0.5)`."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(*, arriving: float = 20.0, reading: float = 15.0) -> int:
        monkeypatch.setattr(protocol, "ARRIVING", arriving)
        monkeypatch.setattr(bodies, "READING", reading)
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(configured(web_app(here.game), here.folder.config.serve))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        running.append((server, thread))
        return int(listening.getsockname()[1])

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join()


def resident(pid: int) -> int:
    """Memory of a process in bytes."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


# Too much


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * LARGEST_HEAD + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * MOST_HEADERS + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 400) for n in range(60)) + b"\r\n", 431),
        (b"GET /" + b"a" * LONGEST_URL + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /?" + b"a" * LONGEST_URL + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (FORM + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
        (FORM + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (FORM + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
    ids=[
        "header",
        "headers",
        "all headers",
        "path",
        "query",
        "tls",
        "version",
        "bytes",
        "two",
        "both",
        "chunk",
    ],
)
def test_a_request_that_is_none_or_brings_too_much_is_refused(port: Serve, head: bytes, status: int) -> None:
    wire = Wire(port())
    wire.say(head)
    heard = wire.hear()
    assert heard.startswith(b"HTTP/1.1 %d " % status), heard[:80]
    assert b"\r\nx-content-type-options: nosniff\r\n" in heard
    assert b"Traceback" not in heard


def test_what_a_browser_brings_at_most_is_taken(port: Serve) -> None:
    headers = {f"X-{number}": "a" * 150 for number in range(MOST_HEADERS - 10)}
    reply = httpx.get(f"http://127.0.0.1:{port()}/nowhere?{'q' * 2000}", headers=headers)
    assert reply.status_code == 404
    assert "There is no such page" in reply.text


@pytest.mark.parametrize("kind", ["one header", "many headers", "url", "trailers", "body"])
def test_megabytes_are_refused_and_not_kept(tmp_path: Path, serving: Callable[..., Server], kind: str) -> None:
    server = serving(invented_campaign(tmp_path / "campaign").path)
    assert httpx.get(f"{server.address}/healthz").status_code == 200
    begins = {
        "one header": b"GET / HTTP/1.1\r\nX-A: ",
        "many headers": b"GET / HTTP/1.1\r\n",
        "url": b"GET /",
        "trailers": FORM + b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
        "body": FORM + b"Transfer-Encoding: chunked\r\n\r\n",
    }
    lines = {"many headers": b"X-A: aaaaaaa\r\n", "trailers": b"X-A: aaaaaaa\r\n", "body": b"8\r\naaaaaaaa\r\n"}
    line = lines.get(kind, b"a" * 16)
    before = resident(server.process.pid)
    taken = 0
    for _ in range(8):
        wire = Wire(server.port)
        wire.say(begins[kind])
        sent = 0
        while sent < 16 and wire.say(line * (2**20 // len(line))):
            sent += 1
        heard = wire.hear()
        taken += sent
        assert heard == b"" or heard.startswith(b"HTTP/1.1 4"), heard[:80]
    assert taken < 8 * 16, "somebody read it all"
    assert resident(server.process.pid) - before < 16 * 2**20
    assert httpx.get(f"{server.address}/healthz").status_code == 200


@pytest.mark.parametrize("chunked", [True, False])
def test_a_form_that_is_too_long_is_refused_however_its_length_is_told(port: Serve, here: Table, chunked: bool) -> None:
    token = here.sit()
    body = b"token=" + token.encode() + b"&explanation=" + b"a" * (LARGEST_BODY + 1)
    pieces = (body[at : at + 1000] for at in range(0, len(body), 1000)) if chunked else body
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port()}", headers=headers) as http:
        reply = http.post("/stop", content=pieces)
        assert reply.status_code == 400
        assert "too much text" in reply.text
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert http.get("/livez").status_code == 200  # on the same connection
    assert here.rows(select(func.count()).select_from(tables.sittings).where(tables.sittings.c.ended_at.is_(None))) == [
        (1,)
    ]


# Too slowly


@pytest.mark.parametrize("said", [b"", b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: "])
def test_a_connection_that_dribbles_is_closed_in_the_end(port: Serve, said: bytes) -> None:
    wire = Wire(port(arriving=1.0))
    began = time.monotonic()
    if said:
        wire.say(said)
    for _ in range(20):
        time.sleep(0.2)
        if said and not wire.say(b"\r\n" if said == b"\r\n" else b"a"):
            break
        if not said:
            break
    heard = wire.hear()
    assert time.monotonic() - began < 4
    assert heard == b"" or heard.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_form_that_dribbles_is_answered_kindly_and_then_the_connection_is_closed(port: Serve, as_json: bool) -> None:
    wire = Wire(port(reading=0.5, arriving=1.5))
    accept = b"Accept: application/json\r\n" if as_json else b""
    wire.say(FORM, accept, b"Content-Length: 100\r\n\r\ntoken=")
    began = time.monotonic()
    heard = wire.hear()
    assert time.monotonic() - began < 4
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"content-security-policy: default-src 'none'" in head
    if as_json:
        assert json.loads(body)["kind"] == "problem"
    assert b"Nothing is lost" in body


def test_two_hundred_that_dribble_keep_nobody_from_playing(port: Serve, here: Table) -> None:
    token = here.sit()
    at = port(reading=0.5, arriving=1.5)
    slow = [Wire(at) for _ in range(200)]
    for number, wire in enumerate(slow):
        wire.say(FORM, b"Content-Length: 100\r\n\r\ntoken=" if number % 2 else b"X-A: a")
    began = time.monotonic()
    reply = httpx.post(f"http://127.0.0.1:{at}/play", data={"token": token}, headers={"Accept": "application/json"})
    assert reply.json()["kind"] == "round"
    assert time.monotonic() - began < 2
    assert all(wire.hear().startswith(b"HTTP/1.1 408 ") for wire in slow)


def test_a_connection_that_is_kept_serves_one_request_after_the_other(port: Serve) -> None:
    wire = Wire(port(arriving=1.0))
    for _ in range(3):
        wire.say(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wire.socket.recv(65536).startswith(b"HTTP/1.1 200 ")
        time.sleep(0.7)
    wire.say(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert wire.hear().startswith(b"HTTP/1.1 200 ")


def test_an_answer_that_takes_long_is_not_cut_off(port: Serve, here: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    token = here.sit()
    view = here.game.view

    def slow(token: str) -> object:
        time.sleep(1.5)
        return view(token)

    monkeypatch.setattr(here.game, "view", slow)
    at = port(arriving=0.5)
    assert httpx.post(f"http://127.0.0.1:{at}/play", data={"token": token}).status_code == 200


def test_a_server_that_was_given_few_files_still_takes_many_connections(
    tmp_path: Path, serving: Callable[..., Server]
) -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, most))
    try:
        server = serving(invented_campaign(tmp_path / "campaign").path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
    wires = [Wire(server.port) for _ in range(300)]
    for wire in wires:
        wire.say(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert all(wire.socket.recv(65536).startswith(b"HTTP/1.1 200 ") for wire in wires)
    for wire in wires:
        wire.socket.close()
