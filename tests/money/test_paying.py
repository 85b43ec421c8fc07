"""Paying under everything that goes wrong between us and a platform: drops, failures, crashes, lists that lag."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete

from hostile_platform import START, HostilePlatform, Killed, mturk_like, owe, prolific_like
from imitable.campaign import Folder
from imitable.errors import MoneyError
from imitable.money.amounts import Money
from imitable.money.by_hand import ByHand
from imitable.money.earned import Owed
from imitable.money.ledger import oblige, statement
from imitable.money.payer import Batch, Held, Payout, Seen
from imitable.money.paying import Paymaster, one_at_a_time
from imitable.platforms.mturk.payer import MTurkPayer
from imitable.store import Store, money_tables, open_store
from imitable.testing import invented_campaign

BETWEEN = [0.2, 25, 0.5, 30, 0.1, 26]
"""Hours between runs: less than a list may lag, and more than a platform knows an operation id."""


@pytest.fixture
def campaign(tmp_path: Path, either_store: str) -> Iterator[tuple[Folder, Store]]:
    folder = invented_campaign(tmp_path / "campaign")
    with closing(open_store(folder)) as store:
        yield folder, store


def _run(folder: Folder, store: Store, platform: HostilePlatform) -> None:
    """One run of the command, which may be killed."""
    master = Paymaster(store, folder, platform, lambda: platform.now)
    try:
        with one_at_a_time(store, folder):
            master.pay(master.lines())
    except Killed:
        pass


def _lines(store: Store, platform: str) -> dict[str, Counter[str]]:
    with store.read() as connection:
        return {platform: Counter(line.stand for line in statement(connection, platform=platform))}


@pytest.mark.parametrize("seed", range(3))
def test_a_platform_that_knows_operation_ids_for_a_day_pays_everybody_once(
    campaign: tuple[Folder, Store], seed: int
) -> None:
    folder, store = campaign
    platform = mturk_like(seed, faults=0.2)
    owe(folder, store, "mturk", 60)
    for run in range(60):
        _run(folder, store, platform)
        platform.now += timedelta(hours=BETWEEN[run % len(BETWEEN)])
    platform.faults = 0.0
    for _ in range(2):
        _run(folder, store, platform)
        platform.now += timedelta(hours=2)
    paid = Counter(assignment for _, assignment, _, _ in platform.paid)
    assert set(paid.values()) == {1}
    assert {f"W{number}" for number in range(60) if number % 90} == set(paid)
    assert len(platform.approved) == 60
    assert _lines(store, "mturk")["mturk"] == {"paid": 119, "nothing": 1}


@pytest.mark.parametrize("seed", range(3))
def test_a_platform_that_would_pay_twice_is_never_asked_twice(campaign: tuple[Folder, Store], seed: int) -> None:
    folder, store = campaign
    platform = prolific_like(seed, faults=0.3)
    platform.most_at_once = 7
    owe(folder, store, "prolific", 60)
    for run in range(60):
        _run(folder, store, platform)
        platform.now += timedelta(hours=BETWEEN[run % len(BETWEEN)])
    platform.now += timedelta(hours=2)
    _run(folder, store, platform)
    paid = Counter(assignment for _, assignment, _, _ in platform.paid)
    assert max(paid.values()) == 1
    with store.read() as connection:
        lines = statement(connection, platform="prolific")
    booked = {line.assignment for line in lines if line.kind == "bonus" and line.stand == "paid"}
    assert booked == set(paid), "booked but unpaid, or paid but not booked"
    doubtful = [line for line in lines if line.doubtful]
    assert all(line.assignment not in paid for line in doubtful)
    assert len(booked) + len(doubtful) == 59


def test_a_batch_that_the_platform_would_pay_otherwise_is_not_sent(campaign: tuple[Folder, Store]) -> None:
    folder, store = campaign
    platform = prolific_like(0, faults=0.0)
    owe(folder, store, "prolific", 5)
    honest = platform.prepare
    platform.prepare = lambda payouts: Batch("bulk", payouts, honest(payouts).amount * 100)  # type: ignore[method-assign]
    master = Paymaster(store, folder, platform, lambda: platform.now)
    with pytest.raises(MoneyError, match=r"would pay 10\.00 USD where 0\.10 USD are owed .* Nothing of it was sent"):
        master.pay(master.lines())
    assert platform.paid == []
    assert _lines(store, "prolific")["prolific"] == {"paid": 5, "owed": 4, "nothing": 1}


def test_no_batch_pays_for_the_same_work_twice(campaign: tuple[Folder, Store]) -> None:
    folder, store = campaign
    platform = prolific_like(0, faults=0.0)
    owe(folder, store, "prolific", 5)
    with store.write() as connection:
        for kind in ("partial", "top_up:1"):
            who = folder.annotator_id("prolific", "P3")
            oblige(connection, folder, Owed("s_3", who, "prolific", "W3", kind, Money(50, "USD"), {}), now=START)
    batches: list[list[str]] = []
    honest = platform.prepare

    def prepare(payouts: Sequence[Payout]) -> Batch:
        batches.append([one.assignment for one in payouts])
        return honest(payouts)

    platform.prepare = prepare  # type: ignore[method-assign]
    _run(folder, store, platform)
    assert batches == [["W1", "W2", "W3", "W4"], ["W3"], ["W3"]]
    assert sorted(minor for _, work, _, minor in platform.paid if work == "W3") == [3, 50, 50]


class Particular(HostilePlatform):
    """Knows beforehand whose work it does not know, and whose was not handed in."""

    def check(self, payouts: Sequence[Payout]) -> Mapping[str, Held]:
        why = {"W1": Held("no such work", final=True), "W2": Held("not handed in", final=False)}
        return {one.operation_id: why[one.assignment] for one in payouts if one.assignment in why}


def test_what_cannot_be_paid_waits_or_is_refused_and_holds_up_nobody_else(campaign: tuple[Folder, Store]) -> None:
    folder, store = campaign
    like = prolific_like(0, faults=0.0)
    platform = Particular("prolific", like.remembers, like.tells_all, like.most_at_once, like.rng, faults=0.0)
    owe(folder, store, "prolific", 4)
    master = Paymaster(store, folder, platform, lambda: platform.now)
    for _ in range(5):
        done = master.pay(master.lines())
        assert done.reasons == ("2 cannot be paid yet: not handed in.",)
    assert {work for _, work, _, _ in platform.paid} == {"W3"}
    assert set(platform.approved) == {"W0", "W3"}
    stands = {(line.assignment, line.kind): (line.stand, line.attempts) for line in master.lines()}
    assert stands["W1", "base"] == stands["W1", "bonus"] == ("failed", 1)
    assert stands["W2", "base"] == stands["W2", "bonus"] == ("owed", 0)


@pytest.mark.parametrize(("at_once", "asked"), [(25, [25, 25, 9]), (sys.maxsize, [59])])
def test_a_platform_is_asked_about_as_many_at_a_time_as_one_reading_tells_of(
    campaign: tuple[Folder, Store], at_once: int, asked: list[int]
) -> None:
    folder, store = campaign
    platform = mturk_like(0, faults=0.0)
    platform.reads_at_once = at_once
    owe(folder, store, "mturk", 60)
    honest, sizes = platform.list_payments, list[int]()

    def list_payments(payouts: Sequence[Payout]) -> Sequence[Seen]:
        sizes.append(len(payouts))
        return honest(payouts)

    platform.list_payments = list_payments  # type: ignore[method-assign]
    _run(folder, store, platform)
    assert sizes == asked
    assert _lines(store, "mturk")["mturk"] == {"paid": 119, "nothing": 1}


def test_a_site_whose_lists_hold_every_work_is_read_once_for_all() -> None:
    assert MTurkPayer.reads_at_once == ByHand.reads_at_once == sys.maxsize


@pytest.mark.parametrize("keeps", [True, False])
def test_a_base_is_taken_from_what_is_left_unless_the_platform_keeps_it_apart(
    campaign: tuple[Folder, Store], keeps: bool
) -> None:
    folder, store = campaign
    platform = mturk_like(0, faults=0.0)
    platform.balance = lambda: Money(599, "USD")  # type: ignore[method-assign]
    platform.keeps_base = keeps  # type: ignore[attr-defined]
    owe(folder, store, "mturk", 2)
    master = Paymaster(store, folder, platform, lambda: platform.now)
    if keeps:
        assert master.pay(master.lines()).paid == 3
        return
    with pytest.raises(MoneyError, match=r"has 5\.99 USD left to spend, and 6\.01 USD are to be sent"):
        master.pay(master.lines())
    assert not platform.approved
    assert not platform.paid


def test_two_runs_at_once_are_one_run(campaign: tuple[Folder, Store]) -> None:
    folder, store = campaign
    with one_at_a_time(store, folder), pytest.raises(MoneyError, match="Wait for it"), one_at_a_time(store, folder):
        pass
    with one_at_a_time(store, folder):
        pass


@pytest.mark.parametrize("like", [mturk_like, prolific_like])
def test_books_restored_from_a_backup_pay_nobody_again(
    campaign: tuple[Folder, Store], like: Callable[[int, float], HostilePlatform]
) -> None:
    folder, store = campaign
    platform = like(0, 0.0)
    owe(folder, store, platform.name, 10)
    _run(folder, store, platform)
    paid = list(platform.paid)
    assert len(paid) == 9
    with store.write() as connection:  # the backup knew what is owed, and nothing of the payments
        for table in (money_tables.outcomes, money_tables.attempts, money_tables.batches):
            connection.execute(delete(table))
    with pytest.raises(MoneyError, match="The database is older than its payments"):
        _run(folder, store, platform)
    (folder.path / "sent.log").unlink()  # nor is there what the folder noted
    platform.now += timedelta(hours=30)
    _run(folder, store, platform)
    assert platform.paid == paid
    assert _lines(store, platform.name)[platform.name] == {"paid": 19, "nothing": 1}
