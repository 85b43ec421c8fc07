"""From the record to what is seen: the one place that decides which page an annotator is on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from imitable.campaign import Folder
from imitable.game import toy
from imitable.game.assignment import assign_next
from imitable.game.commit import Answered, Asked, answered, points_of, shades
from imitable.game.content import Content, heat_map, reminder
from imitable.game.finishing import finish_of
from imitable.game.panels import looked_at
from imitable.game.paying import bonus_said, earned_said
from imitable.game.views import Done, ExampleText, Past, Progress, Questions, Readings, Reveal, Round, View
from imitable.rounds import CONSULT
from imitable.store import Quick, in_part, promised, tables
from imitable.targets import Polarity
from imitable_aggregation import scoring
from imitable_templates.texts import Texts

Record = Any
"""A row of the store."""


_this_sitting = select(tables.sittings).where(tables.sittings.c.sitting_id == bindparam("sitting"))
_SITTING = Quick(_this_sitting)
_SITTING_LOCKED = Quick(_this_sitting.with_for_update())
_EPISODE = Quick(
    select(
        tables.episodes,
        tables.sitting_episodes.c.place,
        select(func.count())
        .select_from(tables.guesses)
        .where(tables.guesses.c.episode_id == tables.episodes.c.episode_id)
        .scalar_subquery()
        .label("done"),
        tables.answers.c.episode_id.label("answered"),
        *(
            select(func.coalesce(func.max(tables.rounds.c.trial), 0))
            .where(tables.rounds.c.episode_id == tables.episodes.c.episode_id, *only)
            .scalar_subquery()
            .label(name)
            for name, only in (("rounds", ()), ("open_until", (tables.rounds.c.phase == "practice",)))
        ),
    )
    .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.episodes.c.episode_id)
    .outerjoin(tables.answers, tables.answers.c.episode_id == tables.episodes.c.episode_id)
    .where(tables.sitting_episodes.c.sitting_id == bindparam("sitting"))
    .order_by(tables.sitting_episodes.c.place.desc())
    .limit(1)
)
_ROUND = Quick(
    select(tables.rounds).where(
        tables.rounds.c.episode_id == bindparam("episode"), tables.rounds.c.trial == bindparam("trial")
    )
)
_SHOWN = Quick(
    update(tables.rounds)
    .where(tables.rounds.c.round_id == bindparam("round"), tables.rounds.c.shown_at.is_(None))
    .values(shown_at=bindparam("now"))
)


def find_sitting(connection: Connection, sitting_id: str, *, lock: bool = False) -> Record | None:
    """A sitting's row. With `lock`, two requests of one sitting follow each other (SQLite has one writer anyway)."""
    return (_SITTING_LOCKED if lock else _SITTING).first(connection, {"sitting": sitting_id})


def find_episode(connection: Connection, sitting_id: str) -> Record | None:
    """The sitting's latest episode: with its place, guesses done, and whether it was answered."""
    return _EPISODE.first(connection, {"sitting": sitting_id})


def show_first(connection: Connection, round_id: str, *, now: datetime) -> None:
    """A round is being shown; the first time counts."""
    _SHOWN.run(connection, {"round": round_id, "now": now})


def end_sitting(connection: Connection, sitting_id: str, *, why: str, now: datetime) -> None:
    """Mark a sitting as over: `finished` or `stopped`. One that is over stays as it ended."""
    sittings = tables.sittings
    this = (sittings.c.sitting_id == sitting_id) & sittings.c.ended_at.is_(None)
    connection.execute(update(sittings).where(this).values(ended_at=now, ended_by=why))


def past(content: Content, one: Answered, polarity: Polarity) -> Past:
    """A committed round as its annotator is reminded of it; its answer only where that was shown."""
    points = None if one.truth is None else scoring.points(one.guess, one.truth, polarity)
    return Past(one.trial, reminder(content.stimulus(one.item_id)), one.guess, one.truth, points)


