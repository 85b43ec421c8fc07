"""The ledger under any sequence of runs, kills, lost answers, second writers, decisions, erasures and old backups.

Nobody is paid twice for one thing, what is booked was paid, and what was paid is booked or listed as in doubt.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, insert, select

from hostile_platform import Dying, HostilePlatform, Killed, owe
from imitable.commands.accounts import settle, top_up
from imitable.errors import MoneyError
from imitable.money.forgetting import forget
from imitable.money.ledger import Line, statement
from imitable.money.paying import Paymaster
from imitable.money.reconciling import reconcile
from imitable.money.sent import SENT
from imitable.store import Store, money_tables, open_store, tables
from imitable.testing import invented_campaign
from lengths import examples

BOOKS = (
    tables.identities,
    tables.sittings,
    money_tables.decisions,
    money_tables.obligations,
    money_tables.batches,
    money_tables.attempts,
    money_tables.outcomes,
    money_tables.waits,
)
"""What is put back from a backup, in an order in which it can be inserted."""

HOURS = st.sampled_from([0.1, 0.9, 1.5, 22.8, 25])
"""Less than a list may lag, more; just less than a platform knows an operation id, and more."""

FAULTS = st.sampled_from([0.0, 0.3, 1.0])

KINDS = st.sampled_from([("base",), ("bonus",), ("base", "bonus", "top", "correction")])


class Ledger(RuleBasedStateMachine):
    """One platform of either kind, and everything that may happen between us and it, in any order."""

    @initialize(remembers=st.booleans(), seed=st.integers(0, 1000), people=st.integers(1, 4))
    def begin(self, remembers: bool, seed: int, people: int) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="ledger"))
        self.folder = invented_campaign(self.home / "campaign", targets=1)
        self.store = open_store(self.folder)
        self._empty()
        day = timedelta(hours=23) if remembers else timedelta(0)
        self.platform = HostilePlatform(
            "web", day, remembers, 1 if remembers else 3, np.random.default_rng(seed), faults=0.0
        )
        owe(self.folder, self.store, "web", people)
        self.backup = self._rows()
        self.of_others: Counter[tuple[str, int]] = Counter()
        """What was paid that these books need not know: by hand, or for what a lost database owed."""
        self.hasty: set[str] = set()
        """Obligations of which the books may be wrong until the next run: a person called them unpaid after a look at a
        list that lagged, or the books are older than the payment."""

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self._empty()
            self.store.close()
            shutil.rmtree(self.home)

    def lines(self) -> list[Line]:
        with self.store.read() as connection:
            return statement(connection)

    def master(self, store: Store | Dying | None = None) -> Paymaster:
        return Paymaster(store or self.store, self.folder, self.platform, lambda: self.platform.now)  # type: ignore[arg-type]

    def run(self, kinds: tuple[str, ...] = ("base", "bonus"), store: Store | Dying | None = None) -> None:
        master = self.master(store)
        with suppress(Killed, MoneyError):
            master.pay([line for line in master.lines() if line.kind.partition("_")[0] in kinds])

    @rule(faults=FAULTS, kinds=KINDS)
    def a_run(self, faults: float, kinds: tuple[str, ...]) -> None:
        self.platform.faults = faults
        self.run(kinds)

    @rule(faults=FAULTS, at=st.integers(1, 6), committed=st.booleans())
    def a_run_that_is_killed_at_a_transaction(self, faults: float, at: int, committed: bool) -> None:
        self.platform.faults = faults
        self.run(store=Dying(self.store, at, committed=committed))

    @rule(faults=FAULTS, before=st.integers(0, 3))
    def two_runs_at_once_although_they_should_take_turns(self, faults: float, before: int) -> None:
        self.platform.faults = faults
        self.platform.meanwhile = [*[lambda: None] * before, self.run]
        self.run()
        self.platform.meanwhile = []

    @rule(kinds=KINDS)
    def a_run_whose_requests_are_refused(self, kinds: tuple[str, ...]) -> None:
        self.platform.next_faults = ["refused"] * 10
        self.run(kinds)
        self.platform.next_faults = []

    @rule(kinds=KINDS)
    def a_run_whose_requests_are_on_their_way_for_a_day(self, kinds: tuple[str, ...]) -> None:
        """As long as our operation ids are known again: then it is the list alone that tells, and it lags."""
        self.platform.next_faults = ["late"] * 10
        self.run(kinds)
        self.platform.next_faults = []
        late = self.platform.now + timedelta(hours=23)
        self.platform.on_their_way = [(late, work) for _, work in self.platform.on_their_way]
        self.platform.now = late
        self.platform.land()

    @rule(hours=HOURS)
    def time_goes_by(self, hours: float) -> None:
        self.platform.now += timedelta(hours=hours)

    @rule(person=st.integers(0, 3), cents=st.integers(1, 3), correction=st.booleans())
    def more_is_owed(self, person: int, cents: int, correction: bool) -> None:
        with suppress(MoneyError):
            top_up(self.folder.path, f"s_{person}", f"0.0{cents}", why="our server was down", correction=correction)

    @rule(paid_is_seen=st.booleans())
    def a_person_looks_at_the_platform_and_decides(self, paid_is_seen: bool) -> None:
        """By what was paid; or hastily, by a list that lags, and then only the next day's run is bound by it."""
        self.platform.land(all_of_them=True)
        for line in self.lines():
            if line.operation_id is None or not (line.doubtful or line.stand == "failed"):
                continue
            paid = self._reached(line)
            if paid and not paid_is_seen:
                paid = False
                self.hasty.add(line.obligation_id)
                self.platform.now += self.platform.settling + timedelta(minutes=1)
            settle(self.folder.path, line.operation_id, paid=paid, why="looked")
            break

    @rule()
    def a_decision_on_what_is_not_in_doubt_is_refused(self) -> None:
        for line in self.lines():
            if line.stand == "paid" and line.operation_id is not None:
                with pytest.raises(MoneyError):
                    settle(self.folder.path, line.operation_id, paid=False, why="again!")
                return

    @rule(person=st.integers(0, 3))
    def somebody_wants_to_be_forgotten(self, person: int) -> None:
        mine = [line for line in self.lines() if line.sitting_id == f"s_{person}"]
        unsettled = [line for line in mine if line.payable or line.doubtful or line.stand == "failed"]
        try:
            forget(self.store, self.folder.annotator_id("web", f"P{person}"), now=self.platform.now)
        except MoneyError:
            assert unsettled or not mine
        else:
            assert not unsettled, "nobody can pay them any more"

    @rule(person=st.integers(0, 3), cents=st.integers(1, 4))
    def the_runner_pays_somebody_on_the_platforms_own_page(self, person: int, cents: int) -> None:
        self.platform.paid.append((self.platform.now, f"W{person}", "", cents))
        self.of_others[f"W{person}", cents] += 1
        self.platform.now += self.platform.settling + timedelta(minutes=1)

    @rule()
    def a_backup_is_made(self) -> None:
        self.backup = self._rows()

    @rule(noted=st.booleans())
    def the_database_is_put_back_to_the_backup(self, noted: bool) -> None:
        """Where it was noted what was sent since, nothing is sent; else an hour goes by, as we ask for."""
        self.platform.land(all_of_them=True)
        now, paid, approved = self._rows(), list(self.platform.paid), dict(self.platform.approved)
        before = {line.obligation_id: line for line in self.lines()}
        self._put_back(self.backup)
        if noted:
            self.platform.faults = 0.0
            master = self.master()
            try:
                master.pay(master.lines())
            except MoneyError:
                assert (self.platform.paid, self.platform.approved) == (paid, approved)
                self._put_back(now)
                return
        (self.folder.path / SENT).unlink(missing_ok=True)
        known = {line.obligation_id for line in self.lines()}
        for line in before.values():
            if line.obligation_id not in known:
                self.of_others[self._work(line), line.amount.minor] += 1
        self.hasty |= {line.obligation_id for line in self.lines() if self._reached(line)}
        self.platform.now += self.platform.settling + timedelta(minutes=1)

    @invariant()
    def nobody_is_paid_twice_and_the_books_are_right(self) -> None:
        if not hasattr(self, "store"):
            return
        paid = Counter((work, cents) for _, work, _, cents in self.platform.paid)
        booked: Counter[tuple[str, int]] = Counter()
        explained = Counter(self.of_others)
        owed = Counter(self.of_others)
        for line in self.lines():
            if line.kind == "base":
                there = self._work(line) in self.platform.approved
                assert there or line.stand != "paid", f"booked and not paid: {line}"
                assert not there or line.stand in ("paid", "sending", "unknown") or line.obligation_id in self.hasty, (
                    f"not booked: {line}"
                )
                continue
            key = self._work(line), line.amount.minor
            owed[key] += 1
            booked[key] += line.stand == "paid"
            explained[key] += line.stand == "paid" or line.doubtful or line.obligation_id in self.hasty
        assert booked <= paid, f"booked and not paid: {booked - paid}"
        assert paid <= owed, f"paid twice: {paid - owed}"
        assert paid <= explained, f"paid, and neither booked nor in doubt: {paid - explained}"
        self.hasty -= {line.obligation_id for line in self.lines() if line.stand == "paid"}

    @invariant()
    def what_differs_from_the_platform_is_said(self) -> None:
        if not hasattr(self, "store"):
            return
        self.platform.lags = 0.0
        lines = self.lines()
        kinds = {
            one.kind for one in reconcile(self.platform, lines, self.master().payouts(lines), lambda: self.platform.now)
        }
        self.platform.lags = None
        assert not kinds & {"not there", "another amount"}
        assert ("in doubt" in kinds) == any(line.doubtful for line in lines)

    def _reached(self, line: Line) -> bool:
        """Whether the platform has paid it, as far as anybody can tell."""
        if line.kind == "base":
            return self._work(line) in self.platform.approved
        key = self._work(line), line.amount.minor
        booked = sum(one.stand == "paid" and (self._work(one), one.amount.minor) == key for one in self.lines())
        there = sum((work, cents) == key for _, work, _, cents in self.platform.paid)
        return there > booked

    def _work(self, line: Line) -> str:
        """The platform's name of the work, which is not in our books any more where somebody was forgotten."""
        return f"W{line.sitting_id.removeprefix('s_')}"

    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        with self.store.read() as connection:
            return {table.name: [dict(row._mapping) for row in connection.execute(select(table))] for table in BOOKS}

    def _put_back(self, rows: dict[str, list[dict[str, Any]]]) -> None:
        self._empty()
        with self.store.write() as connection:
            for table in BOOKS:
                if rows[table.name]:
                    connection.execute(insert(table), rows[table.name])

    def _empty(self) -> None:
        with self.store.write() as connection:
            for table in reversed(BOOKS):
                connection.execute(delete(table))


def test_nobody_is_paid_twice_whatever_happens_in_whatever_order(either_store: str) -> None:
    tries = examples(60 if either_store == "sqlite" else 20)
    run_state_machine_as_test(Ledger, settings=settings(max_examples=tries, stateful_step_count=15, deadline=None))
