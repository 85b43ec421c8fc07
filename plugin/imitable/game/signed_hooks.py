"""What Prolific tells us by itself ("webhooks"): a hint to look, and no more, for it may come late, twice, or never.

Prolific signs each call: base64 of HMAC-SHA256 over its time and its body, by the workspace's secret. `X-Event-ID` is
the same where an event is told again; it is not signed, so that the signature itself is remembered as well.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from imitable.errors import GameError
from imitable.game.bodies import body_of
from imitable.game.guard import NOT_KEPT
from imitable.game.limits import TooSlow

_log = logging.getLogger(__name__)

PATH = "/prolific/hook"
EVENT_TYPES = ("submission.status.change", "study.status.change")
"""What we want to hear of."""

WINDOW = 300.0
"""Seconds by which a call may be older, or its clock ahead."""
MOST_REMEMBERED = 10_000
"""Calls and events that are known again; what was heard longest ago is forgotten first."""
LARGEST = 65_536
"""Bytes of a call; Prolific's are a few hundred."""

Heard = Literal["new", "known", "other", "unsigned"]
"""`other`: signed, and about nothing that we want to hear of. `unsigned`: forged, too old, or from the future."""


class SignedHooks:
    """Tells calls of Prolific from others, and new ones from old ones. What they say does not matter to us."""

    def __init__(self, secret: str, *, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret.encode()
        self._clock = clock
        self._known: dict[str, None] = {}
        self._lock = threading.Lock()

    def heard(self, headers: Mapping[str, str], body: bytes) -> Heard:
        """What a call is. `headers` by their names in lower case."""
        stamp = headers.get("x-prolific-request-timestamp", "")
        signature = headers.get("x-prolific-request-signature", "")
        made = hmac.new(self._secret, stamp.encode() + body, hashlib.sha256).digest()
        signed = hmac.compare_digest(base64.b64encode(made), signature.encode())
        if not (signed and stamp.isdecimal() and len(stamp) < 12 and abs(self._clock() - int(stamp)) <= WINDOW):
            return "unsigned"
        event = headers.get("x-event-id", "")[:100]
        if not self._remember(f"signature {signature}", *([f"event {event}"] if event else [])):
            return "known"
        return "new" if _event_type(body) in EVENT_TYPES else "other"

    def _remember(self, *names: str) -> bool:
        """Whether none of these was known; all of them are from now on, unless one was."""
        with self._lock:
            if any(name in self._known for name in names):
                return False
            self._known |= dict.fromkeys(names)
            while len(self._known) > MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
            return True


def _event_type(body: bytes) -> str | None:
    """What kind of event an object tells of. Anything else, such as a body that lent digits to the time, is none."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    kind = told.get("event_type") if isinstance(told, dict) else None
    return kind if isinstance(kind, str) else None


class HookDoor:
    """The address that Prolific calls. `look` is called for what is new, and must return at once."""

    def __init__(self, hooks: SignedHooks, look: Callable[[], object]) -> None:
        self.hooks = hooks
        self.look = look

    def routes(self, root: str) -> list[Route]:
        """Its address below a path."""
        return [Route(f"{root}{PATH}", self._called, methods=["POST"])]

    async def _called(self, request: Request) -> Response:
        try:
            body = await body_of(request, most=LARGEST)
        except TooSlow as error:
            return Response(status_code=error.status, headers=NOT_KEPT)
        except GameError:
            return Response(status_code=413, headers=NOT_KEPT)
        heard = self.hooks.heard(request.headers, body)
        if heard == "unsigned":
            _log.warning("somebody called %s without Prolific's signature, or too late", PATH)
            return Response(status_code=401, headers=NOT_KEPT)
        if heard == "new":
            self.look()
        return Response(status_code=204, headers=NOT_KEPT)
