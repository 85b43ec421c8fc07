"""Commit, then reveal. The only module of the game that reads truths, and only those of guesses already committed.

A guess is inserted under UNIQUE(episode_id, trial) in the transaction that unlocks its truth. The first write wins;
a repeat returns what is stored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, select, update

from imitable.errors import GameError
from imitable.game.conduct import NOTHING_TOLD, Signals
from imitable.store import Quick, insert_once, tables
from imitable.targets import Polarity
from imitable_aggregation import scoring


@dataclass(frozen=True)
class Asked:
    """A planned round, as it stands in the store, in its episode and sitting."""

    sitting: Any
    """The sitting's columns are among those of this row."""
    round_id: str
    episode_id: str
    target_id: str
    level: str
    item_id: str
    place: int
    """Of its episode in the sitting, from 0."""
    trial: int
    rounds: int
    """Rounds of its episode."""
    open_until: int
    """The last practice round: up to it the answer is shown after the guess, an attention check's too."""
    done: int
    """Guesses committed in its episode."""
    shown_at: datetime | None
    guess: float | None
    """The committed guess, if there is one."""
    answered_at: datetime | None


@dataclass(frozen=True)
class Answered:
    """A committed round, display scale."""

    trial: int
    item_id: str
    guess: float
    truth: float | None
    """None where the answer is not shown after the guess."""
    answered_at: datetime


@dataclass(frozen=True)
class Shades:
    """The target's activation at every token of an answered item's text."""

    offsets: Sequence[Sequence[int]]
    """Characters [start, end) of each token."""
    values: Sequence[float]
    """Display scale, one decimal."""
    position: int
    """Index of the marked token."""


# Statements are built once: building them costs more than running them.
_every = tables.rounds.alias("every")
_practice = tables.rounds.alias("practice")
_committed = tables.guesses.alias("committed")
_FIND_ROUND = Quick(
    select(
        tables.sittings,
        tables.sitting_episodes.c.place,
        tables.rounds,
        tables.episodes.c.target_id,
        tables.episodes.c.level,
        tables.guesses.c.guess,
        tables.guesses.c.answered_at,
        select(func.count())
        .select_from(_committed)
        .where(_committed.c.episode_id == tables.rounds.c.episode_id)
        .scalar_subquery()
        .label("done"),
        select(func.max(_every.c.trial))
        .where(_every.c.episode_id == tables.rounds.c.episode_id)
        .scalar_subquery()
        .label("rounds"),
        select(func.coalesce(func.max(_practice.c.trial), 0))
        .where(_practice.c.episode_id == tables.rounds.c.episode_id, _practice.c.phase == "practice")
        .scalar_subquery()
        .label("open_until"),
    )
    .select_from(tables.sittings)
    .join(tables.sitting_episodes, tables.sitting_episodes.c.sitting_id == tables.sittings.c.sitting_id)
    .join(tables.episodes, tables.episodes.c.episode_id == tables.sitting_episodes.c.episode_id)
    .join(tables.rounds, tables.rounds.c.episode_id == tables.episodes.c.episode_id)
    .outerjoin(tables.guesses, tables.OF_ROUND)
    .where(tables.rounds.c.round_id == bindparam("round"), tables.sittings.c.sitting_id == bindparam("sitting"))
    .with_for_update(of=tables.sittings)
)
_SEEN = Quick(
    update(tables.episodes)
    .where(tables.episodes.c.episode_id == bindparam("episode"))
    .values(last_seen_at=bindparam("now"), completed_at=bindparam("completed"))
)
_ANSWERED = Quick(
    select(
        tables.guesses.c.trial,
        tables.rounds.c.item_id,
        tables.guesses.c.guess,
        tables.truths.c.truth,
        tables.guesses.c.answered_at,
    )
    .join(tables.rounds, tables.OF_ROUND)
    .outerjoin(
        tables.truths,
        and_(
            tables.truths.c.item_id == tables.rounds.c.item_id,
            tables.rounds.c.trial
            <= select(func.max(_practice.c.trial))
            .where(_practice.c.episode_id == bindparam("episode"), _practice.c.phase == "practice")
            .scalar_subquery(),
        ),
    )
    .where(tables.guesses.c.episode_id == bindparam("episode"))
    .order_by(tables.guesses.c.trial)
)
_SHADES = Quick(
    select(tables.shades)
    .join(tables.rounds, tables.rounds.c.item_id == tables.shades.c.item_id)
    .join(tables.guesses, tables.OF_ROUND)
    .where(tables.rounds.c.round_id == bindparam("round"), tables.rounds.c.phase == "practice")
)


