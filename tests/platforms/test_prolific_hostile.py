"""A thousand payouts through a Prolific that drops, fails, waits and lags, by a process that is killed: once each."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from imitable.commands.accounts import settle
from imitable.money.amounts import Money
from imitable.money.earned import Owed
from imitable.money.ledger import oblige
from imitable.money.paying import Paymaster
from imitable.money.reconciling import reconcile
from imitable.platforms.prolific.payer import ProlificPayer
from imitable.rehearsal.prolific import Fault, standing_in
from imitable.store import tables
from paying_once import lines, nobody_twice_and_nothing_booked_that_was_not_paid, pay, reached
from prolific_campaign import OnProlific, campaign_on, token

__all__ = ["token"]

PEOPLE, FEW = 500, 50
"""Each of them is owed a base and a bonus. Every day, a tenth of them."""

RUNS, FEW_RUNS = 18, 4
BETWEEN = (0.2, 25, 0.5, 30, 0.1, 26)
"""Hours between two runs."""

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def faults(rng: random.Random) -> list[Fault]:
    """What goes wrong in one run: of approvals seldom, for there are many, of what pays bonuses often."""
    approving = [
        Fault(how, path="/transition/", method="POST", when=when, share=0.02, seconds=0.0)
        for how in ("drop", "status", "throttle")
        for when in ("before", "after")
    ]
    paying = [
        Fault(how, path="/pay/", when=when, share=0.06, seconds=0.0)
        for how in ("drop", "status", "throttle")
        for when in ("before", "after")
    ]
    reading = [
        Fault("status", path="/submissions/", method="GET", status=503, share=0.02),
        Fault("throttle", path="/submissions/", method="GET", share=0.02, seconds=0.0),
        Fault("drop", path="/submissions/bonus", when="after", share=0.1),
    ]
    return [*rng.sample(approving, 3), *rng.sample(paying, 3), Fault("accept", path="/pay/", share=0.03), *reading]


def owe(here: OnProlific, people: int) -> dict[str, int]:
    """So many participants have handed in; what they are owed as a bonus, by submission."""
    made: dict[str, int] = {}
    arrived = here.arrive(people)
    for _, submission in arrived:
        here.there.start(submission)
        here.there.complete(submission, "CODE")
    with here.store.write() as connection:
        for number, (person, submission) in enumerate(arrived):
            who, made[submission] = here.pseudonym(person), 1 + number % 90
            row = {"annotator_id": who, "platform": "prolific", "platform_id": person, "created_at": NOW}
            connection.execute(insert(tables.identities).values(row))
            for kind, minor in (("base", 300), ("bonus", made[submission])):
                owed = Owed(f"s_{number}", who, "prolific", submission, kind, Money(minor, "USD"), {})
                assert oblige(connection, here.folder, owed, now=NOW)
    return made


@pytest.mark.parametrize(
    ("either_store", "people", "runs", "seed"),
    [
        ("sqlite", FEW, FEW_RUNS, 1),
        pytest.param("sqlite", PEOPLE, RUNS, 1, marks=pytest.mark.long),
        pytest.param("sqlite", PEOPLE, RUNS, 2, marks=pytest.mark.long),
        pytest.param("sqlite", PEOPLE, RUNS, 3, marks=pytest.mark.long),
        pytest.param("postgresql", FEW, FEW_RUNS, 3, marks=pytest.mark.postgresql),
        pytest.param("postgresql", PEOPLE, RUNS, 2, marks=[pytest.mark.postgresql, pytest.mark.long]),
    ],
    indirect=["either_store"],
)
@pytest.mark.usefixtures("token", "either_store")
def test_a_thousand_payouts_are_made_once_each_and_what_stays_in_doubt_is_listed(
    tmp_path: Path, people: int, runs: int, seed: int
) -> None:
    rng = random.Random(seed)
    with (
        standing_in("--cents", "100000000", "--seed", str(seed)) as there,
        campaign_on(there, tmp_path, pay='[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\n') as here,
    ):
        here.publish(people)
        bonuses = owe(here, people)
        killed = 0
        for run in range(runs):
            there.set(bonus_delay=rng.choice([0.0, 0.0, 60.0, 600.0]), listing_lag=rng.choice([0.0, 0.0, 30.0, 7200.0]))
            there.fail(*faults(rng))
            when, number = rng.choice(["before", "after"]), rng.randint(1, 30) if run < 3 or runs < RUNS else 1
            dying = (when, str(number)) if run % 2 or runs < RUNS else ()
            killed += pay(here, *dying) == -9
            there.move(hours=BETWEEN[run % len(BETWEEN)])
        assert killed >= 2, "the process was to be killed more often"
        nobody_twice_and_nothing_booked_that_was_not_paid(here)
        _no_batch_was_asked_for_twice(here)
        there.fail()
        there.set(bonus_delay=0.0, listing_lag=0.0)
        pay(here)
        there.move(hours=2)
        pay(here)
        nobody_twice_and_nothing_booked_that_was_not_paid(here)
        _no_batch_was_asked_for_twice(here)
        doubtful = [line for line in lines(here) if line.doubtful]
        assert {line.kind for line in doubtful} <= {"bonus"}, "approving may be asked again"
        assert all(not reached(here)[line.assignment, "bonus"] for line in doubtful)
        assert doubtful or people < PEOPLE, "the faults were harmless: nothing had to be decided"
        for line in doubtful:  # a person looks at the platform's own books
            settle(here.folder.path, str(line.operation_id), paid=False, why="not on the submission's page")
        if doubtful:
            pay(here)
        assert Counter(line.stand for line in lines(here)) == {"paid": 2 * people}
        assert reached(here) == Counter((key, kind) for key in bonuses for kind in ("reward", "bonus"))
        amounts = {one["submission"]: one["amount"] for one in there.state()["payments"] if one["kind"] == "bonus"}
        assert amounts == bonuses
        payer: Any = ProlificPayer(here.folder)
        master = Paymaster(here.store, here.folder, payer, there.now)
        assert reconcile(payer, lines(here), master.payouts(lines(here)), there.now) == []


def _no_batch_was_asked_for_twice(here: OnProlific) -> None:
    calls = [bulk["calls"] for bulk in here.there.state()["bulks"].values()]
    assert max(calls, default=1) == 1
