"""What tests share: a real PostgreSQL server, the store on either database, and one small campaign built for real."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from database_server import PostgreSQL, binary

from imitable.commands.build import build
from imitable.commands.new import new

pytest_plugins = ["label_studio_server"]

SMALL = """
[campaign]
name = "small"
seed = 3
[model]
path = "builtin:stories260K"
[corpus]
path = "builtin:tinystories"
document = "block:5"
[[targets]]
kind = "neuron"
sites = ["mlp.0", "mlp.3"]
select = { method = "kurtosis", count = 2 }
[[targets]]
kind = "neuron"
sites = ["mlp.4"]
select = { method = "random", count = 2 }
[episode]
practice = 3
held_out = 2
pool = { practice = 24, held_out = 16 }
[sitting]
episodes = 2
minutes = 5
[platform.web]
annotators_per_target = 4
"""


def missing(what: str) -> None:
    """Skip for want of a server, browser or package; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI has no {what}; .ci/run must install it")
    pytest.skip(f"no {what} on this machine")


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of four real neurons, built once; never played: copy it with `small_campaign`."""
    directory = tmp_path_factory.mktemp("built") / "campaign"
    new(directory)
    (directory / "secret.key").write_text(bytes(range(32)).hex() + "\n", encoding="ascii")  # the same draws every time
    (directory / "campaign.toml").write_text(SMALL, encoding="utf-8")
    build(directory)
    return directory


@pytest.fixture
def small_campaign(built_once: Path, tmp_path: Path) -> Path:
    """A fresh copy of the small real campaign, with its own SQLite store."""
    return Path(shutil.copytree(built_once, tmp_path / "campaign"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """A real PostgreSQL server; call it for the URL of a new, empty database."""
    server = _postgresql()
    yield server.fresh
    server.remove()


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    """A real PostgreSQL server of this test alone, to be stopped and started."""
    server = _postgresql()
    yield server
    server.remove()


def _postgresql() -> PostgreSQL:
    if binary("initdb") is None or binary("postgres") is None:
        missing("PostgreSQL server")
    return PostgreSQL()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def either_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test on SQLite and on PostgreSQL: campaigns opened in it use that store."""
    if request.param == "postgresql":
        monkeypatch.setenv("IMITABLE_STORE_URL", request.getfixturevalue("postgresql")())
    else:
        monkeypatch.delenv("IMITABLE_STORE_URL", raising=False)
    return str(request.param)


@pytest.fixture
def port() -> int:
    """A port that is free."""
    return _free_port()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Server:
    """`imitable serve` in a process of its own, as a runner starts it."""

    def __init__(self, campaign: Path, *options: str, port: int = 0) -> None:
        self.campaign = campaign
        self.options = options
        self.port = port or _free_port()
        self.start()

    def start(self) -> None:
        """Start (again) on the same port and wait until it says that it serves."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "imitable", "serve", str(self.campaign), "--port", str(self.port), *self.options],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert "Serving" in said, said

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self.process.kill()
        self.stop()

    def stop(self) -> None:
        """End it and wait."""
        self.process.terminate()
        self.process.wait(timeout=40)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    """Start real game servers, `serving(campaign, "--log", "file")`; they are stopped after the test."""
    started: list[Server] = []

    def start(campaign: Path, *options: str, port: int = 0) -> Server:
        started.append(Server(campaign, *options, port=port))
        return started[-1]

    yield start
    for server in started:
        server.stop()
