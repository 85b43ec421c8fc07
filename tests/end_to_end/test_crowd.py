"""A thousand annotators at once, and a server that is killed twice: all finish, and every guess is there once."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import func, select

from imitable.campaign import open_folder
from imitable.game import make_links
from imitable.game.simulated import Profile, draw_profiles
from imitable.rehearsal.crowd import CrowdPlayed, play_links
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from playing import Clock

if TYPE_CHECKING:
    from conftest import Server

PRACTICE, HELD_OUT = 6, 4


@pytest.mark.parametrize("people", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_a_crowd_finishes_and_no_guess_is_lost_or_doubled_while_the_server_is_killed_twice(
    tmp_path: Path, serving: Callable[..., Server], either_store: str, people: int
) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection each, here and in the server
    folder = invented_campaign(
        tmp_path / "campaign",
        targets=20,
        practice=PRACTICE,
        held_out=HELD_OUT,
        episodes=1,
        annotators_per_target=people,
    )
    store = open_store(folder)
    names = [f"link-{number}" for number in range(people)]
    links = make_links(store, folder, platform="simulated", names=names, now=Clock()())
    store.close()
    server = serving(folder.path)
    confirmed = threading.Semaphore(0)
    found: list[CrowdPlayed] = []
    profiles = [Profile(one.name, one.kind) for one in draw_profiles(people, np.random.default_rng(3))]  # nobody quits
    addresses = [f"{server.address}/j/{link.code}" for link in links]

    def play() -> None:
        found.append(play_links(addresses, profiles, seed=1, tick=lambda _: confirmed.release()))

    crowd = threading.Thread(target=play)
    crowd.start()
    every = people * (PRACTICE + HELD_OUT)
    for _ in range(2):
        for _ in range(every // 3):
            assert confirmed.acquire(timeout=120)
        server.kill()
        server.start()
    crowd.join(timeout=1200)
    assert not crowd.is_alive()
    [played] = found
    print(f"{people} annotators at once on {either_store}: {played.guesses} guesses in {played.seconds:.0f} s")  # noqa: T201
    assert all(one.finished for one in played.played)
    told = {round_id: guess for one in played.played for round_id, guess in one.guesses}
    assert len(told) == played.guesses == every

    rounds, guesses = tables.rounds, tables.guesses
    same = (guesses.c.episode_id == rounds.c.episode_id) & (guesses.c.trial == rounds.c.trial)
    store = open_store(open_folder(folder.path))
    with store.read() as connection:
        stored = connection.execute(select(rounds.c.round_id, guesses.c.guess).join(guesses, same)).all()
        finished = connection.execute(select(func.count(tables.episodes.c.completed_at))).scalar_one()
        ended = connection.execute(select(func.count(tables.sittings.c.ended_at))).scalar_one()
    store.close()
    assert len(stored) == every
    assert {row.round_id: row.guess for row in stored} == told
    assert (finished, ended) == (people, people)
