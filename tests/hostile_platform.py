"""A platform that pays for real, behind a connection that drops, and that can kill who calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Connection, insert

from imitable.campaign import Folder
from imitable.money.amounts import Money, total
from imitable.money.earned import Owed
from imitable.money.ledger import oblige
from imitable.money.payer import Answer, Batch, Payout, Seen
from imitable.money.paying import TAG
from imitable.store import Store, tables

START = datetime(2026, 11, 1, tzinfo=UTC)

FAULTS = ["before", "after", "late", "killed before", "killed after", "killed late", "unreached"]
"""An answer is lost, or the process that asked is killed: before the work is done, after it, or while it is to come. Or
it is certain that a request did not get there."""


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
    reads_at_once: int = 25
    now: datetime = START
    paid: list[tuple[datetime, str, str, int]] = field(default_factory=list)
    """When, to what assignment, with what tag, how much."""
    known: dict[str, datetime] = field(default_factory=dict)
    """When each operation id was first done."""
    approved: dict[str, datetime] = field(default_factory=dict)
    next_faults: list[str] = field(default_factory=list)
    """What becomes of the next requests, in place of chance: one of FAULTS, `refused`, or nothing."""
    lags: float | None = None
    """How far its list lags, as a share of `settling`; by chance where it is not set."""
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    """What happens while the next requests are on their way, one each."""
    on_their_way: list[tuple[datetime, Callable[[], object]]] = field(default_factory=list)
    """Requests whose caller hears no answer, and when each is carried out: within `settling` of being sent."""

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

    def land(self, *, all_of_them: bool = False) -> None:
        """Carry out what is on its way until now; or all of it, as long as that takes."""
        now = self.now
        if all_of_them:
            now = max([now, *(at for at, _ in self.on_their_way)])
        due = sorted((one for one in self.on_their_way if one[0] <= now), key=lambda one: one[0])
        self.on_their_way = [one for one in self.on_their_way if one[0] > now]
        for self.now, work in due:
            work()
        self.now = now

    def _hostile(self, payouts: Sequence[Payout], work: Callable[[], object]) -> list[Answer]:
        self.land()
        if self.next_faults:
            fault = self.next_faults.pop(0)
        elif self.rng.random() < self.faults:
            fault = str(self.rng.choice(FAULTS))
        else:
            fault = ""
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if fault.endswith("late"):
            self.on_their_way.append((self.now + self.settling * float(self.rng.random()), work))
        elif not fault.endswith(("before", "refused", "unreached")):
            work()
        if fault.startswith("killed"):
            raise Killed
        state = {"": "paid", "unreached": "absent", "refused": "failed"}.get(fault, "unknown")
        return [Answer(one.operation_id, state) for one in payouts]  # type: ignore[arg-type]

    def list_payments(self, payouts: Sequence[Payout]) -> Sequence[Seen]:
        self.land()
        wanted = {one.assignment for one in payouts}
        lag = self.settling * (float(self.rng.random()) if self.lags is None else self.lags)
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


class Dying:
    """A store whose process is killed at one of its transactions that write: as it commits, or right after."""

    def __init__(self, store: Store, at: int, *, committed: bool) -> None:
        self.store = store
        self.at = at
        self.committed = committed
        self.read = store.read

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self.at -= 1
        with self.store.write() as connection:
            yield connection
            if self.at == 0 and not self.committed:
                raise Killed
        if self.at == 0:
            raise Killed


def mturk_like(seed: int, faults: float) -> HostilePlatform:
    return HostilePlatform("mturk", timedelta(hours=23), True, 1, np.random.default_rng(seed), faults)


def prolific_like(seed: int, faults: float) -> HostilePlatform:
    return HostilePlatform("prolific", timedelta(0), False, 200, np.random.default_rng(seed), faults)


def owe(folder: Folder, store: Store, platform: str, people: int) -> None:
    """Each has a base and a bonus to come, of one cent more than the one before; the first one's bonus is zero."""
    with store.write() as connection:
        for number in range(people):
            annotator = folder.annotator_id(platform, f"P{number}")
            row = {"annotator_id": annotator, "platform": platform, "platform_id": f"P{number}", "created_at": START}
            connection.execute(insert(tables.identities).values(row))
            sitting: dict[str, object] = {"sitting_id": f"s_{number}", "annotator_id": annotator, "platform": platform}
            sitting |= {"assignment": f"W{number}", "consent_version": "", "tutorial_step": 0}
            sitting |= {"started_at": START, "ended_at": START, "ended_by": "finished"}
            connection.execute(insert(tables.sittings).values(sitting))
            for kind, amount in (("base", 300), ("bonus", number % 90)):
                owed = Owed(f"s_{number}", annotator, platform, f"W{number}", kind, Money(amount, "USD"), {})
                assert oblige(connection, folder, owed, now=START)
