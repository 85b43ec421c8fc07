"""A stock Label Studio in a virtual environment of its own, in the user's cache: its pins never meet ours."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from imitable.errors import PlatformError

VERSION = "1.23.2"
"""The version that everything here is tested against."""

ELSEWHERE = "IMITABLE_LABEL_STUDIO"
"""Environment variable that names another folder for servers and their data."""

Say = Callable[[str], object]
"""Told in a sentence what takes long."""


def home() -> Path:
    """Where servers and their data are kept: the folder of IMITABLE_LABEL_STUDIO, or one in the user's cache."""
    if elsewhere := os.environ.get(ELSEWHERE):
        return Path(elsewhere).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "imitable" / "label-studio"


class Installation:
    """Label Studio in a folder, which may not be there yet."""

    def __init__(self, where: Path | None = None) -> None:
        self.where = where or home() / VERSION
        self.python = self.where / "venv" / "bin" / "python"
        self.program = self.where / "venv" / "bin" / "label-studio"
        self.database = self.where / "migrated.sqlite3"
        """An empty database with all tables, for new servers to begin with: to make them takes most of a minute."""

    def prepare(self, say: Say) -> None:
        """Install it with pip unless it is there. Raises PlatformError when that fails; the next try begins anew."""
        if self.database.exists():  # the last thing that is made
            return
        if os.name != "posix":
            raise PlatformError(
                "imitable starts Label Studio on Linux and macOS only. Start one yourself, and name its address in "
                "campaign.toml, [platform.label_studio] url."
            )
        self.where.mkdir(parents=True, exist_ok=True)
        with _alone(self.where / "lock"):
            if self.database.exists():
                return
            say(f"Installing Label Studio {VERSION} into {self.where} (1 GB, a few minutes, this once) ...")
            self._run([sys.executable, "-m", "venv", "--clear", str(self.where / "venv")])
            pip = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
            self._run([*pip, f"label-studio=={VERSION}"])
            say("Making its tables ...")
            with tempfile.TemporaryDirectory(dir=self.where) as scratch:
                self.migrate(Path(scratch), {})
                (Path(scratch) / "label_studio.sqlite3").rename(self.database)

    def migrate(self, data: Path, settings: Mapping[str, str]) -> None:
        """Make or mend the tables of a server's database. Raises PlatformError with what Label Studio said."""
        self._run([str(self.python), str(self.program), "version"], {**environment(data), **settings})

    def _run(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        log = self.where / "install.log"
        with log.open("wb") as file:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environ, check=False
            )
        if done.returncode:
            raise PlatformError(
                f"Label Studio {VERSION} could not be installed: {last_line(log)} All that was said is in {log}; "
                "mend it, and run the same command again."
            )


def environment(data: Path) -> dict[str, str]:
    """The whole environment of a server: nothing of the user's settings, nothing that calls out, nothing guessed.

    Private addresses are allowed for backends, because ours is on this machine; that is for trying out.
    """
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return kept | {
        "HOME": str(data),  # where it would write an id of the machine
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "DJANGO_DB": "sqlite",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "false",
        "ENABLE_LOCAL_FILES_STORAGE": "false",
        "LOCAL_FILES_SERVING_ENABLED": "false",
        "ML_BLOCK_LOCAL_IP": "false",
        "SSRF_PROTECTION_ENABLED": "false",
    }


def last_line(log: Path) -> str:
    """The last line of a log that says something, as a sentence."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return (lines[-1] if lines else "nothing was said").rstrip(".") + "."


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait for others who install into the same folder."""
    import fcntl

    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
