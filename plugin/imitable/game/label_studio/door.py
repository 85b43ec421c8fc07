"""The Label Studio door: what its server asks of an ML backend. It is let in by a password; nobody else is.

Every call comes from the one address of that server, whoever sits in front of it. So calls are counted by the task that
they are about, as sessions are; an address is counted only when it does not know the password.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from imitable.errors import GameError, ImitableError
from imitable.game.bodies import body_of
from imitable.game.guard import NOT_KEPT, Desk, Health
from imitable.game.label_studio import names
from imitable.game.label_studio.calls import hinted_task, read_call
from imitable.game.label_studio.replies import Replies, Result
from imitable.game.limits import Pace, TooFast, TooSlow
from imitable.game.play import Game

_log = logging.getLogger(__name__)

Hint = Callable[[int], object]

VERSION = "imitable"
"""What our answers are called in Label Studio."""


class LabelStudioDoor:
    """Health, set-up, calls and webhooks of one campaign's project."""

    def __init__(self, game: Game, *, desk: Desk, pace: Pace, health: Health, hint: Hint | None = None) -> None:
        """`hint` is told, in a thread, the number of each task of which a webhook says that it was answered."""
        self.desk = desk
        self.pace = pace
        self.store_health = health
        self.replies = Replies(game)
        said = f"{names.USER}:{names.password(game.folder)}"
        self.hint = hint
        self._looked_at: dict[int, bool] = {}
        """Tasks that are being looked at, and whether another hint came meanwhile."""
        self._hints = f"Bearer {names.hint_secret(game.folder)}".encode()
        self._expected = b"Basic " + base64.b64encode(said.encode())

    def routes(self, root: str) -> list[Route]:
        """The door's addresses below a path."""
        return [
            Route(f"{root}{names.DOOR}/health", self._guarded(self._health)),
            Route(f"{root}{names.DOOR}/setup", self._guarded(self._setup), methods=["POST"]),
            Route(f"{root}{names.PREDICT}", self._guarded(self._predict), methods=["POST"]),
            Route(f"{root}{names.DOOR}/webhook", self._webhook, methods=["POST"]),
        ]

    def _guarded(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Let in who knows the password, before anything of the body is read."""

        async def guarded(request: Request) -> Response:
            try:
                if not hmac.compare_digest(request.headers.get("authorization", "").encode(), self._expected):
                    self.pace.request(request.client.host if request.client else None, arriving=True)
                    return _json({"detail": "Unknown caller."}, 401, {"WWW-Authenticate": 'Basic realm="imitable"'})
                return await answer(request)
            except (TooFast, TooSlow) as error:
                return _json({"detail": str(error)}, error.status, {"Retry-After": str(error.seconds)})
            except GameError as error:
                return _json({"detail": str(error)}, 413 if error.key == "refused.too_long" else 400)

        return guarded

    async def _health(self, request: Request) -> Response:
        answer = await self.store_health.check(request)
        return _json({"status": "UP", "model_class": VERSION}) if answer.status_code == 200 else answer

    async def _setup(self, _request: Request) -> Response:
        """Label Studio tells of the project, and gives us a token of its owner, which we do not read."""
        return _json({"model_version": VERSION})

    async def _predict(self, request: Request) -> Response:
        count, call = read_call(await body_of(request, most=names.LARGEST_CALL))
        if call is None:
            return _json({"results": [_prediction([]) for _ in range(count)]})
        request.state.token = call.key  # whose request it was, for the log; it keeps a hash
        self.pace.session(call.counted_as)
        try:
            filled = await self.desk.ask(self.replies.reply, call)
        except ImitableError as error:
            _log.error("%s", error)
            filled = self.replies.again(call.latest, "label_studio.later")
        return _json({"results": [_prediction(filled)]})

    async def _webhook(self, request: Request) -> Response:
        """Something happened in Label Studio, or so somebody says. What it makes for every backend has no password."""
        nothing = Response(status_code=204, headers=NOT_KEPT)
        if self.hint is None:
            return nothing
        try:
            if not hmac.compare_digest(request.headers.get("authorization", "").encode(), self._hints):
                self.pace.request(request.client.host if request.client else None, arriving=True)
                return nothing
            number = hinted_task(await body_of(request, most=names.LARGEST_CALL))
            if number is not None:
                self.pace.session(f"task {number}")
                await self._look(self.hint, number)
        except (GameError, TooFast, TooSlow):
            pass  # a hint that was lost is made good by 'imitable collect'
        return nothing

    async def _look(self, hint: Hint, number: int) -> None:
        """Follow up a hint. Of those that come meanwhile one look finds all, so that a flood holds one thread."""
        if number in self._looked_at:
            self._looked_at[number] = True
            return
        again = True
        try:
            while again:
                self._looked_at[number] = False
                await run_in_threadpool(hint, number)
                again = self._looked_at[number]
        finally:
            del self._looked_at[number]


def _prediction(filled: list[Result]) -> dict[str, Any]:
    return {"result": filled, "score": 1.0 if filled else 0.0, "model_version": VERSION}


def _json(value: object, status: int = 200, more: dict[str, str] | None = None) -> Response:
    body = json.dumps(value, ensure_ascii=False).encode()
    return Response(body, status, NOT_KEPT | (more or {}), media_type="application/json")
