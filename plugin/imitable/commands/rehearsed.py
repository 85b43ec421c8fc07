"""What a rehearsal found: what it costs, what an hour earns, how sharp a ranking gets, and what is to be mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_UP, Decimal
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from imitable.campaign import Folder
from imitable.commands.places import places
from imitable.money.amounts import Money, read_money, total
from imitable.money.budget import worst_case
from imitable.money.fairness import Fairness, fairness
from imitable.money.ledger import Line, statement
from imitable.store import tables

if TYPE_CHECKING:
    from imitable.rehearsal.people import Usual
    from imitable.rehearsal.playing import Took
    from imitable.rehearsal.stages import Sent
    from imitable_aggregation.planning import Forecast
    from imitable_aggregation.rank import RankSummary

MORE = (1, 2, 4)
"""Times the campaign's annotators, for which intervals are forecast."""
STEP = Decimal("0.05")
"""To which a proposed base is rounded up."""


@dataclass
class Rehearsal:
    """What was rehearsed, and how it went."""

    platform: str
    currency: str
    title: str
    """Of the stage: what stood in for the platform."""
    usual: Usual
    per_hour: float
    """People who came in an hour: assumed."""
    places: int = 0
    """Sittings that were offered: the whole campaign's."""
    whole: bool = False
    """Whether as many people came as the campaign needs or has places for, and not a share of them."""
    took: list[Took] = field(default_factory=list)
    targets: int = 0
    """That the campaign has."""
    filled: tuple[int, int] = (0, 0)
    """Finished episodes, and those wanted, at the campaign's size."""
    guesses: int = 0
    seconds: float = 0.0
    """That the rehearsal itself took."""
    cost: Cost | None = None
    fair: Fairness | None = None
    forecasts: list[Forecast] = field(default_factory=list)
    """Of the campaign at its own size, and at more annotators."""
    summary: RankSummary | None = None
    kept: Path | None = None
    happened: list[str] = field(default_factory=list)
    """What went wrong, as it does with people, and what became of it."""
    to_do: list[str] = field(default_factory=list)
    """What is left to do before the real thing."""
    problems: list[str] = field(default_factory=list)
    """What has to be mended; with none, it is ready."""

    @property
    def elapsed(self) -> timedelta:
        """From the first person's coming to the last one's going, as it would be."""
        if not self.took:
            return timedelta(0)
        return max(one.ended for one in self.took) - min(one.began for one in self.took)


@dataclass(frozen=True)
class Cost:
    """What it cost, and what it would cost at the campaign's own size."""

    base: Money
    bonus: Money
    fees: Money
    cap: Money | None
    worst: Money
    """The most that all the places can cost."""
    scale: float
    """Places of the campaign for each person who was paid; 1 where everybody came."""

    @property
    def total(self) -> Money:
        """All of it."""
        return self.base + self.bonus + self.fees

    @property
    def scaled(self) -> Money:
        """For the whole campaign."""
        return Money(round(self.total.minor * self.scale), self.total.currency)


def take_stock(found: Rehearsal, folder: Folder, connection: Connection, sent: Sequence[Sent] | None) -> None:
    """Put into `found` what the books and the record of the copy say. `folder` is the copy."""
    lines = [line for line in statement(connection) if not line.made_up]
    found.cost = _cost(found, folder, connection, lines, sent)
    found.fair = fairness(connection, folder)
    found.targets = _targets(connection)
    found.filled = filled(connection, folder, found.platform)
    found.happened += _happened(found, lines)
    never = {one.visit.submission for one in found.took if one.person.habit == "forgets" and one.visit.submission}
    lost = [line for line in lines if line.payable and line.assignment.partition(" ")[0] in never]
    if lost:
        owed = total([line.amount for line in lost], found.currency)
        found.happened.append(f"{owed} stay owed to who never handed in: the site pays only what was handed in")
    found.problems += _unpaid([line for line in lines if line not in lost]) + _wrongly_paid(lines, sent)
    if found.fair is not None and not found.fair.fair and not any("--although" in one for one in found.problems):
        found.problems.append(_too_little(found.fair, folder))
    cap = found.cost.cap
    if cap is not None and found.cost.scaled.minor > cap.minor:
        found.problems.append(
            f"It would cost {found.cost.scaled}, more than [pay] cap, {cap}. Raise it, or offer less."
        )
    found.to_do += _places_to_offer(found, folder)


def filled(connection: Connection, folder: Folder, platform: str) -> tuple[int, int]:
    """Finished episodes that count, and those that the campaign wants on this platform."""
    offer = next(one for one in places(connection, folder) if one.platform == platform)
    return offer.filled(), _targets(connection) * len(folder.config.episode.levels) * offer.wanted


def _targets(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(tables.targets)).scalar_one())


def forecasts(found: Rehearsal, folder: Folder, honest: float) -> list[Forecast]:
    """How sharp a ranking is to be expected, of this campaign and of more annotators: by the planner's variances."""
    from imitable_aggregation.planning import DEFAULT, forecast

    config = folder.config
    return [
        forecast(
            DEFAULT,
            targets=found.targets,
            annotators=found.places * times,
            episodes=min(config.sitting.episodes, found.targets),
            practice=config.episode.practice,
            held_out=config.episode.held_out,
            pool=config.episode.pool.held_out,
            honest=honest,
        )
        for times in MORE
    ]


