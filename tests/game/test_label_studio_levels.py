"""Levels at the Label Studio door: a player there looks up what he chooses, as often as he may, before his guess."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import select

from imitable.game.content import read_content
from imitable.game.label_studio import names
from imitable.game.showing import end_sitting
from imitable.store import tables
from labelling import ANN, BOB, SETTINGS, Page, at_level, invent_readings, published
from playing import Table
from wire import wired

LOOKS = 2


class Room:
    """A served campaign at level `consult`, and the first page of each of two annotators."""

    def __init__(self, here: Table, served: ExitStack) -> None:
        self.here = here
        self.tasks = {who: at_level(here, every[0], "consult") for who, every in published(here).items()}
        wire = served.enter_context(wired(here))
        self.ann, self.bob = (Page(wire, here, self.tasks[who]) for who in (ANN, BOB))
        self.panel = here.game.content.panels[self.tasks[ANN].target_id, "consult"]

    def reading(self, trial: int, place: int) -> float:
        """What a unit shows at a round of Ann's."""
        item = self.tasks[ANN].rounds[trial - 1].item_id
        return float(self.panel.values[item][place][0])

    def looks(self) -> list[tuple[int, int]]:
        rows = self.here.rows(
            select(tables.rounds.c.trial, tables.looks.c.place)
            .join(tables.looks, tables.looks.c.round_id == tables.rounds.c.round_id)
            .order_by(tables.rounds.c.trial, tables.looks.c.place)
        )
        return [(row.trial, row.place) for row in rows]


@pytest.fixture
def room(table: Callable[..., Table]) -> Iterator[Room]:
    here = table(levels=("examples", "upstream", "consult"), more=f"{SETTINGS}[readings]\nlooks = {LOOKS}\n")
    invent_readings(here.store, "upstream", "consult")
    here.game.content = read_content(here.store, here.folder.texts())
    with ExitStack() as served:
        yield Room(here, served)


def test_letters_are_answered_with_readings_until_no_look_is_left(room: Room) -> None:
    room.ann.type(begin="yes")
    filled = room.ann.type(look1=" c ")
    assert (filled["looked1"], filled["letter1_1"], filled["meter1_1"]) == ("1", "C", room.reading(1, 2))
    assert (filled["look1"], filled["told1"]) == (None, "1 look left")
    again = room.ann.type(look1="C")
    assert again == filled, "to look twice is to look once"
    filled = room.ann.type(look1="a")
    assert [filled[f"letter1_{at}"] for at in (1, 2)] == ["A", "C"]
    assert [filled[f"meter1_{at}"] for at in (1, 2)] == [room.reading(1, 0), room.reading(1, 2)]
    assert (filled["looked1"], filled["told1"]) == ("2", "0 looks left")
    filled = room.ann.type(look1="B")
    assert filled["told1"] == "You can look up 2 neurons in a round."
    assert "letter1_3" not in filled
    assert room.looks() == [(1, 0), (1, 2)]
    filled = room.ann.type(guess1="5")
    assert filled["done1"] == "yes"
    assert [filled[f"letter1_{at}"] for at in (1, 2)] == ["A", "C"], "what was seen stays beside the answer"
    assert room.ann.type(look2="H")["meter2_1"] == room.reading(2, 7)
    assert room.looks() == [(1, 0), (1, 2), (2, 7)]


@pytest.mark.parametrize("typed", ["8", "?", "ab", "A, B", "i", "Ä", "ß", "", "\0", "\ud800", "A" * 5000])
def test_what_is_no_letter_of_the_list_is_told_so_and_uses_no_look_up(typed: str, room: Room) -> None:
    room.ann.type(begin="yes")
    before = room.here.dump()
    filled = room.ann.type(look1=typed)
    assert (filled["look1"], filled["told1"]) == (None, "Please type one letter, from A to H, and press Enter.")
    assert "looked1" not in filled
    assert room.here.dump() == before


def test_nothing_is_looked_up_before_its_round_is_shown_or_after_its_guess(room: Room) -> None:
    assert room.ann.type(look1="A")["began"] == "again"
    assert room.looks() == []
    room.ann.typed = {}
    room.ann.type(begin="yes")
    room.ann.type(look2="A", look5="B", look99="C")
    assert room.looks() == []
    room.ann.typed = {}
    room.ann.type(guess1="5", look1="A")
    assert room.looks() == [], "a guess and a letter at once: the guess counts, and ends the round"
    room.ann.type(look1="A")
    assert room.looks() == []
    for trial in range(2, 6):
        room.ann.type(**{names.guess(trial): "5"})
    before = room.here.dump()
    for trial in range(1, 7):
        filled = room.ann.type(**{names.look(trial): "A"})
        assert not [name for name in filled if name.startswith("letter")]
    assert room.here.dump() == before


def test_at_other_levels_nothing_can_be_looked_up(room: Room) -> None:
    at_level(room.here, room.tasks[ANN], "upstream")
    room.ann.type(begin="yes")
    filled = room.ann.type(look1="A")
    assert not [name for name in filled if name.startswith(("letter", "meter", "looked", "told"))]
    assert room.looks() == []


@pytest.mark.parametrize("how", ["another's draft", "another's task", "no draft"])
def test_who_is_not_the_annotator_looks_nothing_up(how: str, room: Room) -> None:
    room.ann.type(begin="yes")
    room.bob.type(begin="yes")
    before = room.here.dump()
    task: dict[str, Any] = room.ann.task
    if how == "another's task":
        task["data"][names.KEY] = room.bob.task["data"][names.KEY]
    else:
        task["drafts"] = [] if how == "no draft" else [{"user": BOB}]
    filled = room.ann.type(look1="A")
    assert set(filled) == ({"look1", "told1"} if how == "no draft" else set())
    assert "wait ten seconds" in filled.get("told1", "wait ten seconds")
    assert room.here.dump() == before


def test_who_comes_back_is_shown_what_was_looked_up(room: Room) -> None:
    room.ann.type(begin="yes")
    room.ann.type(look1="A")
    room.ann.type(guess1="5")
    seen = room.ann.type(look2="B")
    room.ann.typed = {}
    back = room.ann.type(begin="yes")
    told = {"look2", "told2"}
    assert back == {name: value for name, value in seen.items() if name not in told}


def test_a_sitting_that_was_closed_looks_nothing_up(room: Room) -> None:
    room.ann.type(begin="yes")
    with room.here.store.write() as connection:
        end_sitting(connection, room.tasks[ANN].sitting_id, why="stopped", now=room.here.clock())
    assert "closed" in room.ann.type(look1="A")["told1"]
    assert room.looks() == []
