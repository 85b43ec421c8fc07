"""Guesses of tasks that are one round each, as a platform or a file tells them: plain ones without answers, and those
that come one after the other, each of which tells how the last one went.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, func, select, update

from imitable.campaign import Folder
from imitable.errors import GameError
from imitable.game.assignment import round_id_of
from imitable.game.commit import answered, commit, commit_unseen, find_round, read_guess
from imitable.game.content import Content
from imitable.game.hosts import Entry
from imitable.game.label_studio import names
from imitable.game.reserving import forgotten
from imitable.game.sessions import consent_version
from imitable.game.showing import end_sitting, past, show_first
from imitable.game.views import Past
from imitable.store import insert_once, tables
from imitable.store.money_tables import obligations

Outcome = Literal["taken", "same", "other", "unknown", "not_theirs", "no_number", "over"]
"""`same`: this guess stood already. `other`: another one did, and counts. `unknown`: a task that we did not make.
`not_theirs`: a task of somebody else, or of somebody who was forgotten. `no_number`: no number on the target's scale.
`over`: the sitting has ended, or, where no answers are shown, what it earned is written down, and a bonus for more
would never be paid. Only `taken` changes anything."""


@dataclass(frozen=True)
class Given:
    """One answer to a task of one round, as a platform tells it."""

    task_key: str
    name: str | None
    """Who the platform says gave it; None where that is not known, and the task's own annotator is meant."""
    text: str
    """What was typed or chosen."""
    given_at: datetime
    lead_time: float = 0.0
    """Seconds that the platform's page says it took."""


def take_in(
    connection: Connection, folder: Folder, content: Content, given: Given, *, now: datetime | None = None
) -> Outcome:
    """Commit a guess of a task of one round, if it is one. The first that is taken stands.

    With `now`, the round is one whose answer is shown afterwards: it must be its episode's next, and is timed from when
    its task was made, or as the platform's page says where that was before the sitting began.
    """
    if not names.TASK_KEY.fullmatch(given.task_key):  # it may hold what no database takes
        return "unknown"
    task = connection.execute(
        select(
            tables.tasks.c.episode_id,
            tables.tasks.c.trial,
            tables.episodes.c.target_id,
            tables.identities.c.platform_id,
            tables.sittings.c.sitting_id,
            tables.sittings.c.ended_at,
            tables.guesses.c.guess,
        )
        .join(tables.episodes, tables.episodes.c.episode_id == tables.tasks.c.episode_id)
        .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
        .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.episodes.c.episode_id)
        .join(tables.sittings, tables.sittings.c.sitting_id == tables.sitting_episodes.c.sitting_id)
        .outerjoin(
            tables.guesses,
            (tables.guesses.c.episode_id == tables.tasks.c.episode_id)
            & (tables.guesses.c.trial == tables.tasks.c.trial),
        )
        .where(tables.tasks.c.task_key == given.task_key, tables.tasks.c.trial > 0)
    ).first()
    if task is None:
        return "unknown"
    gone = task.platform_id.startswith(tables.FORGOTTEN)  # files may name nobody
    if gone or (given.name is not None and given.name != task.platform_id):
        return "not_theirs"
    try:
        guess = read_guess(given.text, low=content.targets[task.target_id].low)
    except GameError:
        return "no_number"
    if task.guess is not None:
        return "same" if task.guess == guess else "other"
    if _decided(connection, task.sitting_id) if now is None else task.ended_at is not None:
        return "over"
    if now is not None:
        round_id = round_id_of(folder, task.episode_id, task.trial)
        asked = find_round(connection, sitting_id=task.sitting_id, round_id=round_id)
        assert asked is not None  # noqa: S101  # the task is one of its episode's rounds
        if asked.shown_at is None:
            shown_at = given.given_at - timedelta(seconds=given.lead_time)
            show_first(connection, round_id, now=shown_at)
            asked = replace(asked, shown_at=shown_at)
        commit(connection, asked, guess, now=now)
    else:
        rounds = tables.rounds.c
        last = select(func.max(rounds.trial)).where(rounds.episode_id == task.episode_id)
        commit_unseen(
            connection,
            episode_id=task.episode_id,
            trial=task.trial,
            rounds=connection.execute(last).scalar_one(),
            guess=guess,
            answered_at=given.given_at,
        )
        if _nothing_left(connection, task.sitting_id):
            end_sitting(connection, task.sitting_id, why="finished", now=given.given_at)
    connection.execute(
        update(tables.sittings)  # the consent stands above every one of these tasks
        .where(tables.sittings.c.sitting_id == task.sitting_id)
        .values(consent_version=consent_version(folder.consent_text()))
    )
    return "taken"


