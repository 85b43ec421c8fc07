"""Money through Prolific, on a stand-in whose wallet counts: what is paid, what is in doubt, what is never sent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from imitable.campaign import open_folder
from imitable.commands.accounts import settle
from imitable.errors import MoneyError
from imitable.money.amounts import Money
from imitable.money.earned import Owed
from imitable.money.ledger import Line, oblige
from imitable.money.payer import Payer, Payout
from imitable.money.paying import Paymaster, Round
from imitable.money.reconciling import reconcile
from imitable.platforms.prolific import payer as module
from imitable.platforms.prolific.payer import ProlificPayer
from imitable.rehearsal.prolific import Fault, StandIn, standing_in
from imitable.store import money_tables
from prolific_campaign import OnProlific, campaign_on, decide, there, token

__all__ = ["there", "token"]

NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Till:
    """The books of a campaign, and who pays by them."""

    def __init__(self, here: OnProlific) -> None:
        self.here = here
        self.payer = ProlificPayer(here.folder, read_back=0.0)
        self.master = Paymaster(here.store, here.folder, self.payer, here.there.now)

    def owe(self, submission: str, person: str, **kinds: int) -> None:
        """Write down what is owed for a submission, in cents by kind."""
        who = self.here.pseudonym(person)
        self.know(person)
        with self.here.store.write() as connection:
            for kind, minor in kinds.items():
                owed = Owed(f"s_{submission[-12:]}", who, "prolific", submission, kind, Money(minor, "USD"), {})
                oblige(connection, self.here.folder, owed, now=NOW)

    def know(self, person: str) -> None:
        from imitable.store import insert_once, tables

        row = {"annotator_id": self.here.pseudonym(person), "platform": "prolific", "platform_id": person}
        with self.here.store.write() as connection:
            insert_once(connection, tables.identities, {**row, "created_at": NOW})

    def pay(self) -> Round:
        return self.master.pay(self.master.lines())

    def lines(self) -> dict[tuple[str, str], Line]:
        """By assignment and kind."""
        return {(line.assignment, line.kind): line for line in self.master.lines()}

    def stands(self) -> list[str]:
        return sorted(line.stand for line in self.master.lines())

    def paid(self) -> list[tuple[str, str, int]]:
        """What reached participants."""
        return sorted((one["submission"], one["kind"], one["amount"]) for one in self.here.there.state()["payments"])

    def differences(self) -> list[str]:
        lines = self.master.lines()
        return [one.kind for one in reconcile(self.payer, lines, self.master.payouts(lines), self.here.there.now)]


@pytest.fixture
def till(there: StandIn, tmp_path: Path) -> Iterator[Till]:
    """A campaign that recruits, on a stand-in that pays bonuses at once."""
    there.set(bonus_delay=0.0)
    with campaign_on(there, tmp_path) as here:
        here.publish(20)
        yield Till(here)


def handed_in(till: Till, count: int = 1) -> list[tuple[str, str]]:
    """Submissions that wait for review, and whose they are."""
    made = []
    for person, submission in till.here.arrive(count):
        till.here.there.start(submission)
        till.here.there.complete(submission, "CODE")
        made.append((submission, person))
    return made


def test_base_and_bonus_are_paid_once_however_often_pay_is_run(till: Till) -> None:
    people = handed_in(till, 3)
    for number, (submission, person) in enumerate(people):
        till.owe(submission, person, base=300, bonus=42 * number)
    first = till.pay()
    assert (first.paid, first.failed, first.doubtful) == (5, 0, 0)
    for _ in range(3):
        assert till.pay().paid == 0
    assert till.paid() == sorted(
        [(submission, "reward", 300) for submission, _ in people]
        + [(people[1][0], "bonus", 42), (people[2][0], "bonus", 84)]
    )
    assert till.stands() == ["nothing"] + ["paid"] * 5
    assert till.differences() == []
    [sent] = [
        one for one in till.here.there.journal() if "bonus-payments/" in one["path"] and "bulk" not in one["path"]
    ]
    assert f"{people[1][0]},0.42" in sent["body"], "decimals in"
    [bonus] = [line for line in till.master.lines() if line.kind == "bonus" and line.amount.minor == 42]
    assert bonus.fee == Money(18, "USD"), "cents out"


def test_a_stopped_sitting_is_paid_its_part_and_its_bonus_once_returned(till: Till) -> None:
    [(submission, person)] = handed_in(till)
    till.here.there.give_back(submission)
    till.owe(submission, person, partial=90, bonus=90)
    assert till.pay().paid == 2
    assert till.paid() == [(submission, "bonus", 90), (submission, "bonus", 90)]
    assert till.differences() == []


def test_what_was_approved_by_hand_or_by_itself_counts_as_paid(till: Till) -> None:
    (first, one), (second, other) = handed_in(till, 2)
    decide(till.here.there, first, action="APPROVE")
    till.here.there.move(hours=24 * 22)
    for submission, person in ((first, one), (second, other)):
        till.owe(submission, person, base=300)
    assert till.pay().paid == 2
    assert till.paid() == sorted([(first, "reward", 300), (second, "reward", 300)])


def test_part_of_a_sitting_is_not_paid_on_top_of_the_whole_reward(till: Till) -> None:
    [(submission, person)] = handed_in(till)
    decide(till.here.there, submission, action="APPROVE")
    till.owe(submission, person, partial=90)
    assert till.pay().failed == 1
    assert till.paid() == [(submission, "reward", 300)]
    assert till.lines()[submission, "partial"].said == {"found": "the work was approved for the whole reward"}


def test_forged_work_is_refused_unfinished_work_waits_and_everybody_else_is_paid(till: Till) -> None:
    [(mine, me), (theirs, them), (good, honest)] = handed_in(till, 3)
    [(person, playing)] = till.here.arrive()
    till.here.there.start(playing)
    till.owe("made-up", "nobody", base=300, bonus=50)
    till.owe(theirs, me, base=300, bonus=50)
    till.owe(playing, person, base=300, bonus=50)
    till.owe(good, honest, base=300, bonus=50)
    done = till.pay()
    assert (done.paid, done.failed, done.doubtful) == (2, 4, 0)
    assert done.reasons == ("2 cannot be paid yet: the work was not handed in on Prolific.",)
    assert till.paid() == [(good, "bonus", 50), (good, "reward", 300)]
    till.here.there.complete(playing, "CODE")
    assert till.pay().paid == 2
    assert {line.said.get("found") for line in till.lines().values() if line.stand == "failed"} == {
        "Prolific knows no such submission",
        "the submission is another participant's",
    }
    assert {them, mine} - {name for row in till.paid() for name in row} == {them, mine}


def test_a_base_that_cannot_be_approved_is_refused_and_a_top_up_reaches_it(till: Till) -> None:
    [(returned, person)] = handed_in(till)
    till.here.there.give_back(returned)
    till.owe(returned, person, base=300)
    assert till.pay().failed == 1
    said = till.lines()[returned, "base"].said["found"]
    assert said == "a submission that is RETURNED cannot be approved: pay it by a top-up"
    till.owe(returned, person, **{"top_up:1": 300})
    assert till.pay().paid == 1
    assert till.paid() == [(returned, "bonus", 300)]


def test_work_that_timed_out_is_approved_where_prolific_allows_it(till: Till) -> None:
    [(person, late)] = till.here.arrive()
    till.here.there.start(late)
    till.here.there.time_out(late)
    till.owe(late, person, base=300)
    assert till.pay().paid == 1


def test_a_reward_other_than_what_is_owed_is_not_paid_for_it(till: Till) -> None:
    [(submission, person)] = handed_in(till)
    till.owe(submission, person, base=350)
    assert till.pay().failed == 1
    assert "the study pays 3.00 USD" in str(till.lines()[submission, "base"].said)
    assert till.paid() == []


DOUBTS: dict[str, tuple[Fault, bool]] = {
    "dropped before": (Fault("drop", path="/pay/", when="before"), False),
    "dropped after": (Fault("drop", path="/pay/", when="after"), True),
    "failed before": (Fault("status", path="/pay/", when="before"), False),
    "failed after": (Fault("status", path="/pay/", when="after"), True),
    "told to wait": (Fault("throttle", path="/pay/"), False),
    "accepted and not done": (Fault("accept", path="/pay/"), False),
}


@pytest.mark.parametrize("how", DOUBTS)
def test_every_doubt_about_a_bonus_stays_one_until_the_submission_shows_it(till: Till, how: str) -> None:
    fault, done = DOUBTS[how]
    people = handed_in(till, 3)
    for submission, person in people:
        till.owe(submission, person, bonus=50)
    till.here.there.fail(fault)
    assert till.pay().doubtful == 3
    till.here.there.fail()
    for hours in (0.1, 2, 25):
        till.here.there.move(hours=hours)
        till.pay()
    calls = [one for one in till.here.there.journal() if one["path"].endswith("/pay/")]
    assert len(calls) == 1, "asked to pay once, ever"
    assert till.stands() == (["paid"] if done else ["unknown"]) * 3
    assert len(till.paid()) == (3 if done else 0)
    assert till.differences() == ([] if done else ["in doubt"] * 3)


def test_nothing_more_is_sent_while_a_payment_of_the_same_run_is_in_doubt(till: Till) -> None:
    people = handed_in(till, 5)
    for submission, person in people:
        till.owe(submission, person, bonus=50)
    till.payer.most_at_once = 2
    till.here.there.fail(Fault("drop", path="/pay/", when="after", times=1))
    done = till.pay()
    assert (done.doubtful, done.paid) == (2, 0)
    assert "nothing more was sent" in " ".join(done.reasons)
    again = till.pay()
    assert (again.settled, again.paid, again.doubtful) == (2, 3, 0)


def test_bonuses_that_take_minutes_are_waited_for(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BETWEEN", 0.1)
    till.here.there.set(bonus_delay=0.5)
    till.payer.read_back = 10.0
    [(submission, person)] = handed_in(till)
    till.owe(submission, person, bonus=50)
    assert till.pay().paid == 1


def test_a_bonus_of_the_same_amount_as_an_earlier_one_is_not_taken_for_it(till: Till) -> None:
    [(submission, person)] = handed_in(till)
    till.owe(submission, person, bonus=50)
    assert till.pay().paid == 1
    till.owe(submission, person, **{"top_up:1": 50})
    till.here.there.fail(Fault("accept", path="/pay/"))
    assert till.pay().doubtful == 1
    assert till.pay().doubtful == 1
    assert till.paid() == [(submission, "bonus", 50)]
    assert till.lines()[submission, "top_up:1"].stand == "unknown"


@pytest.mark.parametrize("how", ["drop", "status", "throttle"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_approval_in_doubt_is_asked_again_and_pays_once(till: Till, how: Any, when: Any) -> None:
    [(submission, person)] = handed_in(till)
    till.owe(submission, person, base=300)
    till.here.there.fail(Fault(how, path="/transition/", when=when, seconds=0.0, times=1))
    till.pay()
    till.pay()
    assert till.stands() == ["paid"]
    assert till.paid() == [(submission, "reward", 300)]
    assert till.lines()[submission, "base"].attempts == 1


def test_what_the_platform_refuses_to_pay_is_told_in_words_without_ids(till: Till) -> None:
    [(submission, person)] = handed_in(till)
    till.owe(submission, person, bonus=50)
    till.here.there.fail(Fault("status", path="/pay/", status=400))
    assert till.pay().failed == 1
    said = till.lines()[submission, "bonus"].said
    assert said["answer"] == 400
    assert submission not in str(said)
    assert person not in str(said)
    assert till.paid() == []


@pytest.mark.parametrize("bonus", [1000, 500], ids=["more than there is", "as much as there is, without the fees"])
def test_what_the_wallet_cannot_pay_is_not_sent_and_what_is_kept_for_rewards_is(
    token: None, tmp_path: Path, bonus: int
) -> None:
    """Three rewards with fees are 12.85, kept from the day of publication; some five are left for bonuses."""
    with standing_in("--cents", "1800") as poor, campaign_on(poor, tmp_path) as here:
        here.publish(3)
        poor.set(bonus_delay=0.0)
        till = Till(here)
        people = handed_in(till, 3)
        assert till.payer.balance() == Money(1800 - 3 * 428, "USD")
        for submission, person in people:
            till.owe(submission, person, base=300)
        assert till.pay().paid == 3, "rewards are paid from what is kept for them"
        submission, person = people[0]
        till.owe(submission, person, bonus=bonus)
        with pytest.raises(MoneyError, match=r"prolific has 5\.16 USD left to spend.*Add funds there, then pay again"):
            till.pay()
        assert till.lines()[submission, "bonus"].stand == "owed"
        assert len(till.paid()) == 3
        poor.ask("POST", "/deposit", cents=2000)
        assert till.pay().paid == 1


@pytest.mark.parametrize("how", ["drop", "status"])
def test_a_base_in_doubt_holds_up_no_bonus_not_even_of_the_same_person(till: Till, how: Any) -> None:
    people = handed_in(till, 3)
    for submission, person in people:
        till.owe(submission, person, base=300, bonus=50)
    till.here.there.fail(Fault(how, path=f"{people[0][0]}/transition/"))
    done = till.pay()
    assert (done.paid, done.doubtful) == (5, 1)
    assert sorted(row[0] for row in till.paid() if row[1] == "bonus") == sorted(one for one, _ in people)
    till.here.there.fail()
    till.pay()
    assert till.stands() == ["paid"] * 6


def test_every_reason_to_wait_is_kept_and_the_last_is_shown(till: Till) -> None:
    [(person, work)] = till.here.arrive()
    till.here.there.start(work)
    till.owe(work, person, bonus=50, **{"top_up:1": 60})
    assert till.pay().reasons == ("2 cannot be paid yet: the work was not handed in on Prolific.",)
    till.pay()
    till.here.there.complete(work, "CODE")
    till.here.there.fail(Fault("accept", path="/pay/", times=1))
    assert "nothing more was sent" in " ".join(till.pay().reasons)
    assert till.pay().reasons == ("1 cannot be paid yet: another bonus for this work is in doubt.",)
    line = till.lines()[work, "top_up:1"]
    assert [why for _, why in line.waits] == [
        "the work was not handed in on Prolific",  # written once, though it was so twice
        "another bonus is in doubt",
        "another bonus for this work is in doubt",
    ]
    assert line.waiting == line.waits[-1][1]
    command = [sys.executable, "-m", "imitable", "pay", str(till.here.folder.path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "waited: another bonus for this work is in doubt" in " ".join(shown.split())
    [doubt] = [one for one in till.lines().values() if one.doubtful]
    settle(till.here.folder.path, str(doubt.operation_id), paid=False, why="looked")
    till.pay()
    line = till.lines()[work, "top_up:1"]
    assert (line.stand, line.waiting, len(line.waits)) == ("paid", "", 3)


def test_a_whole_batch_in_doubt_is_settled_at_once_with_a_decision_for_each(till: Till) -> None:
    people = handed_in(till, 4)
    for submission, person in people:
        till.owe(submission, person, bonus=50)
    till.here.there.fail(Fault("accept", path="/pay/"))
    assert till.pay().doubtful == 4
    [batch] = {line.batch_id for line in till.lines().values()}
    here = str(till.here.folder.path)

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "imitable",
            "settle",
            here,
            *words,
            "--not-paid",
            "--why",
            "not on their pages",
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    refused = typed(str(batch), "--confirm", "3")
    assert refused.returncode == 1
    assert "They are 4, and '3' was confirmed. Nothing was recorded." in " ".join(refused.stderr.split())
    assert till.stands() == ["unknown"] * 4
    done = typed(str(batch), "--confirm", "4")
    assert "4 payments are not paid, and due again" in done.stdout, done.stderr
    assert till.stands() == ["absent"] * 4
    with till.here.store.read() as connection:
        decisions = connection.execute(select(money_tables.decisions)).all()
    assert {one.about for one in decisions} == {line.obligation_id for line in till.lines().values()}
    till.pay()
    assert typed("all", "--confirm", "4").returncode == 0
    till.here.there.fail()
    assert till.pay().paid == 4
    assert typed("all").returncode == 1


def test_where_no_connection_is_had_nothing_was_sent_and_nobody_has_to_decide(token: None, tmp_path: Path) -> None:
    with standing_in() as gone:
        with campaign_on(gone, tmp_path) as here:
            here.publish(3)
            till = Till(here)
            [(submission, person)] = handed_in(till)
        payer = ProlificPayer(here.folder, read_back=0.0)
        work = Payout("po-1", "o_1", "bonus", person, submission, Money(50, "USD"), "")
        batch = payer.prepare([work])
        assert batch.amount == Money(50, "USD")
    [answer] = payer.bonus(batch)
    assert (answer.state, answer.facts["error"]) == ("absent", "there was no connection")


def test_the_endpoint_is_told_and_whether_it_is_a_stand_in(there: StandIn, token: None, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        payer: Payer = here.platform.payer(here.folder)
        assert (payer.endpoint, payer.stand_in) == (there.address, True)
        assert payer.balance() == Money(1_000_000, "USD")
        path = here.folder.path / "campaign.toml"
        path.write_text(path.read_text(encoding="utf-8").replace(there.address, "https://api.prolific.com"))
        real = here.platform.payer(open_folder(here.folder.path))
        assert (real.endpoint, real.stand_in) == ("https://api.prolific.com", False)
        assert (real.remembers, real.tells_all) == (timedelta(0), False)
