"""What platforms take, as published: a table with its sources. What a platform says itself when asked counts more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from imitable.money.amounts import Money


@dataclass(frozen=True)
class Fee:
    """A platform's share of each payment."""

    share: Decimal
    """Of the amount paid: 0.2 for a fifth."""
    least: int
    """At least so many of the smallest unit for each payment that is not zero."""
    source: str
    seen: date
    """When the source was read."""

    def on(self, amount: Money) -> Money:
        """The fee on one payment, rounded half up."""
        if amount.minor == 0:
            return amount
        return Money(max(self.least, amount.share(self.share).minor), amount.currency)


NONE = Fee(Decimal(0), 0, "paid by hand", date(2026, 11, 26))

FEES = {
    "prolific": Fee(
        Decimal("0.428"),
        0,
        "the highest share that Prolific names for studies, before tax; academic accounts pay about a third. 'pay' "
        "shows what Prolific itself charges",
        date(2026, 11, 22),
    ),
    "mturk": Fee(
        Decimal("0.4"),
        1,
        "mturk.com/pricing as of 2026-10-07: 20 % of reward and bonus, 20 % more from ten assignments on, one cent at "
        "least; the service closed on 2026-09-30",
        date(2026, 11, 22),
    ),
}
"""By platform; what is not in it takes nothing."""


def fee_on(platform: str, amount: Money) -> Money:
    """The fee of one payment, as far as the table knows it: never less than it will be."""
    return FEES.get(platform, NONE).on(amount)
