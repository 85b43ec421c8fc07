"""A proxy before a real server, which fails as networks and servers do: when a test says, and as often as it says."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

_HOPS = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Fault:
    """What goes wrong with requests whose method and path match."""

    method: str
    path: str
    """A regular expression that is found in the path."""
    how: Literal["pass", "status", "cut", "slow"] | Callable[[], object]
    """`pass`: nothing. `status`: that is the answer. `cut`: the connection ends without one. `slow`: it takes
    `seconds`, to get there or to come back. Or what is done, and then the connection ends."""
    after: bool = False
    """Whether the real server gets the request, and does what it asks for, before that."""
    status: int = 503
    seconds: float = 0.0
    times: int = 1_000_000
    """How often it happens."""


class FaultyProxy:
    """Listens on a port of its own, passes everything on, and keeps a list of it."""

    def __init__(self, target: str) -> None:
        self.faults: list[Fault] = []
        self.seen: list[tuple[str, str]] = []
        """Method and path of every request, in order."""
        self._lock = threading.Lock()
        address = urlsplit(target).netloc
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                fault = proxy.fault(self.command, self.path)
                if fault is not None and not fault.after and proxy.fail(self, fault):
                    return
                upstream = http.client.HTTPConnection(address, timeout=120)
                try:
                    headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOPS}
                    upstream.request(self.command, self.path, body, headers)
                    answer = upstream.getresponse()
                    said = answer.read()
                finally:
                    upstream.close()
                if fault is not None and fault.after and proxy.fail(self, fault):
                    return
                self.answer(answer.status, said, answer.getheaders())

            def answer(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
                try:
                    self.send_response_only(status)
                    for name, value in headers:
                        if name.lower() not in _HOPS:
                            self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:  # who asked has gone
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = pass_on  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def writes(self) -> list[tuple[str, str]]:
        """The requests that may change something; renewing a token does not."""
        return [one for one in self.seen if one[0] != "GET" and "token/refresh" not in one[1]]

    def fault(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this request."""
        with self._lock:
            self.seen.append((method, path))
            for fault in self.faults:
                if fault.times and re.fullmatch(fault.method, method) and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def fail(self, handler: BaseHTTPRequestHandler, fault: Fault) -> bool:
        """Let it go wrong. Returns True when the request is not passed on, or its answer not given."""
        if fault.how == "status":
            handler.answer(fault.status, b"<html><title>Bad gateway</title></html>", [])  # type: ignore[attr-defined]
            return True
        if fault.how == "slow":
            time.sleep(fault.seconds)
        elif fault.how != "pass":
            if callable(fault.how):
                fault.how()
            handler.close_connection = True
            return True
        return False

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def before(target: str) -> Iterator[FaultyProxy]:
    """A proxy before a server, for as long as this lasts."""
    proxy = FaultyProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
