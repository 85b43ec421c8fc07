"""What keeps the web door standing: its pace, its threads for the database, and its word on its own health."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from imitable.errors import StoreError
from imitable.game.limits import Pace, TooFast
from imitable.store import Store

_log = logging.getLogger(__name__)

THREADS = 10
"""Requests that may be at the database at the same time; a store has as many connections."""

MOST_TOGETHER = 64
"""Requests that one transaction may serve, where a store has one writer."""

PATIENCE = 10.0
"""Seconds that a request waits for its turn at the database."""

HEALTHY_WITHIN = 1.0
"""Seconds in which a healthy store answers."""

_CROWDED = (
    "One address asks for more than [serve.limits] allows, and is told to wait. If it is a proxy of yours, list it in "
    "[serve] trusted_proxies; if many people share it, in [serve.limits] unlimited."
)

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


class Paced:
    """ASGI middleware: counts every request of an address, before anything of it is read."""

    def __init__(
        self,
        app: ASGIApp,
        pace: Pace,
        refuse: Callable[[Request, Exception], Response],
        root: str,
        uncounted: Collection[str] = (),
    ) -> None:
        self.app = app
        self.pace = pace
        self.refuse = refuse
        self.static = ("/static/", f"{root}/static/")
        self.uncounted = {f"{under}/{name}" for under in ("", root) for name in ("healthz", "livez")} | {*uncounted}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self.uncounted:
            client = scope.get("client")
            try:
                self.pace.request(client[0] if client else None, arriving=self._arriving(scope))
            except TooFast as error:
                _log.warning(_CROWDED)
                await self.refuse(Request(scope), error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _arriving(self, scope: Scope) -> bool:
        """Pages that are got are first pages: every other one is the answer to a form."""
        path: str = scope["path"]
        if scope["method"] in ("GET", "HEAD"):
            return not path.startswith(self.static)
        return path.endswith("/start")


class Desk:
    """The threads that may wait for the database, so that nothing else does.

    Where a store has one writer, one thread serves all who wait and commits for them together: while one sync to the
    disk is under way the next ones gather. Otherwise each has a thread.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._most = MOST_TOGETHER if store.one_writer else 1
        self._threads = ThreadPoolExecutor(1 if store.one_writer else THREADS, thread_name_prefix="desk")
        self._waiting: deque[_Asked] = deque()

    async def ask(self, does: Callable[_Given, _Answer], *given: _Given.args, **named: _Given.kwargs) -> _Answer:
        """Call a function that talks to the store. Raises what it raises, and StoreError when its turn does not come.

        What it answers is on the disk.
        """
        loop = asyncio.get_running_loop()
        asked = _Asked(lambda: does(*given, **named), loop.create_future())
        alarm = loop.call_later(PATIENCE, self._give_up, asked)
        self._waiting.append(asked)
        if self._most == 1 or len(self._waiting) <= 1:  # who came before has called the thread
            self._threads.submit(self._serve)
        try:
            answer: _Answer = await asked.answer
        finally:
            alarm.cancel()
        return answer

    def _serve(self) -> None:
        """In a thread: serve those who wait."""
        while self._waiting:
            taken: list[_Asked] = []
            with suppress(IndexError):
                while len(taken) < self._most:
                    taken.append(self._waiting.popleft())
            for one in taken:
                one.begun = True
            taken = [one for one in taken if not one.answer.done()]
            outcomes = self._store.together([one.does for one in taken])
            answers = list(zip((one.answer for one in taken), outcomes, strict=True))
            for loop in {answer.get_loop() for answer, _ in answers}:  # one, where it is not a test that asks
                mine = [(answer, outcome) for answer, outcome in answers if answer.get_loop() is loop]
                with suppress(RuntimeError):  # a loop that is closed waits for no answer
                    loop.call_soon_threadsafe(_hand_over, mine)

    def _give_up(self, asked: _Asked) -> None:
        if not asked.begun and not asked.answer.done():
            asked.answer.set_exception(
                StoreError("Too many wait for the database. Look at what it waits for; nothing was lost.")
            )


@dataclass(eq=False)
class _Asked:
    does: Callable[[], Any]
    answer: asyncio.Future[Any]
    begun: bool = False


def _hand_over(answers: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for answer, outcome in answers:
        if answer.done():  # who asked is gone
            continue
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)


class Health:
    """Whether the store takes up writing: asked at most once a second, by one thread of its own, however many ask."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._asked: Future[bool] | None = None
        self._at = 0.0
        self._well = True

    async def check(self, _request: Request) -> Response:
        """The answer for a load balancer or a monitor: 200, or 503 with words for whoever runs the server."""
        if self._asked is None or (self._asked.done() and time.monotonic() - self._at > HEALTHY_WITHIN):
            self._asked, self._at = self._thread.submit(self._answers), time.monotonic()
        asked = asyncio.wrap_future(self._asked)
        await asyncio.wait({asked}, timeout=HEALTHY_WITHIN)
        if not asked.done():
            return _unwell(f"The database has not answered within {HEALTHY_WITHIN:g} second.")
        return PlainTextResponse("ok\n", headers=NOT_KEPT) if asked.result() else _unwell("The database cannot write.")

    def _answers(self) -> bool:
        was_well, self._well = self._well, True
        try:
            self._store.check()
        except StoreError as error:
            self._well = False
            if was_well:
                _log.error("%s", error)
        return self._well


NOT_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def _unwell(what: str) -> Response:
    said = f"{what} The server's log says more; it goes on by itself once the database is well.\n"
    return PlainTextResponse(said, status_code=503, headers=NOT_KEPT)
