"""The game: what an annotator sees next, and what each answer does. Every door calls these functions and no others."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Connection, update

from imitable.campaign import Folder
from imitable.errors import GameError
from imitable.game import toy
from imitable.game.commit import commit, find_round, read_guess
from imitable.game.conduct import NOTHING_TOLD, Signals
from imitable.game.content import Content, read_content
from imitable.game.hosts import Entry, Query, entry_of, mturk_entry, prolific_entry, ticket_of
from imitable.game.limits import Buckets, TooFast
from imitable.game.panels import look
from imitable.game.paying import pay_said
from imitable.game.sessions import (
    consent_version,
    find_link,
    open_sitting,
    refuse_repeat,
    session_of,
    sitting_id_of,
    token_of,
)
from imitable.game.showing import Record, Showing, end_sitting, find_episode, find_sitting
from imitable.game.signed_links import SignedLinks
from imitable.game.views import Done, Landing, Progress, Reveal, View
from imitable.rounds import CONSULT
from imitable.store import Store, insert_once, promised, tables
from imitable_aggregation import scoring

LONGEST_EXPLANATION = 1000
"""Characters kept of what an annotator writes."""

RETURNS_AT_ONCE = 20
"""Times that a sitting may be entered again by unsigned ids; one more is allowed every minute."""


class Game:
    """One campaign, being played. Holds no state of its own: any number of processes may serve one store."""

    def __init__(
        self,
        folder: Folder,
        store: Store,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        fresh_name: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self.folder = folder
        self.store = store
        self.texts = folder.texts()
        """Every word that annotators read."""
        self.content: Content = read_content(store, self.texts)
        self.consent = folder.consent_text()
        self.clock = clock
        self.fresh_name = fresh_name
        """Names that nobody can guess: of people who come through the open link, and of a page's own scripts."""
        self.show = Showing(folder, self.content, self.texts, clock)
        self._returns = Buckets(1 / 60, RETURNS_AT_ONCE)
        config = folder.config
        signed = config.platform.prolific if config.platform.prolific and config.platform.prolific.secure else None
        self.signed_links = SignedLinks(signed.keys, config.serve.public_url) if signed else None

    # Coming in

    def landing(self, code: str) -> Landing | Done:
        """The page behind a link, or the sitting's end if it is over. Records nothing. Raises GameError.

        An empty code is the open link.
        """
        return self._landing(self._who(code), code)

    def entry(self, platform: str, query: Query) -> Entry | None:
        """Who came by an address that a platform made, `prolific` or `mturk`; None for who only looks.

        Does not touch the store, and may wait for Prolific's signing keys. Raises GameError, and PlatformError when the
        keys cannot be had.
        """
        if platform == "mturk":
            return mturk_entry(self.folder, query)
        return prolific_entry(self.folder, query, self.signed_links)

    def arrival(self, entry: Entry | None) -> Landing | Done:
        """The page that an entry leads to, or that of somebody who only looks. Records nothing."""
        return self._landing(entry, "" if entry is None else ticket_of(self.folder, entry, self.clock()))

    def _landing(self, entry: Entry | None, code: str) -> Landing | Done:
        """The first page; without an entry, what is seen by someone who has not accepted the task."""
        config = self.folder.config
        known, pay = None, self.folder.config.pay
        if entry is not None and entry.assignment:
            with self.store.read() as connection:
                known = find_sitting(connection, sitting_id_of(self.folder, entry.platform, entry.assignment))
                annotator_id = self.folder.annotator_id(entry.platform, entry.platform_id)
                if known is not None and known.annotator_id != annotator_id:
                    raise GameError("refused.not_your_task")
                if known is not None and known.ended_at is not None:
                    return self.show.done(connection, known.sitting_id)
                if known is None:
                    refuse_repeat(connection, entry, annotator_id)
                else:
                    pay = promised(connection, pay, known.pay_rule)
        platform = "mturk" if entry is None else entry.platform
        paid = entry is None or bool(entry.platform_id)
        return Landing(
            campaign=config.campaign.name,
            platform=platform,
            code=code,
            episodes=config.sitting.episodes,
            rounds=config.episode.rounds,
            minutes=config.sitting.minutes,
            low=self.content.low,
            consent=self.consent,
            contact=config.study.contact,
            pay=pay_said(pay, self.texts, platform=platform) if paid else "",
            resumed=known is not None,
            preview=entry is None,
            looks=CONSULT in config.episode.levels,
        )

    def start(self, code: str, *, agreed: bool) -> str:
        """Begin the sitting of a link or ticket, or find it again. Returns the session's token. Raises GameError."""
        if self.consent and not agreed:
            raise GameError("refused.no_consent")
        entry, now = self._who(code), self.clock()
        if not entry.platform_id:
            name = self.fresh_name()
            entry = replace(entry, platform_id=name, assignment=name)
        with self.store.write() as connection:
            sitting_id, new = open_sitting(
                connection, self.folder, entry, consent_version=consent_version(self.consent), now=now
            )
        if new or entry.proven:
            return token_of(self.folder, sitting_id)
        wait = self._returns.take(sitting_id)
        if wait:
            raise TooFast(wait)
        return token_of(self.folder, sitting_id, now)

    # Playing

    def view(self, token: str, *, notice: str = "", error: str = "") -> View:
        """What this annotator should see now. Refreshing, going back and coming back all end here."""
        with self.store.write() as connection:
            sitting, since = self._open(connection, token)
            return self.show.current(connection, sitting, notice=notice, error=error, since=since)

    def tutorial(self, token: str, step: str, guess: str) -> View:
        """A guess on the practice target, which is in no campaign and is not recorded."""
        with self.store.write() as connection:
            sitting, _ = self._open(connection, token)
            if step not in {str(at + 1) for at in range(toy.ROUNDS)}:
                return self.show.current(connection, sitting)
            number = int(step)
            try:
                number_guessed = read_guess(guess, low=self.content.low)
            except GameError as error:
                return self.show.current(connection, sitting, error=self.said(error))
            if number == sitting.tutorial_step + 1:
                connection.execute(
                    update(tables.sittings)
                    .where(tables.sittings.c.sitting_id == sitting.sitting_id)
                    .values(tutorial_step=number)
                )
        asked = self.show.warm_up.rounds[number - 1]
        points = scoring.points(number_guessed, asked.truth, "both" if self.content.low < 0 else "pos")
        return Reveal(
            tutorial=True,
            progress=Progress(0, self.folder.config.sitting.episodes, number, toy.ROUNDS, 0, points),
            stimulus=asked.stimulus,
            guess=number_guessed,
            truth=asked.truth,
            points=points,
            low=self.content.low,
            high=scoring.TOP,
            repeated=False,
            next="round" if number < toy.ROUNDS else "episode",
            shaded=asked.shaded if self.folder.config.episode.shade_reveal else None,
            coaching=asked.coaching,
        )

    def guess(self, token: str, round_id: str, text: str, told: Signals = NOTHING_TOLD) -> View:
        """Commit a guess, then reveal (practice) or go on (held-out). A repeat returns what was stored first.

        Who came back without a proof of who they are is shown only answers to guesses committed since.
        """
        with self.store.write() as connection:
            sitting_id, since = session_of(self.folder, token)
            asked = find_round(connection, sitting_id=sitting_id, round_id=round_id)
            if asked is None:
                self._open(connection, token)
                raise GameError("refused.not_yours")
            sitting = asked.sitting
            target = self.content.targets[asked.target_id]
            if asked.guess is None:
                if sitting.ended_at is not None:
                    return self.show.current(connection, sitting)  # its end
                try:
                    number = read_guess(text, low=target.low)
                    taken = commit(connection, asked, number, now=self.clock(), told=told)
                except GameError as error:
                    return self.show.current(connection, sitting, error=self.said(error), since=since)
            else:
                taken = False
            seen = taken or since is None or (asked.answered_at is not None and asked.answered_at >= since)
            if asked.trial > asked.open_until or not seen:
                notice = self.texts.plain("round.recorded" if taken else "round.already")
                return self.show.current(connection, sitting, notice=notice, since=since)
            return self.show.reveal(connection, asked, repeated=not taken, since=since)

    def look(self, token: str, round_id: str, place: str) -> View:
        """Show another unit beside the text of the round that is being asked, where the level lets players choose."""
        with self.store.write() as connection:
            sitting, since = self._open(connection, token)  # locked before it is seen whether the guess is given
            asked = find_round(connection, sitting_id=sitting.sitting_id, round_id=round_id)
            if asked is None:
                raise GameError("refused.not_yours")
            error, panel = "", self.content.panels.get((asked.target_id, asked.level))
            being_asked = asked.guess is None and asked.shown_at is not None and asked.done == asked.trial - 1
            if being_asked and asked.sitting.ended_at is None and panel is not None and asked.level == CONSULT:
                looks = self.folder.config.readings.looks
                if not look(connection, panel, round_id, place, looks=looks, now=self.clock()):
                    error = self.texts.plain("readings.no_look_left", count=looks)
            return self.show.current(connection, asked.sitting, error=error, since=since)

    def answer(self, token: str, episode_id: str, *, fun: str, interest: str, explanation: str) -> View:
        """Store the three questions after an episode; the first answer stands."""
        with self.store.write() as connection:
            sitting, _ = self._open(connection, token)
            episode = find_episode(connection, sitting.sitting_id)
            mine = episode is not None and episode.episode_id == episode_id and episode.completed_at is not None
            if not mine or episode is None:
                return self.show.current(connection, sitting)
            if not all(value in {"1", "2", "3", "4", "5"} for value in (fun, interest)):
                return self.show.current(connection, sitting, error=self.texts.plain("questions.missing"))
            insert_once(
                connection,
                tables.answers,
                {
                    "episode_id": episode_id,
                    "fun": int(fun),
                    "interest": int(interest),
                    "explanation": explanation.replace("\0", "").strip()[:LONGEST_EXPLANATION] or None,
                    "answered_at": self.clock(),
                },
            )
            return self.show.current(connection, sitting)

    def stop(self, token: str) -> View:
        """End the sitting, as everyone may at any time. What was done counts."""
        with self.store.write() as connection:
            sitting, _ = self._open(connection, token)
            if sitting.ended_at is None:
                end_sitting(connection, sitting.sitting_id, why="stopped", now=self.clock())
            return self.show.done(connection, sitting.sitting_id)

    def said(self, error: GameError) -> str:
        """A refusal in the campaign's language."""
        return self.texts.plain(error.key, **error.fields)

    # Finding and keeping

    def _who(self, code: str) -> Entry:
        """Whose link or ticket this is; the open link has no name yet."""
        if not code:
            if not self.folder.config.platform.web.open:
                raise GameError("refused.by_invitation")
            return Entry("web", "", "", proven=True)
        entry = entry_of(self.folder, code, self.clock())
        if entry is not None:
            return entry
        with self.store.read() as connection:
            link = find_link(connection, code)
        if link is None:
            raise GameError("refused.unknown_link")
        return Entry(link.platform, link.platform_id, link.platform_id, proven=True)

    def _open(self, connection: Connection, token: str) -> tuple[Record, datetime | None]:
        sitting_id, since = session_of(self.folder, token)
        sitting = find_sitting(connection, sitting_id, lock=True)
        if sitting is None:
            raise GameError("refused.unknown_session")
        return sitting, since
