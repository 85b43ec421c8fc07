"""Sittings of people whom a platform sends to our page: compared with its own list, and ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from imitable.game.showing import end_sitting
from imitable.store import Store, tables

Sitting = Any
"""A row of `sittings`, with `platform_id` of its annotator and how many `rounds` were answered."""


def sittings_of(store: Store, platform: str) -> list[Sitting]:
    """The sittings that people from a platform have begun, the oldest first."""
    answered = (
        select(tables.sitting_episodes.c.sitting_id, func.count().label("rounds"))
        .join(tables.guesses, tables.guesses.c.episode_id == tables.sitting_episodes.c.episode_id)
        .group_by(tables.sitting_episodes.c.sitting_id)
        .subquery()
    )
    query = (
        select(tables.sittings, tables.identities.c.platform_id, func.coalesce(answered.c.rounds, 0).label("rounds"))
        .join(tables.identities, tables.identities.c.annotator_id == tables.sittings.c.annotator_id)
        .outerjoin(answered, answered.c.sitting_id == tables.sittings.c.sitting_id)
        .where(tables.sittings.c.platform == platform)
        .order_by(tables.sittings.c.started_at, tables.sittings.c.sitting_id)
    )
    with store.read() as connection:
        return list(connection.execute(query))


def offered(store: Store, platform: str, *, tasks: str | None = None) -> set[str]:
    """The ids of a platform's sittings of which a task was made, there or, as `tasks` says, elsewhere."""
    mine = tables.sitting_episodes.c
    query = (
        select(mine.sitting_id)
        .join(tables.tasks, tables.tasks.c.episode_id == mine.episode_id)
        .join(tables.sittings, tables.sittings.c.sitting_id == mine.sitting_id)
        .where(tables.tasks.c.platform == (tasks or platform), tables.sittings.c.platform == platform)
    )
    with store.read() as connection:
        return set(connection.execute(query).scalars())


def forgotten(sittings: Iterable[Sitting]) -> set[str]:
    """The pseudonyms among them of people who were erased: what a platform still lists of them is left alone."""
    return {one.annotator_id for one in sittings if one.platform_id.startswith(tables.FORGOTTEN)}


def end_sittings(store: Store, platform: str, submissions: Collection[str] | None = None) -> int:
    """End those that are being played (of these submissions, or all), and say how many.

    It is not their doing: where it is known who was playing, they are paid in full.
    """
    sittings = tables.sittings.c
    mine = (sittings.platform == platform) & sittings.ended_at.is_(None)
    if submissions is not None:
        mine &= sittings.submission.in_(submissions)
    with store.write() as connection:
        playing = connection.execute(select(sittings.sitting_id).where(mine).with_for_update()).scalars().all()
        for sitting_id in playing:
            end_sitting(connection, sitting_id, why="closed", now=datetime.now(UTC))
    return len(playing)
