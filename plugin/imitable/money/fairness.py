"""What an hour of playing earns: from the server's own times, with idle time capped, and how sure that is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection, select

from imitable.campaign import Folder
from imitable.money.amounts import Money, read_money
from imitable.money.ledger import statement
from imitable.store import tables

IDLE = 120.0
"""Seconds between two signs of life that count at most; the rest of a pause is idle."""

DRAWS = 2000


@dataclass(frozen=True)
class Fairness:
    """Over the sittings that came to their end and are paid for."""

    sittings: int
    active_minutes: float
    """Median, with pauses cut to two minutes each."""
    elapsed_minutes: float
    """Median from beginning to end, pauses and all."""
    per_hour: Money
    """Median of what is paid for an active hour, bonus included."""
    low: Money
    high: Money
    """A 90 % bootstrap interval of it."""
    under: float
    """Share of sittings that earned less an hour than [pay] floor_per_hour, 0 to 1."""
    floor: Money

    @property
    def fair(self) -> bool:
        """Whether the median is not below the floor."""
        return self.per_hour.minor >= self.floor.minor


def fairness(connection: Connection, folder: Folder, *, platform: str | None = None) -> Fairness | None:
    """How fair the pay is, so far; None before anybody who is paid has finished."""
    pay = folder.config.pay
    earned: dict[str, int] = defaultdict(int)
    for line in statement(connection, platform=platform):
        earned[line.sitting_id] += line.amount.minor
    signs = _signs_of_life(connection)
    times = [(_active(signs[sitting]), _elapsed(signs[sitting]), minor) for sitting, minor in earned.items() if minor]
    times = [one for one in times if one[0] > 0]
    if not times:
        return None
    active, elapsed, minor = np.array(times, dtype=np.float64).T
    hourly = minor / active * 3600
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(hourly, (DRAWS, len(hourly))), axis=1)
    low, high = np.quantile(medians, (0.05, 0.95))
    floor = read_money(pay.floor_per_hour, pay.currency)
    return Fairness(
        sittings=len(times),
        active_minutes=float(np.median(active)) / 60,
        elapsed_minutes=float(np.median(elapsed)) / 60,
        per_hour=Money(round(float(np.median(hourly))), pay.currency),
        low=Money(round(float(low)), pay.currency),
        high=Money(round(float(high)), pay.currency),
        under=float(np.mean(hourly < floor.minor)),
        floor=floor,
    )


def _signs_of_life(connection: Connection) -> dict[str, list[datetime]]:
    """When each sitting did something that the server saw: began, was shown a round, answered, ended."""
    mine = tables.sitting_episodes
    signs: dict[str, list[datetime]] = defaultdict(list)
    for row in connection.execute(select(tables.sittings)):
        signs[row.sitting_id] += [moment for moment in (row.started_at, row.ended_at) if moment]
    for row in connection.execute(
        select(mine.c.sitting_id, tables.rounds.c.shown_at, tables.guesses.c.answered_at)
        .select_from(mine)
        .join(tables.rounds, tables.rounds.c.episode_id == mine.c.episode_id)
        .outerjoin(tables.guesses, tables.OF_ROUND)
    ):
        signs[row.sitting_id] += [moment for moment in (row.shown_at, row.answered_at) if moment]
    for row in connection.execute(
        select(mine.c.sitting_id, tables.answers.c.answered_at).join(
            tables.answers, tables.answers.c.episode_id == mine.c.episode_id
        )
    ):
        signs[row.sitting_id].append(row.answered_at)
    return {sitting: sorted(moments) for sitting, moments in signs.items()}


def _active(moments: list[datetime]) -> float:
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    return sum(min(IDLE, gap) for gap in gaps)


def _elapsed(moments: list[datetime]) -> float:
    return (moments[-1] - moments[0]).total_seconds() if moments else 0.0
