"""Guesses made where nothing of ours runs: plain tasks without answers, read back from a platform or a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, func, select, update

from imitable.campaign import Folder
from imitable.errors import GameError
from imitable.game.commit import commit_unseen, read_guess
from imitable.game.content import Content
from imitable.game.sessions import consent_version
from imitable.store import tables

Outcome = Literal["taken", "same", "other", "unknown", "not_theirs", "no_number"]
"""`same`: this guess stood already. `other`: another one did, and counts. `unknown`: a task that we did not make.
`not_theirs`: a task of somebody else. `no_number`: no number on the target's scale. Only `taken` changes anything."""


@dataclass(frozen=True)
class Given:
    """One answer to a task of one round, as a platform tells it."""

    task_key: str
    name: str | None
    """Who the platform says gave it; None where that is not known, and the task's own annotator is meant."""
    text: str
    """What was typed or chosen."""
    given_at: datetime


def take_in(connection: Connection, folder: Folder, content: Content, given: Given) -> Outcome:
    """Commit a guess of a plain task, if it is one. The first that is taken stands."""
    task = connection.execute(
        select(
            tables.tasks.c.episode_id,
            tables.tasks.c.trial,
            tables.episodes.c.target_id,
            tables.identities.c.platform_id,
            tables.sitting_episodes.c.sitting_id,
            tables.guesses.c.guess,
        )
        .join(tables.episodes, tables.episodes.c.episode_id == tables.tasks.c.episode_id)
        .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
        .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.episodes.c.episode_id)
        .outerjoin(
            tables.guesses,
            (tables.guesses.c.episode_id == tables.tasks.c.episode_id)
            & (tables.guesses.c.trial == tables.tasks.c.trial),
        )
        .where(tables.tasks.c.task_key == given.task_key, tables.tasks.c.trial > 0)
    ).first()
    if task is None:
        return "unknown"
    if given.name is not None and given.name != task.platform_id:
        return "not_theirs"
    try:
        guess = read_guess(given.text, low=content.targets[task.target_id].low)
    except GameError:
        return "no_number"
    if task.guess is not None:
        return "same" if task.guess == guess else "other"
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
    connection.execute(
        update(tables.sittings)  # the consent stands above every one of these tasks
        .where(tables.sittings.c.sitting_id == task.sitting_id)
        .values(consent_version=consent_version(folder.consent_text()))
    )
    return "taken"
