"""What platforms take, as published: a table with its sources. What a platform says itself when asked counts more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from imitable.campaign import Campaign
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


PROLIFIC = Fee(
    Decimal("0.428"),
    0,
    "the highest share that Prolific names for studies, before tax; academic accounts pay about a third. 'pay' shows "
    "what Prolific itself charges",
    date(2026, 11, 22),
)
MTURK = Fee(
    Decimal("0.2"),
    1,
    "mturk.com/pricing as of 2026-10-07: 20 % of reward and bonus, one cent at least; of the reward 20 % more from ten "
    "assignments on, 5 % more for Masters; the service closed on 2026-09-30",
    date(2026, 11, 22),
)
"""On bonuses, and on the rewards of HITs for nine workers or fewer."""

FEW = 9
"""Workers that a HIT may be for at the lower fee. One that was made for so few cannot be enlarged to more."""
MORE, MASTERS_MORE = Decimal("0.2"), Decimal("0.05")
"""What is taken of a reward on top: of a HIT for more workers, and of one that only Masters may take."""
MASTERS = ("2F1QJWKUDD8XADTFD2Q0G6UTO95ALH", "2ARFPLSP75KLA8M8DH1HTEQVJT3SY6")
"""Ids of that qualification, live and in the sandbox."""


def mturk_reward(config: Campaign, size: int) -> Fee:
    """The fee on one reward of a campaign's HIT for so many workers."""
    settings = config.platform.mturk
    masters = settings is not None and any(one.type in MASTERS for one in settings.qualifications)
    return replace(MTURK, share=MTURK.share + MORE * (size > FEW) + MASTERS_MORE * masters)


def fee_on(config: Campaign, platform: str, amount: Money, kind: str) -> Money:
    """The fee of one payment, as far as the table knows it: never less than it will be.

    `kind` is an obligation's: a base is a reward where those cost more. What is not in the table takes nothing.
    """
    match platform:
        case "prolific":
            return PROLIFIC.on(amount)
        case "mturk" if kind == "base":
            settings = config.platform.mturk
            return mturk_reward(config, FEW if settings is None else settings.per_hit).on(amount)
        case "mturk":
            return MTURK.on(amount)
        case _:
            return Money(0, amount.currency)
