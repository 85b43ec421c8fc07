"""A stand-in in a process of its own, started and ended from Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imitable.rehearsal.controls import Controls, running
from imitable.rehearsal.faults import Fields

TOKEN = "stand-in-token"  # noqa: S105  # of a stand-in
"""What PROLIFIC_TOKEN is for it."""


class StandIn(Controls):
    """A stand-in that runs: its participants and its controls."""

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


@contextmanager
def standing_in(*options: str, log: Path | None = None) -> Iterator[StandIn]:
    """Run a stand-in with these options of its command line; with `log` behind the gate of `loopback`.

    Raises PlatformError when it does not begin.
    """
    with running("imitable.rehearsal.prolific", *options, log=log) as (address, client):
        yield StandIn(address, client)
