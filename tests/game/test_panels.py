"""What is shown beside a text at the levels beyond `examples`, through the game's own functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from building import campaign
from imitable.campaign import open_folder
from imitable.commands.build import build
from imitable.errors import GameError
from imitable.game.views import Reveal, Round
from imitable.game.web import web_app
from imitable.store import open_store, tables
from playing import Table


@pytest.fixture(scope="module")
def levelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    more = 'levels = ["text", "neighbours", "upstream", "downstream", "consult", "weights"]\nchecks = [2]'
    more += "\n[readings]\nlooks = 2\n[platform.web]\nannotators_per_target = 9"
    directory = campaign(tmp_path_factory.mktemp("panels") / "c", sites='["mlp.2"]', chosen="units = [3, 4]", more=more)
    build(directory)
    return directory


@pytest.fixture
def seated(levelled: Path) -> Iterator[Table]:
    folder = open_folder(levelled)
    store = open_store(folder)
    with store.write() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            if table not in tables.BUILT:
                connection.execute(table.delete())
    yield Table(folder, store, 3)
    store.close()


def at_level(table: Table, token: str, level: str) -> Round:
    """Let the running episode be of another level, as if it had been drawn so."""
    table.game.view(token)
    with table.store.write() as connection:
        connection.execute(update(tables.episodes).values(level=level))
    view = table.game.view(token)
    assert isinstance(view, Round)
    return view


@pytest.mark.parametrize("level", ["neighbours", "upstream", "downstream", "weights"])
def test_a_round_shows_what_was_read_at_its_item_and_so_does_its_answer(seated: Table, level: str) -> None:
    token = seated.sit()
    view = at_level(seated, token, level)
    for _ in range(3):  # the second round is an attention check, and looks like the others
        assert view.readings is not None
        assert len(view.readings.meters) == 8
        [item] = seated.rows(select(tables.rounds.c.item_id).where(tables.rounds.c.round_id == view.round_id))
        kept = seated.rows(
            select(tables.readings.c["values"]).where(
                tables.readings.c.item_id == item.item_id, tables.readings.c.level == level
            )
        )
        if kept:
            assert [meter.value for meter in view.readings.meters] == [row[0] for row in kept[0][0]]
        reveal = seated.game.guess(token, view.round_id, "5")
        assert isinstance(reveal, Reveal)
        assert reveal.readings == view.readings
        following = seated.game.view(token)
        assert isinstance(following, Round)
        view = following
    letters = [meter.letter for meter in view.readings.meters] if view.readings else []
    assert letters == (["", *"ABCDEF", ""] if level == "weights" else list("ABCDEFGH"))
    if level == "weights" and view.readings:
        rows = [meter.adds for meter in view.readings.meters]
        assert view.readings.sums == tuple(pytest.approx(sum(part)) for part in zip(*rows, strict=True))


@pytest.mark.parametrize("level", ["neighbours", "upstream", "downstream", "consult", "weights"])
def test_the_page_of_a_round_and_that_of_its_answer_show_the_same_readings(seated: Table, level: str) -> None:
    http = TestClient(web_app(seated.game))
    token = seated.sit()
    view = at_level(seated, token, level)
    asked = http.post("/play", data={"token": token})
    if level == "consult":
        for place in ("1", "7"):
            asked = http.post("/look", data={"token": token, "round_id": view.round_id, "place": place})
    answered = http.post("/guess", data={"token": token, "round_id": view.round_id, "guess": "5"})
    assert (asked.status_code, answered.status_code) == (200, 200)
    letters = [
        re.findall(r'<b class="letter">(.)</b>|<tr><th scope="row">(.)</th>', page.text) for page in (asked, answered)
    ]
    assert letters[0] == letters[1]
    assert len(letters[0]) == {"consult": 2, "weights": 12}.get(level, 8)


def test_an_answer_says_nothing_of_units_where_none_was_looked_up(seated: Table) -> None:
    http = TestClient(web_app(seated.game))
    token = seated.sit()
    view = at_level(seated, token, "consult")
    page = http.post("/guess", data={"token": token, "round_id": view.round_id, "guess": "5"})
    assert page.status_code == 200
    assert 'class="readings"' not in page.text


def test_no_page_names_a_unit(seated: Table) -> None:
    from imitable.game.views import as_json

    token = seated.sit()
    for level in ("neighbours", "consult", "weights"):
        assert b"mlp." not in as_json(at_level(seated, token, level))


def test_a_player_who_consults_sees_what_he_asked_for_as_often_as_he_may(seated: Table) -> None:
    token = seated.sit()
    view = at_level(seated, token, "consult")
    assert view.readings is not None
    assert view.readings.looks_left == 2
    assert all(meter.value is None for meter in view.readings.meters)
    for place, left in (("3", 1), ("3", 1), ("0", 0), ("5", 0), ("99", 0), ("-1", 0), ("²", 0), ("9" * 5000, 0)):
        after = seated.game.look(token, view.round_id, place)
        assert isinstance(after, Round)
        assert after.readings is not None
        assert after.readings.looks_left == left
        assert bool(after.error) == (place not in ("3", "0"))
        seen = {meter.letter for meter in after.readings.meters if meter.value is not None}
    assert seen == {"A", "D"}
    reveal = seated.game.guess(token, view.round_id, "5")
    assert isinstance(reveal, Reveal)
    seated.game.look(token, view.round_id, "7")  # the guess is given: nothing more is looked up
    looks = seated.rows(select(tables.looks.c.place).where(tables.looks.c.round_id == view.round_id))
    assert sorted(row.place for row in looks) == [0, 3]
    other = seated.sit(1)
    with pytest.raises(GameError, match="not yours"):
        seated.game.look(other, view.round_id, "1")


def test_at_other_levels_nothing_can_be_looked_up(seated: Table) -> None:
    token = seated.sit()
    view = at_level(seated, token, "neighbours")
    seated.game.look(token, view.round_id, "1")
    assert seated.rows(select(tables.looks)) == []
