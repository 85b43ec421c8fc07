"""The web door on a real port, served as `imitable serve` serves it, and spoken to byte by byte."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import uvicorn

from imitable.game.listening import configured
from imitable.game.web import web_app
from playing import Table

PATIENT = "[serve.limits]\nsession_per_second = 100000\n"
"""For campaign.toml: programs ask faster than people."""

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Reply:
    """What came back on one connection."""

    raw: bytes

    @property
    def _final(self) -> bytes:
        """Without the `100 Continue` that may come before."""
        return self.raw.partition(b"\r\n\r\n")[2] if self.raw.startswith(b"HTTP/1.1 100 ") else self.raw

    @property
    def status(self) -> int:
        """Status of the (first) reply; 0 when there was none."""
        return int(self._final.split(b" ", 2)[1]) if self._final.startswith(b"HTTP/1.1 ") else 0

    @property
    def headers(self) -> dict[str, str]:
        """Header fields by their names in lower case."""
        lines = self._final.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def body(self) -> bytes:
        """All bytes after the head."""
        return self._final.partition(b"\r\n\r\n")[2]

    @property
    def view(self) -> dict[str, Any]:
        """The body as JSON."""
        view: dict[str, Any] = json.loads(self.body)
        return view


class Wire:
    """A way to the door for clients that keep to no rules."""

    def __init__(self, port: int) -> None:
        self.port = port

    def send(self, raw: bytes, *, patience: float = 30) -> Reply:
        """Send exactly these bytes on a connection of their own; what comes back until it is closed or still so long.

        `patience` is in seconds: a server may rightly wait for the rest of what was announced.
        """
        reply = b""
        broken = suppress(ConnectionResetError, BrokenPipeError, TimeoutError)  # refused before all of it was read
        with broken, socket.create_connection(("127.0.0.1", self.port), timeout=patience) as connection:
            connection.sendall(raw)
            while part := connection.recv(65536):
                reply += part
        return Reply(reply)

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """One request that is well formed, but for what is asked of it."""
        fields = {
            "Host": "test",
            "Accept": "application/json",
            "Connection": "close",
            "Content-Length": str(len(body)),
            "Content-Type": FORM,
            **(headers or {}),
        }
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return self.send(head.encode() + b"\r\n" + body)

    def post(self, path: str, **fields: str) -> dict[str, Any]:
        """Post a form; the view that follows."""
        return self.ask("POST", path, urlencode(fields).encode()).view

    def begin(self, here: Table, link: int = 0) -> dict[str, Any]:
        """Start the sitting of a link and play the warm-up; the first round of the real game."""
        view = self.post("/start", code=here.links[link].code, agree="yes")
        for step in "123":
            self.post("/tutorial", token=view["token"], step=step, guess="5")
        return self.post("/play", token=view["token"])


@contextmanager
def wired(here: Table) -> Iterator[Wire]:
    """Serve a table's game on a free port."""
    app = web_app(here.game)
    server = uvicorn.Server(configured(app, here.folder.config.serve))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        running.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Wire(listening.getsockname()[1])
        finally:
            server.should_exit = True
            running.join()
