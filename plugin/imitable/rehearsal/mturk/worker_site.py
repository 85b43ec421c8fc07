"""The site that workers see: tasks, a preview, a frame to work in, and where the frame's form is posted to.

Who somebody is stands in the path, so that one browser can be several workers at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from imitable.rehearsal.mturk import assignments, framing, hits, qualifications, questions, sides
from imitable.rehearsal.mturk.api import OPERATIONS
from imitable.rehearsal.mturk.model import Model
from imitable.rehearsal.mturk.world import Assignment, Hit, WireError, Worker, World, dollars, refused

_FOLDER = Path(__file__).parent / "pages"
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; frame-src http: https:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
_SAID = {
    "submitted": "Your work was handed in. Thank you.",
    "returned": "You returned the task. Somebody else may do it now.",
    "asked": "You asked for the qualification.",
}

Shows = Callable[[Request], Awaitable[Response]]


class WorkerSite:
    """Pages under /worker, /mturk/externalSubmit, and the root."""

    def __init__(self, world: World, model: Model) -> None:
        self.world = world
        self.model = model
        loader = FileSystemLoader(_FOLDER)
        self.pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, auto_reload=False)

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        table: list[tuple[str, str, Shows]] = [
            ("GET", "/", self._root),
            ("GET", "/worker", self._workers),
            ("POST", "/worker", self._be_new),
            ("GET", "/worker/html/{hit}", self._html),
            ("GET", "/worker/{worker}", self._tasks),
            ("GET", "/worker/{worker}/hits/{hit}", self._preview),
            ("POST", "/worker/{worker}/hits/{hit}/accept", self._accept),
            ("GET", "/worker/{worker}/assignments/{assignment}", self._work),
            ("POST", "/worker/{worker}/assignments/{assignment}/return", self._return),
            ("POST", "/worker/{worker}/qualifications/{qualification}", self._ask),
            ("POST", "/mturk/externalSubmit", self._submit),
        ]
        served = [Route(path, self._serve(shows), methods=[verb]) for verb, path, shows in table]
        return [Mount("/worker/static", StaticFiles(directory=_FOLDER / "static")), *served]

    def _serve(self, shows: Shows) -> Shows:
        async def answer(request: Request) -> Response:
            assignments.pass_time(self.world)
            try:
                return await shows(request)
            except WireError as error:
                return self._say("This cannot be done", str(error), status=error.status, wrong=True)

        return answer

    async def _root(self, request: Request) -> Response:
        return self._page(
            "root",
            origin=framing.origin(request),
            key=self.world.settings.key,
            secret=self.world.settings.secret,
            operations=sorted(OPERATIONS),
            not_done=sorted(set(self.model.operations) - set(OPERATIONS)),
            now=f"{self.world.now():%Y-%m-%d %H:%M} UTC",
            controls=sides.PATHS,
        )

    async def _workers(self, _request: Request) -> Response:
        done: dict[str, int] = {}
        for one in self.world.assignments.values():
            done[one.worker.id] = done.get(one.worker.id, 0) + (one.status in assignments.SEEN)
        known = [
            {"worker": one, "done": done.get(one.id, 0), "earned": dollars(self._earned(one))}
            for one in self.world.workers.values()
        ]
        return self._page("workers", known=known)

    async def _be_new(self, request: Request) -> Response:
        fields = dict(await _form(request))
        made = Worker(
            self.world.fresh("A"),
            country=(fields.get("country") or "US").upper(),
            masters="masters" in fields,
            approved_before=_number(fields.get("approved_before", "")),
            rejected_before=_number(fields.get("rejected_before", "")),
        )
        self.world.workers[made.id] = made
        return RedirectResponse(f"/worker/{made.id}", 303)

    async def _tasks(self, request: Request) -> Response:
        worker = self._worker(request)
        mine = [one for one in self.world.assignments.values() if one.worker is worker]
        under_way = [self._row(one) for one in mine if one.status == "Accepted"]
        taken = {id(one.hit) for one in mine if one.status in hits.TAKEN}
        tasks = [
            {
                "hit": hit,
                "reward": dollars(hit.type.reward),
                "allowed": _spelled(hit.type.duration),
                "places": hit.places - hit.count(*hits.TAKEN),
                "preview": qualifications.allows(self.world, worker, hit, "PreviewAndAccept"),
            }
            for hit in hits.listed(self.world)
            if hits.status(self.world, hit) == "Assignable"
            and qualifications.allows(self.world, worker, hit, "DiscoverPreviewAndAccept")
            and id(hit) not in taken
        ]
        return self._page(
            "worker",
            worker,
            said=_SAID.get(request.query_params.get("said", ""), ""),
            under_way=under_way,
            tasks=tasks,
            wanted=qualifications.open_to(self.world, worker),
            work=[self._row(one) for one in mine if one.status != "Accepted"][::-1],
        )

    async def _preview(self, request: Request) -> Response:
        worker, hit = self._worker(request), self.world.hit(request.path_params["hit"])
        if not qualifications.allows(self.world, worker, hit, "PreviewAndAccept"):
            raise refused("NotQualified", "Your qualifications do not let you preview this task.")
        return self._frame(request, worker, hit, None)

    async def _accept(self, request: Request) -> Response:
        worker, hit = self._worker(request), self.world.hit(request.path_params["hit"])
        made = assignments.accept(self.world, worker, hit)
        return RedirectResponse(f"/worker/{worker.id}/assignments/{made.id}", 303)

    async def _work(self, request: Request) -> Response:
        worker, one = self._mine(request)
        if one.status != "Accepted":
            raise refused(
                "InvalidAssignmentState", f"You are not working on this any more: it is {one.status.lower()}."
            )
        return self._frame(request, worker, one.hit, one)

    def _frame(self, request: Request, worker: Worker, hit: Hit, one: Assignment | None) -> Response:
        here = framing.origin(request)
        site = framing.site_for(hit, here)
        if site != here:
            return RedirectResponse(f"{site}{request.url.path}")
        return self._page(
            "task",
            worker,
            hit=hit,
            assignment=one,
            frame=framing.address(self.world, hit, here, one),
            height=questions.read(hit.question).height,
            sandbox=framing.SANDBOX,
            reward=dollars(hit.type.reward),
            allowed=_spelled(hit.type.duration),
            left=self._left(one) if one else 0,
            why_not="" if one else assignments.why_not(self.world, worker, hit),
        )

    async def _return(self, request: Request) -> Response:
        worker, one = self._mine(request)
        assignments.give_back(self.world, one)
        return RedirectResponse(f"/worker/{worker.id}?said=returned", 303)

    async def _ask(self, request: Request) -> Response:
        worker = self._worker(request)
        wanted = self.world.qualification(request.path_params["qualification"])
        qualifications.request(self.world, worker, wanted)
        return RedirectResponse(f"/worker/{worker.id}?said=asked", 303)

    async def _submit(self, request: Request) -> Response:
        fields = await _form(request)
        name = dict(fields).get("assignmentId", "")
        if name == questions.NOT_AVAILABLE:
            raise refused("InvalidAssignmentState", "This is a preview. Accept the task before you hand it in.")
        one = self.world.assignment(name)
        assignments.submit(self.world, one, fields)
        return self._say("Submitted", _SAID["submitted"], back=f"/worker/{one.worker.id}", submitted=one.id)

    async def _html(self, request: Request) -> Response:
        """The page of an HTMLQuestion, under the machine's other name than the worker site."""
        return HTMLResponse(questions.read(self.world.hit(request.path_params["hit"]).question).html)

    def _page(self, name: str, worker: Worker | None = None, *, status: int = 200, **shown: Any) -> Response:
        earned = dollars(self._earned(worker)) if worker else ""
        text = self.pages.get_template(f"{name}.html.j2").render(worker=worker, earned=earned, **shown)
        return HTMLResponse(text, status, {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"})

    def _say(self, heading: str, text: str, *, status: int = 200, **more: Any) -> Response:
        shown = {"wrong": False, "back": "/worker", "submitted": "", **more}
        return self._page("said", status=status, heading=heading, text=text, **shown)

    def _worker(self, request: Request) -> Worker:
        return self.world.worker(request.path_params["worker"])

    def _mine(self, request: Request) -> tuple[Worker, Assignment]:
        worker, one = self._worker(request), self.world.assignment(request.path_params["assignment"])
        if one.worker is not worker:
            raise refused("InvalidAssignmentState", "This assignment is somebody else's.")
        return worker, one

    def _earned(self, worker: Worker) -> int:
        return sum(one.amount for one in self.world.payments if one.assignment.worker is worker)

    def _left(self, one: Assignment) -> int:
        return int((one.deadline - self.world.now()).total_seconds())

    def _row(self, one: Assignment) -> dict[str, Any]:
        paid = {"reward": 0, "bonus": 0}
        for payment in self.world.payments:
            if payment.assignment is one:
                paid[payment.kind] += payment.amount
        promised = one.hit.type.reward if one.status in ("Accepted", "Submitted") else paid["reward"]
        return {
            "id": one.id,
            "hit": one.hit,
            "status": one.status,
            "feedback": one.feedback,
            "left": self._left(one),
            "reward": dollars(promised) if promised else "",
            "bonus": dollars(paid["bonus"]) if paid["bonus"] else "",
        }


async def _form(request: Request) -> list[tuple[str, str]]:
    """A posted form. Files are not taken: the service dropped them, too."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind != "application/x-www-form-urlencoded":
        raise refused("InvalidForm", f"A form is sent as application/x-www-form-urlencoded here, not as {kind}.")
    return parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _spelled(seconds: int) -> str:
    """A time as workers read it."""
    if seconds < 120:
        return f"{seconds} seconds"
    if seconds < 7200:
        return f"{seconds // 60} minutes"
    whole = timedelta(seconds=seconds)
    return f"{seconds // 3600} hours" if whole.days < 2 else f"{whole.days} days"
