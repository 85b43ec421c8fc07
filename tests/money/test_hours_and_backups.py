"""Clocks, lists and backups that lie about what was paid: what would pay twice is not sent."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from hostile_platform import START, HostilePlatform, mturk_like, owe, prolific_like
from imitable.campaign import Folder
from imitable.commands.accounts import settle
from imitable.errors import MoneyError
from imitable.money.amounts import Money
from imitable.money.earned import Owed
from imitable.money.ledger import learn, oblige
from imitable.money.payer import Answer
from imitable.money.paying import Paymaster
from imitable.money.reconciling import reconcile
from imitable.store import Store, money_tables, open_store
from imitable.testing import invented_campaign


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[tuple[Folder, Store]]:
    folder = invented_campaign(tmp_path / "campaign", targets=1)
    with closing(open_store(folder)) as store:
        yield folder, store


def master_of(folder: Folder, store: Store, platform: HostilePlatform) -> Paymaster:
    return Paymaster(store, folder, platform, lambda: platform.now)


def test_a_payment_that_was_sent_again_a_minute_ago_is_not_taken_for_unpaid(campaign: tuple[Folder, Store]) -> None:
    folder, store = campaign
    platform = mturk_like(0, faults=0.0)
    owe(folder, store, "mturk", 2)
    master = master_of(folder, store, platform)
    platform.next_faults = ["", "", "before"]  # both are approved; the request for the bonus never comes
    master.pay(master.lines())
    platform.now += timedelta(hours=22.9)
    platform.next_faults = ["after"]  # asked once more: paid, and the answer is lost
    master.pay(master.lines())
    platform.now += timedelta(hours=0.3)  # the platform's list may still lag, and our operation id is too old
    platform.lags = 1.0
    for _ in range(3):
        master.pay(master.lines())
        platform.now += timedelta(hours=0.3)
    platform.now += timedelta(hours=2)
    master.pay(master.lines())
    assert len(platform.paid) == 1
    assert [line.stand for line in master.lines()] == ["paid", "nothing", "paid", "paid"]


@pytest.mark.parametrize("remembers", [0, 23])
@pytest.mark.parametrize("late", [0.9, 25])
def test_a_payment_that_is_carried_out_late_and_listed_later_is_not_made_again(
    campaign: tuple[Folder, Store], remembers: int, late: float
) -> None:
    folder, store = campaign
    platform = mturk_like(0, faults=0.0)
    platform.remembers = timedelta(hours=remembers)
    platform.lags = 1.0
    owe(folder, store, "mturk", 2)
    master = master_of(folder, store, platform)
    platform.next_faults = ["", "", "late"]
    master.pay(master.lines())
    [(_, work)] = platform.on_their_way
    platform.on_their_way = [(platform.now + timedelta(hours=late), work)]
    platform.now += timedelta(hours=late, seconds=22)
    for hours in (0.2, 0.5, 0.4, 0.5, 25):
        master.pay(master.lines())
        platform.now += timedelta(hours=hours)
    assert [minor for _, _, _, minor in platform.paid] == [1]
    assert [line.stand for line in master.lines()] == ["paid", "nothing", "paid", "paid"]


def test_what_is_missing_twice_from_a_list_that_holds_everything_is_sent_once_more(
    campaign: tuple[Folder, Store],
) -> None:
    folder, store = campaign
    platform = mturk_like(0, faults=0.0)
    owe(folder, store, "mturk", 2)
    master = master_of(folder, store, platform)
    platform.next_faults = ["", "", "before"]
    master.pay(master.lines())
    platform.now += timedelta(hours=25)
    said = master.pay(master.lines())
    assert (said.paid, said.doubtful) == (0, 1)
    assert said.reasons == (
        "1 were not in the platform's list, which may lag: a second look, after 2026-11-02 02:05 UTC, decides. "
        "Pay again then.",
    )
    platform.now += timedelta(hours=0.9)
    assert master.pay(master.lines()).reasons == said.reasons, "too soon: the first look counts"
    assert not platform.paid
    platform.now += timedelta(hours=0.2)
    done = master.pay(master.lines())
    assert (done.settled, done.paid, done.doubtful, done.reasons) == (1, 1, 0, ())
    assert [minor for _, _, _, minor in platform.paid] == [1]


def test_a_repetition_is_noted_when_it_goes_out_and_left_out_once_the_platform_has_forgotten_it(
    campaign: tuple[Folder, Store],
) -> None:
    folder, store = campaign
    platform = mturk_like(0, faults=0.0)
    owe(folder, store, "mturk", 4)
    master = master_of(folder, store, platform)
    platform.next_faults = ["", "", "", "", *["before"] * 3]
    master.pay(master.lines())

    def stalls() -> None:
        platform.now += timedelta(hours=0.3)

    platform.now = START + timedelta(hours=22.5)
    platform.next_faults, platform.meanwhile = ["before"] * 3, [stalls] * 3
    master.pay(master.lines())
    heard = [line.heard_at for line in master.lines() if line.doubtful]
    assert heard == [START + timedelta(hours=hours) for hours in (22.8, 23.1, 0)]
    assert platform.next_faults == ["before"], "the third was not asked for any more"


def test_what_is_in_the_list_and_refused_by_our_books_is_a_difference(campaign: tuple[Folder, Store]) -> None:
    folder, store = campaign
    platform = mturk_like(0, faults=0.0)
    platform.lags = 0.0
    owe(folder, store, "mturk", 2)
    master = master_of(folder, store, platform)
    platform.next_faults = ["", "", "refused"]
    master.pay(master.lines())
    [bonus] = [line for line in master.lines() if line.stand == "failed"]
    platform.paid.append((platform.now, bonus.assignment, str(bonus.operation_id), 1))
    lines = master.lines()
    [only] = reconcile(platform, lines, master.payouts(lines), lambda: platform.now)
    assert only.kind == "not booked"
    assert only.sentence.endswith("and not paid by our books. Then: imitable settle, paid.")


@pytest.mark.parametrize("like", [mturk_like, prolific_like])
def test_books_that_were_lost_and_computed_otherwise_pay_nobody_for_the_same_work_until_a_person_says_so(
    campaign: tuple[Folder, Store], like: Callable[[int, float], HostilePlatform]
) -> None:
    folder, store = campaign
    platform = like(0, 0.0)
    owe(folder, store, platform.name, 3)
    master = master_of(folder, store, platform)
    master.pay(master.lines())
    paid = list(platform.paid)
    with store.write() as connection:  # the backup knew nothing, and the bonus is another one by now
        for table in (money_tables.outcomes, money_tables.attempts, money_tables.batches):
            connection.execute(delete(table))
        bonus = money_tables.obligations.c
        connection.execute(
            update(money_tables.obligations).where(bonus.kind == "bonus", bonus.amount > 0).values(amount=7)
        )
    (folder.path / "sent.log").unlink()
    platform.now += timedelta(hours=30)
    said = master.pay(master.lines())
    assert "For the work of 2 the platform lists a payment that is in no book of ours" in " ".join(said.reasons)
    assert platform.paid == paid
    held = [line for line in master.lines() if line.stand == "failed"]
    assert [line.said["found"] for line in held] == [
        "0.01 USD for the same work, not ours",
        "0.02 USD for the same work, not ours",
    ]
    master.pay(master.lines())
    assert platform.paid == paid
    with store.write() as connection:  # settle: one of the two is owed besides
        learn(connection, [Answer(str(held[0].operation_id), "absent", {"decision": 1})], now=platform.now)
    master.pay(master.lines())
    assert [(work, minor) for _, work, _, minor in platform.paid] == [("W1", 1), ("W2", 2), ("W1", 7)]


def test_a_bonus_that_arrived_after_a_person_said_that_it_had_not_is_not_sent_again(
    campaign: tuple[Folder, Store],
) -> None:
    folder, store = campaign
    platform = prolific_like(0, 0.0)
    owe(folder, store, "prolific", 2)
    platform.next_faults = ["", "", "after"]
    platform.lags = 1.0
    master = master_of(folder, store, platform)
    master.pay(master.lines())
    [doubtful] = [line for line in master.lines() if line.doubtful]
    with store.write() as connection:
        learn(connection, [Answer(str(doubtful.operation_id), "absent", {"decision": 1})], now=platform.now)
    platform.now += timedelta(hours=2)
    assert "1 stood in the platform's list already" in " ".join(master.pay(master.lines()).reasons)
    assert len(platform.paid) == 1


def test_a_list_that_may_leave_out_a_payment_for_ever_is_no_proof_that_it_was_not_made(
    campaign: tuple[Folder, Store],
) -> None:
    folder, store = campaign
    platform = prolific_like(0, 0.0)
    owe(folder, store, "prolific", 2)
    platform.next_faults = ["", "", "after"]
    platform.lags = 1e6
    master = master_of(folder, store, platform)
    for _ in range(5):
        master.pay(master.lines())
        platform.now += timedelta(hours=30)
    assert len(platform.paid) == 1
    assert [line.kind for line in master.lines() if line.doubtful] == ["bonus"]


def test_a_second_bonus_of_the_same_amount_is_not_taken_for_the_one_in_doubt(campaign: tuple[Folder, Store]) -> None:
    folder, store = campaign
    platform = prolific_like(0, 0.0)
    owe(folder, store, "prolific", 2)
    platform.next_faults = ["", "", "after"]
    master = master_of(folder, store, platform)
    platform.lags = 1.0
    master.pay(master.lines())
    with store.write() as connection:
        who = folder.annotator_id("prolific", "P1")
        oblige(
            connection, folder, Owed("s_1", who, "prolific", "W1", "top_up:1", Money(1, "USD"), {}), now=platform.now
        )
    lagging = iter([[], platform.paid])  # the payment appears between the two times that the list is read
    honest = platform.list_payments
    platform.now += timedelta(hours=2)

    def list_payments(payouts):  # type: ignore[no-untyped-def]
        platform.lags = 1e6 if not next(lagging) else 0.0
        return honest(payouts)

    platform.list_payments = list_payments  # type: ignore[method-assign]
    master.pay(master.lines())
    platform.list_payments = honest  # type: ignore[method-assign]
    master.pay(master.lines())
    stands = {line.kind: line.stand for line in master.lines() if line.assignment == "W1"}
    assert stands == {"base": "paid", "bonus": "paid", "top_up:1": "paid"}
    assert [minor for _, _, _, minor in platform.paid] == [1, 1]


def test_a_platform_that_paid_another_amount_under_our_reference_is_named(campaign: tuple[Folder, Store]) -> None:
    folder, store = campaign
    platform = mturk_like(0, 0.0)
    owe(folder, store, "mturk", 2)
    master = master_of(folder, store, platform)
    master.pay(master.lines())
    at, work, tag, _ = platform.paid[0]
    platform.paid[0] = (at, work, tag, 100)
    platform.now += timedelta(hours=2)
    lines = master.lines()
    [only] = reconcile(platform, lines, master.payouts(lines), lambda: platform.now)
    assert only.kind == "another amount"
    assert "is in the list of mturk with 1.00 USD" in only.sentence


def test_a_batch_that_was_sent_before_is_not_sent_again(campaign: tuple[Folder, Store]) -> None:
    folder, store = campaign
    platform = prolific_like(0, 0.0)
    platform.most_at_once = 1
    owe(folder, store, "prolific", 3)
    honest = platform.prepare

    def prepare(payouts):  # type: ignore[no-untyped-def]
        made = honest(payouts)
        return type(made)("bulk-1", made.payouts, made.amount)

    platform.prepare = prepare  # type: ignore[method-assign]
    master = master_of(folder, store, platform)
    with pytest.raises(MoneyError, match=r"the batch bulk-1, already\. Nothing of it was sent by this one"):
        master.pay(master.lines())
    assert len(platform.paid) == 1


def test_books_put_back_within_the_hour_that_a_list_lags_pay_nobody_again(
    campaign: tuple[Folder, Store], tmp_path: Path
) -> None:
    folder, store = campaign
    platform = prolific_like(0, 0.0)
    owe(folder, store, "prolific", 5)
    older = tmp_path / "backup.db"
    with closing(sqlite3.connect(folder.path / "campaign.db")) as live, closing(sqlite3.connect(older)) as copy:
        live.backup(copy)
    platform.lags = 1.0
    master = master_of(folder, store, platform)
    master.pay(master.lines())
    paid = list(platform.paid)
    assert len(paid) == 4
    with closing(sqlite3.connect(folder.path / "campaign.db")) as live, closing(sqlite3.connect(older)) as copy:
        copy.backup(live)
    with pytest.raises(MoneyError, match=r"older than its payments: 9 that it knows nothing of were sent, .*sent\.log"):
        master.pay(master.lines())
    assert platform.paid == paid
    (folder.path / "sent.log").unlink()  # they are lost; but the list shows the payments by now
    platform.now += timedelta(hours=2)
    master.pay(master.lines())
    assert platform.paid == paid
    assert {line.stand for line in master.lines()} == {"paid", "nothing"}


def test_what_did_not_go_through_three_times_waits_for_a_person_whose_word_sends_it(
    campaign: tuple[Folder, Store],
) -> None:
    folder, store = campaign
    platform = mturk_like(0, 0.0)
    owe(folder, store, "mturk", 2)
    master = master_of(folder, store, platform)
    for faults in (["", "", "before"], [], ["before"], [], ["before"], [], []):  # each looked for twice
        platform.next_faults = faults
        said = master.pay(master.lines())
        platform.now += timedelta(hours=25)
    assert said.reasons[0].startswith("1 did not go through 3 times: look there, then 'imitable settle'")
    assert master.pay(master.lines()).paid == 0
    [tired] = [line for line in master.lines() if line.payable]
    assert (tired.kind, tired.stand, tired.attempts) == ("bonus", "absent", 3)
    settle(folder.path, str(tired.operation_id), paid=False, why="not in its list")
    assert master.pay(master.lines()).paid == 1
    assert [minor for _, _, _, minor in platform.paid] == [1]


def test_a_clock_that_went_back_pays_nobody(campaign: tuple[Folder, Store]) -> None:
    folder, store = campaign
    platform = mturk_like(0, 0.0)
    owe(folder, store, "mturk", 3)
    master = master_of(folder, store, platform)
    master.pay(master.lines()[:1])
    platform.now -= timedelta(minutes=4)  # another machine's
    master.pay(master.lines()[:2])
    platform.now -= timedelta(minutes=2)
    before = list(platform.paid)
    with pytest.raises(
        MoneyError, match=r"says 2026-10-31 23:54 UTC, and the books have a payment of 2026-11-01 00:00"
    ):
        master.pay(master.lines())
    assert platform.paid == before


def test_what_cannot_be_noted_is_not_sent_and_not_in_doubt(
    campaign: tuple[Folder, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = campaign
    platform = prolific_like(0, 0.0)
    owe(folder, store, "prolific", 3)
    master = master_of(folder, store, platform)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write = os.write

    def short(file: int, data: bytes) -> int:
        return write(file, data[: len(data) // 2])

    for name, failing in (("fsync", full), ("write", short)):
        with monkeypatch.context() as disk:
            disk.setattr(f"imitable.money.sent.os.{name}", failing)
            with pytest.raises(
                MoneyError, match=r"sent\.log cannot be written .*No space left.* Nothing of this was sent\."
            ):
                master.pay(master.lines())
        assert not platform.paid
        assert not platform.approved
    master.pay(master.lines())
    assert len(platform.paid) == 2
    assert {line.stand for line in master.lines()} == {"paid", "nothing"}


@pytest.mark.parametrize("late", ["unreached", "refused", "before"])
def test_a_run_that_was_overtaken_does_not_undo_what_the_other_found(campaign: tuple[Folder, Store], late: str) -> None:
    """Two runs at once, although they should take turns: the second asks again, and is answered first."""
    folder, store = campaign
    platform = mturk_like(0, faults=0.0)
    owe(folder, store, "mturk", 2)
    master, other = master_of(folder, store, platform), master_of(folder, store, platform)
    platform.next_faults = ["", "", late]  # of the first run; the second's are left to chance, of which there is none
    platform.meanwhile = [lambda: None, lambda: None, lambda: other.pay(other.lines())]
    master.pay(master.lines())
    for _ in range(3):
        platform.now += timedelta(hours=0.4)
        master.pay(master.lines())
    assert [minor for _, _, _, minor in platform.paid] == [1]
    assert [line.stand for line in master.lines()] == ["paid", "nothing", "paid", "paid"]
