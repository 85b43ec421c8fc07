"""Whatever a client does, in whatever order: first guesses stand, truths stay sealed until then, nothing is doubled."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from imitable.errors import GameError
from imitable.game.views import Questions, Reveal, Round, View, as_json
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from lengths import examples
from playing import Table


class AnyOrder(RuleBasedStateMachine):
    """Two people with one browser each, pressing anything that they have ever seen."""

    rounds = Bundle("rounds")

    @initialize()
    def set_the_table(self) -> None:
        self.home = tempfile.TemporaryDirectory()
        folder = invented_campaign(Path(self.home.name) / "campaign", targets=2, practice=2, held_out=1)
        self.here = Table(folder, open_store(folder), 2)
        self.tokens = [self.here.sit(0), self.here.sit(1)]
        self.first: dict[str, float] = {}
        self.truths = {row.item_id: row.truth for row in self.here.rows(select(tables.truths))}

    def teardown(self) -> None:
        if hasattr(self, "here"):
            self.here.store.close()
            self.home.cleanup()

    def check(self, view: View) -> None:
        """A truth is in a reveal or in the history, and only that of a committed practice round."""
        committed = {
            (row.guess, self.truths[row.item_id])
            for row in self.here.rows(
                select(tables.guesses.c.guess, tables.rounds.c.item_id)
                .join(
                    tables.rounds,
                    (tables.rounds.c.episode_id == tables.guesses.c.episode_id)
                    & (tables.rounds.c.trial == tables.guesses.c.trial),
                )
                .where(tables.rounds.c.phase == "practice")
            )
        }
        if isinstance(view, Round | Reveal):
            assert {(one.guess, one.truth) for one in view.history if one.truth is not None} <= committed
            view = replace(view, history=())
        if isinstance(view, Reveal) and not view.tutorial:
            assert (view.guess, view.truth) in committed
        else:
            sent = as_json(view).decode()
            assert not any(truth and repr(truth) in sent for truth in self.truths.values())

    @rule(target=rounds, who=st.integers(0, 1))
    def look(self, who: int) -> tuple[int, str]:
        view = self.here.game.view(self.tokens[who])
        self.check(view)
        return who, view.round_id if isinstance(view, Round) else "r_none"

    @rule(asked=rounds, who=st.integers(0, 1), guess=st.sampled_from(["0", "3", "9.5", "11", "x"]))
    def answer(self, asked: tuple[int, str], who: int, guess: str) -> None:
        owner, round_id = asked
        try:
            view = self.here.game.guess(self.tokens[who], round_id, guess)
        except GameError:
            assert owner != who or round_id == "r_none"
            return
        self.check(view)
        if isinstance(view, Reveal) and not view.repeated:
            self.first.setdefault(round_id, float(guess))

    @rule(who=st.integers(0, 1))
    def answer_questions(self, who: int) -> None:
        view = self.here.game.view(self.tokens[who])
        if isinstance(view, Questions):
            self.check(self.here.game.answer(self.tokens[who], view.episode_id, fun="1", interest="1", explanation=""))

    @invariant()
    def first_guesses_stand_and_trials_have_no_gaps(self) -> None:
        if not hasattr(self, "here"):
            return
        rows = self.here.rows(
            select(tables.guesses, tables.rounds.c.round_id).join(
                tables.rounds,
                (tables.rounds.c.episode_id == tables.guesses.c.episode_id)
                & (tables.rounds.c.trial == tables.guesses.c.trial),
            )
        )
        stored = {row.round_id: row.guess for row in rows}
        assert all(stored[round_id] == guess for round_id, guess in self.first.items())
        by_episode: dict[str, list[int]] = {}
        for row in rows:
            by_episode.setdefault(row.episode_id, []).append(row.trial)
        assert all(sorted(trials) == list(range(1, len(trials) + 1)) for trials in by_episode.values())


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=examples(15), stateful_step_count=40, deadline=None)
