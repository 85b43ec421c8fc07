"""Paying under everything that goes wrong between us and a platform: drops, failures, crashes, lists that lag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert

from imitable.campaign import Folder
from imitable.errors import MoneyError
from imitable.money.amounts import Money, total
from imitable.money.earned import Owed
from imitable.money.ledger import oblige, statement
from imitable.money.payer import Answer, Batch, Payout, Seen
from imitable.money.paying import TAG, Paymaster, one_at_a_time
from imitable.store import Store, open_store, tables
from imitable.testing import invented_campaign

BETWEEN = [0.2, 25, 0.5, 30, 0.1, 26]
"""Hours between runs: less than a list may lag, and more than a platform knows an operation id."""

START = datetime(2026, 11, 1, tzinfo=UTC)


class Killed(BaseException):
    """kill -9, as far as the code that is running can tell."""


@dataclass
class HostilePlatform:
    """A platform that pays for real, behind a connection that drops, and that can kill who calls it."""

    name: str
    remembers: timedelta
    tells_all: bool
    most_at_once: int
    rng: np.random.Generator
    faults: float
    settling: timedelta = timedelta(hours=1)
    endpoint: str = "http://127.0.0.1:0"
    stand_in: bool = True
    now: datetime = START
    paid: list[tuple[datetime, str, str, int]] = field(default_factory=list)
    """When, to what assignment, with what tag, how much."""
    known: dict[str, datetime] = field(default_factory=dict)
    """When each operation id was first done."""
    approved: dict[str, datetime] = field(default_factory=dict)

    def approve(self, payout: Payout) -> Answer:
        return self._hostile([payout], lambda: self.approved.setdefault(payout.assignment, self.now))[0]

    def prepare(self, payouts: Sequence[Payout]) -> Batch:
        alone = len(payouts) == 1 and self.most_at_once == 1
        name = payouts[0].operation_id if alone else f"bulk-{self.rng.integers(1 << 60)}"
        return Batch(name, payouts, total([one.amount for one in payouts], "USD"))

    def bonus(self, batch: Batch) -> Sequence[Answer]:
        return self._hostile(batch.payouts, lambda: self._pay(batch))

    def _pay(self, batch: Batch) -> None:
        for one in batch.payouts:
            since = self.known.get(one.operation_id)
            if since is not None and self.now - since < timedelta(hours=24) and self.remembers:
                continue
            self.known[one.operation_id] = self.now
            tag = one.reason.partition(TAG)[2].rstrip(")") if self.tells_all else ""
            self.paid.append((self.now, one.assignment, tag, one.amount.minor))

    def _hostile(self, payouts: Sequence[Payout], work: object) -> list[Answer]:
        fault = (
            self.rng.choice(["before", "after", "killed before", "killed after"])
            if self.rng.random() < self.faults
            else ""
        )
        if fault == "killed before":
            raise Killed
        if fault != "before":
            work()  # type: ignore[operator]
        if fault == "killed after":
            raise Killed
        state = "unknown" if fault else "paid"
        return [Answer(one.operation_id, state) for one in payouts]  # type: ignore[arg-type]

    def list_payments(self, payouts: Sequence[Payout]) -> Sequence[Seen]:
        wanted = {one.assignment for one in payouts}
        lag = self.settling * float(self.rng.random())
        bonuses = [
            Seen(assignment, "bonus", Money(minor, "USD"), tag)
            for at, assignment, tag, minor in self.paid
            if assignment in wanted and self.now - at >= lag
        ]
        bases = [
            Seen(one, "base", Money(300, "USD"), "")
            for one, at in self.approved.items()
            if one in wanted and self.now - at >= lag
        ]
        return [*bonuses, *bases]

    def balance(self) -> Money | None:
        return None


def mturk_like(seed: int, faults: float) -> HostilePlatform:
    return HostilePlatform("mturk", timedelta(hours=23), True, 1, np.random.default_rng(seed), faults)


def prolific_like(seed: int, faults: float) -> HostilePlatform:
    return HostilePlatform("prolific", timedelta(0), False, 200, np.random.default_rng(seed), faults)


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[tuple[Folder, Store]]:
    folder = invented_campaign(tmp_path / "campaign")
    with closing(open_store(folder)) as store:
        yield folder, store


def _owe(folder: Folder, store: Store, platform: str, people: int) -> None:
    with store.write() as connection:
        for number in range(people):
            annotator = folder.annotator_id(platform, f"P{number}")
            row = {"annotator_id": annotator, "platform": platform, "platform_id": f"P{number}", "created_at": START}
            connection.execute(insert(tables.identities).values(row))
            for kind, amount in (("base", 300), ("bonus", number % 90)):
                owed = Owed(f"s_{number}", annotator, platform, f"W{number}", kind, Money(amount, "USD"), {})
                assert oblige(connection, folder, owed, now=START)


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
    _owe(folder, store, "mturk", 60)
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
    _owe(folder, store, "prolific", 60)
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
    _owe(folder, store, "prolific", 5)
    honest = platform.prepare
    platform.prepare = lambda payouts: Batch("bulk", payouts, honest(payouts).amount * 100)  # type: ignore[method-assign]
    master = Paymaster(store, folder, platform, lambda: platform.now)
    with pytest.raises(MoneyError, match=r"would pay 10\.00 USD where 0\.10 USD are owed .* Nothing of it was sent"):
        master.pay(master.lines())
    assert platform.paid == []
    assert _lines(store, "prolific")["prolific"] == {"paid": 5, "owed": 4, "nothing": 1}


def test_two_runs_at_once_are_one_run(campaign: tuple[Folder, Store]) -> None:
    folder, store = campaign
    with one_at_a_time(store, folder), pytest.raises(MoneyError, match="Wait for it"), one_at_a_time(store, folder):
        pass
    with one_at_a_time(store, folder):
        pass
