"""A real PostgreSQL server in a folder of its own, which tests may stop, pause and start again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any


def binary(name: str) -> str | None:
    """Where one of PostgreSQL's programs is, if it is."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


class PostgreSQL:
    """One server; it runs from the moment it is made until `remove`."""

    def __init__(self) -> None:
        self.user = "postgres" if os.geteuid() == 0 else None
        self.home = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path must be short
        if self.user:
            shutil.chown(self.home, self.user)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.databases = 0
        made = ["-D", str(self.home / "data"), "-U", "imitable", "--auth=trust", "--no-sync", "-E", "UTF8"]
        subprocess.run([str(binary("initdb")), *made], check=True, capture_output=True, cwd=self.home, user=self.user)
        self.start()

    def start(self) -> None:
        """Start it (again) and wait until it answers."""
        where = ["-D", str(self.home / "data"), "-k", str(self.home), "-p", str(self.port)]
        self.process = subprocess.Popen(
            [str(binary("postgres")), *where, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],  # no power fails
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.home,
            user=self.user,
        )
        import psycopg

        for _ in range(200):
            try:
                self.admin().close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once, in the middle of everything (what `pg_ctl stop -m immediate` does)."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def pause(self) -> None:
        """Let it answer nothing, and keep all its connections: SIGSTOP to every process of it."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on where it was paused."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        for pid in (self.process.pid, *map(int, children.split())):
            with contextlib.suppress(ProcessLookupError):  # a worker may end between the list and the signal
                os.kill(pid, number)

    def admin(self, **more: Any) -> Any:
        """A connection of its owner."""
        import psycopg

        return psycopg.connect(self.url("postgres"), autocommit=True, **more)

    def url(self, database: str) -> str:
        """Address of one of its databases."""
        return f"postgresql://imitable@127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        """The address of a new, empty database."""
        self.databases += 1
        with self.admin() as connection:
            connection.execute(f"CREATE DATABASE test{self.databases}")
        return self.url(f"test{self.databases}")

    def remove(self) -> None:
        """End it, and remove what it wrote."""
        if self.process.poll() is None:
            self.resume()
            self.stop()
        shutil.rmtree(self.home, ignore_errors=True)