class Showing:
    """Makes views, in the caller's transaction."""

    def __init__(self, folder: Folder, content: Content, words: Texts, clock: Callable[[], datetime]) -> None:
        self.folder = folder
        self.content = content
        self.texts = words
        self.warm_up = toy.warm_up(words)
        self.clock = clock

    def current(
        self,
        connection: Connection,
        sitting: Record,
        *,
        notice: str = "",
        error: str = "",
        since: datetime | None = None,
    ) -> View:
        """The page that a sitting is on. Rounds answered before `since` are not shown again."""
        if sitting.ended_at is not None:
            return self.done(connection, sitting.sitting_id)
        if sitting.tutorial_step < toy.ROUNDS:
            return self._tutorial_round(sitting.tutorial_step, error)
        episode = find_episode(connection, sitting.sitting_id)
        if episode is not None and episode.completed_at is not None and not episode.answered:
            rounds = answered(connection, episode.episode_id)
            return Questions(episode.episode_id, self._progress(episode, rounds, trial=episode.done), error)
        if episode is None or episode.completed_at is not None:
            begun = assign_next(
                connection,
                self.folder,
                self.content,
                sitting_id=sitting.sitting_id,
                annotator_id=sitting.annotator_id,
                platform=sitting.platform,
                now=self.clock(),
            )
            if begun is None:
                if episode is not None:  # who could play nothing has finished nothing, and may find a place later
                    end_sitting(connection, sitting.sitting_id, why="finished", now=self.clock())
                return self.done(connection, sitting.sitting_id)
            episode = find_episode(connection, sitting.sitting_id)
            assert episode is not None  # noqa: S101  # it was begun in this transaction
        return self._round(connection, sitting, episode, notice=notice, error=error, since=since)

    def _round(
        self,
        connection: Connection,
        sitting: Record,
        episode: Record,
        *,
        notice: str,
        error: str,
        since: datetime | None,
    ) -> Round:
        asked = _ROUND.first(connection, {"episode": episode.episode_id, "trial": episode.done + 1})
        if asked.shown_at is None:
            show_first(connection, asked.round_id, now=self.clock())
        target = self.content.targets[episode.target_id]
        revealed = asked.trial <= episode.open_until
        rounds = answered(connection, episode.episode_id)
        return Round(
            tutorial=False,
            round_id=asked.round_id,
            phase="practice" if revealed else "held_out",  # a check looks like its neighbours
            progress=self._progress(episode, rounds, trial=asked.trial),
            stimulus=self.content.stimulus(asked.item_id),
            examples=() if episode.level == "text" else target.examples,
            low=target.low,
            high=scoring.TOP,
            first_of_target=asked.trial == 1,
            first_held_out=asked.trial == episode.open_until + 1,
            notice=notice,
            error=error,
            bonus=self._bonus(connection, sitting) if asked.trial == episode.open_until + 1 else "",
            history=self._history(episode, rounds, since),
            readings=self._readings(connection, asked, episode.target_id, episode.level),
        )

    def reveal(self, connection: Connection, asked: Asked, *, repeated: bool, since: datetime | None = None) -> Reveal:
        """The answer of a round whose guess is committed, where answers are shown."""
        target = self.content.targets[asked.target_id]
        rounds = answered(connection, asked.episode_id)
        this = rounds[asked.trial - 1]
        assert this.truth is not None  # noqa: S101  # answers up to the last practice round are shown
        following = "round"
        if asked.trial == asked.open_until:
            following = "held_out" if asked.rounds > asked.trial else "questions"
        return Reveal(
            tutorial=False,
            progress=self._progress(asked, rounds, trial=asked.trial),
            stimulus=self.content.stimulus(asked.item_id),
            guess=this.guess,
            truth=this.truth,
            points=scoring.points(this.guess, this.truth, target.polarity),
            low=target.low,
            high=scoring.TOP,
            repeated=repeated,
            next=following,
            shaded=self._shaded(connection, asked),
            history=self._history(asked, rounds[: asked.trial - 1], since),
            readings=self._readings(connection, asked, asked.target_id, asked.level),
        )

    def _readings(self, connection: Connection, asked: Record | Asked, target_id: str, level: str) -> Readings | None:
        """What is shown beside a round's text, where its level shows anything."""
        panel = self.content.panels.get((target_id, level))
        if panel is None:
            return None
        looked = looked_at(connection, asked.round_id) if level == CONSULT else ()
        return panel.at(asked.item_id, looked=looked, looks=self.folder.config.readings.looks)

    def _bonus(self, connection: Connection, sitting: Record) -> str:
        """The rule of the bonus; empty where some have come by an open link, who are not paid."""
        config = self.folder.config
        if config.platform.web.open:
            return ""
        return bonus_said(promised(connection, config.pay, sitting.pay_rule), self.texts)

    def _earned(self, connection: Connection, sitting: Record, guesses: int) -> str:
        """What is paid for a sitting that is over, after so many guesses; empty for who came by the open link."""
        links = tables.links.c
        mine = select(links.platform_id).where(
            links.platform == sitting.platform, links.platform_id == sitting.assignment
        )
        if self.folder.config.platform.web.open and sitting.platform == "web" and not connection.execute(mine).first():
            return ""
        part = in_part(sitting.platform, sitting.ended_by, guesses)
        pay = promised(connection, self.folder.config.pay, sitting.pay_rule)
        return earned_said(pay, self.texts, platform=sitting.platform, part=part)

    def _history(self, episode: Record | Asked, rounds: Sequence[Answered], since: datetime | None) -> tuple[Past, ...]:
        polarity = self.content.targets[episode.target_id].polarity
        return tuple(past(self.content, one, polarity) for one in rounds if since is None or one.answered_at >= since)

    def _shaded(self, connection: Connection, asked: Asked) -> ExampleText | None:
        """The answered text with every token's activation, where the campaign allows that and the store has it."""
        found = shades(connection, asked) if self.folder.config.episode.shade_reveal else None
        if found is None:
            return None
        stimulus = self.content.stimulus(asked.item_id)
        text = stimulus.before + stimulus.focus + stimulus.after
        return heat_map(text, found.offsets, found.values, found.position)

    def _tutorial_round(self, done: int, error: str) -> Round:
        step = done + 1
        return Round(
            tutorial=True,
            round_id=str(step),
            phase="practice",
            progress=Progress(0, self.folder.config.sitting.episodes, step, toy.ROUNDS, 0, 0.0),
            stimulus=self.warm_up.rounds[done].stimulus,
            examples=self.warm_up.examples,
            low=self.content.low,
            high=scoring.TOP,
            first_of_target=step == 1,
            first_held_out=False,
            error=error,
        )

    def _progress(self, episode: Record | Asked, rounds: Sequence[Answered], *, trial: int) -> Progress:
        config = self.folder.config
        polarity = self.content.targets[episode.target_id].polarity
        return Progress(
            episode=episode.place + 1,
            episodes=config.sitting.episodes,
            trial=trial,
            practice=episode.open_until,
            held_out=episode.rounds - episode.open_until,
            points=points_of(rounds, polarity),
        )

    def done(self, connection: Connection, sitting_id: str) -> Done:
        episodes, mine = tables.episodes, tables.sitting_episodes
        played = connection.execute(
            select(episodes.c.episode_id, episodes.c.target_id, episodes.c.completed_at)
            .join(mine, mine.c.episode_id == episodes.c.episode_id)
            .where(mine.c.sitting_id == sitting_id)
        ).all()
        shown = [(row, answered(connection, row.episode_id)) for row in played]
        sitting = find_sitting(connection, sitting_id)
        assert sitting is not None  # noqa: S101  # whoever is shown its end has one
        guesses = sum(len(rounds) for _, rounds in shown)
        return Done(
            episodes=sum(row.completed_at is not None for row in played),
            guesses=guesses,
            points=sum(points_of(rounds, self.content.targets[row.target_id].polarity) for row, rounds in shown),
            best_possible=sum(scoring.TOP for _, rounds in shown for one in rounds if one.truth is not None),
            stopped=sitting.ended_by == "stopped",
            nothing_left=sitting.ended_at is None,
            pay="" if sitting.ended_at is None else self._earned(connection, sitting, guesses),
            finish=None if sitting.ended_at is None else finish_of(self.folder, sitting),
        )
