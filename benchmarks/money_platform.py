"""What the benchmark of money pays through: HTTP on loopback, in the wire protocol of Mechanical Turk's API.

It pays for real in its own books, knows a request token again for 24 hours, lists payments late, has a clock that can
be moved, and goes wrong by a seed: the Nth request to pay for one piece of work meets the same fault whoever sends it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = {
    "drop before": 0.04,
    "drop after": 0.04,
    "500 before": 0.03,
    "500 after": 0.03,
    "time-out before": 0.01,
    "time-out after": 0.01,
    "kill before": 0.008,
    "kill after": 0.008,
}
"""Share of the requests that pay, `before` or `after` the work: the connection ends, a 500, no answer until the client
hangs up, kill -9 of the process that asked."""

TOKENS_LAST = timedelta(hours=24)
MOST_LAG = timedelta(hours=1)
"""How late a payment may appear in a list."""

PATIENCE = 1.0
"""Seconds that clients wait for an answer."""


class Platform:
    """Its books and its faults."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.hostile = True
        self.now = datetime(2026, 11, 1, tzinfo=UTC)
        self.payments: list[tuple[datetime, dict[str, Any]]] = []
        """When, and what was asked for."""
        self.tokens: dict[str, datetime] = {}
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()

    def fault(self, assignment: str) -> str:
        """What becomes of the next request to pay for this: by the seed, the work and how often it was asked."""
        self.asked[assignment] += 1
        chance = random.Random(f"{self.seed}/{assignment}/{self.asked[assignment]}").random()
        for name, share in FAULTS.items():
            if chance < share:
                return name
            chance -= share
        return ""

    def send_bonus(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Pay, unless the token is known."""
        token = asked.get("UniqueRequestToken")
        if token:
            since = self.tokens.get(token)
            if since is not None and self.now - since < TOKENS_LAST:
                said = f'The idempotency token "{token}" has already been processed.'
                return 400, {"__type": "RequestError", "Message": said}
            self.tokens[token] = self.now
        self.payments.append((self.now, asked))
        return 200, {}

    def list_bonus_payments(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """What was paid for an assignment, as far as it shows by now."""
        self.asked["list"] += 1
        lag = random.Random(f"{self.seed}/list/{self.asked['list']}").random() * MOST_LAG if self.hostile else MOST_LAG
        named = ("AssignmentId", "WorkerId", "BonusAmount", "Reason")
        rows = [
            {"GrantTime": at.timestamp(), **{name: row[name] for name in named}}
            for at, row in self.payments
            if row["AssignmentId"] == asked["AssignmentId"] and self.now - at >= lag
        ]
        return 200, {"NumResults": len(rows), "BonusPayments": rows}

    def paid(self) -> Counter[str]:
        """How often each assignment was paid."""
        return Counter(row["AssignmentId"] for _, row in self.payments)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    platform: Platform

    def log_message(self, *_words: object) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        """The clock."""
        self._say(200, {"now": self.platform.now.isoformat()})

    def do_POST(self) -> None:
        """An operation."""
        here = self.platform
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        pays = self.headers["x-amz-target"].endswith(".SendBonus")
        with here.lock:
            fault, _, when = (here.fault(asked["AssignmentId"]) if pays and here.hostile else "").partition(" ")
            if when != "before":
                status, said = here.send_bonus(asked) if pays else here.list_bonus_payments(asked)
        match fault:
            case "":
                self._say(status, said)
            case "500":
                self._say(500, {"__type": "ServiceFault", "Message": "told to fail"})
            case "kill":
                os.kill(int(str(self.headers["user-agent"]).rpartition("pid-")[2].split()[0]), signal.SIGKILL)
                self.close_connection = True
            case "time-out":
                time.sleep(1.5 * PATIENCE)
                self.close_connection = True
            case _:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

    def _say(self, status: int, said: dict[str, Any]) -> None:
        body = json.dumps(said).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)


class Server(ThreadingHTTPServer):
    """Clients that were killed leave broken connections behind, of which nothing is said."""

    daemon_threads = True

    def handle_error(self, *_words: object) -> None:
        """Nothing."""


@contextmanager
def platform(seed: int) -> Iterator[tuple[Platform, str]]:
    """A platform, and its address."""
    here = Platform(seed)
    with Server(("127.0.0.1", 0), type("Bound", (Handler,), {"platform": here})) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield here, f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
