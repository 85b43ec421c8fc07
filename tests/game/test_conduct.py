"""What a page tells beside a guess is kept as it was told, and changes nothing else, true or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from imitable.commands.export import export
from imitable.game.web import web_app
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from imitable_aggregation.reading import read_guesses
from playing import Table

Set = Callable[..., Table]

TOLD = (tables.guesses.c.pasted, tables.guesses.c.copied, tables.guesses.c.blurs, tables.guesses.c.away_seconds)


class Page:
    """A page that tells something of itself."""

    def __init__(self, here: Table) -> None:
        self.here = here
        self.http = TestClient(web_app(here.game), headers={"Accept": "application/json"})
        self.token = here.sit()

    def guess(self, **told: str) -> dict[str, Any]:
        asked = self.http.post("/play", data={"token": self.token}).json()
        self.here.clock.move(seconds=10)
        fields = {"token": self.token, "round_id": asked["round_id"], "guess": "5"}
        view: dict[str, Any] = self.http.post("/guess", data=fields | told).json()
        return view


def test_what_the_page_tells_is_stored_beside_the_guess_and_exported(table: Set, tmp_path: Path) -> None:
    page = Page(table())
    page.guess(pasted="1", copied="0", blurs="2", away_ms="3500")
    page.guess()
    assert page.here.rows(select(*TOLD).order_by(tables.guesses.c.trial)) == [(True, False, 2, 3.5), (None,) * 4]
    export(page.here.folder.path, out=tmp_path / "out")
    rows = pd.read_csv(tmp_path / "out" / "guesses.csv", dtype=str, keep_default_na=False)
    cells = rows[["pasted", "copied", "blurs", "away_seconds", "seconds"]].to_numpy().tolist()
    assert cells == [["true", "false", "2", "3.5", "10.0"], ["", "", "", "", "10.0"]]
    with read_guesses(tmp_path / "out") as found:  # as 'imitable rank' does
        assert found.rows == 2


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"pasted": "2", "copied": "true", "blurs": "-1", "away_ms": "1.5"}, (None, None, None, None)),
        ({"pasted": "", "copied": "1 ", "blurs": "1e3", "away_ms": "nan"}, (None, None, None, None)),
        ({"pasted": "1\0", "copied": "x" * 9000, "blurs": "٣", "away_ms": "²"}, (True, None, None, None)),
        ({"blurs": "999999999", "away_ms": "999999999"}, (None, None, 1000, 10.0)),
        ({"blurs": "9" * 400, "away_ms": "9" * 400}, (None, None, None, None)),
    ],
)
def test_nonsense_is_as_if_nothing_was_told_and_too_much_is_cut(
    table: Set, told: dict[str, str], kept: tuple[Any, ...]
) -> None:
    page = Page(table())
    assert page.guess(**told)["kind"] == "reveal"
    assert page.here.rows(select(*TOLD)) == [kept]


def test_a_repeat_cannot_change_what_was_told_with_the_guess_that_counts(table: Set) -> None:
    page = Page(table())
    asked = page.http.post("/play", data={"token": page.token}).json()
    fields = {"token": page.token, "round_id": asked["round_id"], "guess": "5"}
    page.http.post("/guess", data=fields | {"pasted": "1"})
    page.http.post("/guess", data=fields | {"pasted": "0", "blurs": "7"})
    assert page.here.rows(select(*TOLD)) == [(True, None, None, None)]


def test_whatever_is_told_the_replies_are_the_same_to_the_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMITABLE_STORE_URL", raising=False)
    views = []
    for at, told in enumerate(({}, {"pasted": "1", "copied": "1", "blurs": "999", "away_ms": "9000"}, {"pasted": "?"})):
        folder = invented_campaign(tmp_path / str(at))
        page = Page(Table(folder, open_store(folder), 1))
        views.append([page.guess(**told) for _ in range(5)])
        page.here.store.close()
    assert views[0] == views[1] == views[2]


def test_the_first_page_says_that_it_is_stored(table: Set) -> None:
    page = Page(table(consent="We ask for nothing."))
    said = page.http.get(f"/j/{page.here.links[1].code}", headers={"Accept": "text/html"}).text
    assert "whether you copied or pasted text or left the page" in said
    assert "which neurons you looked up" not in said, "nothing can be looked up here"


def test_the_first_page_says_that_what_is_looked_up_is_stored(table: Set) -> None:
    page = Page(table(levels=("examples", "consult")))
    said = page.http.get(f"/j/{page.here.links[1].code}", headers={"Accept": "text/html"}).text
    assert "Also which neurons you looked up, and when. Apart from that, that your link was used." in said
