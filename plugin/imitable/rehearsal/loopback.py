"""Nothing of a rehearsal leaves this machine: Python's sockets, told to refuse every other host.

`python -m imitable.rehearsal.loopback LOG MODULE WORDS...` runs a module as `python -m MODULE WORDS...` would, and
refuses, for as long as it runs, every connection and every look-up of a name that is not of this machine's loopback.
What was asked for is written to LOG, a line each. It is an audit hook, which nothing in the process can take away.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ALLOWED, REFUSED = "allowed", "refused"
_HOSTS = ("127.0.0.1", "::1", "localhost")
_CONNECTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_LOOKS_UP = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
KEPT = (
    *("PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "COLUMNS"),
    *("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "MPLCONFIGDIR"),
)
"""What a process of a rehearsal keeps of the environment, and LC_...: no token, no proxy, no store, no profile."""
NOBODYS_AWS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Keeps boto3 from the files and services in which a person's own credentials are found."""


class NotHere(ConnectionError):
    """Another host was asked for."""


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process of a rehearsal, with what a stand-in needs in it."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("LC_")}
    return {**kept, **NOBODYS_AWS, "PYTHONUNBUFFERED": "1", **more}


def command(log: Path, module: str, *words: object) -> list[str]:
    """How such a process is started."""
    return [sys.executable, "-P", "-m", "imitable.rehearsal.loopback", str(log), module, *map(str, words)]


def refused(log: Path) -> list[str]:
    """The hosts that were asked for and refused, in order, each once."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return list(dict.fromkeys(line.partition(" ")[2] for line in lines if line.startswith(REFUSED)))


class _Gate:
    """Open until it is shut: an audit hook stays for as long as its process lives."""

    def __init__(self) -> None:
        self.log: Path | None = None
        self.placed = False

    def shut(self, log: Path) -> None:
        """Refuse from now on."""
        self.log = log
        if not self.placed:
            sys.addaudithook(self.hear)
            self.placed = True

    def hear(self, event: str, told: tuple[object, ...]) -> None:
        """Raise NotHere for another host."""
        if self.log is None or not event.startswith("socket."):
            return
        if event in _CONNECTS:
            asked = told[-1] if event == "socket.sendmsg" else told[1]
        elif event in _LOOKS_UP:
            asked = told[0]
        else:
            return
        host = asked[0] if isinstance(asked, tuple) else asked
        name = host.decode(errors="replace") if isinstance(host, bytes) else str(host)
        here = host is None or name in _HOSTS
        self._note(f"{ALLOWED if here else REFUSED} {name}")
        if not here:
            raise NotHere(f"a rehearsal connects to this machine only, and not to {name}")

    def _note(self, line: str) -> None:
        log, self.log = self.log, None  # to open a file is no connection, and must not be heard again
        try:
            if log is not None:
                with log.open("a", encoding="utf-8") as file:
                    file.write(f"{line}\n")
        finally:
            self.log = log


_gate = _Gate()


@contextmanager
def only_here(log: Path) -> Iterator[None]:
    """Refuse other hosts in this process, for as long as this lasts."""
    _gate.shut(log)
    try:
        yield
    finally:
        _gate.log = None


def main(words: Sequence[str]) -> None:
    """Run a module behind the gate."""
    log, module, *rest = words
    _gate.shut(Path(log))
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    from imitable.rehearsal.loopback import main as run  # the module, and not a second one called __main__

    run(sys.argv[1:])
