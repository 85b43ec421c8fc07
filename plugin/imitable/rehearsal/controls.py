"""A stand-in in a process of its own, started and ended from Python, and its controls, which all stand-ins share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imitable.errors import PlatformError
from imitable.rehearsal import loopback
from imitable.rehearsal.faults import Fault, Fields

if TYPE_CHECKING:
    import httpx

_ENDING = 15.0
"""Seconds that a server has to end before it is killed."""


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
def started(
    command: Sequence[str], environment: Mapping[str, str] | None, *, errors: Path | None = None
) -> Iterator[str]:
    """A server in a process of its own, for as long as this lasts: the address that its first line names.

    What it complains of goes to the file `errors`, or else where our own complaints go. Raises PlatformError when it
    does not begin.
    """
    with (
        nullcontext() if errors is None else errors.open("w", encoding="utf-8") as file,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, env=environment) as server,
    ):
        try:
            assert server.stdout is not None  # noqa: S101  # it was asked to be a pipe
            first = server.stdout.readline()
            address = next((word.rstrip(".") for word in first.split() if word.startswith("http://")), "")
            if not address:
                with suppress(subprocess.TimeoutExpired):
                    server.wait(timeout=_ENDING)  # until it has said all
                complaint = "" if errors is None else errors.read_text(encoding="utf-8")
                said = " ".join(f"{first} {complaint}".split()) or "it said nothing"
                raise PlatformError(f"The server did not begin: {said}. Run it to see why: {' '.join(command)}")
            yield address
        finally:
            server.terminate()
            try:
                server.wait(timeout=_ENDING)
            except subprocess.TimeoutExpired:
                server.kill()


@contextmanager
def running(module: str, *options: str, log: Path | None = None) -> Iterator[tuple[str, httpx.Client]]:
    """Run a stand-in with these options of its command line: its address, and a client of it.

    With `log` it cannot connect to other machines, nor read what the environment holds; see `loopback`. Raises
    PlatformError when it does not begin.
    """
    import httpx

    command = [sys.executable, "-P", "-m", module, *options] if log is None else loopback.command(log, module, *options)
    trusted = httpx.create_ssl_context(trust_env=False)
    with (
        started(command, None if log is None else loopback.environment({})) as address,
        httpx.Client(base_url=address, timeout=60.0, trust_env=False, verify=trusted) as client,
    ):
        yield address, client
