"""The two other sides of a stand-in: participants, as plain HTTP calls, and whoever is rehearsing, who controls it.

POST /stand-in/participants                          {"count": 3}: their ids
POST /stand-in/participants/{id}/reserve             {"study": ...}: takes a place, answers with the submission
POST /stand-in/submissions/{id}/start                the address of the study, with ids and, if secure, signed
POST /stand-in/submissions/{id}/complete             {"code": ...}
POST /stand-in/submissions/{id}/return, .../time-out
GET  /stand-in/submissions/{id}/begin                for a browser: goes to the study, and remembers who went
GET  /submissions/complete?cc=CODE                   where a browser comes back to

GET  /stand-in/state         clock, settings, wallet, payments, bulks
GET  /stand-in/clock         what time it is there
POST /stand-in/clock         {"seconds": 3600}: moves it forward
POST /stand-in/settings      any of Settings
POST /stand-in/deposit       {"cents": 100000}
POST /stand-in/faults        a list of Fault, in place of those there are
GET  /stand-in/journal       every request to the API, its fault, and what it was answered
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from imitable.rehearsal.control_path import controls, told
from imitable.rehearsal.faults import Faulty, Fields
from imitable.rehearsal.prolific import studies, submissions, wallet
from imitable.rehearsal.prolific.api import Asked, read, refused
from imitable.rehearsal.prolific.signing import Signer
from imitable.rehearsal.prolific.world import LABEL, Refusal, World

_COOKIE = "stand_in_submission"
_SECRET = "token"  # noqa: S105  # the setting's name


class Sides:
    """The paths that Prolific has otherwise, or not at all. Nobody has to prove who they are."""

    def __init__(self, world: World, signer: Signer, faulty: Callable[[], Faulty]) -> None:
        self.world = world
        self.signer = signer
        self.faulty = faulty

    def routes(self) -> list[Route]:
        """All of them."""
        table: list[tuple[str, str, Callable[[Asked], Any]]] = [
            ("POST", "/participants", self._people),
            ("POST", "/participants/{participant}/reserve", self._reserve),
            ("POST", "/submissions/{submission}/start", self._start),
            ("POST", "/submissions/{submission}/complete", self._complete),
            ("POST", "/submissions/{submission}/return", self._give_back),
            ("POST", "/submissions/{submission}/time-out", self._time_out),
            ("GET", "/state", self._state),
            ("POST", "/deposit", self._deposit),
        ]
        shared = controls(self.world, self.faulty, lambda: submissions.pass_time(self.world), secret=_SECRET)
        table += [(verb, path, _of_fields(does)) for verb, path, does in shared]
        served = [Route(f"/stand-in{path}", self._serve(does), methods=[verb]) for verb, path, does in table]
        return [
            *served,
            Route("/stand-in/submissions/{submission}/begin", self.begin),
            Route("/submissions/complete", self.come_back),
            Route("/", self.root),
        ]

    def _serve(self, does: Callable[[Asked], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            submissions.pass_time(self.world)
            try:
                return JSONResponse(does(await read(request)))
            except Refusal as refusal:
                return refused(refusal)

        return answer

    def _people(self, asked: Asked) -> list[str]:
        made = [self.world.fresh("participant") for _ in range(asked.fields["count"])]
        self.world.participants += made
        return made

    def _reserve(self, asked: Asked) -> Fields:
        made = submissions.reserve(self.world, asked.path["participant"], asked.fields["study"])
        return submissions.shown(self.world, made, status=made.status)

    def _start(self, asked: Asked) -> Fields:
        return {"url": submissions.start(self.world, self._submission(asked), self.signer)}

    def _complete(self, asked: Asked) -> Fields:
        one = self._submission(asked)
        submissions.complete(self.world, one, asked.fields["code"])
        return submissions.shown(self.world, one, status=one.status)

    def _give_back(self, asked: Asked) -> Fields:
        one = self._submission(asked)
        submissions.give_back(self.world, one)
        return submissions.shown(self.world, one, status=one.status)

    def _time_out(self, asked: Asked) -> Fields:
        one = self._submission(asked)
        submissions.become(self.world, one, "TIMED-OUT")
        return submissions.shown(self.world, one, status=one.status)

    def _submission(self, asked: Asked) -> Any:
        return self.world.submission(asked.path["submission"])

    def _state(self, _asked: Asked) -> Fields:
        return {
            "stand_in": LABEL,
            "now": self.world.now().isoformat(),
            "settings": told(self.world, _SECRET),
            "wallet": wallet.balance(self.world),
            "studies": [studies.shown(self.world, one) for one in self.world.studies.values()],
            "submissions": {
                one.id: {"participant": one.participant, "status": one.status, "code": one.code}
                for one in self.world.submissions.values()
            },
            "payments": [{**asdict(one), "at": one.at.isoformat()} for one in self.world.payments],
            "bulks": {one.id: {"rows": one.rows, "calls": one.calls} for one in self.world.bulks.values()},
            "on_their_way": len(self.world.due),
        }

    def _deposit(self, asked: Asked) -> Fields:
        self.world.deposited += asked.fields["cents"]
        return wallet.balance(self.world)

    async def begin(self, request: Request) -> Response:
        try:
            one = self.world.submission(request.path_params["submission"])
            answer = RedirectResponse(submissions.start(self.world, one, self.signer))
        except Refusal as refusal:
            return refused(refusal)
        answer.set_cookie(_COOKIE, one.id, samesite="lax", httponly=True)
        return answer

    async def come_back(self, request: Request) -> Response:
        try:
            one = self.world.submission(request.cookies.get(_COOKIE, ""))
            submissions.complete(self.world, one, request.query_params.get("cc", ""))
        except Refusal as refusal:
            return refused(refusal)
        return HTMLResponse(f"<!doctype html><title>Stand-in</title><h1>{LABEL}</h1><p>Thank you. It is {one.status}.")

    async def root(self, _request: Request) -> Response:
        submissions.pass_time(self.world)
        shown = [studies.shown(self.world, one) for one in self.world.studies.values()]
        rows = [f"<li>{escape(str(one['name']))}: {one['status']}, {one['places_taken']} places taken" for one in shown]
        return HTMLResponse(
            f"<!doctype html><title>Stand-in</title><h1>{LABEL}</h1><p>A process on this machine that answers as "
            f"Prolific's API v1 is documented to. Nothing here reaches Prolific.<ul>{''.join(rows)}</ul>"
        )


def _of_fields(does: Callable[[Fields], Any]) -> Callable[[Asked], Any]:
    return lambda asked: does(asked.fields)