def read_guess(text: str, *, low: float) -> float:
    """Read what an annotator typed. Raises GameError, to be shown as it is, for anything but a number in range."""
    try:
        guess = float(text.replace(",", ".")) if "_" not in text else math.nan  # Python would read 1_0 as ten
    except ValueError:
        guess = math.nan
    if not low <= guess <= scoring.TOP:
        raise GameError("refused.no_number", low=f"{low:g}", high=f"{scoring.TOP:g}")
    return guess + 0.0


def find_round(connection: Connection, *, sitting_id: str, round_id: str) -> Asked | None:
    """A round that belongs to this sitting, or None: another person's round does not exist here.

    The sitting is locked. What was committed while this waited for the lock may be missing in `guess` and `done`: the
    key of the guesses has the last word.
    """
    row = _FIND_ROUND.first(connection, {"round": round_id, "sitting": sitting_id})
    if row is None:
        return None
    return Asked(
        sitting=row,
        round_id=row.round_id,
        episode_id=row.episode_id,
        target_id=row.target_id,
        level=row.level,
        item_id=row.item_id,
        place=row.place,
        trial=row.trial,
        rounds=row.rounds,
        open_until=row.open_until,
        done=row.done,
        shown_at=row.shown_at,
        guess=row.guess,
        answered_at=row.answered_at,
    )


def commit(connection: Connection, asked: Asked, guess: float, *, now: datetime, told: Signals = NOTHING_TOLD) -> bool:
    """Commit a guess; the caller's transaction makes it durable before anything is revealed.

    Returns True when this guess was taken and False when one stood already (which then counts, not this one).
    Raises GameError when the round is not the episode's next.
    """
    if asked.guess is not None:
        return False
    if asked.done != asked.trial - 1 or asked.shown_at is None:
        raise GameError("refused.not_open")
    seconds = max(0.0, (now - asked.shown_at).total_seconds())
    row: dict[str, Any] = {
        "episode_id": asked.episode_id,
        "trial": asked.trial,
        "guess": guess,
        "seconds": seconds,
        "answered_at": now,
        **told.row(seconds=seconds),
    }
    taken = insert_once(connection, tables.guesses, row)
    if taken:
        completed = now if asked.trial == asked.rounds else None
        _SEEN.run(connection, {"episode": asked.episode_id, "now": now, "completed": completed})
    return taken


def commit_unseen(
    connection: Connection, *, episode_id: str, trial: int, rounds: int, guess: float, answered_at: datetime
) -> bool:
    """Commit a guess made where nobody of ours showed the round, and no answer is shown: untimed, in any order.

    Returns False when one stood already, which then counts.
    """
    row = {"episode_id": episode_id, "trial": trial, "guess": guess, "seconds": None, "answered_at": answered_at}
    taken = insert_once(connection, tables.guesses, row)
    if taken:
        of_episode = tables.guesses.c.episode_id == episode_id
        done = connection.execute(select(func.count()).select_from(tables.guesses).where(of_episode)).scalar_one()
        completed = answered_at if done == rounds else None
        _SEEN.run(connection, {"episode": episode_id, "now": answered_at, "completed": completed})
    return taken


def answered(connection: Connection, episode_id: str) -> list[Answered]:
    """The episode's committed rounds, in order, those up to its last practice round with truths. Others stay sealed."""
    rows = _ANSWERED.all(connection, {"episode": episode_id})
    return [Answered(row.trial, row.item_id, row.guess, row.truth, row.answered_at) for row in rows]


def shades(connection: Connection, asked: Asked) -> Shades | None:
    """The activations at all tokens of a practice round's text, once its guess is committed; None where not kept."""
    row = _SHADES.first(connection, {"round": asked.round_id})
    return None if row is None else Shades(row.offsets, row.values, row.position)


def points_of(rounds: Iterable[Answered], polarity: Polarity) -> float:
    """Sum of the points of the rounds whose answers were shown."""
    return sum(scoring.points(one.guess, one.truth, polarity) for one in rounds if one.truth is not None)
