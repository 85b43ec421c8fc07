"""What the places cost by the published prices, beside what is in the account."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from imitable.campaign import Folder
from imitable.money import Money
from imitable.money.earned import most_bonus
from imitable.money.fees import FEES, Fee
from imitable.platforms.mturk.hits import FEW, reward_of
from imitable.store import Store

_MOST = FEES["mturk"]
BONUS = Fee(Decimal("0.2"), _MOST.least, _MOST.source, _MOST.seen)
"""On bonuses, and on the rewards of HITs for nine workers or fewer."""


def fee_on_reward(reward: Money, size: int) -> Money:
    """The fee on one reward of a HIT for so many workers."""
    return (BONUS if size <= FEW else _MOST).on(reward)


def said(folder: Folder, store: Store, sizes: Iterable[int], balance: Money | None) -> list[str]:
    """What HITs of these sizes cost, as notes for the runner. `balance` is None where the site was not asked."""
    reward, sizes = reward_of(folder), list(sizes)
    with store.read() as connection:
        bonus = most_bonus(connection, folder)
    nothing = Money(0, reward.currency)
    rewards = sum(((reward + fee_on_reward(reward, size)) * size for size in sizes), nothing)
    bonuses = (bonus + BONUS.on(bonus)) * sum(sizes)
    most = rewards + bonuses
    notes = [
        f"By Amazon's last prices ({_MOST.seen:%Y-%m-%d}) {sum(sizes)} places cost {rewards}; with the largest bonus "
        f"for everybody it is {most}."
    ]
    if balance is not None and balance.minor < most.minor:
        notes.append(f"The account holds {balance}: add funds before anybody is paid.")
    return notes
