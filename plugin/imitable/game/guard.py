"""What keeps the web door standing: its pace, its threads for the database, and its word on its own health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from imitable.errors import StoreError
from imitable.game.limits import Pace, TooFast
from imitable.store import Store

THREADS = 30
"""Requests that may be at the database at the same time; a store has as many connections."""

PATIENCE = 5.0
"""Seconds that a request waits for one of the threads."""

HEALTHY_WITHIN = 1.0
"""Seconds in which a healthy store answers."""

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


class Paced:
    """ASGI middleware: counts every request of an address, before anything of it is read."""

    def __init__(self, app: ASGIApp, pace: Pace, refuse: Callable[[Request, Exception], Response]) -> None:
        self.app = app
        self.pace = pace
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].endswith(("/healthz", "/livez")):
            client = scope.get("client")
            try:
                self.pace.request(client[0] if client else None, arriving=_arriving(scope))
            except TooFast as error:
                await self.refuse(Request(scope), error)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _arriving(scope: Scope) -> bool:
    """Pages that are got are first pages: every other one is the answer to a form."""
    path: str = scope["path"]
    return "/static/" not in path if scope["method"] in ("GET", "HEAD") else path.endswith("/start")


class Desk:
    """The threads that may wait for the database. Others read static files, and go on when the database does not."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(THREADS)
        self._limiter = CapacityLimiter(THREADS)

    async def ask(self, does: Callable[_Given, _Answer], *given: _Given.args, **named: _Given.kwargs) -> _Answer:
        """Call a function that talks to the store. Raises what it raises, and StoreError when no thread gets free."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._free.acquire()
        except TimeoutError:
            raise StoreError(
                f"All {THREADS} threads wait for the database. Look at what it waits for; nothing was lost."
            ) from None
        try:
            return await to_thread.run_sync(lambda: does(*given, **named), limiter=self._limiter)
        finally:
            self._free.release()


class Health:
    """Whether the store answers: asked at most once a second, by one thread of its own, however many ask here."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._asked: Future[bool] | None = None
        self._at = 0.0

    async def check(self, _request: Request) -> Response:
        """The answer for a load balancer or a monitor: 200, or 503 with words for whoever runs the server."""
        if self._asked is None or (self._asked.done() and time.monotonic() - self._at > HEALTHY_WITHIN):
            self._asked, self._at = self._thread.submit(self._answers), time.monotonic()
        asked = asyncio.wrap_future(self._asked)
        await asyncio.wait({asked}, timeout=HEALTHY_WITHIN)
        if not asked.done():
            return _unwell(f"The database has not answered within {HEALTHY_WITHIN:g} second.")
        return PlainTextResponse("ok\n", headers=_NOT_KEPT) if asked.result() else _unwell("The database is away.")

    def _answers(self) -> bool:
        try:
            self._store.check()
        except StoreError:
            return False
        return True


_NOT_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def _unwell(what: str) -> Response:
    said = f"{what} The server's log says more; it goes on by itself once the database is back.\n"
    return PlainTextResponse(said, status_code=503, headers=_NOT_KEPT)
