"""Prolific's REST API v1, as far as a campaign needs it: every path under /api/v1 wants the account's token.

From the published OpenAPI description. Not in it, and so a guess: how long a page may be (`Settings.largest_page`),
that a page beyond the last is a 404, and `meta.count` beside the results, which others' code reads.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from imitable.rehearsal.faults import Fields
from imitable.rehearsal.prolific import hooks, studies, submissions, wallet
from imitable.rehearsal.prolific.signing import Signer
from imitable.rehearsal.prolific.world import Group, Refusal, World, bad_request, not_found

Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]
Does = Callable[["Asked"], Answer]

DEFAULT_PAGE = 20


class Asked:
    """A request, read."""

    def __init__(self, path: dict[str, str], query: dict[str, str], fields: Fields) -> None:
        self.path = path
        self.query = query
        self.fields = fields


class Api:
    """The paths and what each does."""

    def __init__(self, world: World, signer: Signer) -> None:
        self.world = world
        self.signer = signer

    def routes(self) -> list[Route]:
        """All of them."""
        under = "/api/v1"
        table: list[tuple[str, str, Does]] = [
            ("GET", "/users/me/", self._me),
            ("GET", "/workspaces/", self._workspaces),
            ("GET", "/workspaces/{workspace}/balance/", self._balance),
            ("GET", "/workspaces/{workspace}/projects/", self._projects),
            ("GET", "/projects/{project}/", self._project),
            ("GET", "/projects/{project}/studies/", self._studies),
            ("GET", "/studies/", self._studies),
            ("POST", "/studies/", self._create),
            ("GET", "/studies/{study}/", self._study),
            ("PATCH", "/studies/{study}/", self._change),
            ("DELETE", "/studies/{study}/", self._delete),
            ("POST", "/studies/{study}/transition/", self._transition),
            ("GET", "/studies/{study}/cost/", self._cost),
            ("POST", "/study-cost-calculator/", self._calculate),
            ("GET", "/submissions/", self._submissions),
            ("POST", "/submissions/bonus-payments/", self._set_up),
            ("POST", "/bulk-bonus-payments/{bulk}/pay/", self._pay),
            ("GET", "/submissions/{submission}/", self._submission),
            ("POST", "/submissions/{submission}/transition/", self._decide),
            ("GET", "/participant-groups/", self._groups),
            ("POST", "/participant-groups/", self._make_group),
            ("GET", "/participant-groups/{group}/participants/", self._members),
            ("POST", "/participant-groups/{group}/participants/", self._add_members),
            ("POST", "/hooks/secrets/", self._secret),
            ("GET", "/hooks/subscriptions/", self._subscriptions),
            ("POST", "/hooks/subscriptions/", self._subscribe),
            ("POST", "/hooks/subscriptions/{hook}/", self._confirm),
        ]
        keys = Route("/.well-known/study/jwks.json", lambda _request: JSONResponse(self.signer.jwks()))
        return [*(Route(f"{under}{path}", self._serve(does), methods=[verb]) for verb, path, does in table), keys]

    def _serve(self, does: Does) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            submissions.pass_time(self.world)
            try:
                if request.headers.get("authorization") != f"Token {self.world.settings.token}":
                    raise Refusal(401, "Unauthorized", "Invalid token.")
                status, said, *headers = does(await read(request))
            except Refusal as refusal:
                return refused(refusal)
            return JSONResponse(said, status, headers[0] if headers else None)

        return answer

    def _me(self, _asked: Asked) -> Answer:
        return 200, {"id": self.world.user, "email": "nobody@stand-in.invalid"}

    def _workspaces(self, _asked: Asked) -> Answer:
        return 200, {"results": [{"id": self.world.workspace, "title": "Stand-in"}]}

    def _balance(self, asked: Asked) -> Answer:
        self._own(asked, "workspace")
        return 200, wallet.balance(self.world)

    def _projects(self, asked: Asked) -> Answer:
        self._own(asked, "workspace")
        return 200, {"results": [{"id": self.world.project, "title": "Stand-in"}]}

    def _project(self, asked: Asked) -> Answer:
        self._own(asked, "project")
        return 200, {"id": self.world.project, "title": "Stand-in", "workspace": self.world.workspace}

    def _own(self, asked: Asked, name: str) -> None:
        if asked.path[name] != getattr(self.world, name):
            raise not_found(name)

    def _studies(self, asked: Asked) -> Answer:
        made = [one for one in self.world.studies.values() if one.created <= self.world.readable]
        return 200, self._page(asked, [studies.shown(self.world, one) for one in made])

    def _create(self, asked: Asked) -> Answer:
        return 201, studies.shown(self.world, studies.create(self.world, asked.fields))

    def _study(self, asked: Asked) -> Answer:
        return 200, studies.shown(self.world, self.world.study(asked.path["study"]))

    def _change(self, asked: Asked) -> Answer:
        study = self.world.study(asked.path["study"])
        studies.change(self.world, study, asked.fields)
        return 200, studies.shown(self.world, study)

    def _delete(self, asked: Asked) -> Answer:
        study = self.world.study(asked.path["study"])
        if study.status != "UNPUBLISHED":
            raise bad_request("Only drafts can be deleted.")
        del self.world.studies[study.id]
        return 200, {}

    def _transition(self, asked: Asked) -> Answer:
        study = self.world.study(asked.path["study"])
        studies.transition(self.world, study, str(asked.fields.get("action")))
        return 200, studies.shown(self.world, study)

    def _cost(self, asked: Asked) -> Answer:
        return 200, wallet.total_cost(self.world, self.world.study(asked.path["study"]))

    def _calculate(self, asked: Asked) -> Answer:
        reward, places = (int(asked.fields[name]) for name in ("reward", "total_available_places"))
        return 200, {"total_cost": wallet.cost(self.world, reward, places)}

    def _submissions(self, asked: Asked) -> Answer:
        ours = self.world.of_study(self.world.study(asked.query.get("study", "")))
        rows = [submissions.listed(self.world, one) for one in submissions.readable(self.world, ours)]
        return 200, self._page(asked, rows[::-1] if asked.query.get("ordering") == "-started_at" else rows)

    def _submission(self, asked: Asked) -> Answer:
        return 200, submissions.shown(self.world, self.world.submission(asked.path["submission"]))

    def _decide(self, asked: Asked) -> Answer:
        one = self.world.submission(asked.path["submission"])
        submissions.transition(self.world, one, asked.fields)
        return 200, submissions.shown(self.world, one, status=one.status)

    def _set_up(self, asked: Asked) -> Answer:
        return 201, wallet.set_up(self.world, str(asked.fields.get("study_id")), str(asked.fields.get("csv_bonuses")))

    def _pay(self, asked: Asked) -> Answer:
        wallet.pay(self.world, asked.path["bulk"])
        return 202, "The bonuses will be paid."

    def _groups(self, asked: Asked) -> Answer:
        if asked.query.get("workspace_id", self.world.workspace) != self.world.workspace:
            raise not_found("workspace")
        return 200, {"results": [self._group(one) for one in self.world.groups.values()]}

    def _group(self, group: Group) -> Fields:
        told = {"id": group.id, "name": group.name, "participant_count": len(group.members)}
        return {**told, "workspace_id": self.world.workspace, "is_deleted": False}

    def _make_group(self, asked: Asked) -> Answer:
        if not asked.fields.get("name") or asked.fields.get("workspace_id") != self.world.workspace:
            raise bad_request("Give a name and a workspace_id.")
        group = Group(self.world.fresh("group"), asked.fields["name"])
        self.world.groups[group.id] = group
        return 201, self._group(group)

    def _members(self, asked: Asked) -> Answer:
        group = self.world.groups.get(asked.path["group"])
        if group is None:
            raise not_found("participant group")
        rows = [{"participant_id": name, "datetime_created": at.isoformat()} for name, at in group.members.items()]
        return 200, {"results": rows}

    def _add_members(self, asked: Asked) -> Answer:
        group = self.world.groups.get(asked.path["group"])
        if group is not None:
            for name in asked.fields.get("participant_ids", ()):
                group.members.setdefault(name, self.world.now())
        return self._members(asked)

    def _secret(self, _asked: Asked) -> Answer:
        self.world.hook_secret = self.world.fresh("secret")
        return 201, {"id": self.world.fresh("secret-id"), "value": self.world.hook_secret}

    def _subscriptions(self, _asked: Asked) -> Answer:
        return 200, {"results": [hooks.shown(self.world, one) for one in self.world.subscriptions.values()]}

    def _subscribe(self, asked: Asked) -> Answer:
        made = hooks.subscribe(self.world, asked.fields)
        return 201, hooks.shown(self.world, made), {"X-Hook-Secret": made.proof}

    def _confirm(self, asked: Asked) -> Answer:
        return 200, hooks.shown(self.world, hooks.confirm(self.world, asked.path["hook"], asked.fields))

    def _page(self, asked: Asked, rows: list[Fields]) -> Fields:
        number = int(asked.query.get("page", 1))
        size = min(int(asked.query.get("page_size", DEFAULT_PAGE)), self.world.settings.largest_page)
        page = rows[(number - 1) * size : number * size]
        if number > 1 and not page:
            raise Refusal(404, "Not found", "Invalid page.")
        return {"results": page, "meta": {"count": len(rows)}}


async def read(request: Request) -> Asked:
    """What was asked for. Raises Refusal for a body that is no JSON object."""
    body = await request.body()
    try:
        fields = json.loads(body) if body else {}
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise bad_request("The body must be a JSON object.")
    return Asked(dict(request.path_params), dict(request.query_params), fields)


def refused(refusal: Refusal) -> Response:
    """As the API tells of errors."""
    told = {"status": refusal.status, "error_code": refusal.status * 100, "title": refusal.title}
    return JSONResponse({"error": {**told, "detail": refusal.detail}}, refusal.status)
