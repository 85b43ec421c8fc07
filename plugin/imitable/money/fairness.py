"""What an hour of playing earns: from the server's own times, with idle time capped, and how sure that is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import comb

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from imitable.campaign import Folder, Pay
from imitable.game.toy import ROUNDS
from imitable.money.amounts import Money, read_money
from imitable.money.earned import Owed, earned
from imitable.money.ledger import Line, counting, nobodys, statement
from imitable.store import tables

IDLE = 120.0
"""Seconds between two signs of life that count at most; the rest of a pause is idle."""

WARM_UP = (ROUNDS + 1) * IDLE
"""The same for the time to the first round: the warm-up lies in it, of which nothing is recorded."""

COVERAGE = 0.9


@dataclass(frozen=True)
class Fairness:
    """Over the sittings that are over and in which something was played, whatever they earned.

    Left out are those whose rounds nobody of ours saw being shown, and those that are nobody's of whom we know.
    """

    sittings: int
    active_minutes: float
    """Median of those that came to their end, with pauses cut to two minutes each."""
    elapsed_minutes: float
    """Median of the same from beginning to end, pauses and all."""
    per_hour: Money
    """Median of what an active hour earned, bonus included."""
    low: Money | None
    high: Money | None
    """An interval of that median by order statistics, which covers it with at least 90 % whatever the distribution;
    None with fewer than five sittings, of which no such interval can be made."""
    under: float
    """Share of sittings that earned less an hour than [pay] floor_per_hour, 0 to 1."""
    floor: Money

    @property
    def fair(self) -> bool:
        """Whether the median is not below the floor."""
        return self.per_hour.minor >= self.floor.minor


def fairness(connection: Connection, folder: Folder, *, platform: str | None = None) -> Fairness | None:
    """How fair the pay was, so far, with all that was topped up; None before anybody came to the end."""
    return _measured(connection, folder.config.pay, counting(connection, platform=platform))


def would_be(connection: Connection, folder: Folder, platform: str) -> Fairness | None:
    """How fair it would have been by [pay] as it stands now: what the next ones will be promised.

    What was topped up does not count, for the next ones will not have it. What was not written down yet does.
    """
    pay, made_up = folder.config.pay, nobodys(statement(connection, platform=platform))
    owed = (one for one in earned(connection, folder, pay=pay) if one.platform == platform)
    return _measured(connection, pay, [one for one in owed if one.sitting_id not in made_up])


def _measured(connection: Connection, pay: Pay, owed: Iterable[Line | Owed]) -> Fairness | None:
    earnings: dict[str, int] = defaultdict(int)
    whole: set[str] = set()
    for one in owed:
        earnings[one.sitting_id] += one.amount.minor
        if one.kind == "base":
            whole.add(one.sitting_id)
    seen = _signs_of_life(connection)
    times = {sitting: moments for sitting in earnings if len(moments := seen.get(sitting, [])) > 1}
    active = {sitting: _active(moments) for sitting, moments in times.items()}
    ended = [sitting for sitting in times if sitting in whole]
    hourly = np.sort([earnings[sitting] / seconds * 3600 for sitting, seconds in active.items() if seconds > 0])
    if not ended or not len(hourly):
        return None
    floor = read_money(pay.floor_per_hour, pay.currency)
    low, high = _interval(hourly)

    def money(minor: float) -> Money:
        return Money(round(float(minor)), pay.currency)

    return Fairness(
        sittings=len(hourly),
        active_minutes=float(np.median([active[sitting] for sitting in ended])) / 60,
        elapsed_minutes=float(np.median([_elapsed(times[sitting]) for sitting in ended])) / 60,
        per_hour=money(np.median(hourly)),
        low=None if low is None else money(low),
        high=None if high is None else money(high),
        under=float(np.mean(hourly < floor.minor)),
        floor=floor,
    )


def _interval(ordered: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """The narrowest pair of order statistics, alike from both ends, that covers the median with `COVERAGE`.

    Between the k-th from below and the k-th from above it lies but for 2 P(Binomial(n, 1/2) < k): David and Nagaraja,
    Order Statistics, 3rd edition, section 7.1.
    """
    n, missed, inside = len(ordered), 0.0, 0
    for k in range(n // 2):
        missed += 2 * comb(n, k) / 2**n
        if missed > 1 - COVERAGE:
            break
        inside = k + 1
    return (float(ordered[inside - 1]), float(ordered[n - inside])) if inside else (None, None)


def _signs_of_life(connection: Connection) -> dict[str, list[datetime]]:
    """When each sitting did something that the server saw: began, was shown a round, answered, ended.

    Sittings without a round that was shown here (tasks that were imported by hand) are not in it.
    """
    mine = tables.sitting_episodes
    signs: dict[str, list[datetime]] = defaultdict(list)
    shown: set[str] = set()
    for row in connection.execute(select(tables.sittings)):
        signs[row.sitting_id] += [moment for moment in (row.started_at, row.ended_at) if moment]
    for row in connection.execute(
        select(mine.c.sitting_id, tables.rounds.c.shown_at, tables.guesses.c.answered_at)
        .select_from(mine)
        .join(tables.rounds, tables.rounds.c.episode_id == mine.c.episode_id)
        .outerjoin(tables.guesses, tables.OF_ROUND)
    ):
        signs[row.sitting_id] += [moment for moment in (row.shown_at, row.answered_at) if moment]
        if row.shown_at is not None and row.answered_at is not None:
            shown.add(row.sitting_id)
    for row in connection.execute(
        select(mine.c.sitting_id, tables.answers.c.answered_at).join(
            tables.answers, tables.answers.c.episode_id == mine.c.episode_id
        )
    ):
        signs[row.sitting_id].append(row.answered_at)
    return {sitting: sorted(moments) for sitting, moments in signs.items() if sitting in shown}


def _active(moments: list[datetime]) -> float:
    first, *gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    return min(WARM_UP, first) + sum(min(IDLE, gap) for gap in gaps)


def _elapsed(moments: list[datetime]) -> float:
    return (moments[-1] - moments[0]).total_seconds()
