"""Which of Label Studio's tasks somebody may see: asked by the proxy in front of it, for every request of an annotator.

Label Studio itself lets everybody read everything. The proxy passes on what its list allows, and asks us first: we ask
Label Studio who shows these credentials, and our own record which tasks are his. What was changed there does not count.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from sqlalchemy import Connection, bindparam, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from imitable.campaign import Folder
from imitable.errors import ImitableError
from imitable.game.guard import NOT_KEPT, Desk
from imitable.game.label_studio import names
from imitable.game.limits import Pace, TooFast
from imitable.store import Store, tables
from imitable.store.quick import Quick

_log = logging.getLogger(__name__)

MAY = f"{names.DOOR}/proxy/may"
"""Asked before a request is passed on: 204, and whose tasks they are; or 401 or 403."""
TABS = f"{names.DOOR}/proxy/tabs"
"""The caller's own tabs of Label Studio's list of tasks: it would give away everybody's."""

SECRET = "X-Imitable-Proxy"  # noqa: S105  # the name of a header
ABOUT = "X-Imitable-About"
"""Headers of the proxy: what lets it ask, and what a request is about: `task 12`, `draft 3`, `backend 4` or nothing."""
TASKS = "X-Imitable-Tasks"
PROJECT = "X-Imitable-Project"
"""Headers of our answer: all tasks that are the caller's, with commas between, and their project."""

KNOWN_FOR = 60.0
"""Seconds for which it is remembered whose credentials these are, and whose draft that is."""
_MOST_KNOWN = 10_000
_PATIENCE = 10.0

_TASKS = Quick(
    select(tables.tasks.c.external_id, tables.tasks.c.project)
    .join(tables.episodes, tables.episodes.c.episode_id == tables.tasks.c.episode_id)
    .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
    .where(
        tables.tasks.c.platform == names.PLATFORM,
        tables.tasks.c.external_id.is_not(None),
        tables.identities.c.platform == names.PLATFORM,
        tables.identities.c.platform_id == bindparam("email"),
    )
)


def secret(folder: Folder) -> str:
    """What the proxy shows us."""
    return folder.derive("label-studio", "proxy", size=32)


class Refused(Exception):
    """The request is not passed on. `status` is 401 for nobody, 403 for somebody else."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Allowing:
    """Answers the proxy of one campaign."""

    def __init__(self, folder: Folder, store: Store, *, url: str, desk: Desk, pace: Pace) -> None:
        self.store = store
        self.desk = desk
        self.pace = pace
        self.url = url.rstrip("/")
        self._secret = secret(folder).encode()
        self._trusted = httpx.create_ssl_context(trust_env=False)
        self._known: dict[str, tuple[Any, float]] = {}

    def routes(self, root: str) -> list[Route]:
        """Our addresses below a path."""
        return [Route(root + MAY, self._guarded(self._may)), Route(root + TABS, self._guarded(self._tabs))]

    def _guarded(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if not hmac.compare_digest(request.headers.get(SECRET, "").encode(), self._secret):
                try:
                    self.pace.request(request.client.host if request.client else None, arriving=True)
                except TooFast as error:
                    return Response(status_code=error.status, headers=NOT_KEPT | {"Retry-After": str(error.seconds)})
                return Response(status_code=404, headers=NOT_KEPT)
            try:
                return await answer(request)
            except Refused as error:
                return Response(status_code=error.status, headers=NOT_KEPT)
            except (httpx.HTTPError, ValueError, ImitableError) as error:
                _log.error("A request to Label Studio could not be judged, and was not passed on: %s", error)
                return Response(status_code=503, headers=NOT_KEPT)

        return guarded

    async def _may(self, request: Request) -> Response:
        email, mine, project = await self._who(request)
        match request.headers.get(ABOUT, "").split(" "):
            case [""]:
                pass
            case ["task", task] if task in mine:
                pass
            case ["draft", draft] if draft.isdecimal() and await self._draft(request, draft) in [
                (email, task) for task in mine
            ]:
                pass
            case ["backend", backend] if backend.isdecimal() and await self._project_of(request, backend) == project:
                pass
            case _:
                raise Refused(403)
        return Response(status_code=204, headers={**NOT_KEPT, TASKS: ",".join(mine), PROJECT: project})

    async def _tabs(self, request: Request) -> Response:
        email, _, project = await self._who(request)
        views = await self._ask(request, f"/api/dm/views/?project={project}")
        own = [view for view in views if _filtered_by(view) == email]
        return Response(json.dumps(own), headers=NOT_KEPT, media_type="application/json")

    async def _who(self, request: Request) -> tuple[str, list[str], str]:
        """E-mail of the caller, his tasks, and their project. Raises Refused for who has none."""
        shown = "\0".join(request.headers.get(name, "") for name in ("cookie", "authorization"))
        key = "caller " + hashlib.sha256(shown.encode()).hexdigest()
        email = self._recalled(key)
        if email is None:
            email = str((await self._ask(request, "/api/current-user/whoami"))["email"]).lower()
            self._keep(key, email)
        found = await self.desk.ask(self._tasks_of, email)
        if not found:
            raise Refused(403)
        project = found[-1][1]
        return email, [task for task, of in found if of == project], project

    def _tasks_of(self, email: str) -> list[tuple[str, str]]:
        with self.store.read() as connection:
            return _tasks_of(connection, email)

    async def _draft(self, request: Request, number: str) -> tuple[str, str] | None:
        """Whose draft it is, and of which task; neither ever changes for a draft that is not the caller's."""
        key = f"draft {number}"
        if (known := self._recalled(key)) is None:
            draft = await self._ask(request, f"/api/drafts/{int(number)}/")
            known = (str(draft["user"]).lower(), str(draft["task"]))
            self._keep(key, known)
        owner: tuple[str, str] = known
        return owner

    async def _project_of(self, request: Request, number: str) -> str:
        """Which project's a backend is: those of others may answer, to whoever asks, what is none of his business."""
        key = f"backend {number}"
        if (known := self._recalled(key)) is None:
            known = str((await self._ask(request, f"/api/ml/{int(number)}"))["project"])
            self._keep(key, known)
        return str(known)

    async def _ask(self, request: Request, path: str) -> Any:
        """What Label Studio answers to the caller's own credentials. Raises Refused as it does."""
        shown = {name: request.headers[name] for name in ("cookie", "authorization") if name in request.headers}
        async with httpx.AsyncClient(timeout=_PATIENCE, trust_env=False, verify=self._trusted) as client:
            answer = await client.get(self.url + path, headers=shown)
        if answer.status_code in (401, 403):
            raise Refused(401)
        if answer.status_code == 404:
            raise Refused(403)
        return answer.raise_for_status().json()

    def _recalled(self, key: str) -> Any:
        value, until = self._known.get(key, (None, 0.0))
        return value if time.monotonic() < until else None

    def _keep(self, key: str, value: object) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[key] = (value, time.monotonic() + KNOWN_FOR)


def _tasks_of(connection: Connection, email: str) -> list[tuple[str, str]]:
    found = [(str(row.external_id), str(row.project)) for row in _TASKS.all(connection, {"email": email})]
    return sorted(found, key=lambda one: (int(one[1]), int(one[0])))


def _filtered_by(view: dict[str, Any]) -> str | None:
    """The e-mail that a tab shows the tasks of, if that is what it does."""
    items = (view.get("data") or {}).get("filters", {}).get("items", [])
    if len(items) == 1 and items[0].get("filter") == f"filter:tasks:data.{names.ANNOTATOR}":
        return str(items[0].get("value", "")).lower()
    return None
