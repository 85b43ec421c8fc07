"""A real Label Studio for tests: on SQLite, on PostgreSQL, or one of a test's own that it may kill.

Tests that ask for one carry `pytest.mark.xdist_group("label-studio")`, so that one worker runs them on one server.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from database_server import binary

from imitable.rehearsal.label_studio import Account, Installation, down, up
from imitable.rehearsal.label_studio.accounts import make_accounts, write_accounts
from imitable.rehearsal.label_studio.installing import environment
from imitable.rehearsal.label_studio.process import find
from imitable.rehearsal.label_studio.server import database_settings

SAYS_A_NUMBER = """
<View><Text name="text" value="$text"/><Number name="guess" toName="text" min="0" max="10" required="true"/></View>
"""


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Bearer(httpx.Auth):
    """Shows a personal access token as Label Studio wants it: exchanged for one that lasts five minutes."""

    requires_response_body = True

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self.access = ""
        self.until = 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if time.monotonic() > self.until:
            exchanged = yield httpx.Request("POST", f"{self.url}/api/token/refresh", json={"refresh": self.token})
            self.access = exchanged.json()["access"]
            self.until = time.monotonic() + 240
        request.headers["Authorization"] = f"Bearer {self.access}"
        yield request


class LabelStudio:
    """One stock server, as `imitable label-studio up` starts it."""

    def __init__(self, data: Path, *, postgres: str | None = None) -> None:
        self.data = data
        self.port = free_port()
        self._numbers = count(1)
        self._clients: list[httpx.Client] = []
        server = up(data, annotators=0, port=self.port, postgres=postgres)
        self.url = server.url
        self.admin = server.admin

    def client(self, account: Account | None = None) -> httpx.Client:
        """A program that acts with an account's token, the admin's by default. It is closed after the test."""
        who = account or self.admin
        self._clients.append(
            httpx.Client(base_url=self.url, auth=Bearer(self.url, who.token), timeout=120.0, trust_env=False)
        )
        return self._clients[-1]

    def accounts(self, number: int) -> list[Account]:
        """So many new annotators, whom no other test has seen."""
        emails = [f"player-{next(self._numbers)}@example.com" for _ in range(number)]
        known = make_accounts(self.url, self.data / "accounts.csv", admin=self.admin, emails=emails)
        return [one for one in known if one.email in emails]

    def accounts_file(self, number: int, path: Path) -> list[Account]:
        """The same, and their e-mails and tokens in a CSV, as [platform.label_studio] accounts wants it."""
        write_accounts(path, made := self.accounts(number))
        return made

    def project(self, config: str = SAYS_A_NUMBER, **settings: object) -> int:
        """The id of a new project."""
        title = f"test {next(self._numbers)}"
        made = self.client().post("/api/projects", json={"title": title, "label_config": config, **settings})
        assert made.status_code == 201, made.text
        return int(made.json()["id"])

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        running = find(self.data)
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        down(self.data)

    def stop(self) -> None:
        """End it and wait."""
        down(self.data)

    def start(self) -> None:
        """Start it again, on the same port with the same data."""
        up(self.data, annotators=0)

    def close_clients(self) -> None:
        """Close what `client` opened."""
        while self._clients:
            self._clients.pop().close()

    def remove(self) -> None:
        """End it for good."""
        self.close_clients()
        self.stop()


def installed() -> Installation:
    """Label Studio, where it is installed; otherwise the test is skipped."""
    from conftest import missing

    installation = Installation()
    if not installation.database.exists():
        missing("Label Studio ('make label-studio' installs it)")
    return installation


@pytest.fixture(scope="session")
def _label_studio_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    installed()
    server = LabelStudio(tmp_path_factory.mktemp("label-studio") / "data")
    yield server
    server.remove()


@pytest.fixture
def label_studio(_label_studio_on_sqlite: LabelStudio) -> Iterator[LabelStudio]:
    """A real Label Studio on SQLite, which other tests use too: make projects and accounts of your own on it."""
    yield _label_studio_on_sqlite
    _label_studio_on_sqlite.close_clients()


@pytest.fixture(scope="session")
def _label_studio_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, postgresql: Callable[[], str]
) -> Iterator[LabelStudio]:
    server = LabelStudio(tmp_path_factory.mktemp("label-studio-pg") / "data", postgres=with_tables(postgresql()))
    yield server
    server.remove()


@pytest.fixture
def label_studio_on_postgresql(_label_studio_on_postgresql: LabelStudio) -> Iterator[LabelStudio]:
    """The same on PostgreSQL."""
    yield _label_studio_on_postgresql
    _label_studio_on_postgresql.close_clients()


@pytest.fixture
def own_label_studio(tmp_path: Path) -> Iterator[LabelStudio]:
    """A real Label Studio of this test alone, to be killed and started."""
    installed()
    server = LabelStudio(tmp_path / "label-studio")
    yield server
    server.remove()


def with_tables(url: str) -> str:
    """Give an empty database the tables of Label Studio, from a dump that the first run on this machine makes."""
    installation = installed()
    dump = installation.where / "migrated.sql"
    if not dump.exists():
        with tempfile.TemporaryDirectory() as scratch:
            installation.migrate(Path(scratch), database_settings(url))
        partly = dump.with_suffix(".part")
        subprocess.run([str(binary("pg_dump")), "--no-owner", "--file", str(partly), url], check=True)
        partly.rename(dump)
    else:
        subprocess.run([str(binary("psql")), "-q", "-v", "ON_ERROR_STOP=1", "-f", str(dump), url], check=True)
    return url


def addresses_of_label_studio(home: Path) -> list[str]:
    """Every address that the installed Label Studio has, as it tells itself."""
    installation = Installation()
    where = next((installation.where / "venv").glob("lib/*/site-packages/label_studio"))
    shown = subprocess.run(
        [str(installation.python), "manage.py", "show_urls", "--format", "json"],
        cwd=where,
        env=environment(home) | {"DJANGO_SETTINGS_MODULE": "core.settings.label_studio"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = sorted({row["url"].replace("\\", "") for row in json.loads(shown.stdout[shown.stdout.index("[{") :])})
    assert len(found) > 300
    return found