def before_publishing(folder: Folder) -> list[str]:
    """What the campaign still has of the one that `imitable new` makes."""
    said = []
    if folder.config.study.contact.endswith("@example.org"):
        said.append("Set [study] contact to your own address.")
    starter = files("imitable.commands").joinpath("starter", "consent.md").read_text(encoding="utf-8")
    if folder.consent_text() == starter.strip():
        said.append(f"Read and edit {folder.config.study.consent}: it is the example's.")
    return said


def _cost(
    found: Rehearsal, folder: Folder, connection: Connection, lines: Sequence[Line], sent: Sequence[Sent] | None
) -> Cost:
    pay = folder.config.pay
    paid = [line for line in lines if line.stand == "paid"]
    sittings = len({line.sitting_id for line in paid if line.amount.minor})
    return Cost(
        base=total([line.amount for line in paid if line.kind != "bonus"], pay.currency),
        bonus=total([line.amount for line in paid if line.kind == "bonus"], pay.currency),
        fees=Money(sum(one.fee for one in sent or ()), pay.currency),
        cap=None if pay.cap is None else read_money(pay.cap, pay.currency),
        worst=worst_case(connection, folder, found.platform) * found.places,
        scale=1.0 if found.whole or not sittings else found.places / sittings,
    )


def _happened(found: Rehearsal, lines: Sequence[Line]) -> list[str]:
    """What people did that a runner would rather not have, and what became of it."""
    habits = Counter(one.person.habit for one in found.took if one.played is not None)
    part = total([line.amount for line in lines if line.kind == "partial"], found.currency)
    said = []
    if habits["leaves"]:
        said.append(f"{habits['leaves']} left halfway: nothing is owed, and their targets go to others")
    if habits["stops"]:
        said.append(
            f"{habits['stops']} stopped early: {f'{part} for the part they did' if part.minor else 'paid whole'}"
        )
    if habits["forgets"] and found.platform == "prolific":
        said.append(
            f"{habits['forgets']} never handed in: paid when their time was over, for the record has their work"
        )
    if habits["forgets"] and found.platform == "mturk":
        said.append(f"{habits['forgets']} never handed in: their places go to others")
    if habits["another code"] and found.platform == "prolific":
        said.append(f"{habits['another code']} mistyped the completion code: paid all the same; 'collect' lists them")
    away = [one for one in found.took if one.played is None]
    if away:
        said.append(f"{len(away)} came when no place was left, and were told: {away[0].said}")
    late = [one for one in found.took if one.played is not None and not one.played.guesses]
    if late:
        said.append(
            f"{len(late)} came when every target had its annotators: thanked, and sent home with nothing to play"
        )
    return said


def _unpaid(lines: Sequence[Line]) -> list[str]:
    said = []
    for what, some in (
        ("in doubt", [line for line in lines if line.doubtful]),
        ("refused", [line for line in lines if line.stand == "failed"]),
        ("not paid", [line for line in lines if line.payable and line.amount.minor]),
    ):
        if some:
            said.append(
                f"{len(some)} payments are {what}, such as {some[0].kind} of {some[0].amount} for "
                f"{some[0].annotator_id}. See what 'imitable pay' says of them, with --keep."
            )
    return said


def _wrongly_paid(lines: Sequence[Line], sent: Sequence[Sent] | None) -> list[str]:
    """The platform's own list of payments beside what is owed, to the cent."""
    if sent is None:
        return []
    owed, reached = Counter[str](), Counter[str]()
    for line in lines:
        if line.stand == "paid":
            owed[line.assignment.partition(" ")[0]] += line.amount.minor
    for one in sent:
        reached[one.submission] += one.amount
    wrong = [name for name in owed | reached if owed[name] != reached[name]]
    if not wrong:
        return []
    return [f"{len(wrong)} people got another amount than the books say. Keep the rehearsal, and report it."]


def _too_little(fair: Fairness, folder: Folder) -> str:
    pay = folder.config.pay
    missing = Decimal(fair.floor.minor - fair.per_hour.minor) * Decimal(repr(fair.active_minutes)) / 60
    more = read_money(pay.base, pay.currency) + Money(int(missing) + 1, pay.currency)
    base = (Decimal(more.decimal) / STEP).to_integral_value(ROUND_UP) * STEP
    return (
        f"An hour would earn {fair.per_hour}, less than [pay] floor_per_hour, {fair.floor}. Raise [pay] base to "
        f"{base}, ask for fewer rounds, or rehearse with --minutes if a sitting takes less time."
    )


def _places_to_offer(found: Rehearsal, folder: Folder) -> Iterator[str]:
    """How many sittings to offer, where it is not what is offered."""
    done, wanted = found.filled
    played = sum(one.played is not None and bool(one.played.guesses) for one in found.took)
    if found.whole and done < wanted:
        more = found.places + -(-(wanted - done) // folder.config.sitting.episodes)
        yield (
            f"{wanted - done} of {wanted} episodes stayed unplayed, for some people leave: offer {more} sittings, and "
            f"not {found.places}."
        )
    elif found.whole and 1.2 * played < found.places:
        yield (
            f"{played} people played all {wanted} episodes: {found.places} sittings are more than it needs, and money "
            "is set aside for each."
        )
