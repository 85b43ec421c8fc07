"""The ledger under any sequence of runs, crashes, lost answers and decisions: nobody is paid twice, nothing is lost."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hostile_platform import HostilePlatform, Killed, owe
from imitable.commands.accounts import settle
from imitable.errors import MoneyError
from imitable.money.ledger import Line, statement
from imitable.money.paying import Paymaster
from imitable.store import open_store
from imitable.testing import invented_campaign
from lengths import examples


class Ledger(RuleBasedStateMachine):
    """One platform of either kind, and everything that may happen between us and it, in any order."""

    @initialize(remembers=st.booleans(), seed=st.integers(0, 1000), people=st.integers(1, 5))
    def begin(self, remembers: bool, seed: int, people: int) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="ledger"))
        self.folder = invented_campaign(self.home / "campaign", targets=1)
        self.store = open_store(self.folder)
        day = timedelta(hours=23) if remembers else timedelta(0)
        self.platform = HostilePlatform(
            "web", day, remembers, 1 if remembers else 3, np.random.default_rng(seed), faults=0.0
        )
        owe(self.folder, self.store, "web", people)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.home)

    def lines(self) -> list[Line]:
        with self.store.read() as connection:
            return statement(connection)

    @rule(faults=st.sampled_from([0.0, 0.3, 1.0]), kinds=st.sampled_from([("base",), ("bonus",), ("base", "bonus")]))
    def a_run(self, faults: float, kinds: tuple[str, ...]) -> None:
        self.platform.faults = faults
        master = Paymaster(self.store, self.folder, self.platform, lambda: self.platform.now)
        with suppress(Killed):
            master.pay([line for line in master.lines() if line.kind in kinds])

    @rule(hours=st.sampled_from([0.1, 0.9, 1.5, 23.5, 25]))
    def time_goes_by(self, hours: float) -> None:
        self.platform.now += timedelta(hours=hours)

    @rule()
    def a_person_looks_at_the_platform_and_decides(self) -> None:
        for line in self.lines():
            if line.doubtful and line.operation_id is not None:
                there = {assignment for _, assignment, _, _ in self.platform.paid}
                paid = line.assignment in (self.platform.approved if line.kind == "base" else there)
                settle(self.folder.path, line.operation_id, paid=paid, why="looked")
                break

    @rule()
    def a_decision_on_what_is_not_in_doubt_is_refused(self) -> None:
        for line in self.lines():
            if line.stand == "paid" and line.operation_id is not None:
                try:
                    settle(self.folder.path, line.operation_id, paid=False, why="again!")
                except MoneyError:
                    return
                raise AssertionError("a payment that was made can be paid again")

    @invariant()
    def nobody_is_paid_twice_and_the_books_are_right(self) -> None:
        if not hasattr(self, "store"):
            return
        paid = [assignment for _, assignment, _, _ in self.platform.paid]
        assert len(set(paid)) == len(paid)
        for line in self.lines():
            there = line.assignment in (self.platform.approved if line.kind == "base" else paid)
            if line.stand == "paid":
                assert there, f"booked and not paid: {line}"
            if line.stand in ("owed", "absent", "nothing"):
                assert not there, f"paid and not booked: {line}"


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=examples(60), stateful_step_count=15, deadline=None)
