"""The process of a Label Studio that `up` started: found by its command line, so that no other is ever taken for it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from imitable.errors import PlatformError
from imitable.rehearsal.label_studio.installing import Installation, environment, last_line

HOST = "127.0.0.1"

STARTING = 180.0
"""Seconds that a server has to begin; with migrations on a busy machine it takes one minute."""

STOPPING = 15.0
"""Seconds that it has to end before it is killed."""


@dataclass(frozen=True)
class Running:
    """A server that runs."""

    pid: int
    port: int


def find(data: Path) -> Running | None:
    """The server that runs with the data in this folder, whichever command started it."""
    wanted = f" start --no-browser --data-dir {data.absolute()} --internal-host {HOST} --port "
    for pid, words in _commands():
        program, found, port = words.partition(wanted)
        if found and port.isdigit() and Path(program).is_file():
            return Running(pid, int(port))
    return None


def _commands() -> Iterator[tuple[int, str]]:
    """Every process of this machine that can be seen, and its command line without the interpreter in front."""
    if not Path("/proc/self/cmdline").exists():
        listed = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True)
        for line in listed.stdout.splitlines():
            pid, _, command = line.strip().partition(" ")
            yield int(pid), command.partition(" ")[2]
        return
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            yield int(folder.name), b" ".join(words[1:]).decode(errors="replace")


def start(installation: Installation, data: Path, *, port: int, settings: Mapping[str, str]) -> Running:
    """Start a server that outlives us. Raises PlatformError when it does not begin."""
    log = data / "server.log"
    command = [str(installation.python), str(installation.program), "start", "--no-browser", "--data-dir"]
    command += [str(data.absolute()), "--internal-host", HOST, "--port", str(port)]
    out, end = os.O_WRONLY | os.O_CREAT | os.O_TRUNC, os.POSIX_SPAWN_OPEN
    pid = os.posix_spawn(
        command[0],
        command,
        {**environment(data), **settings},
        file_actions=[
            (end, 0, os.devnull, os.O_RDONLY, 0),
            (end, 1, str(log), out, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,  # Ctrl-C is not for it
    )
    until = time.monotonic() + STARTING
    while time.monotonic() < until:
        if answers(port):
            return Running(pid, port)
        if _ended(pid):
            raise PlatformError(f"Label Studio ended at once: {last_line(log)} All that it said is in {log}.")
        time.sleep(0.2)
    stop(data)
    raise PlatformError(f"Label Studio did not begin within {STARTING:.0f} s. What it said is in {log}.")


def answers(port: int) -> bool:
    """True when a Label Studio on this machine says that it is well."""
    import httpx

    with suppress(httpx.HTTPError, ValueError):
        said = httpx.get(f"http://{HOST}:{port}/health", timeout=5.0, trust_env=False)
        return said.status_code == 200 and said.json().get("status") == "UP"
    return False


def is_free(port: int) -> bool:
    """True when a server may listen on a port of this machine."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def stop(data: Path) -> bool:
    """End the server that runs with this data, if one does; says whether one did."""
    running = find(data)
    if running is None:
        return False
    until = time.monotonic() + STOPPING
    with suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
        while not _ended(running.pid):
            if time.monotonic() > until:
                os.kill(running.pid, signal.SIGKILL)
            time.sleep(0.05)
    return True


def _ended(pid: int) -> bool:
    """True when a process is gone, or is a corpse; until then it may hold its port."""
    with suppress(ChildProcessError):  # another command started it
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
        return stat[0] == b"Z" and stat[17] == b"1"  # and none of its threads is left
    except FileNotFoundError:  # no /proc on this system, or it went this moment
        return False
    except ProcessLookupError:
        return True


def begin_database(installation: Installation, data: Path) -> None:
    """Give a new server's folder an empty database with all tables; one that is there stays."""
    database = data / "label_studio.sqlite3"
    if not database.exists():
        partly = database.with_suffix(".part")
        shutil.copyfile(installation.database, partly)
        partly.rename(database)
