"""What a sitting that is over earned, by the rule of [pay]: computed from the record alone, never from a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, exists, func, or_, select

from imitable.campaign import Folder, Pay
from imitable.money.amounts import Money, digits, read_money
from imitable.store import in_part, promised, tables
from imitable_aggregation import scoring

RULE = "2026-11"
"""Version of the rule below; it stands beside every obligation."""


@dataclass(frozen=True)
class Owed:
    """One thing that is owed, before it is written down."""

    sitting_id: str
    annotator_id: str
    platform: str
    assignment: str
    kind: str
    amount: Money
    facts: dict[str, object]
    """What it was computed from: rounds, points above par; no guesses and no truths."""


def earned(connection: Connection, folder: Folder, *, pay: Pay | None = None) -> Iterator[Owed]:
    """What each sitting that is over earned: its base or its part of it, and its bonus, which may be zero.

    A finished sitting earns [pay] base, whole, also where fewer targets were left than it was to hold, and so does one
    that we closed on a platform that knows who was playing. One that was stopped, and one of a link that we closed,
    earns its share of the rounds, rounded half up, and the whole where a platform pays no parts. All earn
    `bonus_per_point` for each point above par over their held-out rounds, never less than nothing, rounded half up
    once. Base and bonus are what [pay] promised when the sitting was opened, whatever stands there now, or what `pay`
    would promise. Who came by the open link was promised nothing.
    """
    config = folder.config
    whole = config.sitting.episodes * config.episode.rounds
    rules: dict[str | None, Pay] = {}
    above = _above_par(connection)
    counted = _answered(connection)
    sittings = tables.sittings.c
    links = tables.links.c
    invited = exists().where(links.platform == sittings.platform, links.platform_id == sittings.assignment)
    query = select(tables.sittings).where(
        sittings.ended_at.is_not(None), sittings.platform != "simulated", or_(sittings.platform != "web", invited)
    )
    for row in connection.execute(query).all():
        rule = pay or rules.get(row.pay_rule) or promised(connection, config.pay, row.pay_rule)
        rules[row.pay_rule] = rule
        currency = rule.currency
        base, per_point = read_money(rule.base, currency), Decimal(rule.bonus_per_point)
        who = (row.sitting_id, row.annotator_id, row.platform, row.assignment)
        rounds = counted.get(row.sitting_id, 0)
        if not rounds and row.ended_by != "stopped":
            continue  # reserved, and closed before its annotator came
        facts: dict[str, object] = {"ended_by": row.ended_by, "rounds": rounds, "of": whole, "base": rule.base}
        if in_part(row.platform, row.ended_by, rounds):
            part = min(Decimal(1), Decimal(rounds) / Decimal(whole))
            yield Owed(*who, "partial", base.share(part), facts)
        else:
            yield Owed(*who, "base", base, facts)
        held_out, points = above.get(row.sitting_id, (0, 0.0))
        bonus = Money(scoring.bonus(points, per_point=per_point, minor_units=digits(currency)), currency)
        facts = {"held_out": held_out, "points_above_par": round(points, 6), "per_point": rule.bonus_per_point}
        yield Owed(*who, "bonus", bonus, facts)


def most_bonus(connection: Connection, folder: Folder) -> Money:
    """The most that a sitting's bonus can be: its held-out rounds, each as far above par as any target allows."""
    config = folder.config
    rounds = config.episode.held_out * config.sitting.episodes
    far = [
        scoring.TOP - scoring.par(row.l_ref, row.polarity)
        for row in connection.execute(select(tables.targets.c.l_ref, tables.targets.c.polarity))
    ]
    per_point, currency = Decimal(config.pay.bonus_per_point), config.pay.currency
    most = scoring.bonus(rounds * max(far, default=0.0), per_point=per_point, minor_units=digits(currency))
    return Money(most, currency)


def _answered(connection: Connection) -> dict[str, int]:
    """Rounds answered in each sitting."""
    mine = tables.sitting_episodes
    query = (
        select(mine.c.sitting_id, func.count())
        .join(tables.guesses, tables.guesses.c.episode_id == mine.c.episode_id)
        .group_by(mine.c.sitting_id)
    )
    return {sitting: int(count) for sitting, count in connection.execute(query)}


def _above_par(connection: Connection) -> dict[str, tuple[int, float]]:
    """Held-out rounds answered in each sitting, and the sum of their points above par."""
    mine, targets = tables.sitting_episodes, tables.targets.c
    query = (
        select(mine.c.sitting_id, tables.guesses.c.guess, tables.truths.c.truth, targets.l_ref, targets.polarity)
        .select_from(mine)
        .join(tables.rounds, tables.rounds.c.episode_id == mine.c.episode_id)
        .join(tables.guesses, tables.OF_ROUND)
        .join(tables.items, tables.items.c.item_id == tables.rounds.c.item_id)
        .join(tables.targets, targets.target_id == tables.items.c.target_id)
        .join(tables.truths, tables.truths.c.item_id == tables.rounds.c.item_id)
        .where(tables.rounds.c.phase == "held_out")
        .order_by(mine.c.sitting_id, mine.c.place, tables.rounds.c.trial)
    )
    sums: dict[str, tuple[int, float]] = {}
    for sitting, guess, truth, l_ref, polarity in connection.execute(query):
        rounds, points = sums.get(sitting, (0, 0.0))
        gained = scoring.points(guess, truth, polarity) - scoring.par(l_ref, polarity)
        sums[sitting] = rounds + 1, points + gained
    return sums
