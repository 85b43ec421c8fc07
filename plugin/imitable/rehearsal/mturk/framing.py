"""The address that stands in a worker's frame, always of another site than the page around it.

A machine has two names that browsers take for two sites, `127.0.0.1` and `localhost`. A task that is served under
one of them is framed under the other.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

from imitable.rehearsal.mturk import questions
from imitable.rehearsal.mturk.world import Assignment, Hit, World

SANDBOX = "allow-scripts allow-same-origin allow-forms allow-popups"
_OTHER = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}


def origin(request: Request) -> str:
    """Where a request was made to, as a browser names it."""
    return str(request.base_url).rstrip("/")


def other_name(site: str) -> str:
    """The same server under the machine's other name."""
    parts = urlsplit(site)
    host = _OTHER.get(parts.hostname or "", parts.hostname)
    return f"{parts.scheme}://{host}:{parts.port}"


def site_for(hit: Hit, here: str) -> str:
    """Where the worker site must be looked at for this HIT, given where it is being looked at."""
    task = urlsplit(questions.read(hit.question).url)
    return other_name(here) if task.hostname == urlsplit(here).hostname else here


def address(world: World, hit: Hit, site: str, assignment: Assignment | None = None) -> str:
    """What is framed at that worker site: of a preview, without an assignment; empty if it cannot be shown.

    A preview has no workerId here: on the live site it might be missing.
    """
    question = questions.read(hit.question)
    if not question.url and not question.html:
        return ""
    ids = {"assignmentId": assignment.id if assignment else questions.NOT_AVAILABLE, "hitId": hit.id}
    if assignment is not None:
        ids["workerId"] = assignment.worker.id
    ids["turkSubmitTo"] = site + ("/" if world.settings.trailing_slash else "")
    return questions.address(question.url or f"{other_name(site)}/worker/html/{hit.id}", ids)
