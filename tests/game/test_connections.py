"""Clients that ask again before they are answered, or read no answer: nothing is kept for them."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from imitable.campaign import Serve
from imitable.game import protocol
from imitable.game.listening import configured, listen
from imitable.store import open_store
from imitable.testing import invented_campaign
from playing import Table
from wire import Wire, wired

if TYPE_CHECKING:
    from conftest import Server


@pytest.fixture
def server(tmp_path: Path, serving: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.delenv("IMITABLE_STORE_URL", raising=False)
    return serving(invented_campaign(tmp_path / "campaign").path, "--log", str(tmp_path / "log"))


def asking(path: str, *, length: int = 0) -> bytes:
    """A request, made as long as wanted by a header."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n".encode()
    return request.replace(b"%s", b"a" * max(0, length + 2 - len(request)))


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096


@pytest.mark.parametrize("second", [asking("/livez"), b"no request\r\n\r\n"], ids=["another", "none"])
def test_the_first_of_two_is_answered_and_the_connection_closed(server: Server, second: bytes) -> None:
    reply = Wire(server.port).send(asking("/j/unknown") + second, patience=10)
    assert reply.status == 400
    assert reply.headers["connection"] == "close"
    assert len(reply.body) == int(reply.headers["content-length"])
    assert b"not known here" in reply.body


def test_requests_without_end_that_await_no_answer_are_not_kept(server: Server) -> None:
    many = asking("/j/x", length=64) * 1024
    assert len(many) == 65_536  # what a server reads at once: it never sees half a request
    before = resident(server.process.pid)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        heard = threading.Thread(target=_hear, args=(connection,))
        heard.start()
        with suppress(OSError):
            for _ in range(200):
                connection.sendall(many)
        heard.join()
    assert resident(server.process.pid) - before < 64 * 2**20
    assert Wire(server.port).ask("GET", "/livez").status == 200


def test_who_leaves_before_the_answers_is_no_trouble_of_ours(server: Server, tmp_path: Path) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(asking("/static/app.css") * 100)
    time.sleep(0.5)
    assert Wire(server.port).ask("GET", "/livez").status == 200
    lines = [json.loads(line) for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()]
    assert {line["event"] for line in lines} == {"request"}


def test_who_reads_no_answer_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMITABLE_STORE_URL", raising=False)
    monkeypatch.setattr(protocol, "ARRIVING", 1.0)
    folder = invented_campaign(tmp_path / "campaign", consent="what the system itself keeps unread is less. " * 200_000)
    here = Table(folder, open_store(folder), 1)
    with wired(here) as wire, socket.create_connection(("127.0.0.1", wire.port)) as connection:
        connection.sendall(asking(f"/j/{here.links[0].code}"))
        time.sleep(4)
        connection.settimeout(10)
        heard = b""
        with suppress(OSError):
            while more := connection.recv(2**20):
                heard += more
        assert len(heard) < len(here.game.consent), "all of it was kept until it was asked for"
        assert wire.ask("GET", "/livez").status == 200
    here.store.close()


def _hear(connection: socket.socket) -> None:
    with suppress(OSError):
        while connection.recv(65536):
            pass


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_who_is_told_to_stop_while_still_beginning_stops(told: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_early(config: uvicorn.Config) -> Any:
        signal.raise_signal(told)
        return original(config)

    original = uvicorn.Config.get_loop_factory
    monkeypatch.setattr(uvicorn.Config, "get_loop_factory", too_early)
    later = threading.Timer(20, signal.pthread_kill, (threading.main_thread().ident, signal.SIGTERM))
    later.start()
    try:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listen(configured(lambda *_: None, Serve()), [listening])  # type: ignore[arg-type]
        assert later.is_alive(), "only the second time"
    finally:
        later.cancel()
