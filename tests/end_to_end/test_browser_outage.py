"""In a real Chromium: a database that is stuck, and a server that asks to wait, cost a kind word and no guess."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from end_to_end.visiting import Visitor
from playwright.sync_api import expect

from imitable.commands.publish import publish
from imitable.game.limits import SESSION_AT_ONCE

if TYPE_CHECKING:
    from conftest import Server

Seat = Callable[..., Visitor]

pytestmark = pytest.mark.browser

AGAIN = 5
"""Seconds after which a session that asked too much may ask again."""


@pytest.fixture
def server(small_campaign: Path, serving: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> Server:
    """The small real campaign on SQLite, with a slow refill of what a session may ask."""
    monkeypatch.delenv("IMITABLE_STORE_URL", raising=False)
    with (small_campaign / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write(f"[serve.limits]\nsession_per_second = {1 / AGAIN}\n")
    publish(small_campaign)
    return serving(small_campaign)


@pytest.fixture
def stuck(server: Server) -> Iterator[sqlite3.Connection]:
    """Another process's connection: `BEGIN IMMEDIATE` keeps everybody else from writing."""
    with closing(sqlite3.connect(server.campaign / "campaign.db", isolation_level=None)) as connection:
        yield connection


def guesses(server: Server) -> list[float]:
    with closing(sqlite3.connect(server.campaign / "campaign.db")) as connection:
        return [row[0] for row in connection.execute("SELECT guess FROM guesses ORDER BY answered_at")]


def submit_and_be_told_to_wait(visitor: Visitor) -> None:
    page = visitor.page
    page.locator("#guess").fill("6.5")
    page.locator("button.main").click()
    expect(page.locator(".trouble")).to_contain_text("We cannot take that just now. Nothing is lost", timeout=25_000)
    expect(page.locator(".trouble")).to_have_count(1)
    assert page.locator("#guess").input_value() == "6.5"
    assert page.locator("#slider").input_value() == "6.5"
    assert visitor.kind == "round"


def test_a_stuck_database_costs_a_kind_word_and_the_typed_guess_stays(
    seat: Seat, server: Server, stuck: sqlite3.Connection, screenshots: Path | None
) -> None:
    visitor = seat("mouse")
    visitor.until("round")
    stuck.execute("BEGIN IMMEDIATE")
    submit_and_be_told_to_wait(visitor)
    visitor.picture("stuck", screenshots)
    submit_and_be_told_to_wait(visitor)
    stuck.execute("ROLLBACK")
    visitor.moving_on(visitor.page.locator("button.main").click)
    assert "you guessed 6.5" in visitor.text
    assert "your first answer counts" not in visitor.text
    assert guesses(server) == [6.5]
    visitor.step()
    assert visitor.kind == "round"


def test_without_javascript_a_stuck_database_costs_a_reload(
    seat: Seat, server: Server, stuck: sqlite3.Connection
) -> None:
    visitor = seat("plain")
    visitor.until("round")
    stuck.execute("BEGIN IMMEDIATE")
    visitor.page.set_default_timeout(30_000)
    visitor.page.locator("#guess").fill("6.5")
    visitor.moving_on(visitor.page.locator("button.main").click)
    assert visitor.kind == "problem"
    assert "Your answers are safe." in visitor.text
    stuck.execute("ROLLBACK")
    visitor.page.reload()  # sends the form again
    expect(visitor.page.locator(".verdict")).to_contain_text("you guessed 6.5")
    assert guesses(server) == [6.5]


def test_who_is_asked_to_wait_finds_the_guess_where_it_was_typed(seat: Seat, server: Server) -> None:
    visitor = seat("mouse")
    visitor.until("round")
    with httpx.Client(base_url=server.address) as somebody:  # another tab of the same session gone wild, say
        for _ in range(2 * SESSION_AT_ONCE):
            refused = somebody.post("/tutorial", data={"token": visitor.token})
            if refused.status_code == 429:
                break
    assert int(refused.headers["retry-after"]) <= AGAIN
    submit_and_be_told_to_wait(visitor)
    visitor.page.wait_for_timeout(1000 * AGAIN)
    visitor.moving_on(visitor.page.locator("button.main").click)
    assert "you guessed 6.5" in visitor.text
    assert guesses(server) == [6.5]
