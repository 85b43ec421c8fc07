"""A stand-in in a process of its own, started and ended from Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx

from imitable.errors import PlatformError
from imitable.rehearsal.prolific.faults import Fault
from imitable.rehearsal.prolific.world import Fields

TOKEN = "stand-in-token"  # noqa: S105  # of a stand-in
"""What PROLIFIC_TOKEN is for it."""


class StandIn:
    """A stand-in that runs: its address, its participants and its controls."""

    def __init__(self, address: str, client: httpx.Client) -> None:
        self.address = address
        self._client = client

    def ask(self, method: str, path: str, **fields: Any) -> Any:
        """Call a path under /stand-in. Raises PlatformError with what was refused."""
        answer = self._client.request(method, f"/stand-in{path}", json=fields if method == "POST" else None)
        if not answer.is_success:
            raise PlatformError(f"The stand-in refused {path}: {answer.text}. See its root page, {self.address}.")
        return answer.json()

    def participants(self, count: int) -> list[str]:
        """New participants, by their ids."""
        made: list[str] = self.ask("POST", "/participants", count=count)
        return made

    def reserve(self, participant: str, study: str) -> str:
        """Take a place: the submission's id. Raises PlatformError where there is none for this participant."""
        return str(self.ask("POST", f"/participants/{participant}/reserve", study=study)["id"])

    def start(self, submission: str) -> str:
        """The address to which the participant is sent."""
        return str(self.ask("POST", f"/submissions/{submission}/start")["url"])

    def complete(self, submission: str, code: str) -> Fields:
        """Hand in with a code."""
        done: Fields = self.ask("POST", f"/submissions/{submission}/complete", code=code)
        return done

    def give_back(self, submission: str) -> None:
        """Return it."""
        self.ask("POST", f"/submissions/{submission}/return")

    def time_out(self, submission: str) -> None:
        """Let it time out now."""
        self.ask("POST", f"/submissions/{submission}/time-out")

    def state(self) -> Fields:
        """Everything that it knows."""
        known: Fields = self.ask("GET", "/state")
        return known

    def now(self) -> datetime:
        """By its clock."""
        return datetime.fromisoformat(self.ask("GET", "/clock")["now"])

    def move(self, *, hours: float = 0.0, seconds: float = 0.0) -> None:
        """Move its clock forward."""
        self.ask("POST", "/clock", seconds=hours * 3600 + seconds)

    def set(self, **settings: object) -> None:
        """Change how it behaves: any of `Settings`."""
        self.ask("POST", "/settings", **settings)

    def fail(self, *faults: Fault) -> None:
        """From now on these faults, and no others."""
        self.ask("POST", "/faults", faults=[vars(fault) for fault in faults])

    def journal(self) -> Sequence[Fields]:
        """Every request to the API so far."""
        noted: Sequence[Fields] = self.ask("GET", "/journal")
        return noted


@contextmanager
def standing_in(*options: str) -> Iterator[StandIn]:
    """Run a stand-in with these options of its command line. Raises PlatformError when it does not begin."""
    command = [sys.executable, "-m", "imitable.rehearsal.prolific", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101  # it is a pipe
            address = process.stdout.readline().partition(" ")[0]
            if not address:
                raise PlatformError(f"The stand-in did not begin. Run it to see why: {' '.join(command)}")
            trusted = httpx.create_ssl_context(trust_env=False)
            with httpx.Client(base_url=address, timeout=60.0, trust_env=False, verify=trusted) as client:
                yield StandIn(address, client)
        finally:
            process.terminate()
