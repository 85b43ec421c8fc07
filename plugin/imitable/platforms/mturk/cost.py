"""What the places cost by the published prices, beside what is in the account."""

from __future__ import annotations

from collections.abc import Collection

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.money import Money
from imitable.money.amounts import total
from imitable.money.earned import most_bonus
from imitable.money.fees import FEW, MTURK, mturk_reward
from imitable.platforms.mturk.hits import reward_of, settings_of
from imitable.store import Store


def said(folder: Folder, store: Store, sizes: Collection[int], balance: Money | None) -> list[str]:
    """What HITs of these sizes cost, as notes for the runner. `balance` is None where the site was not asked.

    Raises PlatformError where one of them costs more than the books would reckon with by `per_hit`.
    """
    if max(sizes) > FEW >= settings_of(folder).per_hit:
        raise PlatformError(
            f"There is a HIT for {max(sizes)} workers, on whose rewards the fee is twice that of HITs for {FEW} or "
            f"fewer. Set [platform.mturk] per_hit to {FEW + 1} or more again, so that the books reckon with it."
        )
    reward = reward_of(folder)
    with store.read() as connection:
        bonus = most_bonus(connection, folder)
    rewards = total([(reward + mturk_reward(folder.config, size).on(reward)) * size for size in sizes], reward.currency)
    most = rewards + (bonus + MTURK.on(bonus)) * sum(sizes)
    notes = [
        f"By Amazon's last prices ({MTURK.seen:%Y-%m-%d}) {sum(sizes)} places cost {rewards}; with the largest bonus "
        f"for everybody it is {most}."
    ]
    if balance is not None and balance.minor < most.minor:
        notes.append(f"The account holds {balance}: add funds before anybody is paid.")
    return notes
