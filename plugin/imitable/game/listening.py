"""The HTTP server under the web door: uvicorn, told to be wary, quiet and to end politely."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from imitable.campaign import Serve
from imitable.game.protocol import WaryProtocol
from imitable.game.request_log import Logged

if TYPE_CHECKING:
    from starlette.types import ASGIApp

GRACE = 20
"""Seconds that requests in flight have, once the server is told to stop; a database that is away takes no longer."""

BEGINNING = 30.0
"""Seconds in which several processes should have begun, before it is said that they serve."""


def configured(app: ASGIApp, serve: Serve) -> uvicorn.Config:
    """How uvicorn is to run the door. Its own log is left to `request_log`."""
    return _configured(Logged(app), serve)


def configured_in_processes(making: Callable[[], ASGIApp], serve: Serve, *, workers: int) -> uvicorn.Config:
    """The same for several processes, each of which calls `making` for the door."""
    return _configured(partial(_logged, making), serve, factory=True, workers=workers)


def _logged(making: Callable[[], ASGIApp]) -> ASGIApp:
    return Logged(making())


def _configured(app: ASGIApp | Callable[[], ASGIApp], serve: Serve, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=WaryProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # below that it tells of every malformed request
        access_log=False,
        server_header=False,
        forwarded_allow_ips=serve.trusted_proxies,
        timeout_graceful_shutdown=GRACE,
        **more,
    )


def listen(config: uvicorn.Config, sockets: Sequence[socket.socket]) -> None:
    """Serve until SIGTERM or Ctrl-C; then finish the requests in flight, and return."""
    _allow_connections()
    server = uvicorn.Server(config)
    with _ended_by_signals(server):
        server.run(sockets=list(sockets))


def listen_in_processes(config: uvicorn.Config, sockets: Sequence[socket.socket], ready: Callable[[], object]) -> None:
    """Serve from `config.workers` processes until SIGTERM or Ctrl-C. One that ends or hangs is replaced.

    `ready` is called once all of them have begun, or could not within half a minute.
    """
    _allow_connections()
    _Processes(config, list(sockets), ready).run()


class _Processes(Multiprocess):
    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], ready: Callable[[], object]) -> None:
        super().__init__(config, sockets)
        self.ready = ready

    def init_processes(self) -> None:
        super().init_processes()
        until = time.monotonic() + BEGINNING
        for process in self.processes:
            process.wait_until_ready(until - time.monotonic(), self.should_exit)
        self.ready()


def end_with_the_first() -> None:
    """In one of several processes: end when the one that started it is gone, and with it who could stop this one."""
    first = multiprocessing.parent_process()
    if first is None:
        return

    def watch() -> None:
        first.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _allow_connections() -> None:
    """As many open connections as the system allows: systems begin with 1024 files, and some players keep theirs."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit, macOS not such a high one
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def _ended_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """A signal that comes before uvicorn listens to it ends the server too.

    One that uvicorn has stopped at it raises again: to have stopped as asked is no failure.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        server.should_exit = True

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
