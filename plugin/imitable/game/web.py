"""The web door: the game as pages that work without JavaScript, or as JSON for players who are programs.

Every page is the answer to a POST that carries the session's token in a hidden field (or an Authorization header),
so that no token stands in a URL, a cookie, a log or a Referer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from imitable.errors import GameError, ImitableError
from imitable.game.play import Game
from imitable.game.views import Problem, View, as_json

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LARGEST_BODY = 16_384
"""Bytes of a posted form; ours are a few hundred."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

Fields = dict[str, str]
Answer = Callable[[Fields], tuple[View, str]]
"""What a form does: its fields to the view that follows and the session's token."""


def web_app(game: Game) -> Starlette:
    """The game behind HTTP. Routes stand at the root and, behind a proxy, at the path of [serve] public_url."""
    root = urlsplit(game.folder.config.serve.public_url or "").path.rstrip("/")
    door = _Door(game, root)
    routes: list[BaseRoute] = [
        Route("/", door.landing),
        Route("/healthz", lambda _request: PlainTextResponse("ok\n")),
        Route("/j/{code}", door.landing),
        *(Route(f"/{name}", door.posting(does), methods=["POST"]) for name, does in door.forms.items()),
        Mount("/static", _static(), name="static"),
    ]
    under = [Mount(root, routes=routes)] if root else []
    return Starlette(routes=[*under, *routes], exception_handlers={404: door.missing, 405: door.missing})


def _static() -> ASGIApp:
    return StaticFiles(directory=str(files("imitable_templates.web").joinpath("static")))


class _Door:
    def __init__(self, game: Game, root: str) -> None:
        self.game = game
        self.root = root
        self.pages = Environment(
            loader=FileSystemLoader(str(files("imitable_templates.web"))),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            auto_reload=False,
        )
        self.forms: dict[str, Answer] = {
            "start": self._start,
            "play": lambda form: (game.view(form["token"]), form["token"]),
            "tutorial": lambda form: (
                game.tutorial(form["token"], form.get("step", ""), form.get("guess", "")),
                form["token"],
            ),
            "guess": lambda form: (
                game.guess(form["token"], form.get("round_id", ""), form.get("guess", "")),
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
        try:
            return self._page(request, await run_in_threadpool(self.game.landing, code))
        except ImitableError as error:
            return self._problem(request, error)

    def posting(self, does: Answer) -> Callable[[Request], Awaitable[Response]]:
        """A route that reads one form and answers with the view that follows."""

        async def answer(request: Request) -> Response:
            try:
                form = await _form(request)
                view, token = await run_in_threadpool(does, form)
            except ImitableError as error:
                return self._problem(request, error)
            return self._page(request, view, token)

        return answer

    async def missing(self, request: Request, _error: Exception) -> Response:
        return self._problem(request, GameError("There is no such page. Please open your personal link again."), 404)

    def _problem(self, request: Request, error: ImitableError, status: int = 0) -> Response:
        if isinstance(error, GameError):
            return self._page(request, Problem("That did not work", str(error)), status=status or 400)
        kind = "Something is wrong on our side. Your answers are safe. Please try again in a minute."
        return self._page(request, Problem("Please try again in a minute", kind), status=503)

    def _page(self, request: Request, view: View, token: str = "", status: int = 200) -> Response:
        if "application/json" in request.headers.get("accept", ""):
            return Response(as_json(view, token), status, _HEADERS, media_type="application/json")
        page = self.pages.get_template(f"{view.kind}.html.j2").render(
            view=view,
            token=token,
            title=self.game.folder.config.campaign.name,
            static=f"{self.root}/static/",
            root=self.root,
        )
        return HTMLResponse(page, status_code=status, headers=_HEADERS)


async def _form(request: Request) -> Fields:
    """The posted fields. The token may also come as a bearer token. Raises GameError for what is not our form."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise GameError("That was too much text. Please shorten it and submit again.")
    try:
        form = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20))
    except ValueError as error:
        raise GameError("The page sent something that we cannot read. Please open your personal link again.") from error
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        form["token"] = bearer.strip()
    return {"token": "", **form}
