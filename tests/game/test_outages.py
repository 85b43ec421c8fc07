"""Databases that are gone, stuck or full, and servers that are told to stop: a kind word, and nothing is lost."""

from __future__ import annotations

import csv
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from imitable.commands.publish import publish
from imitable.testing import invented_campaign

if TYPE_CHECKING:
    from conftest import Server
    from database_server import PostgreSQL

BROWSERS_WAIT = 20
"""Seconds after which the page gives a request up (TIMEOUT_MS of app.js)."""

Serving = Callable[..., "Server"]


class Player:
    """Somebody who plays over HTTP, and keeps what was confirmed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.address, headers={"Accept": "application/json"}, timeout=60)
        with (server.campaign / "links.csv").open(encoding="utf-8") as file:
            code = next(csv.DictReader(file))["url"].rpartition("/j/")[2]
        self.token = self.post("/start", code=code, agree="yes").json()["token"]
        for step in "123":
            self.post("/tutorial", token=self.token, step=step, guess="5")
        self.confirmed: list[float] = []
        self.view = self.look()

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.http.post(path, data=fields)

    def look(self) -> dict[str, Any]:
        """The page as it is now."""
        view: dict[str, Any] = self.post("/play", token=self.token).json()
        return view

    def guess(self, number: float) -> httpx.Response:
        """Send a guess for the round that was last seen."""
        return self.post("/guess", token=self.token, round_id=self.view["round_id"], guess=f"{number:g}")

    def play_on(self, number: float) -> None:
        """Guess, be told, and go on to the next round."""
        told = self.guess(number).json()
        assert (told["kind"], told.get("guess", number), told.get("repeated", False)) in [
            ("reveal", number, False),
            ("round", number, False),
        ]
        self.confirmed.append(number)
        self.view = self.look()

    def close(self) -> None:
        self.http.close()


@pytest.fixture
def playing(
    tmp_path: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[Server, Player]]]:
    """Serve an invented campaign and seat somebody at its first round: `playing(url, folder=...)`."""
    seated: list[Player] = []

    def seat(url: str = "sqlite", *, folder: Path | None = None) -> tuple[Server, Player]:
        monkeypatch.setenv("IMITABLE_STORE_URL", url)
        campaign = invented_campaign(folder or tmp_path / "campaign").path
        publish(campaign)
        server = serving(campaign)
        seated.append(Player(server))
        return server, seated[-1]

    yield seat
    for player in seated:
        player.close()


Playing = Callable[..., "tuple[Server, Player]"]


def in_sqlite(server: Server) -> list[float]:
    """The guesses on record, in order."""
    connection = sqlite3.connect(server.campaign / "campaign.db")
    found = [row[0] for row in connection.execute("SELECT guess FROM guesses ORDER BY answered_at")]
    connection.close()
    return found


def in_postgresql(url: str) -> list[float]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT guess FROM guesses ORDER BY answered_at")]


def the_rest_goes_on(server: Server) -> None:
    """Static files come at once, the process says that it lives, and /healthz says what is wrong, without secrets."""
    with httpx.Client(base_url=server.address, timeout=30) as http:
        began = time.monotonic()
        assert http.get("/static/app.css").status_code == 200
        assert http.get("/livez").status_code == 200
        assert time.monotonic() - began < 1
        health = http.get("/healthz")
        assert time.monotonic() - began < 3
    assert health.status_code == 503
    assert "database" in health.text
    assert "it goes on by itself" in health.text
    assert not any(secret in health.text for secret in ("postgresql", "127.0.0.1", "sqlite", "campaign.db"))


def is_kind(refused: httpx.Response) -> None:
    assert refused.status_code == 503
    assert refused.json()["kind"] == "problem"
    assert "Your answers are safe" in refused.json()["message"]
    assert "database" not in refused.text
    assert refused.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in refused.headers["content-security-policy"]


def healthy(server: Server) -> None:
    """Wait until the server says that it is well again."""
    for _ in range(100):
        if httpx.get(f"{server.address}/healthz").status_code == 200:
            return
        time.sleep(0.1)
    raise AssertionError("the server does not get well")


# The database is stuck or gone


def everybody_is_answered(server: Server, player: Player, *, people: int = 80) -> None:
    """While the database is away, many ask at once and ask again; all are answered before their browsers give up."""
    fields = {"token": player.token, "round_id": player.view["round_id"], "guess": "6.5"}
    with httpx.Client(base_url=server.address, headers={"Accept": "application/json"}, timeout=60) as http:

        def ask(number: int) -> tuple[int, float]:
            time.sleep(6 * (number % 2))  # the second half comes when the first has been waiting for a while
            began = time.monotonic()
            reply = http.post("/guess", data=fields)
            is_kind(reply)
            return reply.status_code, time.monotonic() - began

        with ThreadPoolExecutor(people) as crowd:
            waiting = [crowd.submit(ask, number) for number in range(people)]
            time.sleep(1)
            the_rest_goes_on(server)
            answers = [one.result() for one in waiting]
    assert Counter(status for status, _ in answers) == {503: people}
    assert max(seconds for _, seconds in answers) < BROWSERS_WAIT + 3  # 3 for a machine that does other things too


def test_while_another_process_holds_the_lock_of_sqlite_people_are_told_and_then_go_on(playing: Playing) -> None:
    server, player = playing()
    player.play_on(1.5)
    other = sqlite3.connect(server.campaign / "campaign.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    everybody_is_answered(server, player)
    other.execute("ROLLBACK")
    other.close()
    healthy(server)
    healthy(server)
    player.play_on(6.5)
    assert in_sqlite(server) == player.confirmed == [1.5, 6.5]


@pytest.mark.postgresql
@pytest.mark.parametrize("how", ["stopped", "paused", "locked"])
def test_while_postgresql_is_away_people_are_told_and_then_go_on(
    playing: Playing, own_postgresql: PostgreSQL, how: str
) -> None:
    url = own_postgresql.fresh()
    server, player = playing(url)
    player.play_on(1.5)
    holder = psycopg.connect(url)
    if how == "stopped":
        holder.close()
        own_postgresql.stop()
    elif how == "paused":
        own_postgresql.pause()
    else:
        holder.execute("LOCK TABLE guesses, sittings, campaigns IN ACCESS EXCLUSIVE MODE")
    everybody_is_answered(server, player)
    if how == "stopped":
        own_postgresql.start()
    elif how == "paused":
        own_postgresql.resume()
    holder.close()
    healthy(server)
    player.play_on(6.5)
    assert in_postgresql(url) == player.confirmed == [1.5, 6.5]


@pytest.mark.postgresql
def test_postgresql_that_restarts_again_and_again_costs_no_guess(playing: Playing, own_postgresql: PostgreSQL) -> None:
    url = own_postgresql.fresh()
    _server, player = playing(url)
    ended = threading.Event()

    def restart() -> None:
        while not ended.wait(0.3):
            own_postgresql.stop()
            own_postgresql.start()

    fate = threading.Thread(target=restart)
    fate.start()
    refused, sent = 0, dict[str, float]()
    try:
        while player.view["kind"] != "done":
            match player.view["kind"]:
                case "round":
                    number = sent.setdefault(player.view["round_id"], len(sent) / 2)
                    reply = player.guess(number)
                case "questions":
                    told = {"episode_id": player.view["episode_id"], "fun": "4", "interest": "2", "explanation": ""}
                    reply = player.post("/answers", token=player.token, **told)
            refused += reply.status_code == 503
            while (reply := player.post("/play", token=player.token)).status_code == 503:
                refused += 1
                time.sleep(0.05)
            player.view = reply.json()
            time.sleep(0.1)
    finally:
        ended.set()
        fate.join()
    assert refused > 0
    assert in_postgresql(url) == list(sent.values())
    assert len(sent) == 2 * (3 + 2)


# The disk is full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of three megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("disks cannot be mounted here; the quota is tried instead")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_takes_what_it_can_and_loses_nothing_that_it_confirmed(playing: Playing, small_disk: Path) -> None:
    server, player = playing(folder=small_disk / "campaign")
    player.play_on(1.5)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    refused = 0
    for _ in range(8):  # SQLite finds room again when it has moved its journal into the database
        reply = player.guess(6.5)
        if reply.status_code == 503:
            is_kind(reply)
            refused += 1
            continue
        player.confirmed.append(6.5)
        player.view = player.look()
        if player.view["kind"] != "round":
            break
    assert refused > 0
    assert in_sqlite(server) == player.confirmed
    filler.unlink()
    if player.view["kind"] == "round":
        player.play_on(7.5)
    assert in_sqlite(server) == player.confirmed
    server.stop()
    connection = sqlite3.connect(server.campaign / "campaign.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="a running process is given a limit by prlimit, which is Linux's")
def test_files_that_may_not_grow_are_told_kindly_and_the_same_guess_is_taken_later(playing: Playing) -> None:
    server, player = playing()
    player.play_on(1.5)
    _, most = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1024, most))
    health = httpx.get(f"{server.address}/healthz")
    assert (health.status_code, "cannot write" in health.text) == (503, True)
    for _ in range(3):
        is_kind(player.guess(6.5))
        assert in_sqlite(server) == [1.5]
    assert httpx.get(f"{server.address}/static/app.css").status_code == 200
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (most, most))
    player.play_on(6.5)
    assert in_sqlite(server) == player.confirmed == [1.5, 6.5]


# The server is told to stop


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_answers_who_asked_and_takes_nobody_new(
    playing: Playing, told: signal.Signals
) -> None:
    server, player = playing()
    other = sqlite3.connect(server.campaign / "campaign.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # so that the guess is in flight for a while
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(player.guess, 6.5)
        time.sleep(0.5)
        server.process.send_signal(told)
        time.sleep(1)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.address}/livez")
        assert server.process.poll() is None
        other.execute("ROLLBACK")
        other.close()
        reply = asked.result()
    assert reply.status_code == 200
    assert reply.json()["guess"] == 6.5
    assert server.process.wait(timeout=10) == 0
    assert in_sqlite(server) == [6.5]


@pytest.mark.postgresql
def test_a_server_can_be_stopped_while_its_database_answers_nothing(
    playing: Playing, own_postgresql: PostgreSQL
) -> None:
    server, player = playing(own_postgresql.fresh())
    own_postgresql.pause()
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(player.guess, 6.5)
        time.sleep(0.5)
        began = time.monotonic()
        os.kill(server.process.pid, signal.SIGTERM)
        is_kind(asked.result())
        assert server.process.wait(timeout=30) == 0
    assert time.monotonic() - began < 25
