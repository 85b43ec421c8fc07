"""A stand-in in a process of its own, started and ended from Python, and its controls, which all stand-ins share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imitable.errors import PlatformError
from imitable.rehearsal import loopback
from imitable.rehearsal.faults import Fault, Fields

if TYPE_CHECKING:
    import httpx


class Clock:
    """The machine's time, moved by `ahead`."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        """How far it is ahead of the machine's."""

    def now(self) -> datetime:
        """By this clock."""
        return datetime.now(UTC) + self.ahead


class Controls:
    """A stand-in that runs: its address and its controls."""

    def __init__(self, address: str, client: httpx.Client) -> None:
        self.address = address
        self._client = client

    def ask(self, method: str, path: str, **fields: Any) -> Any:
        """Call a path under /stand-in. Raises PlatformError with what was refused."""
        answer = self._client.request(method, f"/stand-in{path}", json=fields if method == "POST" else None)
        if not answer.is_success:
            raise PlatformError(f"The stand-in refused {path}: {answer.text}. See its root page, {self.address}.")
        return answer.json()

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

    def move_to(self, moment: datetime) -> None:
        """Move its clock forward to a moment, unless that has passed."""
        ahead = (moment - self.now()).total_seconds()
        if ahead > 0:
            self.move(seconds=ahead)

    def set(self, **settings: object) -> None:
        """Change how it behaves: any of its settings."""
        self.ask("POST", "/settings", **settings)

    def fail(self, *faults: Fault) -> None:
        """From now on these faults, and no others."""
        self.ask("POST", "/faults", faults=[vars(fault) for fault in faults])

    def journal(self) -> Sequence[Fields]:
        """Every request to the API so far."""
        noted: Sequence[Fields] = self.ask("GET", "/journal")
        return noted


@contextmanager
def running(module: str, *options: str, log: Path | None = None) -> Iterator[tuple[str, httpx.Client]]:
    """Run a stand-in with these options of its command line: its address, and a client of it.

    With `log` it cannot connect to other machines, nor read what the environment holds; see `loopback`. Raises
    PlatformError when it does not begin.
    """
    import httpx

    command = [sys.executable, "-m", module, *options] if log is None else loopback.command(log, module, *options)
    environment = None if log is None else loopback.environment({})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None  # noqa: S101  # it is a pipe
            address = process.stdout.readline().partition(" ")[0]
            if not address:
                raise PlatformError(f"The stand-in did not begin. Run it to see why: {' '.join(command)}")
            trusted = httpx.create_ssl_context(trust_env=False)
            with httpx.Client(base_url=address, timeout=60.0, trust_env=False, verify=trusted) as client:
                yield address, client
        finally:
            process.terminate()
