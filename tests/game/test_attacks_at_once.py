"""Many requests of one person at the same moment, at two server processes on one PostgreSQL: one of them counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from playing import Table
from wire import PATIENT, Wire

if TYPE_CHECKING:
    from conftest import Server

pytestmark = pytest.mark.postgresql

AT_ONCE = 24


@pytest.fixture
def here(tmp_path: Path, postgresql: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    monkeypatch.setenv("IMITABLE_STORE_URL", postgresql())
    folder = invented_campaign(tmp_path / "campaign", targets=3, practice=2, held_out=1, more=PATIENT)
    table = Table(folder, open_store(folder), 3)
    yield table
    table.store.close()


@pytest.fixture
def doors(here: Table, serving: Callable[..., Server]) -> list[Wire]:
    return [Wire(serving(here.folder.path).port) for _ in range(2)]


def at_once(doors: Sequence[Wire], path: str, *, each: str = "", **fields: str) -> list[dict[str, Any]]:
    """The same form from many threads; the field `each` says another number, 1 to 5, in each."""
    with ThreadPoolExecutor(AT_ONCE) as people:
        forms = [fields | ({each: str(1 + n % 5)} if each else {}) for n in range(AT_ONCE)]
        asked = [people.submit(doors[n % len(doors)].post, path, **form) for n, form in enumerate(forms)]
        return [one.result() for one in asked]


def test_one_person_who_does_everything_many_times_at_once_at_two_servers_has_done_it_once(
    here: Table, doors: list[Wire]
) -> None:
    started = at_once(doors, "/start", code=here.links[0].code, agree="yes")
    [token] = {view["token"] for view in started}
    for step in "123":
        at_once(doors, "/tutorial", token=token, step=step, guess="5")
    rounds = 0
    while (view := doors[0].post("/play", token=token))["kind"] != "done":
        shown = at_once(doors, "/play", token=token)
        assert {str(other) for other in shown} == {str(view)}
        if view["kind"] == "questions":
            at_once(doors, "/answers", token=token, episode_id=view["episode_id"], interest="3", each="fun")
            continue
        replies = at_once(doors, "/guess", token=token, round_id=view["round_id"], each="guess")
        rounds += 1
        told = Counter((reply["guess"], reply["truth"], reply["points"]) for reply in replies if "truth" in reply)
        if view["phase"] == "practice":
            assert list(told.values()) == [AT_ONCE], "everybody is told of the same guess"
            assert [reply["repeated"] for reply in replies].count(False) == 1
        else:
            assert not told
    assert rounds == 2 * 3
    for table, count in ((tables.sittings, 1), (tables.episodes, 2), (tables.guesses, 6), (tables.answers, 2)):
        assert here.rows(select(func.count()).select_from(table)) == [(count,)], table.name
    ended = at_once(doors, "/stop", token=token)
    assert {view["stopped"] for view in ended} == {False}, "what is finished cannot be stopped afterwards"


def test_whoever_stops_and_guesses_at_the_same_moment_has_either_guessed_or_not(here: Table, doors: list[Wire]) -> None:
    for link in range(3):
        view = doors[0].begin(here, link)
        fields = {"token": view["token"], "round_id": view["round_id"], "guess": "5"}
        before = here.rows(select(func.count()).select_from(tables.guesses))[0][0]
        with ThreadPoolExecutor(2) as people:
            guess = people.submit(doors[0].post, "/guess", **fields)
            stop = people.submit(doors[1].post, "/stop", token=view["token"])
        taken = here.rows(select(func.count()).select_from(tables.guesses))[0][0] - before
        assert taken == (guess.result()["kind"] == "reveal")
        assert stop.result()["kind"] == "done"
        assert doors[0].post("/play", token=view["token"])["guesses"] == taken
