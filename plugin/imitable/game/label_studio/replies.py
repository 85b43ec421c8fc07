"""The game on a page of Label Studio: what was typed is committed, and then the reply fills in what may be seen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from imitable.errors import GameError
from imitable.game.assignment import round_id_of
from imitable.game.commit import Answered, Asked, answered, commit, find_round, points_of, read_guess
from imitable.game.label_studio import names
from imitable.game.label_studio.calls import Call
from imitable.game.pages import numbers
from imitable.game.panels import consulted, look
from imitable.game.play import Game
from imitable.game.sessions import consent_version
from imitable.game.showing import Record, end_sitting, find_sitting, show_first
from imitable.game.views import grade
from imitable.rounds import CONSULT
from imitable.store import Quick, tables
from imitable_aggregation import scoring

_log = logging.getLogger(__name__)

Result = dict[str, Any]
"""One control of the page with what stands in it, as Label Studio writes it."""

Step = Callable[[Connection, Record, Asked, Call], None]
"""What a call may do; raises GameError where it may not."""

_TASK = Quick(
    select(
        tables.tasks.c.episode_id,
        tables.episodes.c.target_id,
        tables.sitting_episodes.c.sitting_id,
        tables.sitting_episodes.c.place,
        tables.identities.c.platform_id,
    )
    .join(tables.episodes, tables.episodes.c.episode_id == tables.tasks.c.episode_id)
    .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
    .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.episodes.c.episode_id)
    .where(
        tables.tasks.c.task_key == bindparam("key"),
        tables.tasks.c.platform == bindparam("platform"),
        tables.tasks.c.trial == bindparam("trial"),
    )
)
_of_sitting = (
    select(func.count().label("n"))
    .select_from(tables.sitting_episodes)
    .join(tables.episodes, tables.episodes.c.episode_id == tables.sitting_episodes.c.episode_id)
    .where(tables.sitting_episodes.c.sitting_id == bindparam("sitting"))
)
_BEGUN = Quick(_of_sitting.where(tables.BEGUN))
_UNFINISHED = Quick(_of_sitting.where(tables.episodes.c.completed_at.is_(None)))


class Replies:
    """Answers calls from a campaign's pages in Label Studio. Holds no state of its own."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.texts = game.texts
        self.number = numbers(game.texts)
        self.target_of = game.content.targets
        self.panels = game.content.panels

    def reply(self, call: Call) -> list[Result]:
        """What the page is to show: every answered round, and the next one open. Empty for who is not the annotator.

        A call does one thing at most: it begins the episode, looks a unit up beside its next round, or commits that
        round's guess. So only what was shown can be guessed.
        """
        with self.game.store.write() as connection:
            task = self._task(connection, call)
            if task is None:
                return []
            if not call.callers:
                return self.again(call.latest, "label_studio.no_draft")
            find_sitting(connection, task.sitting_id, lock=True)
            asked = self._asked(connection, task, 1)
            if asked.done:
                asked = self._asked(connection, task, min(asked.done + 1, asked.rounds))
            box, does = self._step(asked, call)
            try:
                does(connection, task, asked, call)
            except GameError as error:
                said = self.again(box, error.key, **error.fields)
                if box == names.BEGIN:
                    return said
                anew = {one["from_name"] for one in said}
                state = self._state(connection, task, asked, call)
                return [*(one for one in state if one["from_name"] not in anew), *said]
            return self._state(connection, task, asked, call)

    def again(self, box: str | None, key: str, **fields: object) -> list[Result]:
        """Empties a box, and says under it why what was typed was not taken: a text of the catalogue."""
        said, (trial, guessed) = self.texts.plain(key, **fields), names.box_of(box or "") or (0, False)
        if not trial:
            name, to, under, switch = names.BEGIN, names.INTRO, names.WELCOME, names.BEGAN
        elif trial > self.game.folder.config.episode.rounds:
            return []
        elif not guessed:
            return self._told(trial, said)
        else:
            name, to, under, switch = names.guess(trial), names.text(trial), names.feedback(trial), names.done(trial)
        return [_result(name, to, "textarea", text=[]), _words(under, to, said), _choice(switch, to, names.AGAIN)]

    def _told(self, trial: int, said: str) -> list[Result]:
        """Empties the box for letters, and says something under it."""
        to = names.text(trial)
        return [_result(names.look(trial), to, "textarea", text=[]), _words(names.told(trial), to, said)]

    def _task(self, connection: Connection, call: Call) -> Record | None:
        """The task of a call, if everything that came with it agrees on the annotator whom our record has for it."""
        task = _TASK.first(connection, {"key": call.key, "platform": names.PLATFORM, "trial": 0})
        if task is None:
            _log.warning("A page in Label Studio asked about a task that is not of this campaign. It was told nothing.")
        elif {call.annotator, *call.callers} != {task.platform_id}:
            _log.warning(
                "Somebody in Label Studio asked about a task of another annotator, or one that was changed there. They "
                "were told nothing."
            )
        else:
            return task
        return None

    def _asked(self, connection: Connection, task: Record, trial: int) -> Asked:
        round_id = round_id_of(self.game.folder, task.episode_id, trial)
        asked = find_round(connection, sitting_id=task.sitting_id, round_id=round_id)
        assert asked is not None  # noqa: S101  # an episode is planned to its end
        return asked

    def _step(self, asked: Asked, call: Call) -> tuple[str, Step]:
        """What a call does to the round that its episode has come to, and the box that it was typed into.

        A guess goes before a look, for whoever sent it wants to know no more.
        """
        if asked.shown_at is None:
            return names.BEGIN, self._begin
        if names.guess(asked.trial) not in call.typed and names.look(asked.trial) in call.typed:
            return names.look(asked.trial), self._look
        return names.guess(asked.trial), self._guess

    def _begin(self, connection: Connection, task: Record, first: Asked, call: Call) -> None:
        """Show the first round to who agreed; the first of a sitting's episodes begins the sitting."""
        typed, yes = call.typed.get(names.BEGIN, ""), self.texts.plain("label_studio.begin_here")
        if first.sitting.ended_at is not None:
            raise GameError("label_studio.over")
        if "".join(filter(str.isalpha, typed)).casefold() != yes.casefold():
            raise GameError("label_studio.no_yes", word=yes)
        now = self.game.clock()
        if not _BEGUN.first(connection, {"sitting": task.sitting_id}).n:
            if self.game.consent and task.place:  # the consent text stands on the first one's page
                raise GameError("label_studio.not_first")
            connection.execute(
                update(tables.sittings)
                .where(tables.sittings.c.sitting_id == task.sitting_id)
                .values(consent_version=consent_version(self.game.consent), started_at=now)
            )
        connection.execute(
            update(tables.episodes)
            .where(tables.episodes.c.episode_id == task.episode_id)
            .values(started_at=now, last_seen_at=now)
        )
        show_first(connection, first.round_id, now=now)

    def _guess(self, connection: Connection, task: Record, asked: Asked, call: Call) -> None:
        """Commit the guess of the next round, if it was typed, and show the round after it."""
        typed = call.typed.get(names.guess(asked.trial))
        if typed is None or asked.guess is not None:
            return
        low, now = self.target_of[task.target_id].low, self.game.clock()
        if asked.sitting.ended_at is not None:
            raise GameError("label_studio.over")
        try:
            guess = read_guess(typed, low=low)
        except GameError as error:
            fields = error.fields
            raise GameError("label_studio.no_number", low=fields["low"], high=fields["high"]) from error
        if not commit(connection, asked, guess, now=now):
            return
        if asked.trial < asked.rounds:
            show_first(connection, self._asked(connection, task, asked.trial + 1).round_id, now=now)
        elif not _UNFINISHED.first(connection, {"sitting": task.sitting_id}).n:
            end_sitting(connection, task.sitting_id, why="finished", now=now)

    def _look(self, connection: Connection, _task: Record, asked: Asked, call: Call) -> None:
        """Record that a unit was asked for beside the round that is asked, where the level lets players choose."""
        panel, looks = self.panels.get((asked.target_id, asked.level)), self.game.folder.config.readings.looks
        if panel is None or asked.level != CONSULT or asked.guess is not None:
            return
        if asked.sitting.ended_at is not None:
            raise GameError("label_studio.over")
        wanted = "".join(filter(str.isalnum, call.typed[names.look(asked.trial)])).upper()
        letters = [letter for letter, _, _ in panel.gauges]
        if wanted not in letters:
            raise GameError("label_studio.no_letter", last=letters[-1])
        place = str(letters.index(wanted))
        if not look(connection, panel, asked.round_id, place, looks=looks, now=self.game.clock()):
            raise GameError("readings.no_look_left", count=looks)

    def _looked_up(self, connection: Connection, asked: Asked, call: Call) -> list[Result]:
        """What was looked up in an episode, and how often the player may still look in the round that is asked."""
        panel, looks = self.panels.get((asked.target_id, asked.level)), self.game.folder.config.readings.looks
        if panel is None or asked.level != CONSULT:
            return []
        filled, left = [], looks
        for trial, (item_id, places) in consulted(connection, asked.episode_id).items():
            to, readings = names.text(trial), panel.at(item_id, looked=places, looks=looks)
            seen = [(meter.letter, meter.value) for meter in readings.meters if meter.value is not None]
            filled.append(_choice(names.looked(trial), to, str(len(seen))))
            for at, (letter, value) in enumerate(seen, start=1):
                filled.append(_words(names.letter(trial, at), to, letter))
                filled.append(_result(names.meter(trial, at), to, "number", number=round(value, 1)))
            if trial == asked.trial:
                left = looks - len(seen)
        if names.look(asked.trial) in call.typed:
            filled += self._told(asked.trial, self.texts.plain("readings.looks_left", count=left))
        return filled

    def _state(self, connection: Connection, task: Record, asked: Asked, call: Call) -> list[Result]:
        """The whole page as far as it was played."""
        rounds = answered(connection, task.episode_id)
        yes = self.texts.plain("label_studio.begin_here")
        state = [_words(names.BEGIN, names.INTRO, yes), _choice(names.BEGAN, names.INTRO, names.YES)]
        for at, one in enumerate(rounds):
            to, typed = names.text(one.trial), call.typed.get(names.guess(one.trial))
            said = self._said(connection, task, rounds[: at + 1])
            if typed is not None and _read(typed) != one.guess:
                said += " " + self.texts.plain("reveal.already")
            state.append(_words(names.guess(one.trial), to, names.written(one.guess)))
            state.append(_words(names.feedback(one.trial), to, said))
            if one.truth is not None:
                state.append(_result(names.yours(one.trial), to, "number", number=round(one.guess, 1)))
                state.append(_result(names.truth(one.trial), to, "number", number=round(one.truth, 1)))
            state.append(_choice(names.done(one.trial), to, names.YES))
        return [*state, *self._looked_up(connection, asked, call)]

    def _said(self, connection: Connection, task: Record, rounds: Sequence[Answered]) -> str:
        """What is said to the last of these rounds."""
        this, polarity = rounds[-1], self.target_of[task.target_id].polarity
        so_far = self.number(points_of(rounds, polarity))
        if this.truth is None:
            said = self.texts.plain("label_studio.last_sealed", guess=self.number(this.guess))
        else:
            points = scoring.points(this.guess, this.truth, polarity)
            verdict = self.texts.plain(
                "reveal.verdict",
                grade=self.texts.plain(grade(points)),
                guess=self.number(this.guess),
                truth=self.number(this.truth),
            )
            said = self.texts.plain("label_studio.answer", verdict=verdict, points=self.number(points), sum=so_far)
        if this.trial < self.game.folder.config.episode.rounds:
            return said
        best = sum(scoring.TOP for one in rounds if one.truth is not None)
        return said + " " + self.texts.plain("label_studio.all_done", points=so_far, best=f"{best:g}")


def _read(typed: str) -> float | None:
    try:
        return read_guess(typed, low=-scoring.TOP)
    except GameError:
        return None


def _result(name: str, to: str, kind: str, **value: Any) -> Result:
    return {"from_name": name, "to_name": to, "type": kind, "value": value}


def _words(name: str, to: str, said: str) -> Result:
    return _result(name, to, "textarea", text=[said])


def _choice(name: str, to: str, chosen: str) -> Result:
    return _result(name, to, "choices", choices=[chosen])
