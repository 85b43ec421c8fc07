"""Guesses of tasks that are one round, taken from what Label Studio said of their annotations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from imitable.campaign import Folder
from imitable.game.content import Content
from imitable.game.importing import Given, take_in
from imitable.game.label_studio import names
from imitable.platforms.label_studio import results
from imitable.store import Store, tables


def take_heard(folder: Folder, store: Store, content: Content, *, now: datetime | None) -> None:
    """Commit the guess of every annotation of a task's own annotator, in the order in which they were written.

    As it was first heard of, and once. With `now` the rounds come in turn, and their answers are shown.
    """
    heard = tables.heard.c
    found = (
        select(tables.heard)
        .join(tables.tasks, tables.tasks.c.task_key == heard.task_key)
        .outerjoin(
            tables.guesses,
            (tables.guesses.c.episode_id == tables.tasks.c.episode_id)
            & (tables.guesses.c.trial == tables.tasks.c.trial),
        )
        .where(
            heard.platform == names.PLATFORM,
            tables.tasks.c.trial > 0,
            tables.guesses.c.trial.is_(None),
            func.coalesce(heard.updated_by, heard.completed_by) == heard.completed_by,
            ~heard.cancelled,
        )
        .order_by(heard.updated_at, heard.annotation_id)
    )
    with store.write() as connection:
        for row in connection.execute(found).all():
            typed = str(results.control(row.first_result, names.GUESS).get("number", ""))
            given = Given(row.task_key, row.completed_by, typed, row.updated_at, results.seconds(row.lead_time))
            take_in(connection, folder, content, given, now=now)
