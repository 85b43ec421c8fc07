"""Money through real boto3 on a stand-in whose account counts: paid once whatever fails, and what is never sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imitable.commands.accounts import forget
from imitable.commands.publish import publish
from imitable.errors import NotOffered, PlatformError
from imitable.game.views import Done
from imitable.money.amounts import Money
from imitable.money.budget import standing
from imitable.money.earned import Owed, most_bonus
from imitable.money.ledger import Line, decide, oblige
from imitable.money.payer import Payer
from imitable.money.paying import Paymaster, Round
from imitable.money.reconciling import reconcile
from imitable.platforms import Collected
from imitable.platforms.mturk.assignments import listed, took_part
from imitable.platforms.mturk.hits import find
from imitable.platforms.mturk.payer import MTurkPayer
from imitable.rehearsal.mturk import Fault, StandIn, standing_in
from imitable.rehearsal.mturk import wallet as stand_in_prices
from imitable.store import tables
from mturk_campaign import OnMTurk, campaign_on, credentials, there

__all__ = ["credentials", "there"]

NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Till:
    """The books of a campaign, and who pays by them."""

    def __init__(self, here: OnMTurk) -> None:
        self.here = here
        self.payer = MTurkPayer(here.folder)
        self.master = Paymaster(here.store, here.folder, self.payer, here.there.now)

    def owe(self, kind: str, minor: int) -> None:
        """Owe every sitting something more, as a person decided."""
        for row in self.here.rows(tables.sittings):
            owed = Owed(
                row.sitting_id, row.annotator_id, "mturk", row.assignment, kind, Money(minor, "USD"), {"decision": 1}
            )
            with self.here.store.write() as connection:
                oblige(connection, self.here.folder, owed, now=NOW)

    def pay(self) -> Round:
        decide(self.here.store, self.here.folder, now=self.here.there.now())
        return self.master.pay(self.master.lines())

    def lines(self) -> dict[tuple[str, str], Line]:
        """By assignment and kind."""
        return {(line.assignment.partition(" ")[0], line.kind): line for line in self.master.lines()}

    def stands(self) -> dict[str, str]:
        return {kind: line.stand for (_, kind), line in self.lines().items()}

    def paid(self) -> list[tuple[str, str, int]]:
        """What reached workers."""
        return sorted((one["assignment"], one["kind"], one["amount"]) for one in self.here.there.state()["payments"])

    def differences(self) -> list[str]:
        lines = self.master.lines()
        return [one.kind for one in reconcile(self.payer, lines, self.master.payouts(lines), self.here.there.now)]


@pytest.fixture
def till(there: StandIn, tmp_path: Path) -> Iterator[Till]:
    """A campaign that recruits, whose every point above par earns something."""
    with campaign_on(there, tmp_path) as here:
        here.publish(9)
        yield Till(here)


def test_what_was_played_is_paid_once_however_often_pay_is_run(till: Till) -> None:
    made = [till.here.finish() for _ in range(2)]
    till.owe("top_up:1", 42)
    first = till.pay()
    assert (first.failed, first.doubtful, first.reasons) == (0, 0, ())
    for _ in range(2):
        assert till.pay().paid == 0
    bonuses = [line for line in till.master.lines() if line.kind == "bonus" and line.amount.minor]
    owed = [(assignment, "reward", 300) for _, assignment in made] + [
        (assignment, "bonus", 42) for _, assignment in made
    ]
    owed += [(line.assignment.partition(" ")[0], "bonus", line.amount.minor) for line in bonuses]
    assert till.paid() == sorted(owed)
    assert till.differences() == []
    sent = [one for one in till.here.there.journal() if one["path"] == "SendBonus"]
    assert {one["attempt"] for one in sent} == {"attempt=1"}, "boto3 tries nothing again"
    assert len({one["call"] for one in sent}) == len(sent)


FAULTS = {
    "dropped before": Fault("drop", when="before"),
    "dropped after the work": Fault("drop", when="after"),
    "500 before": Fault("status", when="before"),
    "500 after the work": Fault("status", when="after"),
    "503 after the work": Fault("status", status=503, when="after"),
    "throttled": Fault("throttle"),
    "too slow, after the work": Fault("slow", when="after", seconds=3.0),
}


CASES = [(how, 0.1) for how in FAULTS] + [(how, 25) for how in FAULTS if "after" in how]
"""With the hours until the next run: within the day in which a token is known again, and after it."""


@pytest.mark.parametrize(("how", "hours"), CASES)
def test_every_doubt_ends_with_one_payment(till: Till, monkeypatch: pytest.MonkeyPatch, how: str, hours: float) -> None:
    monkeypatch.setattr("imitable.platforms.mturk.client._READ", 1)
    till.payer = MTurkPayer(till.here.folder)
    till.master = Paymaster(till.here.store, till.here.folder, till.payer, till.here.there.now)
    _, assignment = till.here.finish()
    till.owe("top_up:1", 42)
    struck = vars(FAULTS[how])
    till.here.there.set(listing_lag=300.0)
    till.here.there.move(hours=0.2)  # the work itself is listed
    till.here.there.fail(
        *(Fault(**{**struck, "path": name, "times": 1}) for name in ("SendBonus", "ApproveAssignment"))
    )
    till.pay()
    till.here.there.fail()
    assert till.stands()["top_up:1"] == "unknown"
    for wait in (0.01, hours, 2):
        till.here.there.move(hours=wait)
        till.pay()
    reached = [one for one in till.paid() if one[2] in (42, 300)]
    assert reached == sorted([(assignment, "bonus", 42), (assignment, "reward", 300)])
    assert set(till.stands().values()) <= {"paid", "nothing"}
    assert till.differences() == []


def test_a_repeated_bonus_that_the_site_says_was_done_is_paid_only_once_its_list_shows_it(till: Till) -> None:
    till.here.finish()
    till.owe("top_up:1", 42)
    till.here.there.move(hours=1)
    till.here.there.set(listing_lag=1800.0)
    till.here.there.fail(Fault("drop", path="SendBonus", when="after"))
    till.pay()
    till.here.there.fail()
    till.pay()
    [line] = [line for line in till.master.lines() if line.kind == "top_up:1"]
    assert line.stand == "unknown"
    assert "already been processed" in str(line.said["said"])
    till.here.there.move(hours=1)
    assert till.pay().settled >= 1
    assert [one for one in till.paid() if one[2] == 42] == [(line.assignment.partition(" ")[0], "bonus", 42)]
    assert till.stands()["top_up:1"] == "paid"


def test_work_without_our_receipt_of_another_worker_or_not_handed_in_is_not_paid(till: Till) -> None:
    here = till.here
    _, paid = here.finish()
    _, unreceipted, query = here.accept()
    here.play(query)
    here.there.submit(unreceipted, {"receipt": "0" * 32})
    _, waiting, playing = here.accept()
    here.play(playing)
    forger, honest = here.there.workers(2)
    _, taken, theirs = here.accept(honest)
    here.play({**theirs, "workerId": forger})
    here.there.submit(taken, {"receipt": "mine"})
    here.play({**theirs, "workerId": "AMADEUP1234", "assignmentId": "MADEUP1234"})
    done = till.pay()
    assert {one for one in till.paid() if one[1] == "reward"} == {(paid, "reward", 300)}
    assert done.doubtful == 0
    lines = till.lines()
    assert "without our receipt" in str(lines[unreceipted, "base"].said)
    assert "another worker handed it in" in str(lines[taken, "base"].said)
    assert lines[waiting, "base"].stand == "owed"
    assert "lists no such work" in " ".join(done.reasons)
    kinds = dict(here.found())
    assert kinds["no receipt"]
    assert {"given back", "not handed in", "unplayed"} <= set(kinds)
    told = [str(line.said) for line in lines.values()]
    assert not [one for one in told if honest in one or forger in one or taken in one], "no ids of people"


def test_who_stops_is_paid_the_whole_and_who_stops_at_once_nothing(till: Till) -> None:
    (some, some_page), (none, no_page) = (_stopped(till.here, rounds) for rounds in (2, 0))
    assert some_page.pay.startswith("You are paid USD 3.00 for taking part.")
    assert no_page.pay.startswith("Of the USD 3.00 for the whole sitting, you are paid the part that you did.")
    till.pay()
    assert [one for one in till.paid() if one[1] == "reward"] == [(some, "reward", 300)]
    assert till.lines()[none, "partial"].amount.minor == 0
    assert [kind for kind, _ in till.here.found()] == ["not played"]


def _stopped(here: OnMTurk, rounds: int) -> tuple[str, Done]:
    """An assignment that was stopped after so many rounds and handed in, and its last page."""
    _, assignment, query = here.accept()
    done = here.play(query, rounds=rounds, stop=True)
    assert done is not None
    assert done.finish is not None
    here.there.submit(assignment, {key: value for key, value in done.finish.fields if key != "assignmentId"})
    return assignment, done


def test_what_was_approved_there_or_by_itself_counts_as_paid_and_what_was_rejected_does_not(till: Till) -> None:
    _, by_itself = till.here.finish()
    till.here.there.move(hours=24 * 8)
    done = till.pay()
    assert (till.lines()[by_itself, "base"].stand, done.failed) == ("paid", 0)
    till.here.publish(9)  # its days were over
    _, rejected = till.here.finish()
    till.payer.api.once("RejectAssignment", AssignmentId=rejected, RequesterFeedback="x")
    till.pay()
    assert "rejected there" in str(till.lines()[rejected, "base"].said)
    assert [one for one in till.paid() if one[1] == "reward"] == [(by_itself, "reward", 300)]


def test_an_assignment_that_was_given_back_goes_on_under_the_same_id_and_pays_its_last_worker(till: Till) -> None:
    till.here.there.set(reuse_assignment_ids=True)
    first, assignment, query = till.here.accept()
    till.here.play(query, rounds=2)
    till.here.there.give_back(assignment)
    second, again = till.here.finish()
    assert again == assignment
    till.pay()
    assert [one["worker"] for one in till.here.there.state()["payments"] if one["kind"] == "reward"] == [second]
    assert till.here.found() == [("given back", till.here.pseudonym(first))]


def test_who_was_forgotten_is_named_in_no_list_again_and_told_of_to_nobody(till: Till) -> None:
    here = till.here
    worker, _ = here.finish()
    other, _ = here.finish()
    till.pay()
    assert here.found() == []
    forget(here.folder.path, here.pseudonym(worker))
    before = here.there.journal()
    assert here.collect() == Collected(2)
    assert [one["path"] for one in here.there.journal()[len(before) :] if "Associate" in one["path"]] == []
    hits = find(till.payer.api, here.folder)
    rows = list(listed(till.payer.api, here.folder, hits))
    assert len(rows) == 2
    assert took_part(here.folder, here.store, rows) == {other: 100}


def test_what_the_account_cannot_pay_is_refused_in_words_without_ids(credentials: None, tmp_path: Path) -> None:
    with standing_in("--cents", "2000") as poor, campaign_on(poor, tmp_path) as here:
        here.publish(3)
        till = Till(here)
        worker, assignment = here.finish()
        till.owe("top_up:1", 4000)
        [one] = [one for one in till.master.payouts(till.master.lines()) if one.kind == "top_up:1"]
        [answer] = till.payer.bonus(till.payer.prepare([replace(one, operation_id="po-1-1")]))
        assert (answer.state, answer.facts["code"]) == ("failed", "AWS.MechanicalTurk.InsufficientFunds")
        assert "insufficient funds" in str(answer.facts)
        assert worker not in str(answer.facts)
        assert assignment not in str(answer.facts)


@pytest.mark.parametrize("holds", [True, False])
def test_rewards_that_the_site_holds_back_already_need_not_be_left_to_spend(
    credentials: None, tmp_path: Path, holds: bool
) -> None:
    with standing_in("--cents", "1300") as there, campaign_on(there, tmp_path) as here:
        there.set(holds=holds)
        here.publish(3)
        made = [here.finish() for _ in range(2)]
        till = Till(here)
        assert till.payer.keeps_base is holds
        balance = till.payer.balance()
        assert balance is not None
        assert (balance.minor < 600) is holds, "two rewards are more than what is left, where they are held back"
        assert till.pay().failed == 0
        rewards = [one for one in till.paid() if one[1] == "reward"]
        assert rewards == sorted((assignment, "reward", 300) for _, assignment in made)


def test_the_endpoint_is_told_and_that_it_is_a_stand_in(till: Till) -> None:
    payer: Payer = till.here.platform.payer(till.here.folder)
    assert (payer.endpoint, payer.stand_in) == (till.here.there.address, True)
    assert payer.balance() == Money(1_000_000, "USD")


def test_where_no_connection_is_had_nothing_was_sent_and_nobody_has_to_decide(
    credentials: None, tmp_path: Path
) -> None:
    with standing_in() as gone, campaign_on(gone, tmp_path) as here:
        here.publish(3)
        here.finish()
        till = Till(here)
        decide(here.store, here.folder, now=NOW)
        [base] = [one for one in till.master.payouts(till.master.lines()) if one.kind == "base"]
        base = replace(base, operation_id="po-1-1")
    assert [one.state for one in till.payer.bonus(till.payer.prepare([base]))] == ["absent"]
    with pytest.raises(PlatformError, match="cannot be reached"):
        till.payer.balance()


def test_keys_that_expired_halfway_send_nothing_and_settle_by_themselves(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.here.finish()
    till.owe("top_up:1", 42)
    [one] = [one for one in till.master.payouts(till.master.lines()) if one.kind == "top_up:1"]
    one = replace(one, operation_id="po-1-1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "expired")
    payer = MTurkPayer(till.here.folder)
    assert [answer.state for answer in payer.bonus(payer.prepare([one]))] == ["absent"]
    assert till.paid() == []


MASTERS = f'[[platform.mturk.qualifications]]\ntype = "{stand_in_prices.MASTERS[0]}"'


@pytest.mark.parametrize(
    ("more", "each"), [("", 360), (f"per_hit = 20\n{MASTERS}", 435)], ids=["HITs for nine", "for twenty Masters"]
)
def test_what_is_set_aside_for_a_sitting_is_what_the_site_charges_for_that_shape_of_hit(
    there: StandIn, tmp_path: Path, more: str, each: int
) -> None:
    with campaign_on(there, tmp_path, more) as here:
        publish(here.folder.path, platform="mturk", places=20)
        with here.store.read() as connection:
            aside, bonus = standing(connection, here.folder).aside.minor, most_bonus(connection, here.folder).minor
        assert aside == 20 * (each + bonus + stand_in_prices.fee(bonus))
        here.finish(there.workers(1, masters=True)[0])
        till = Till(here)
        till.owe("top_up:1", 42)
        till.pay()
        charged = {one["kind"]: one["amount"] + one["fee"] for one in there.state()["payments"] if one["amount"] != 42}
        assert charged["reward"] == each
        cost = sum(one["amount"] + one["fee"] for one in there.state()["payments"])
        with here.store.read() as connection:
            assert standing(connection, here.folder).paid.minor == cost, "our books reckon with what the site took"


def test_large_hits_are_not_reckoned_as_small_ones_later(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path, "per_hit = 20") as here:
        here.publish(20)
        config = here.folder.path / "campaign.toml"
        config.write_text(config.read_text(encoding="utf-8").replace("per_hit = 20", "per_hit = 9"), encoding="utf-8")
        with pytest.raises(NotOffered, match=r"a HIT for 20 workers, .* Set \[platform\.mturk\] per_hit to 10 or more"):
            publish(here.folder.path, platform="mturk", places=25)


def test_hits_for_masters_are_not_reckoned_as_those_for_anybody_later(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path, MASTERS) as here:
        publish(here.folder.path, platform="mturk", places=2)
        config = here.folder.path / "campaign.toml"
        config.write_text(config.read_text(encoding="utf-8").replace(MASTERS, ""), encoding="utf-8")
        with pytest.raises(
            NotOffered, match=r"HITs for Masters, .* Put that qualification back into \[platform\.mturk\]"
        ):
            publish(here.folder.path, platform="mturk", places=3)
        assert here.sizes() == [2]
