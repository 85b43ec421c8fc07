"""Mode `webhook`: each annotator has one open task, a round; what is submitted makes the next, which tells how it went.

What Label Studio tells us is a hint and no more: its webhooks carry no signature, and everybody with an account can
read their headers. So the task is asked for, and its annotation taken in if it is its annotator's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import select

from imitable.campaign import Folder
from imitable.errors import ImitableError
from imitable.game.content import Content, read_content
from imitable.game.importing import Given, next_turn, take_in
from imitable.game.label_studio import names
from imitable.game.reserving import reserved
from imitable.game.showing import show_first
from imitable.platforms.label_studio.client import connected
from imitable.platforms.label_studio.drawing import round_data
from imitable.platforms.label_studio.exported import annotations_of
from imitable.platforms.label_studio.sending import Task, send_once
from imitable.store import Store, tables

_log = logging.getLogger(__name__)


class InTurn:
    """The rounds of a campaign, one after the other. Safe to call at any time, from several threads and processes."""

    def __init__(
        self, folder: Folder, store: Store, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.folder = folder
        self.store = store
        self.words = folder.texts()
        self.content: Content = read_content(store, self.words)
        self.clock = clock

    def hint(self, number: int) -> None:
        """Something happened to this task in Label Studio: look, and make what comes next. Never raises."""
        settings = self.folder.config.platform.label_studio
        assert settings is not None  # noqa: S101  # who serves the mode has its table
        try:
            with self.store.read() as connection:
                known = connection.execute(
                    select(tables.tasks.c.task_key, tables.tasks.c.project, tables.sitting_episodes.c.sitting_id)
                    .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.tasks.c.episode_id)
                    .where(tables.tasks.c.platform == names.PLATFORM, tables.tasks.c.external_id == str(number))
                ).first()
            if known is None:
                return
            with connected(settings.url) as server:
                row = server.wire.get(f"/api/tasks/{number}/").json()
                row["data"] = {names.KEY: known.task_key}  # what stands there may have been changed by anybody
                with self.store.write() as connection:
                    for _annotation, given in annotations_of(row):
                        if isinstance(given, Given) and given.name is not None:
                            take_in(connection, self.folder, self.content, given, now=self.clock())
                send_once(server, self.store, int(known.project), self.next_tasks([known.sitting_id]))
        except (ImitableError, ValueError) as error:  # the latter for an answer that is not Label Studio's
            _log.error("A task of Label Studio could not be followed up; 'imitable collect' will. %s", error)

    def next_tasks(self, sittings: Sequence[str]) -> list[Task]:
        """The task of the round that each of these sittings has come to; a round shows from now on."""
        made: list[Task] = []
        now = self.clock()
        with self.store.write() as connection:
            every = {one.episode_id: one for one in reserved(connection, platform=names.PLATFORM, sittings=sittings)}
            for sitting in sittings:
                turn = next_turn(connection, self.content, sitting, now=now)
                if turn is None:
                    continue
                one = every[turn.episode_id]
                asked = one.rounds[turn.trial - 1]
                if turn.trial > 1 or one.place > 0:
                    show_first(connection, asked.round_id, now=now)
                draw = partial(round_data, self.folder, self.content, self.words, one, asked, history=turn.history)
                key = names.task_key(self.folder, one.episode_id, asked.trial)
                made.append(Task(key=key, episode_id=one.episode_id, trial=asked.trial, name=one.name, draw=draw))
        return made
