"""What goes wrong between a client and a stand-in, when it is told to; and the journal of every request.

A fault strikes requests whose method and path match, `times` often, or a share of them by chance:

    drop      the connection ends without an answer, before or after the work
    status    500, or another status, instead of an answer, before or after the work
    throttle  the answer to whoever asks too often, before the work
    slow      the answer comes late: the wait is before or after the work
    accept    success, and the work is never done
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

Fields = dict[str, Any]
"""A JSON object."""

Headers = list[tuple[bytes, bytes]]

How = Literal["drop", "status", "throttle", "slow", "accept"]

_LONGEST = 20_000
"""Bytes of a body that the journal keeps."""


@dataclass
class Fault:
    """One thing that goes wrong."""

    how: How
    path: str = ""
    """A regular expression, found in the path, or in what `Front.called` has in its place."""
    method: str = ""
    """Empty: any."""
    when: Literal["before", "after"] = "before"
    """The work."""
    status: int = 500
    seconds: float = 1.0
    """How long `slow` takes, and what Retry-After says."""
    times: int = 1_000_000
    share: float = 1.0
    """Of the requests that match, 0 to 1."""


class Front(Protocol):
    """What one stand-in's API looks like from outside."""

    def called(self, scope: Scope) -> Fields | None:
        """What the journal says of a request, with at least its `path`; None for what is not the API: never struck."""

    def failed(self, fault: Fault) -> tuple[int, Fields, Headers]:
        """Status, body and headers of `status`, `throttle` and `accept`, as this API says them."""

    def headers(self) -> Headers:
        """What every answer has on top."""


class Faulty:
    """Stands before the app. Only the API is struck, never the control path or the participants' side."""

    def __init__(self, app: ASGIApp, front: Front, seed: int) -> None:
        self.app = app
        self.front = front
        self.faults: list[Fault] = []
        self.journal: list[Fields] = []
        self.rng = random.Random(seed)  # noqa: S311  # chance, not secrets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = await _body(receive)
        entry = self._note(scope, body)
        fault = self._strike(entry)
        answer = _Answer(body)
        if fault is not None and fault.when == "before":
            await self._fail(fault, receive, send, entry)
            if fault.how != "slow":
                return
        await self.app(scope, answer.receive, answer.send)
        entry["done"] = answer.status
        if fault is not None and fault.when == "after":
            await self._fail(fault, receive, send, entry)
            if fault.how != "slow":
                return
        for message in answer.messages:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self.front.headers()]}  # noqa: PLW2901
            await send(message)

    def _note(self, scope: Scope, body: bytes) -> Fields:
        called = self.front.called(scope)
        entry: Fields = {
            "number": len(self.journal) + 1,
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode("latin-1"),
            "body": body[:_LONGEST].decode("utf-8", "replace"),
            "fault": None,
            "done": None,
            **(called or {}),
        }
        if called is not None:
            self.journal.append(entry)
        else:
            entry["spared"] = True
        return entry

    def _strike(self, entry: Fields) -> Fault | None:
        for fault in () if "spared" in entry else self.faults:
            hit = fault.method in ("", entry["method"]) and re.search(fault.path, entry["path"])
            if fault.times > 0 and hit and self.rng.random() < fault.share:
                fault.times -= 1
                entry["fault"] = asdict(fault)
                return fault
        return None

    async def _fail(self, fault: Fault, receive: Receive, send: Send, entry: Fields) -> None:
        match fault.how:
            case "slow":
                await asyncio.sleep(fault.seconds)
            case "drop":
                entry["answered"] = "dropped"
                await _hang_up(receive)
            case _:
                status, said, more = self.front.failed(fault)
                await _say(send, status, said, [*self.front.headers(), *more])


class _Answer:
    """Holds an app's answer back."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self.messages: list[Message] = []
        self.status = 0

    async def receive(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            await asyncio.Event().wait()  # whoever called is still there, and has nothing more to say
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.messages.append(message)


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _hang_up(receive: Receive) -> None:
    """End the connection under uvicorn's feet: no ASGI message does that, so its own cycle is asked."""
    cycle: Any = receive.__self__  # type: ignore[attr-defined]
    cycle.transport.abort()
    while not cycle.disconnected:
        await asyncio.sleep(0)


async def _say(send: Send, status: int, said: Fields, headers: Headers) -> None:
    body = json.dumps(said).encode()
    fixed = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})
