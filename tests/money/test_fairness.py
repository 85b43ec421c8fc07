"""What an hour earns: of everybody who played, whatever they earned, by what the next ones are promised."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np
import pytest

from imitable.campaign import Folder
from imitable.commands.accounts import top_up
from imitable.money import Money
from imitable.money import fairness as module
from imitable.money.fairness import fairness, would_be
from imitable.money.ledger import decide, statement
from imitable.store import open_store
from imitable.testing import invented_campaign
from playing import Table


def campaign(path: Path, pay: str) -> Folder:
    return invented_campaign(path, episodes=1, more=f'[pay]\n{pay}\nfloor_per_hour = "12.00"\n')


def play(table: Table, link: int, *, minutes: float, rounds: int = 5, guess: str = "9") -> None:
    """Play five rounds that take so many minutes together; with fewer, stop after them."""
    token = table.sit(link)
    for _ in range(rounds):
        asked = table.game.view(token)
        table.clock.move(minutes=minutes / 5)
        table.game.guess(token, asked.round_id, guess)  # type: ignore[union-attr]
    if rounds < 5:
        table.game.stop(token)
        return
    questions = table.game.view(token)
    table.game.answer(token, questions.episode_id, fun="4", interest="2", explanation="")  # type: ignore[union-attr]


def test_who_played_and_earned_nothing_counts_as_nothing_and_is_not_left_out(tmp_path: Path) -> None:
    folder = campaign(tmp_path / "campaign", 'base = "0.00"\nbonus_per_point = "1.00"')
    with closing(open_store(folder)) as store:
        table = Table(folder, store, links=3)
        for link in range(3):
            play(table, link, minutes=6, guess=("9", "10", "0")[link])
        decide(store, folder, now=table.clock())
        with store.read() as connection:
            fair = fairness(connection, folder)
            nothing = sum(line.amount.minor == 0 for line in statement(connection) if line.kind == "bonus")
        assert nothing > 0, "everybody earned something: nothing was tried"
        assert fair is not None
        assert fair.sittings == 3
        assert fair.under >= nothing / 3


def test_who_stopped_counts_and_how_long_a_sitting_takes_is_told_by_those_who_did_not(tmp_path: Path) -> None:
    folder = campaign(tmp_path / "campaign", 'base = "3.00"')
    with closing(open_store(folder)) as store:
        table = Table(folder, store, links=3)
        play(table, 0, minutes=5)
        play(table, 1, minutes=5)
        play(table, 2, minutes=50, rounds=2)  # ten minutes a round, of which two count
        decide(store, folder, now=table.clock())
        with store.read() as connection:
            fair = fairness(connection, folder)
        assert fair is not None
        assert (fair.sittings, fair.active_minutes, fair.elapsed_minutes) == (3, 5.0, 5.0)
        assert fair.per_hour.minor == 300 * 60 / 5
        assert fair.under == 0  # 1.20 for some four minutes
        assert fair.low is fair.high is None


def test_the_warm_up_counts_longer_than_a_pause(tmp_path: Path) -> None:
    folder = campaign(tmp_path / "campaign", 'base = "3.00"')
    with closing(open_store(folder)) as store:
        table = Table(folder, store, links=2)
        for link, reading in enumerate((6, 60)):
            token = table.game.start(table.links[link].code, agreed=True)
            table.clock.move(minutes=reading)
            table.sit(link)
            table.play(token)
        decide(store, folder, now=table.clock())
        with store.read() as connection:
            fair = fairness(connection, folder)
        assert fair is not None
        assert fair.active_minutes == (6 + 8) / 2
        assert fair.elapsed_minutes == (6 + 60) / 2


def test_topping_up_the_pilot_does_not_make_the_rest_fair_and_a_raise_does(tmp_path: Path) -> None:
    folder = campaign(tmp_path / "campaign", 'base = "1.00"')
    with closing(open_store(folder)) as store:
        table = Table(folder, store, links=2)
        for link in range(2):
            play(table, link, minutes=10)
        decide(store, folder, now=table.clock())
        with store.read() as connection:
            sittings = {line.sitting_id for line in statement(connection)}
        for sitting in sittings:
            top_up(folder.path, sitting, "5.00", why="it took longer than we thought")
        raised = folder.config.pay.model_copy(update={"base": "2.00"})
        with store.read() as connection:
            was, will = fairness(connection, folder), would_be(connection, folder, "web")
            bases = [line for line in statement(connection) if line.kind == "base"]
            twice = [replace(line, amount=Money(200, "USD")) for line in bases]
            after = module._measured(connection, raised, twice)  # what [pay] base = 2.00 would say, by the same times
        assert was is not None
        assert will is not None
        assert after is not None
        assert (was.per_hour.minor, was.fair) == (3600, True)
        assert (will.per_hour.minor, will.fair) == (600, False)
        assert (after.per_hour.minor, after.fair) == (1200, True)


@pytest.mark.parametrize("n", [5, 6, 9, 14])
def test_the_interval_covers_the_median_as_often_as_it_says_and_no_narrower_one_does(n: int) -> None:
    low, high = module._interval(np.arange(n, dtype=np.float64))
    assert low is not None
    assert high is not None
    k = int(low) + 1
    assert int(high) == n - k

    def covers(k: int) -> float:
        """The median is between k-th and k-th last where at least k of n are on either side, each by a fair coin."""
        return float(sum(comb(n, below) for below in range(k, n - k + 1)) / 2**n)

    assert covers(k) >= 0.9 > covers(k + 1)
    assert module._interval(np.arange(4, dtype=np.float64)) == (None, None)
