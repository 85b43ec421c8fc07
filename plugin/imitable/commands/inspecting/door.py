"""The inspector's door: pages for one reader on this machine, behind a token that only the terminal has told."""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from imitable.commands.inspecting import views
from imitable.commands.inspecting.heat import draw
from imitable.commands.inspecting.records import Records
from imitable.errors import BuildError
from imitable.game.pages import environment
from imitable_aggregation import scoring

_log = logging.getLogger(__name__)

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_US = re.compile(r"(localhost|127\.0\.0\.1)(:[0-9]{1,5})?", re.IGNORECASE)
"""Names by which a browser may call us: under any other, a foreign page has pointed its own name at this machine."""
_STATIC = {
    "app.css": ("imitable_templates.web", "text/css"),
    "inspect.css": ("imitable_templates.inspect", "text/css"),
    "icon.svg": ("imitable_templates.web", "image/svg+xml"),
}


def inspector(records: Records, report: Mapping[str, Any], token: str) -> Starlette:
    """The pages of a build under /TOKEN/. To whom does not know the token, everything is a bare 404.

    The token is a part of the path and not a cookie, which every other server on this machine would be sent too.
    Pages link to each other relatively, so that none of them holds it.
    """
    door = _Door(records, report)
    app = Starlette(
        routes=[
            Route("/{token}/", door.overview),
            Route("/{token}/target", door.target),
            Route("/{token}/static/{name}", door.static),
        ],
        middleware=[Middleware(_Gate, token=token)],
        exception_handlers={HTTPException: door.refused, BuildError: door.damaged, Exception: door.broken},
    )
    app.router.redirect_slashes = False  # would name the host that the client names
    return app


class _Gate:
    """Lets nobody in who calls us by a foreign name, or does not know the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan
            await self.app(scope, receive, send)
            return
        first, slash, _ = scope["path"].removeprefix("/").partition("/")
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        known = hmac.compare_digest(first.encode("utf-8", "replace"), self.token.encode())
        if not known or len(hosts) != 1 or not _US.fullmatch(hosts[0]):
            await PlainTextResponse("Not found\n", 404, _HEADERS)(scope, receive, send)
        elif not slash:
            await RedirectResponse(f"/{self.token}/", 307, _HEADERS)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class _Door:
    def __init__(self, records: Records, report: Mapping[str, Any]) -> None:
        self.records = records
        self.report = report
        rooms = [str(files(f"imitable_templates.{room}")) for room in ("inspect", "web")]
        self.pages = environment(*rooms)
        self.pages.filters.update(figures=figures, link_to=link_to)
        self.pages.globals.update(report=report, campaign=str(report.get("campaign") or "this build"))

    def overview(self, request: Request) -> Response:
        asked = request.query_params
        sort, find = asked.get("sort", ""), asked.get("find", "").strip()[:200]
        falling = asked.get("order", "falling") == "falling"
        rows = views.overview(self.records, sort=sort, falling=falling, find=find)
        return self._page(
            "overview",
            rows=rows,
            columns=views.COLUMNS,
            sort=sort,
            falling=falling,
            find=find,
            all=self.records.targets,
        )

    def target(self, request: Request) -> Response:
        asked = request.query_params
        target_id = asked.get("id", "")
        if target_id not in self.records.targets:
            raise HTTPException(404, "This build has no such target.")
        made = self.records.of(target_id)
        target, low = made.target, scoring.lowest(made.target.polarity)
        split, stratum = asked.get("split", ""), asked.get("stratum", "")
        number = int(asked["page"]) if re.fullmatch("[0-9]{1,6}", asked.get("page", "")) else 1
        order = list(self.records.targets)
        at = order.index(target_id)
        truths = {
            name: [answer.truth for item, answer in zip(made.items, made.answers, strict=True) if item.split == name]
            for name in views.SPLITS
        }
        return self._page(
            "target",
            target=target,
            tally=self.records.tallies[target_id],
            low=low,
            bend=views.on_scale(target, [-target.scale_s if target.polarity == "neg" else target.scale_s])[0],
            histograms={name: views.histogram(numbers, low) for name, numbers in truths.items()},
            examples=[(one, draw(one.text, one.offsets, one.values, one.position)) for one in made.examples],
            page=views.page_of(made, split=split, stratum=stratum, number=number),
            splits=views.SPLITS,
            asked={"id": target_id, "split": split, "stratum": stratum, "numbers": asked.get("numbers", "")},
            before=order[at - 1] if at else "",
            after=order[at + 1] if at + 1 < len(order) else "",
            at=at + 1,
            among=len(order),
        )

    def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            raise HTTPException(404, "There is no such page.")
        room, media_type = _STATIC[name]
        return Response(files(room).joinpath("static", name).read_bytes(), 200, _HEADERS, media_type)

    def refused(self, _request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 400
        said = str(error.detail) if isinstance(error, HTTPException) and status == 404 else ""
        allowed = {"Allow": "GET, HEAD"} if status == 405 else {}
        return self._problem(said or "That cannot be asked here.", status, allowed)

    def damaged(self, _request: Request, error: Exception) -> Response:
        _log.error("%s", error)
        return self._problem(str(error), 500)

    def broken(self, _request: Request, _error: Exception) -> Response:  # the server logs it
        return self._problem("Something went wrong here; the terminal tells what.", 500)

    def _problem(self, message: str, status: int, more: Mapping[str, str] | None = None) -> Response:
        return self._page("problem", status, more, message=message)

    def _page(self, name: str, status: int = 200, more: Mapping[str, str] | None = None, **shown: object) -> Response:
        page = self.pages.get_template(f"{name}.html.j2").render(**shown)
        return HTMLResponse(page, status, {**_HEADERS, **(more or {})})


def link_to(target_id: str) -> str:
    """Where a target's page is, relative to the overview."""
    return "target?id=" + quote(target_id, safe="/:@.")


def figures(value: float) -> str:
    """A number to four significant figures, with a true minus sign and commas where it is large."""
    return (f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}").replace("-", "−")
