"""The budget: the worst case is set aside before anybody is invited, and what does not fit the cap is refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from imitable.campaign import Folder
from imitable.errors import MoneyError
from imitable.money.amounts import Money, read_money
from imitable.money.earned import most_bonus
from imitable.money.fees import fee_on
from imitable.money.ledger import Line, counting, decide
from imitable.store import Store, tables
from imitable.store import money_tables as money

WARN_AT = 0.8
"""Share of the cap from which the runner is warned."""


@dataclass(frozen=True)
class Aside:
    """What was set aside for a publication."""

    standing: Standing
    """Where the money is now."""
    places: int
    """Sittings for which money was set aside now, beyond those of before."""
    amount: Money
    """What that came to."""


@dataclass(frozen=True)
class Standing:
    """Where a campaign's money is."""

    cap: Money | None
    """[pay] cap, or None where there is none."""
    paid: Money
    """What was sent and arrived, fees included."""
    owed: Money
    """What is owed, in doubt or refused, with the fees it will take; without work that somebody made up."""
    aside: Money
    """The worst case of the places that were offered and have not ended, fees included."""

    @property
    def bound(self) -> Money:
        """Everything that is spent, or may be."""
        return self.paid + self.owed + self.aside

    @property
    def left(self) -> Money | None:
        """What may still be offered."""
        return None if self.cap is None else self.cap - self.bound

    @property
    def warning(self) -> str:
        """A sentence once 80 % of the cap are bound; empty before."""
        if self.cap is None or self.bound.minor < WARN_AT * self.cap.minor:
            return ""
        return f"{self.bound} of the cap of {self.cap} are spent or set aside."


def worst_case(connection: Connection, folder: Folder, platform: str) -> Money:
    """The most that one sitting can cost: base and the largest bonus that any target allows, with fees on both."""
    config = folder.config
    base, bonus = read_money(config.pay.base, config.pay.currency), most_bonus(connection, folder)
    return base + fee_on(config, platform, base, "base") + bonus + fee_on(config, platform, bonus, "bonus")


def standing(connection: Connection, folder: Folder) -> Standing:
    """Where the money is now."""
    pay = folder.config.pay
    nothing = Money(0, pay.currency)
    paid, owed = nothing, nothing
    lines = counting(connection)
    filled = _filled(connection, lines)
    for line in lines:
        cost = line.amount + (line.fee or fee_on(folder.config, line.platform, line.amount, line.kind))
        if line.stand == "paid":
            paid += cost
        else:
            owed += cost
    aside = nothing
    places = func.sum(money.reservations.c.places)
    for row in connection.execute(
        select(
            money.reservations.c.platform, places.label("places"), func.max(money.reservations.c.each).label("each")
        ).group_by(money.reservations.c.platform)
    ):
        each = max(int(row.each), worst_case(connection, folder, row.platform).minor)  # [pay] may have been raised
        aside += Money(each, pay.currency) * max(0, int(row.places) - len(filled[row.platform]))
    cap = None if pay.cap is None else read_money(pay.cap, pay.currency)
    return Standing(cap, paid, owed, aside)


def _filled(connection: Connection, lines: Sequence[Line]) -> dict[str, set[str]]:
    """Sittings that fill a place, by platform: of those who earned something, and are who they say or were paid."""
    sittings = tables.sittings.c
    proven = set(connection.execute(select(sittings.sitting_id).where(sittings.proven)).scalars())
    filled: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        if line.stand == "paid" or (line.amount.minor and line.sitting_id in proven):
            filled[line.platform].add(line.sitting_id)
    return filled


