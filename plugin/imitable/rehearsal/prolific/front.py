"""What Prolific's API looks like from outside: which requests are its own, and how it says that something failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imitable.rehearsal.faults import Fault, Fields, Headers
from imitable.rehearsal.prolific.world import LABEL

if TYPE_CHECKING:
    from starlette.types import Scope


class ApiFront:
    """Everything under /api/."""

    def called(self, scope: Scope) -> Fields | None:
        """Nothing but the path."""
        return {"path": scope["path"]} if scope["path"].startswith("/api/") else None

    def failed(self, fault: Fault) -> tuple[int, Fields, Headers]:
        """In the shape of the API's errors."""
        if fault.how == "accept":
            return 202, {}, []
        if fault.how == "throttle":
            wait = [(b"retry-after", f"{fault.seconds:g}".encode())]
            return 429, _error(429, "Too many requests", "Slow down."), wait
        return fault.status, _error(fault.status, "Stand-in", "This failed because it was told to."), []

    def headers(self) -> Headers:
        """What it is."""
        return [(b"x-stand-in", LABEL.encode())]


def _error(status: int, title: str, detail: object) -> Fields:
    return {"error": {"status": status, "error_code": status * 100, "title": title, "detail": detail}}
