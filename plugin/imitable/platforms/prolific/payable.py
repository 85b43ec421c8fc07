"""What a submission says about money: whether it can be paid, what it was paid, and in which words it is refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from imitable.errors import NoAnswer, PlatformError
from imitable.money import Batch, Held, Money, Payout
from imitable.money.amounts import total
from imitable.platforms.prolific.refusals import said_in

if TYPE_CHECKING:
    from imitable.platforms.prolific.client import Row

UNDER_WAY = ("RESERVED", "ACTIVE")
APPROVED = "APPROVED"
APPROVABLE = ("AWAITING REVIEW", "TIMED-OUT")
"""Statuses from which work is approved. Of work that timed out the documents do not say so: Prolific is asked."""


def problem_of(payout: Payout, row: Row | None, study: Row) -> Held | None:
    """Why this cannot be paid for this submission of this study, as things stand; None where it can.

    Bonuses can be paid whatever became of a submission once it was handed in, returned or timed out ones included.
    """
    if row is None:
        return Held("Prolific knows no such submission", final=True, nobody=True)
    status, reward = str(row["status"]), Money(int(study["reward"]), payout.amount.currency)
    if str(row.get("participant")) != payout.platform_id:
        return Held("the submission is another participant's", final=True, nobody=True)
    if str(row["study_id"]) != str(study["id"]):
        return Held("the submission is of another study", final=True, nobody=True)
    if status in UNDER_WAY:
        return Held("the work was not handed in on Prolific", final=False)
    if payout.kind == "base" and status not in (APPROVED, *APPROVABLE):
        return Held(f"a submission that is {status} cannot be approved: pay it by a top-up", final=True)
    if payout.kind == "base" and reward != payout.amount:
        return Held(f"the study pays {reward}: approve it on Prolific, and settle the rest by hand", final=True)
    if payout.kind == "partial" and status == APPROVED:
        return Held("the work was approved for the whole reward", final=True)
    return None


def bonuses_in(row: Row) -> Counter[int]:
    """The bonuses that a submission was paid: how often which amount, in cents."""
    return Counter(cents(amount) for amount in row.get("bonus_payments") or ())


def cents(number: float | str) -> int:
    """Cents, which Prolific writes as floating point. Raises PlatformError where a part of one is there."""
    if float(number) != int(float(number)):
        raise PlatformError(f"Prolific tells of {number} cents, which is no amount. Look at the payments there.")
    return int(float(number))


def shared(batch: Batch) -> Iterator[Money | None]:
    """A batch's fee by payout, to the cent in all."""
    amounts = total([payout.amount for payout in batch.payouts], batch.amount.currency).minor
    passed, given = 0, 0
    for payout in batch.payouts:
        if batch.fee is None:
            yield None
            continue
        passed += payout.amount.minor
        share = batch.fee.minor * passed // max(1, amounts) - given
        given += share
        yield Money(share, batch.fee.currency)


def silence(error: NoAnswer) -> str:
    """What is noted where no answer came."""
    return "the connection ended without an answer" if error.connected else "there was no connection"


def words_of(said: Any, *payouts: Payout) -> str:
    """A refusal in the platform's words, without the ids of people and of their work."""
    text = said_in(json.dumps(said).encode())
    for payout in payouts:
        for name in (payout.platform_id, payout.assignment):
            text = text.replace(name, "...") if name else text
    return text
