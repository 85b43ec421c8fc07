"""What the places cost by Prolific's own reckoning, beside ours."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.errors import MoneyError
from imitable.money import Money
from imitable.money.amounts import read_money
from imitable.money.budget import worst_case
from imitable.money.earned import most_bonus
from imitable.money.fees import fee_on
from imitable.store import Store

if TYPE_CHECKING:
    from imitable.platforms.prolific.account import Account
    from imitable.platforms.prolific.client import Api


def asked(api: Api, folder: Folder, store: Store, account: Account, places: int) -> list[str]:
    """What Prolific says that so many places cost, as notes for the runner.

    Its fees may be higher than the table's, for tax comes on top. Raises MoneyError when with them the worst case does
    not fit the cap.
    """
    currency = folder.config.pay.currency
    base = read_money(folder.config.pay.base, currency)
    said = api.post(
        "/study-cost-calculator/", {"reward": base.minor, "total_available_places": places}, patience="again"
    )
    theirs, rewards = Money(int(said["total_cost"]), currency), base * places
    with store.read() as connection:
        bonus, reserved = most_bonus(connection, folder), worst_case(connection, folder, "prolific")
    share = Decimal(theirs.minor - rewards.minor) / rewards.minor
    most = (rewards + bonus * places).share(1 + share)
    notes = [f"Prolific charges {theirs} for {places} places; with the largest bonus for everybody it is {most}."]
    if theirs.minor > (rewards + fee_on("prolific", base) * places).minor:
        cap = folder.config.pay.cap
        if cap is not None and most.minor > read_money(cap, currency).minor:
            each = (base + bonus).share(1 + share)
            fits = read_money(cap, currency).minor // each.minor
            raise MoneyError(
                f"With what Prolific takes ({100 * share:.1f} %), {places} places may cost {most}, more than the cap "
                f"of {cap} {currency}. Nothing was offered. Offer {fits} at most, or raise [pay] cap."
            )
        notes.append(f"Its fees and tax are {100 * share:.1f} %, more than the {reserved * places} that is set aside.")
    if account.total.minor < most.minor:
        notes.append(f"The wallet holds {account.total}: add funds before bonuses are due.")
    return notes
