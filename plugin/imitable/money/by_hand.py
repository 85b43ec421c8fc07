"""Paying by hand: where no platform moves the money, the runner hands it over and says so."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta

from imitable.money.amounts import Money, total
from imitable.money.payer import Answer, Batch, Payout, Seen


class ByHand:
    """A payer for whom the typed total is the proof that the money was handed over."""

    endpoint = "by hand"
    stand_in = False
    remembers = timedelta(days=36_500)
    settling = timedelta(0)
    tells_all = False
    most_at_once = 10_000
    reads_at_once = sys.maxsize

    def __init__(self, name: str) -> None:
        self.name = name

    def approve(self, payout: Payout) -> Answer:
        """It was handed over."""
        return Answer(payout.operation_id, "paid", {"by": "hand"})

    def prepare(self, payouts: Sequence[Payout]) -> Batch:
        """Nothing has to be prepared."""
        return Batch(
            payouts[0].operation_id, payouts, total([one.amount for one in payouts], payouts[0].amount.currency)
        )

    def bonus(self, batch: Batch) -> Sequence[Answer]:
        """It was handed over."""
        return [self.approve(payout) for payout in batch.payouts]

    def list_payments(self, payouts: Sequence[Payout]) -> Sequence[Seen]:
        """Nobody keeps a list but we."""
        return []

    def balance(self) -> Money | None:
        """Not known."""
        return None
