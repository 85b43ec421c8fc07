"""The load of benchmarks/serve.py: many annotators at once, each answering the rounds of an episode in order.

A client of few instructions, on raw sockets, so that it is not what is measured: what it can send at most is in the
table. It reads a plan (address, connections, and for each annotator the bodies to post, in order) from standard input
and prints what it saw as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator

import uvloop


class Annotator(asyncio.Protocol):
    """One connection: posts a body, waits for the whole reply, posts the next; then takes up another annotator."""

    def __init__(self, waiting: Iterator[list[bytes]], seconds: list[float], failures: list[str]) -> None:
        self.waiting = waiting
        self.seconds = seconds
        self.failures = failures
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.bodies: Iterator[bytes] = iter(())
        self.reply = b""
        self.length = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.post()

    def connection_lost(self, _error: Exception | None) -> None:
        """A server that closes in the middle has failed."""
        if not self.finished.done():
            self.failures.append("connection lost")
            self.finished.set_result(None)

    def post(self) -> None:
        """Send the next body, of this annotator or of the next one."""
        request = next(self.bodies, None)
        while request is None:
            bodies = next(self.waiting, None)
            if bodies is None:
                self.finished.set_result(None)
                self.transport.close()
                return
            self.bodies = iter(bodies)
            request = next(self.bodies, None)
        self.reply, self.length = b"", 0
        self.sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take a part of the reply; at its end, post the next."""
        self.reply += data
        if not self.length:
            head, found, _ = self.reply.partition(b"\r\n\r\n")
            if not found:
                return
            lowered = head.lower()
            at = lowered.index(b"content-length:") + 15
            self.length = len(head) + 4 + int(lowered[at:].split(b"\r\n", 1)[0])
        if len(self.reply) >= self.length:
            self.seconds.append(time.perf_counter() - self.sent)
            if not self.reply.startswith(b"HTTP/1.1 200"):
                self.failures.append(self.reply[:300].decode(errors="replace"))
            self.post()


def request(path: str, accept: str, body: str) -> bytes:
    """A whole request, as bytes."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def main() -> None:
    """Post the plan of standard input."""
    plan = json.load(sys.stdin)
    people = [[request(plan["path"], plan["accept"], body) for body in bodies] for bodies in plan["people"]]
    seconds: list[float] = []
    failures: list[str] = []
    waiting = iter(people)
    loop = asyncio.get_running_loop()
    began, busy = time.perf_counter(), time.process_time()
    made = [
        (await loop.create_connection(lambda: Annotator(waiting, seconds, failures), "127.0.0.1", plan["port"]))[1]
        for _ in range(plan["connections"])
    ]
    await asyncio.gather(*(one.finished for one in made))
    took = time.perf_counter() - began
    json.dump(
        {"took": took, "client": time.process_time() - busy, "seconds": seconds, "failures": failures}, sys.stdout
    )


if __name__ == "__main__":
    uvloop.run(main())