def set_aside(
    store: Store,
    folder: Folder,
    platform: str,
    places: int,
    *,
    now: datetime,
    charged: Money | None = None,
    dry_run: bool = False,
) -> Aside:
    """Set the worst case of `places` sittings in all aside for a platform; those set aside before are among them.

    `charged` is what one may cost by the platform's own reckoning; it counts where it is more than ours, and so does
    what was set aside for one before. With `dry_run` nothing is kept. Raises MoneyError, and sets nothing aside, when
    it does not fit the cap.
    """
    with store.write() as connection:
        _lock(connection)
        before, most = _set_aside(connection, platform)
        worst = worst_case(connection, folder, platform)
        each = Money(max(worst.minor, most, charged.minor if charged else 0), worst.currency)
        more = max(0, places - before)
        if more or each.minor > most:
            _append(connection, platform, more, each, now=now)
        now_bound = standing(connection, folder)
        if now_bound.left is not None and now_bound.left.minor < 0 and (more or each.minor > most):
            fits = before + max(0, (now_bound.left + each * more).minor // max(1, each.minor))
            raise MoneyError(
                f"{max(places, before)} sittings on {platform} may cost {each} each, fees included. With what is bound "
                f"already that comes to {now_bound.bound}, more than the cap of {now_bound.cap}. Nothing was offered. "
                f"Offer {fits} at most, or raise [pay] cap."
                if more
                else f"With [pay] as it stands now, the {before} sittings on {platform} may cost {each} each, and all "
                f"together {now_bound.bound}, more than the cap of {now_bound.cap}. Nothing was offered. Lower [pay] "
                "base or bonus_per_point, or raise cap."
            )
        if dry_run:
            connection.rollback()
    return Aside(now_bound, more, each * more)


def give_back(store: Store, platform: str, aside: Aside, *, offered: int | None, now: datetime) -> Money:
    """Free what was set aside for a publication that certainly invited nobody, by a row that says so: how much.

    Where it is known how many sittings are `offered` there all the same, what was set aside beyond them is freed, too:
    an earlier run may have been cut short between setting aside and offering.
    """
    with store.write() as connection:
        _lock(connection)
        places, most = _set_aside(connection, platform)
        free = aside.places if offered is None else places - offered
        each = Money(most, aside.amount.currency)
        if free > 0:
            _append(connection, platform, -free, each, now=now)
    return each * max(0, free)


def free_the_rest(store: Store, folder: Folder, platform: str, *, now: datetime) -> Money:
    """Free what is set aside for places that nobody can fill any more, by a row that says so: how much.

    For when recruiting has ended and nobody is playing. Sittings that earned something keep their place, which they
    fill by the time they are paid, and those that have not ended theirs: else the first to be paid would take what is
    aside for the others.
    """
    decide(store, folder, now=now)
    with store.write() as connection:
        _lock(connection)
        places, most = _set_aside(connection, platform)
        sittings = tables.sittings.c
        open_ones = select(func.count()).where(sittings.platform == platform, sittings.ended_at.is_(None))
        earned = {line.sitting_id for line in counting(connection, platform=platform) if line.amount.minor}
        rest = max(0, places - len(earned) - int(connection.execute(open_ones).scalar_one()))
        each = Money(most, folder.config.pay.currency)
        if rest:
            _append(connection, platform, -rest, each, now=now)
    return each * rest


def _lock(connection: Connection) -> None:
    """One after the other, on whatever platforms: what each of them sees is what the others left."""
    connection.execute(select(tables.campaigns.c.campaign_id).with_for_update())


def _set_aside(connection: Connection, platform: str) -> tuple[int, int]:
    """Places that money is set aside for, and the most that one of them may cost."""
    reservations = money.reservations.c
    query = select(func.coalesce(func.sum(reservations.places), 0), func.coalesce(func.max(reservations.each), 0))
    places, each = connection.execute(query.where(reservations.platform == platform)).one()
    return int(places), int(each)


def _append(connection: Connection, platform: str, places: int, each: Money, *, now: datetime) -> None:
    """A row of the book of reservations; its name is its number."""
    rows = select(func.count()).where(money.reservations.c.platform == platform)
    number = int(connection.execute(rows).scalar_one()) + 1
    row = {"platform": platform, "name": f"{number}: {places:+d}", "places": places}
    connection.execute(
        insert(money.reservations).values(row | {"each": each.minor, "currency": each.currency} | {"made_at": now})
    )
