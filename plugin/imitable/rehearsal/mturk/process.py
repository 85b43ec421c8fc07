"""A stand-in in a process of its own, started and ended from Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from imitable.rehearsal.controls import Controls, running
from imitable.rehearsal.faults import Fields

KEY = "stand-in-key"
"""What AWS_ACCESS_KEY_ID is for it."""
SECRET = "stand-in-secret"  # noqa: S105  # of a stand-in
"""What AWS_SECRET_ACCESS_KEY is for it."""


class StandIn(Controls):
    """A stand-in that runs: its workers and its controls."""

    def workers(self, count: int, **about: object) -> list[str]:
        """New workers, by their ids. `about` is any field of `Worker`, such as country or masters."""
        made: list[str] = self.ask("POST", "/workers", count=count, **about)
        return made

    def preview(self, worker: str, hit: str) -> str:
        """The address that a preview frames. Raises PlatformError where this worker may not."""
        return str(self.ask("POST", f"/workers/{worker}/preview", hit=hit)["url"])

    def accept(self, worker: str, hit: str) -> tuple[str, str]:
        """Take a place: the assignment's id, and the address that is framed.

        Raises PlatformError where there is none for this worker.
        """
        made = self.ask("POST", f"/workers/{worker}/accept", hit=hit)
        return made["assignment"], made["url"]

    def submit(self, assignment: str, answers: Mapping[str, str]) -> None:
        """Hand in."""
        self.ask("POST", f"/assignments/{assignment}/submit", answers=dict(answers))

    def give_back(self, assignment: str) -> None:
        """Return it."""
        self.ask("POST", f"/assignments/{assignment}/return")

    def ask_for(self, worker: str, qualification: str) -> None:
        """A worker asks for a qualification."""
        self.ask("POST", f"/workers/{worker}/ask", qualification=qualification)

    def reset(self) -> None:
        """Let everything be as at the start."""
        self.ask("POST", "/reset")

    def emails(self) -> Sequence[Fields]:
        """What would have been e-mailed to workers."""
        sent: Sequence[Fields] = self.ask("GET", "/emails")
        return sent

    def notifications(self) -> Sequence[Fields]:
        """What would have been told to the requester."""
        sent: Sequence[Fields] = self.ask("GET", "/notifications")
        return sent


@contextmanager
def standing_in(*options: str, log: Path | None = None) -> Iterator[StandIn]:
    """Run a stand-in with these options of its command line; with `log` behind the gate of `loopback`.

    Raises PlatformError when it does not begin.
    """
    with running("imitable.rehearsal.mturk", *options, log=log) as (address, client):
        yield StandIn(address, client)
