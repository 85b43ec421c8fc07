"""Several server processes at one PostgreSQL: a guess counts once whoever takes it, and who dies is replaced."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from imitable.campaign import open_folder
from imitable.cli.app import app
from imitable.commands.serve import serve
from imitable.errors import StoreError
from imitable.game import make_links
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from playing import Clock

if TYPE_CHECKING:
    from conftest import Server

EPISODES, ROUNDS = 10, 20


@pytest.fixture
def two(
    tmp_path: Path, postgresql: Callable[[], str], serving: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> tuple[Server, list[str]]:
    """A server of two processes, and the codes of ten links."""
    monkeypatch.setenv("IMITABLE_STORE_URL", postgresql())
    folder = invented_campaign(tmp_path / "campaign", practice=ROUNDS, held_out=1, episodes=1, annotators_per_target=20)
    store = open_store(folder)
    links = make_links(store, folder, platform="web", names=[f"link-{n}" for n in range(EPISODES)], now=Clock()())
    store.close()
    return serving(folder.path, "--workers", "2"), [link.code for link in links]


def workers(server: Server) -> set[int]:
    """Process ids of those who serve."""
    pids = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return {int(pid) for pid in pids if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()}


def post(client: httpx.Client, path: str, **fields: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.post(path, data=fields, headers={"Accept": "application/json"}).json()
    return answer


def begin(client: httpx.Client, code: str) -> dict[str, Any]:
    view = post(client, "/start", code=code, agree="yes")
    for step in "123":
        post(client, "/tutorial", token=view["token"], step=step, guess="5")
    return post(client, "/play", token=view["token"])


def stored(server: Server) -> dict[str, tuple[float, float]]:
    """(guess, truth) of every round that has a guess."""
    rounds, guesses, truths = tables.rounds, tables.guesses, tables.truths
    same = (guesses.c.episode_id == rounds.c.episode_id) & (guesses.c.trial == rounds.c.trial)
    query = select(rounds.c.round_id, guesses.c.guess, truths.c.truth).join(guesses, same)
    store = open_store(open_folder(server.campaign))
    with store.read() as connection:
        rows = connection.execute(query.join(truths, truths.c.item_id == rounds.c.item_id)).all()
    store.close()
    return {row.round_id: (row.guess, row.truth) for row in rows}


@pytest.mark.postgresql
def test_two_clients_at_two_processes_commit_each_round_once_and_are_told_the_same(
    two: tuple[Server, list[str]],
) -> None:
    server, codes = two
    assert len(workers(server)) == 2
    together = threading.Barrier(2)
    told: dict[str, tuple[float, float]] = {}
    # a connection of its own for each request: either process may take it
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=server.address, trust_env=False, limits=limits, timeout=30) as client:

        def press(view: dict[str, Any], guess: str) -> dict[str, Any]:
            together.wait()
            return post(client, "/guess", token=view["token"], round_id=view["round_id"], guess=guess)

        with ThreadPoolExecutor(2) as tabs:
            for code in codes:
                view = begin(client, code)
                for _ in range(ROUNDS):
                    seen = list(tabs.map(press, [view, view], ["2", "7"]))
                    assert [one["kind"] for one in seen] == ["reveal", "reveal"]
                    assert sorted(one["repeated"] for one in seen) == [False, True]
                    [told[view["round_id"]]] = {(one["guess"], one["truth"]) for one in seen}
                    view = post(client, "/play", token=view["token"])
    assert len(told) == EPISODES * ROUNDS == 200
    assert stored(server) == told
    assert {guess for guess, _ in told.values()} == {2.0, 7.0}, "either client was first now and then"


@pytest.mark.postgresql
def test_a_process_that_dies_is_replaced_and_the_game_goes_on(two: tuple[Server, list[str]]) -> None:
    server, codes = two
    with httpx.Client(base_url=server.address, trust_env=False, timeout=30) as client:
        token = begin(client, codes[0])["token"]
    before = workers(server)
    os.kill(min(before), signal.SIGKILL)
    until = time.monotonic() + 30
    while len(workers(server) - before) < 1 and time.monotonic() < until:
        time.sleep(0.1)
    assert len(workers(server) - before) == 1
    with httpx.Client(base_url=server.address, trust_env=False, timeout=30) as client:
        assert post(client, "/play", token=token)["kind"] == "round"


@pytest.mark.postgresql
def test_a_signal_stops_all_of_them_and_their_port_is_free(two: tuple[Server, list[str]]) -> None:
    server, _ = two
    pids = workers(server)
    server.process.terminate()
    assert server.process.wait(timeout=30) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.address, trust_env=False)


@pytest.mark.postgresql
def test_no_process_outlives_the_one_that_started_it(two: tuple[Server, list[str]]) -> None:
    server, _ = two
    pids = workers(server)
    server.process.kill()
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_several_processes_on_sqlite_are_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMITABLE_STORE_URL", raising=False)
    folder = invented_campaign(tmp_path / "campaign")
    with pytest.raises(
        StoreError, match=r"SQLite serves one process\. Leave out --workers, or keep the record in Postgr"
    ):
        serve(folder.path, port=0, workers=2)
    assert "--workers" in CliRunner().invoke(app, ["serve", "--help"]).output
