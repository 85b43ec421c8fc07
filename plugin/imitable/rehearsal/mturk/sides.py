"""The side of whoever is rehearsing: workers as plain HTTP calls, the clock, faults, and everything that is known."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from imitable.rehearsal.control_path import controls, told
from imitable.rehearsal.faults import Faulty, Fields
from imitable.rehearsal.mturk import assignments, framing, hits, qualifications, telling, wallet
from imitable.rehearsal.mturk.world import LABEL, Assignment, WireError, Worker, World, dollars

PATHS = """\
POST /stand-in/workers                       {"count": 3} or {"ids": ["AEXAMPLE"]}, and any other field of Worker: ids
POST /stand-in/workers/{id}/preview          {"hit": ...}: the address that would be framed
POST /stand-in/workers/{id}/accept           {"hit": ...}: takes a place; the assignment, and the address to be framed
POST /stand-in/workers/{id}/ask              {"qualification": ...}: asks for a qualification
POST /stand-in/assignments/{id}/submit       {"answers": {"field": "value"}}
POST /stand-in/assignments/{id}/return

GET  /stand-in/state           settings, account, payments, workers, HITs, assignments
GET  /stand-in/emails          what would have been e-mailed to workers
GET  /stand-in/notifications   what would have been told to the requester
GET  /stand-in/clock           what time it is there
POST /stand-in/clock           {"seconds": 3600}: moves it forward
POST /stand-in/settings        any of Settings
POST /stand-in/deposit         {"cents": 100000}
POST /stand-in/faults          {"faults": [...]}: in place of those there are
POST /stand-in/reset           everything is as at the start
GET  /stand-in/journal         every call of the API, its fault, and what it was answered
"""

_SECRET = "secret"  # noqa: S105  # the setting's name

Does = Callable[[Request, Fields], Any]


class Sides:
    """The paths under /stand-in. Nobody has to prove who they are."""

    def __init__(self, world: World, faulty: Callable[[], Faulty]) -> None:
        self.world = world
        self.faulty = faulty

    def routes(self) -> list[Route]:
        """All of them."""
        table: list[tuple[str, str, Does]] = [
            ("POST", "/workers", self._workers),
            ("POST", "/workers/{worker}/preview", self._preview),
            ("POST", "/workers/{worker}/accept", self._accept),
            ("POST", "/workers/{worker}/ask", self._ask),
            ("POST", "/assignments/{assignment}/submit", self._submit),
            ("POST", "/assignments/{assignment}/return", self._return),
            ("GET", "/state", self._state),
            ("GET", "/emails", lambda _request, _fields: self.world.emails),
            ("GET", "/notifications", lambda _request, _fields: telling.told(self.world)),
            ("POST", "/deposit", self._deposit),
            ("POST", "/reset", self._reset),
        ]
        shared = controls(self.world, self.faulty, lambda: assignments.pass_time(self.world), secret=_SECRET)
        table += [(verb, path, _of_fields(does)) for verb, path, does in shared]
        return [Route(f"/stand-in{path}", self._serve(does), methods=[verb]) for verb, path, does in table]

    def _serve(self, does: Does) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            assignments.pass_time(self.world)
            try:
                fields = json.loads(await request.body() or b"{}")
                return JSONResponse(does(request, fields))
            except WireError as error:
                return JSONResponse({"error": str(error)}, 400)
            except (KeyError, TypeError, ValueError) as error:
                return JSONResponse({"error": f"This was not asked as it must be: {error!r}"}, 400)

        return answer

    def _workers(self, _request: Request, fields: Fields) -> list[str]:
        names = fields.pop("ids", None) or [self.world.fresh("A") for _ in range(fields.pop("count", 1))]
        made = {name: Worker(name, **fields) for name in names}
        self.world.workers.update(made)
        return list(made)

    def _preview(self, request: Request, fields: Fields) -> Fields:
        worker, hit = self._worker(request), self.world.hit(fields["hit"])
        if not qualifications.allows(self.world, worker, hit, "PreviewAndAccept"):
            raise WireError("RequestError", "Your qualifications do not let you preview this HIT.")
        return {"url": framing.address(self.world, hit, framing.site_for(hit, framing.origin(request)))}

    def _accept(self, request: Request, fields: Fields) -> Fields:
        hit = self.world.hit(fields["hit"])
        made = assignments.accept(self.world, self._worker(request), hit)
        url = framing.address(self.world, hit, framing.site_for(hit, framing.origin(request)), made)
        return {"assignment": made.id, "url": url}

    def _ask(self, request: Request, fields: Fields) -> Fields:
        wanted = self.world.qualification(fields["qualification"])
        qualifications.request(self.world, self._worker(request), wanted)
        return {}

    def _submit(self, request: Request, fields: Fields) -> Fields:
        one = self._assignment(request)
        assignments.submit(self.world, one, [(name, str(value)) for name, value in fields["answers"].items()])
        return {"status": one.status}

    def _return(self, request: Request, _fields: Fields) -> Fields:
        one = self._assignment(request)
        assignments.give_back(self.world, one)
        return {"status": one.status}

    def _worker(self, request: Request) -> Worker:
        return self.world.worker(request.path_params["worker"])

    def _assignment(self, request: Request) -> Assignment:
        return self.world.assignment(request.path_params["assignment"])

    def _state(self, _request: Request, _fields: Fields) -> Fields:
        world = self.world
        return {
            "stand_in": LABEL,
            "now": world.now().isoformat(),
            "settings": told(world, _SECRET),
            "account": {"available": wallet.available(world), "on_hold": wallet.on_hold(world)},
            "workers": [asdict(one) for one in world.workers.values()],
            "hits": [hits.shown(world, hit) for hit in world.hits.values()],
            "assignments": [
                {"id": one.id, "hit": hit.id, "worker": one.worker.id, "status": one.status, "answer": one.answer}
                for hit in world.hits.values()
                for one in hit.assignments
            ],
            "payments": [
                {
                    "at": one.at.isoformat(),
                    "kind": one.kind,
                    "assignment": one.assignment.id,
                    "worker": one.assignment.worker.id,
                    "amount": one.amount,
                    "fee": one.fee,
                    "reason": one.reason,
                }
                for one in world.payments
            ],
        }

    def _deposit(self, _request: Request, fields: Fields) -> Fields:
        self.world.deposited += fields["cents"]
        return {"AvailableBalance": dollars(wallet.available(self.world))}

    def _reset(self, _request: Request, _fields: Fields) -> Fields:
        self.world.begin()
        self.faulty().faults.clear()
        self.faulty().journal.clear()
        return {}


def _of_fields(does: Callable[[Fields], Any]) -> Does:
    return lambda _request, fields: does(fields)