def _decided(connection: Connection, sitting_id: str) -> bool:
    """Whether the books say what a sitting earned."""
    found = select(obligations.c.obligation_id).where(obligations.c.sitting_id == sitting_id)
    return connection.execute(found.limit(1)).first() is not None


def _nothing_left(connection: Connection, sitting_id: str) -> bool:
    """Whether every episode of a sitting is complete."""
    mine, episodes = tables.sitting_episodes.c, tables.episodes.c
    left = (
        select(episodes.episode_id)
        .join(tables.sitting_episodes, mine.episode_id == episodes.episode_id)
        .where(mine.sitting_id == sitting_id, episodes.completed_at.is_(None))
    )
    return connection.execute(left.limit(1)).first() is None


def give_to(
    connection: Connection, folder: Folder, sitting_id: str, entry: Entry, *, waiting: str, now: datetime
) -> Literal["", "not_theirs", "again"]:
    """Make a reserved sitting that of the person who turned out to have played it; empty where it now is theirs.

    It waits as long as its annotator's name begins with `waiting`. `not_theirs`: somebody else had it before, or this
    person was forgotten. `again`: they have played one of its targets elsewhere, and nobody plays a target twice.
    """
    sittings, episodes = tables.sittings.c, tables.episodes.c
    annotator_id = folder.annotator_id(entry.platform, entry.platform_id)
    row = connection.execute(
        select(tables.sittings, tables.identities.c.platform_id)
        .join(tables.identities, tables.identities.c.annotator_id == sittings.annotator_id)
        .where(sittings.sitting_id == sitting_id)
    ).one()
    if row.assignment == entry.assignment:
        return ""
    erased = forgotten(connection, folder, entry.platform, [entry.platform_id])
    if erased or not row.platform_id.startswith(waiting):
        return "not_theirs"
    mine = select(tables.sitting_episodes.c.episode_id).where(tables.sitting_episodes.c.sitting_id == sitting_id)
    wanted = select(episodes.target_id).where(episodes.episode_id.in_(mine))
    played = select(episodes.episode_id).where(episodes.annotator_id == annotator_id, episodes.target_id.in_(wanted))
    if connection.execute(played.limit(1)).first() is not None:
        return "again"
    who = {"annotator_id": annotator_id, "platform": entry.platform, "platform_id": entry.platform_id}
    insert_once(connection, tables.identities, who | {"created_at": now})
    connection.execute(
        update(tables.sittings)
        .where(sittings.sitting_id == sitting_id)
        .values(annotator_id=annotator_id, assignment=entry.assignment, submission=entry.submission, study=entry.study)
    )
    connection.execute(update(tables.episodes).where(episodes.episode_id.in_(mine)).values(annotator_id=annotator_id))
    return ""


@dataclass(frozen=True)
class Turn:
    """The round that a sitting comes to."""

    episode_id: str
    trial: int
    history: tuple[Past, ...]
    """The rounds of this episode before it."""


def next_turn(connection: Connection, content: Content, sitting_id: str, *, now: datetime) -> Turn | None:
    """The first round of a reserved sitting that is not answered; None, and the sitting ended, when all are."""
    mine, rounds = tables.sitting_episodes.c, tables.rounds.c
    following = connection.execute(
        select(rounds.episode_id, rounds.trial, tables.episodes.c.target_id, tables.sittings.c.ended_at)
        .select_from(tables.rounds)
        .join(tables.sitting_episodes, mine.episode_id == rounds.episode_id)
        .join(tables.sittings, tables.sittings.c.sitting_id == mine.sitting_id)
        .join(tables.episodes, tables.episodes.c.episode_id == rounds.episode_id)
        .outerjoin(tables.guesses, tables.OF_ROUND)
        .where(mine.sitting_id == sitting_id, tables.guesses.c.trial.is_(None))
        .order_by(mine.place, rounds.trial)
        .limit(1)
    ).first()
    if following is None:
        end_sitting(connection, sitting_id, why="finished", now=now)
        return None
    if following.ended_at is not None:
        return None
    polarity = content.targets[following.target_id].polarity
    history = tuple(past(content, one, polarity) for one in answered(connection, following.episode_id))
    return Turn(following.episode_id, following.trial, history)
