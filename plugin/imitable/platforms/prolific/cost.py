"""What the places cost by Prolific's own reckoning, beside ours."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.money import Money
from imitable.money.amounts import read_money
from imitable.money.earned import most_bonus
from imitable.money.fees import PROLIFIC
from imitable.store import Store

if TYPE_CHECKING:
    from imitable.platforms.prolific.account import Account
    from imitable.platforms.prolific.client import Api


def asked(api: Api, folder: Folder, store: Store, account: Account, places: int) -> tuple[Money, list[str]]:
    """What one place may cost at most by what Prolific says that it takes, and notes for the runner.

    Its fees may be higher than the table's, for tax comes on top.
    """
    currency = folder.config.pay.currency
    base = read_money(folder.config.pay.base, currency)
    said = api.post(
        "/study-cost-calculator/", {"reward": base.minor, "total_available_places": places}, patience="again"
    )
    theirs, rewards = Money(int(said["total_cost"]), currency), base * places
    with store.read() as connection:
        bonus = most_bonus(connection, folder)
    share = Decimal(theirs.minor - rewards.minor) / rewards.minor
    most = (rewards + bonus * places).share(1 + share)
    notes = [f"Prolific charges {theirs} for {places} places; with the largest bonus for everybody it is {most}."]
    if theirs.minor > (rewards + PROLIFIC.on(base) * places).minor:
        notes.append(f"Its fees and tax are {100 * share:.1f} %, more than is published: that much is set aside.")
    if account.total.minor < most.minor:
        notes.append(f"The wallet holds {account.total}: add funds before bonuses are due.")
    return (base + bonus).share(1 + share), notes
