"""The HTTP server under the web door: uvicorn, told to be wary, quiet and to end politely."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from imitable.campaign import Serve
from imitable.game.protocol import WaryProtocol
from imitable.game.request_log import Logged

if TYPE_CHECKING:
    from starlette.types import ASGIApp

GRACE = 20
"""Seconds that requests in flight have, once the server is told to stop; a database that is away takes no longer."""


def configured(app: ASGIApp, serve: Serve) -> uvicorn.Config:
    """How uvicorn is to run the door. Its own log is left to `request_log`."""
    return uvicorn.Config(
        Logged(app),
        http=WaryProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # below that it tells of every malformed request
        access_log=False,
        server_header=False,
        forwarded_allow_ips=serve.trusted_proxies,
        timeout_graceful_shutdown=GRACE,
    )


def listen(config: uvicorn.Config, sockets: Sequence[socket.socket]) -> None:
    """Serve until SIGTERM or Ctrl-C; then finish the requests in flight, and return."""
    with _ended_by_signals():
        uvicorn.Server(config).run(sockets=list(sockets))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """uvicorn stops at a signal, and then raises it again: to have stopped as asked is no failure."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, lambda *_: None) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
