"""Payouts through a site that drops, fails, throttles and lags, by a process that is killed: once each, unattended."""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

from imitable.commands.accounts import settle
from imitable.money.paying import MOST_ATTEMPTS, Paymaster
from imitable.money.reconciling import reconcile
from imitable.platforms.mturk.payer import MTurkPayer
from imitable.rehearsal.mturk import Fault, standing_in
from mturk_campaign import OnMTurk, campaign_on, credentials, owe
from paying_once import lines, nobody_twice_and_nothing_booked_that_was_not_paid, pay, paying, reached

__all__ = ["credentials"]

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")

RUNS = 8
"""With faults; every day half as many."""
BETWEEN = (0.2, 25, 0.5, 30, 2, 26)
"""Hours between two runs."""


def faults(rng: random.Random) -> list[Fault]:
    """What goes wrong in one run."""
    paying = [
        Fault(how, path=path, when=when, share=0.04)
        for path in ("SendBonus", "ApproveAssignment")
        for how in ("drop", "status")
        for when in ("before", "after")
    ]
    waiting = [Fault("throttle", path=path, share=0.03) for path in ("SendBonus", "ApproveAssignment")]
    return [*rng.sample(paying, 5), *waiting, Fault("status", path="^(Get|List)", status=503, share=0.02)]


def test_where_answers_are_lost_the_shapes_of_others_pay_some_twice_and_ours_pays_everybody_once(
    credentials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    money = import_module("money_shapes")
    others = {shape: tmp_path / shape for shape in ("psiturk", "mephisto")}
    with standing_in("--seed", "1") as there, campaign_on(there, tmp_path / "campaign", "per_hit = 60") as here:
        here.publish(60)
        ours, theirs = list(owe(here, 20)), {shape: _hand_in(here, 20) for shape in others}
        for shape, home in others.items():
            home.mkdir()
            with closing(money.open_books(home)) as books:
                books.executemany("INSERT INTO bonuses VALUES (?, ?, 50, 0)", theirs[shape])
        master = Paymaster(here.store, here.folder, MTurkPayer(here.folder), there.now)
        for faults in (Fault("drop", path="^SendBonus$", when="after", share=0.3),), (), ():
            there.fail(*faults)
            for shape, home in others.items():
                money.SHAPES[shape](home, there.address)
            master.pay(master.lines())
            there.move(hours=25)
        paid = reached(here)
        for shape, works in theirs.items():
            assert max(paid[work, "bonus"] for work, _ in works) > 1, f"{shape}: the faults were harmless"
        assert {paid[work, "bonus"] for work in ours} == {1}
        assert Counter(line.stand for line in lines(here)) == {"paid": 2 * len(ours)}


def _hand_in(here: OnMTurk, people: int) -> list[tuple[str, str]]:
    """Assignments that were handed in, and their workers."""
    hit, made = here.hits[0]["HITId"], []
    for worker in here.there.workers(people):
        assignment, _url = here.there.accept(worker, hit)
        here.there.submit(assignment, {"done": "yes"})
        made.append((assignment, worker))
    return made


@pytest.mark.parametrize(
    ("seed", "people", "runs"),
    [
        (1, 20, RUNS // 2),
        pytest.param(1, 40, RUNS, marks=pytest.mark.long),
        pytest.param(2, 500, RUNS, marks=pytest.mark.long),
        pytest.param(3, 500, RUNS, marks=pytest.mark.long),
    ],
)
def test_every_payout_is_made_once_and_only_what_failed_three_times_is_left_to_a_person(
    credentials: None, tmp_path: Path, seed: int, people: int, runs: int
) -> None:
    rng = random.Random(seed)
    with (
        standing_in("--cents", "100000000", "--seed", str(seed)) as there,
        campaign_on(
            there,
            tmp_path,
            f"per_hit = {people}\napprove_after_days = 30",
            pay='[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\n',
        ) as here,
    ):
        here.publish(people)
        bonuses = owe(here, people)
        there.move(hours=2)
        killed = 0
        for run in range(runs):
            there.set(listing_lag=rng.choice([0.0, 0.0, 60.0, 3600.0]))
            there.fail(*faults(rng))
            dying = (rng.choice(["before", "after"]), str(rng.randint(1, people // 6) if run < 3 else 1))
            killed += pay(here, *(dying if run % 3 != 2 else ())) == -9
            there.move(hours=BETWEEN[run % len(BETWEEN)])
            nobody_twice_and_nothing_booked_that_was_not_paid(here)
        assert killed >= 2, "the process was to be killed more often"
        there.fail()
        there.set(listing_lag=0.0)
        for _ in range(2):
            pay(here)
            there.move(hours=2)
        tired = [line for line in lines(here) if line.stand == "absent"]
        assert len(tired) <= people // 100, "a few in a thousand fail three times, by these faults"
        assert {(line.attempts, line.waiting) for line in tired} <= {(MOST_ATTEMPTS, "did not go through 3 times")}
        for line in tired:
            settle(here.folder.path, str(line.operation_id), paid=False, why="not in the site's list")
        if tired:
            pay(here)
        assert Counter(line.stand for line in lines(here)) == {"paid": 2 * people}
        assert max(line.attempts for line in lines(here)) > 1, "the faults were harmless: nothing was sent anew"
        assert reached(here) == Counter((key, kind) for key in bonuses for kind in ("reward", "bonus"))
        amounts = {one["assignment"]: one["amount"] for one in there.state()["payments"] if one["kind"] == "bonus"}
        assert amounts == bonuses
        payer = MTurkPayer(here.folder)
        master = Paymaster(here.store, here.folder, payer, there.now)
        assert reconcile(payer, lines(here), master.payouts(lines(here)), there.now) == []


def test_a_bonus_that_the_site_pays_a_day_after_it_was_asked_and_lists_an_hour_later_is_not_paid_again(
    credentials: None, tmp_path: Path
) -> None:
    with standing_in() as there, campaign_on(there, tmp_path, "per_hit = 60\napprove_after_days = 30") as here:
        here.publish(2)
        owe(here, 2)
        there.fail(Fault("slow", path="^SendBonus$", seconds=2.0, times=1))
        with paying(here) as process:
            while not any(one["path"] == "SendBonus" for one in there.journal()):
                time.sleep(0.05)
            process.kill()
        there.move(hours=25)  # while it stalls there
        while not any(kind == "bonus" for _, kind in reached(here)):
            time.sleep(0.05)
        there.set(listing_lag=3600.0)
        for hours in (0.9, 0.3, 25):
            pay(here)
            nobody_twice_and_nothing_booked_that_was_not_paid(here)
            there.move(hours=hours)
        pay(here)
        assert set(reached(here).values()) == {1}
        assert Counter(line.stand for line in lines(here)) == {"paid": 4}
