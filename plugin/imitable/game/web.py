"""The web door: the game as pages that work without JavaScript, or as JSON for players who are programs.

Every page is the answer to a POST that carries the session's token in a hidden field (or an Authorization header),
so that no token stands in a URL, a cookie, a log or a Referer.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from imitable.errors import GameError, ImitableError
from imitable.game.bodies import body_of
from imitable.game.conduct import read_signals
from imitable.game.guard import NOT_KEPT, Desk, Health, Paced
from imitable.game.label_studio.allowing import Allowing
from imitable.game.label_studio.door import Hint, LabelStudioDoor
from imitable.game.limits import Pace, TooFast, TooSlow
from imitable.game.pages import environment
from imitable.game.play import Game
from imitable.game.policy import Policy
from imitable.game.signed_hooks import HookDoor
from imitable.game.views import Problem, View, as_json

if TYPE_CHECKING:
    import os

    from starlette.types import Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

LARGEST_BODY = 16_384
"""Bytes of a posted form; ours are a few hundred."""

Fields = dict[str, str]
Answer = Callable[[Fields], tuple[View, str]]
"""What a form does: its fields to the view that follows and the session's token."""


def web_app(game: Game, hint: Hint | None = None, hooks: HookDoor | None = None) -> Starlette:
    """The game behind HTTP. Routes stand at the root and, behind a proxy, at the path of [serve] public_url.

    `hint` is told the numbers of Label Studio's tasks that were answered, where its webhooks tell us; `hooks` are what
    Prolific calls.
    """
    root = urlsplit(game.folder.config.serve.public_url or "").path.rstrip("/")
    door = _Door(game, root)
    roots, others = dict.fromkeys((root, "")), []
    if (settings := game.folder.config.platform.label_studio) is not None:
        label_studio = LabelStudioDoor(game, desk=door.desk, pace=door.pace, health=door.health, hint=hint)
        allowing = Allowing(game.folder, game.store, url=settings.url, desk=door.desk, pace=door.pace)
        others = [route for under in roots for of in (label_studio, allowing) for route in of.routes(under)]
    uncounted = [route.path for route in others]
    if hooks is not None:
        others += [route for under in roots for route in hooks.routes(under)]
    app = Starlette(
        routes=[*others, *(route for under in roots for route in _routes(door, under))],
        middleware=[Middleware(Paced, pace=door.pace, refuse=door.problem, root=root, uncounted=uncounted)],
        exception_handlers={404: door.missing, 405: door.missing, 500: door.failed, ImitableError: door.failed},
    )
    # A redirect would send the code or the token on to the host that the client names, and from https to http.
    app.router.redirect_slashes = False
    return app


def _routes(door: _Door, root: str) -> list[BaseRoute]:
    landings = {root or "/", f"{root}/", f"{root}/j/{{code}}", f"{root}/j/{{code}}/"}
    return [
        *(Route(f"{root}/{name}", door.posting(does), methods=["POST"]) for name, does in door.forms.items()),
        *(Route(path, door.landing) for path in sorted(landings)),
        *(Route(f"{root}/{platform}", door.arriving(platform)) for platform in ("mturk", "prolific")),
        Route(f"{root}/healthz", door.health.check),
        Route(f"{root}/livez", lambda _request: PlainTextResponse("ok\n", headers=NOT_KEPT)),
        Mount(f"{root}/static", _Static(directory=str(files("imitable_templates.web").joinpath("static")))),
    ]


