"""The Label Studio door: what it tells to whom, over real HTTP, on either database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from imitable.game.label_studio import names
from imitable.game.reserving import Reserved
from imitable.game.sessions import consent_version
from imitable.game.showing import end_sitting
from imitable.store import tables
from labelling import ANN, BOB, SETTINGS, Page, published
from playing import Table
from wire import Wire, wired

CONSENT = "You guess numbers."


class Room:
    """A served campaign with two annotators, two episodes each: three rounds with answers, two without."""

    def __init__(self, here: Table, wire: Wire) -> None:
        self.here = here
        self.wire = wire
        self.tasks = published(here)
        self.truths: dict[str, float] = {row.item_id: row.truth for row in here.rows(select(tables.truths))}

    def page(self, who: str = ANN, place: int = 0, **more: Any) -> Page:
        return Page(self.wire, self.here, self.tasks[who][place], **more)

    def truth(self, one: Reserved, trial: int) -> float:
        return self.truths[one.rounds[trial - 1].item_id]

    def guesses(self) -> list[tuple[int, float]]:
        rows = self.here.rows(select(tables.guesses).order_by(tables.guesses.c.answered_at, tables.guesses.c.trial))
        return [(row.trial, row.guess) for row in rows]


@pytest.fixture
def room(table: Callable[..., Table]) -> Iterator[Callable[..., Room]]:
    with ExitStack() as served:

        def build(**settings: Any) -> Room:
            here = table(**{"consent": CONSENT, "more": SETTINGS} | settings)
            return Room(here, served.enter_context(wired(here)))

        yield build


# Playing


def test_an_episode_is_played_from_yes_to_the_points_and_the_record_has_all_of_it(room: Callable[..., Room]) -> None:
    at = room()
    [one, _] = at.tasks[ANN]
    page, begun = at.page(), at.here.clock()
    at.here.clock.move(days=1)
    assert page.type(begin="yes") == {"begin": "yes", "began": "yes"}
    [sitting] = at.here.rows(select(tables.sittings).where(tables.sittings.c.sitting_id == one.sitting_id))
    assert (sitting.started_at, sitting.consent_version) == (begun + timedelta(days=1), consent_version(CONSENT))
    for trial in range(1, 6):
        at.here.clock.move(seconds=trial)
        filled = page.type(**{names.guess(trial): str(trial)})
        truth = at.truth(one, trial)
        assert filled[names.guess(trial)] == str(trial)
        assert filled[names.done(trial)] == "yes"
        assert filled.get(names.truth(trial)) == (round(truth, 1) if trial <= 3 else None)
        assert filled.get(names.yours(trial)) == (trial if trial <= 3 else None)
        said = filled[names.feedback(trial)]
        assert (f"it was {truth:.1f}" in said and f"+{10 - abs(trial - truth):.1f} points" in said) == (trial <= 3)
    points = sum(10 - abs(trial - at.truth(one, trial)) for trial in (1, 2, 3))
    assert said == (
        f"Recorded: 5.0. Its answer is not shown. All rounds are done: {points:.1f} of 30 practice points. Please "
        "answer the questions below, then press Submit."
    )
    rows = at.here.rows(select(tables.guesses).where(tables.guesses.c.episode_id == one.episode_id))
    assert sorted((row.trial, row.guess, row.seconds) for row in rows) == [(k, k, k) for k in range(1, 6)]
    [episode] = at.here.rows(select(tables.episodes).where(tables.episodes.c.episode_id == one.episode_id))
    assert (episode.started_at, episode.completed_at) == (begun + timedelta(days=1), at.here.clock())
    assert [row.ended_by for row in at.here.rows(select(tables.sittings))] == [None, None]
    at.page(place=1).play(1, 2, 3, 4, 5)
    ended = {row.sitting_id: row.ended_by for row in at.here.rows(select(tables.sittings))}
    assert ended == {one.sitting_id: "finished", at.tasks[BOB][0].sitting_id: None}


def test_both_sides_of_a_scale_are_played_and_a_comma_is_a_decimal_sign(room: Callable[..., Room]) -> None:
    at = room(polarity="both")
    page = at.page()
    page.type(begin="yes")
    filled = page.type(guess1="-3,25")
    truth = at.truth(at.tasks[ANN][0], 1)
    assert (filled["guess1"], filled["truth1"], filled["yours1"]) == ("-3.25", round(truth, 1), -3.2)
    assert f"you guessed −3.2, it was {truth:.1f}".replace("-", "−") in filled["feedback1"]
    assert at.guesses() == [(1, -3.25)]


def test_the_first_guess_counts_and_another_one_is_told_so(room: Callable[..., Room]) -> None:
    at = room()
    page = at.page()
    first = page.play(4)
    again = page.type(guess1="9")
    assert "your first answer counts" in again.pop("feedback1")
    assert again == {name: value for name, value in first.items() if name != "feedback1"}
    assert page.type() == first
    assert at.guesses() == [(1, 4.0)]


def test_who_does_not_type_yes_has_begun_nothing(room: Callable[..., Room]) -> None:
    at = room()
    before, page = at.here.dump(), at.page()
    for typed in ("no", "yes and no", "5", " ", "да"):
        filled = page.type(begin=typed)
        assert filled["began"] == "again"
        assert "type yes and press Enter" in filled["welcome"]
    assert page.type(guess1="5")["began"] == "again"
    assert at.here.dump() == before
    assert page.type(begin=' "Yes!" ')["began"] == "yes"


def test_what_is_agreed_to_is_read_on_the_page_of_the_first_neuron(room: Callable[..., Room]) -> None:
    at = room()
    before = at.here.dump()
    filled = at.page(place=1).type(begin="yes")
    assert filled["began"] == "again"
    assert "begin with the first neuron" in filled["welcome"]
    assert at.here.dump() == before
    at.page(place=0).type(begin="yes")
    assert at.page(place=1).type(begin="yes")["began"] == "yes"


def test_without_a_consent_text_any_neuron_may_come_first(room: Callable[..., Room]) -> None:
    at = room(consent="")
    assert at.page(place=1).type(begin="yes")["began"] == "yes"


def test_only_the_round_that_was_shown_can_be_guessed(room: Callable[..., Room]) -> None:
    at = room()
    page = at.page()
    every = {names.guess(trial): "5" for trial in range(1, 6)}
    assert page.type(begin="yes", **every) == {"begin": "yes", "began": "yes"}
    page.typed = {}
    assert set(page.type(guess3="5")) == {"begin", "began"}
    assert at.guesses() == []
    page.typed = {}
    assert [name for name in page.type(**every) if name.startswith("truth")] == ["truth1"]
    assert at.guesses() == [(1, 5.0)]
    page.typed = {}
    assert [name for name in page.type(guess5="5") if name.startswith("truth")] == ["truth1"]
    assert at.guesses() == [(1, 5.0)]


@pytest.mark.parametrize("typed", ["eight", "10.1", "-1", "nan", "1e999", "1_0", "", "5 5", "\0", "\ud800"])
def test_what_is_no_number_on_the_scale_is_told_what_to_do(typed: str, room: Callable[..., Room]) -> None:
    at = room()
    page = at.page()
    page.play(4)
    before = at.here.dump()
    filled = page.type(guess2=typed)
    assert (filled["done2"], filled["guess2"]) == ("again", None)
    assert "no number from 0 to 10. Please type one" in filled["feedback2"]
    assert "truth2" not in filled
    assert (filled["done1"], "truth1" in filled) == ("yes", True)
    assert at.here.dump() == before
    assert page.type(guess2="6.5")["done2"] == "yes"


def test_a_second_tab_is_told_all_that_was_played_in_the_first(room: Callable[..., Room]) -> None:
    at = room()
    first, second = at.page(), at.page()
    second.type(begin="yes")
    played = first.play(1, 2, 3)
    assert second.type(guess1="1") == played
    assert second.type(guess4="7")["done4"] == "yes"
    assert first.type(guess4="8")["guess4"] == "7"
    assert at.guesses() == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 7.0)]


def test_many_calls_at_once_commit_one_guess_and_all_are_told_of_it(room: Callable[..., Room]) -> None:
    at = room()
    at.page().type(begin="yes")
    for trial in range(1, 6):
        with ThreadPoolExecutor(12) as people:
            asked = [people.submit(at.page().type, **{names.guess(trial): str(k % 4)}) for k in range(12)]
            told = [one.result() for one in asked]
        assert len({one[names.guess(trial)] for one in told}) == 1
        assert len({one.get(names.truth(trial)) for one in told}) == 1
    assert [trial for trial, _ in at.guesses()] == [1, 2, 3, 4, 5]


def test_who_comes_back_to_a_sitting_that_was_closed_is_told_so_and_sees_what_was_played(
    room: Callable[..., Room],
) -> None:
    at = room()
    page = at.page()
    page.play(4)
    with at.here.store.write() as connection:
        end_sitting(connection, at.tasks[ANN][0].sitting_id, why="stopped", now=at.here.clock())
    filled = page.type(guess2="5")
    assert (filled["done1"], filled["done2"]) == ("yes", "again")
    assert "closed" in filled["feedback2"]
    assert at.page(place=1).type(begin="yes")["began"] == "again"
    assert at.guesses() == [(1, 4.0)]


# Whose it is


def _forged(page: Page, bob: Page, how: str) -> None:
    task, data = page.task, page.task["data"]
    if how == "another's draft":
        task["drafts"] = [{"user": BOB}]
    elif how == "two people's drafts":
        task["drafts"] = [{"user": ANN}, {"user": BOB}]
    elif how == "a task that was given another annotator":
        data[names.ANNOTATOR] = BOB
    elif how == "another's task, claimed in its data and in the drafts":
        data[names.ANNOTATOR], task["drafts"] = BOB, [{"user": BOB}]
    elif how == "a copied key on a task of one's own":
        data[names.KEY] = bob.task["data"][names.KEY]
    elif how == "a key that nobody made":
        data[names.KEY] = "t_0123456789abcdef"
    elif how == "no key":
        del data[names.KEY]
    elif how == "no data":
        task["data"] = None


@pytest.mark.parametrize(
    "how",
    [
        "another's draft",
        "two people's drafts",
        "a task that was given another annotator",
        "another's task, claimed in its data and in the drafts",
        "a copied key on a task of one's own",
        "a key that nobody made",
        "no key",
        "no data",
    ],
)
def test_who_is_not_the_annotator_is_told_nothing(
    how: str, room: Callable[..., Room], caplog: pytest.LogCaptureFixture
) -> None:
    at = room()
    bob, page = at.page(BOB), at.page()
    page.play(4)
    bob.play(5)
    _forged(page, bob, how)
    before = at.here.dump()
    for typed in ({"begin": "yes"}, {"guess1": "4"}, {"guess2": "6"}):
        assert page.type(**typed) == {}
    assert at.here.dump() == before
    warned = [one.getMessage() for one in caplog.records if one.name.startswith("imitable")]
    assert warned
    assert all("told nothing" in said for said in warned)
    assert not [said for said in warned if "@" in said or "t_" in said]


def test_emails_are_the_same_in_any_case(room: Callable[..., Room]) -> None:
    page = room().page(caller="Ann@Example.ORG")
    assert page.type(begin="yes")["began"] == "yes"


def test_who_has_no_draft_yet_is_asked_to_wait_and_nothing_is_recorded(room: Callable[..., Room]) -> None:
    at = room()
    page = at.page()
    page.task["drafts"] = []
    before = at.here.dump()
    filled = page.type(begin="yes")
    assert (filled["began"], "wait ten seconds" in filled["welcome"]) == ("again", True)
    assert at.here.dump() == before
    at.page().play(4)
    before = at.here.dump()
    filled = page.type(guess2="4")
    assert set(filled) == {"guess2", "feedback2", "done2"}, (
        "who that is, is not known: nothing of the first round is told"
    )
    assert at.here.dump() == before


def test_nothing_is_told_where_nobody_typed(room: Callable[..., Room]) -> None:
    at = room()
    page = at.page()
    page.play(4)
    before = at.here.dump()
    task = page.task
    typed = {"result": [{"from_name": "guess2", "type": "textarea", "value": {"text": ["5"]}}]}
    every: list[dict[str, Any]] = [
        {"tasks": [task], "params": {"context": None}},
        {"tasks": [task], "params": {"context": {"result": []}}},
        {"tasks": [task], "params": {"context": {}}},
        {"tasks": [task], "params": {}},
        {"tasks": [task]},
        {"tasks": [task, task], "params": {"context": typed}},
        {"tasks": []},
    ]
    for asked in every:
        reply = at.wire.ask("POST", names.PREDICT, json.dumps(asked).encode(), page.headers)
        assert reply.status == 200
        empty = {"result": [], "score": 0.0, "model_version": "imitable"}
        assert reply.view == {"results": [empty] * len(asked["tasks"])}
    assert at.here.dump() == before
