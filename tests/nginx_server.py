"""A real nginx in a folder of its own, with the configuration that imitable writes."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import httpx

PLACES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def program() -> str | None:
    """Where nginx is, if it is."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


class Nginx:
    """One server; it runs from the moment it is made until `remove`."""

    def __init__(self, home: Path, included: Path, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        home.mkdir(parents=True)
        places = "\n".join(f"{name}_temp_path {home / name};" for name in PLACES)
        self.config = home / "nginx.conf"
        self.config.write_text(
            f"daemon off; worker_processes 1; pid {home / 'pid'}; error_log {home / 'error.log'} warn; events {{}}\n"
            f"http {{ access_log off; {places}\ninclude {included}; }}\n",
            encoding="utf-8",
        )
        self.log = home / "error.log"
        self.process = subprocess.Popen([str(program()), "-e", str(self.log), "-c", str(self.config)])
        for _ in range(200):
            try:
                httpx.get(self.url, trust_env=False)
                return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(self.log.read_text(encoding="utf-8"))

    def remove(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=20)