class _Static(StaticFiles):
    """Only what pages load: the folder is a package too, and its bytecode tells where we are installed."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        return super().lookup_path(path) if path.endswith((".css", ".js", ".svg")) else ("", None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def unsniffed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-content-type-options", b"nosniff")]
            await send(message)

        await super().__call__(scope, receive, unsniffed)


class _Door:
    def __init__(self, game: Game, root: str) -> None:
        self.game = game
        self.root = root
        self.policy = Policy(game.folder.config)
        self.pace = Pace(game.folder.config.serve.limits)
        self.desk = Desk(game.store)
        self.health = Health(game.store)
        self.pages = environment(str(files("imitable_templates.web")), words=game.texts)
        self.forms: dict[str, Answer] = {
            "guess": lambda form: (
                game.guess(form["token"], form.get("round_id", ""), form.get("guess", ""), read_signals(form)),
                form["token"],
            ),
            "look": lambda form: (
                game.look(form["token"], form.get("round_id", ""), form.get("place", "")),
                form["token"],
            ),
            "play": lambda form: (game.view(form["token"]), form["token"]),
            "start": self._start,
            "tutorial": lambda form: (
                game.tutorial(form["token"], form.get("step", ""), form.get("guess", "")),
                form["token"],
            ),
            "answers": self._answers,
            "stop": lambda form: (game.stop(form["token"]), form["token"]),
        }

    def _start(self, form: Fields) -> tuple[View, str]:
        token = self.game.start(form.get("code", ""), agreed=bool(form.get("agree")))
        return self.game.view(token), token

    def _answers(self, form: Fields) -> tuple[View, str]:
        view = self.game.answer(
            form["token"],
            form.get("episode_id", ""),
            fun=form.get("fun", ""),
            interest=form.get("interest", ""),
            explanation=form.get("explanation", ""),
        )
        return view, form["token"]

    async def landing(self, request: Request) -> Response:
        code = str(request.path_params.get("code", ""))
        return self._page(request, await self.desk.ask(self.game.landing, code))

    def arriving(self, platform: str) -> Callable[[Request], Awaitable[Response]]:
        """The route of an address that a platform makes, with its ids in the query."""

        async def arrival(request: Request) -> Response:
            entry = await run_in_threadpool(self.game.entry, platform, request.query_params)
            return self._page(request, await self.desk.ask(self.game.arrival, entry))

        return arrival

    def posting(self, does: Answer) -> Callable[[Request], Awaitable[Response]]:
        """A route that reads one form and answers with the view that follows."""

        async def answer(request: Request) -> Response:
            form = await _form(request)
            request.state.token = form["token"]  # whose request it was, for the log; it keeps a hash
            self.pace.session(form["token"])
            view, token = await self.desk.ask(does, form)
            return self._page(request, view, token)

        return answer

    async def missing(self, request: Request, _error: Exception) -> Response:
        return self.problem(request, GameError("refused.no_page"), 404)

    async def failed(self, request: Request, error: Exception) -> Response:
        return self.problem(request, error)

    def problem(self, request: Request, error: Exception, status: int = 400) -> Response:
        """The page, or the JSON, for something that did not work, whatever it was."""
        if isinstance(error, TooFast | TooSlow):
            page = self._page(request, self._said(error, error.title), status=error.status)
            page.headers["Retry-After"] = str(error.seconds)
            return page
        if isinstance(error, GameError):
            return self._page(request, self._said(error, "problem.refused"), status=status)
        if isinstance(error, ImitableError):  # the server itself logs any other
            _log.error("%s", error)
        words = self.game.texts
        kind = Problem(words.plain("problem.later"), words.plain("problem.later_text"))
        return self._page(request, kind, status=503)

    def _said(self, error: GameError, title: str) -> Problem:
        return Problem(self.game.texts.plain(title), self.game.said(error))

    def _page(self, request: Request, view: View, token: str = "", status: int = 200) -> Response:
        nonce = self.game.fresh_name()
        headers = self.policy.headers(nonce)
        if "application/json" in request.headers.get("accept", ""):
            return Response(as_json(view, token), status, headers, media_type="application/json")
        page = self.pages.get_template(f"{view.kind}.html.j2").render(
            view=view,
            token=token,
            title=self.game.folder.config.campaign.name,
            contact=self.game.folder.config.study.contact,
            static=f"{self.root}/static/",
            root=self.root,
            nonce=nonce,
            referrer=self.policy.referrer,
        )
        return HTMLResponse(page, status_code=status, headers=headers)


async def _form(request: Request) -> Fields:
    """The posted fields. The token may also come as a bearer token. Raises GameError for what is not our form."""
    body = await body_of(request, most=LARGEST_BODY)
    try:
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise GameError("refused.unreadable") from error
    form = {name: value.replace("\0", "") for name, value in fields}  # PostgreSQL takes no NUL
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        form["token"] = bearer.strip()
    return {"token": "", **form}
