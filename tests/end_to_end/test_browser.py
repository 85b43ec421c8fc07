"""People in a real Chromium play a real campaign on a real server, and the record is what they typed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from end_to_end.visiting import Visitor
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Route, expect
from sqlalchemy import select

from imitable.commands.folders import built
from imitable.store import tables

if TYPE_CHECKING:
    from conftest import Server

Seat = Callable[..., Visitor]

pytestmark = pytest.mark.browser

GUESSES = 2 * (3 + 2)

either_way = pytest.mark.parametrize("means", ["mouse", "plain"])
"""With JavaScript and without."""


def recorded(campaign: Path) -> list[float]:
    """Every guess in the store, in the order in which it was asked for."""
    order = (
        select(tables.guesses.c.guess)
        .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.guesses.c.episode_id)
        .order_by(tables.sitting_episodes.c.sitting_id, tables.sitting_episodes.c.place, tables.guesses.c.trial)
    )
    with built(campaign) as (_, store), store.read() as connection:
        return list(connection.execute(order).scalars())


def answers(campaign: Path) -> list[tuple[Any, ...]]:
    """What was answered to the three questions."""
    asked = select(tables.answers.c.fun, tables.answers.c.interest, tables.answers.c.explanation)
    with built(campaign) as (_, store), store.read() as connection:
        return [tuple(row) for row in connection.execute(asked)]


def all_went_well(visitor: Visitor, server: Server) -> None:
    """The sitting is over, the record is what was typed, and the browser had nothing to complain of."""
    assert visitor.kind == "done"
    assert len(visitor.given) == GUESSES
    assert recorded(server.campaign) == visitor.given
    assert answers(server.campaign) == [(4, 2, "the names of animals")] * 2
    assert visitor.complaints == []
    assert [url for url in visitor.addresses if not url.startswith(server.address) and url != "about:blank"] == []
    assert visitor.context.cookies() == []


def tokens_in_addresses(visitor: Visitor, tokens: set[str]) -> list[str]:
    """Addresses that give a session away: the token, or its secret half."""
    secrets = {part for token in tokens for part in (token, token.partition(".")[2])}
    return [url for url in visitor.addresses if any(secret in url for secret in secrets)]


def play_and_watch(visitor: Visitor, name: str, screenshots: Path | None) -> None:
    """Play a whole sitting, photograph each kind of page once, and see that the token stays out of addresses."""
    tokens: set[str] = set()
    taken: set[str] = set()

    def seen() -> None:
        if visitor.kind in {"round", "reveal", "questions"}:
            tokens.add(visitor.token)
        what = visitor.kind + ("-warm-up" if visitor.warming_up else "")
        if visitor.page.locator(".banner-final").count():
            what = "held-out"
        if what not in taken:
            taken.add(what)
            visitor.picture(f"{name}-{what}", screenshots)

    assert visitor.page.locator(".agree").count() == 1
    visitor.play(seen)
    assert {"landing", "round", "reveal", "held-out", "questions", "done"} <= taken
    assert len(tokens) == 1
    assert tokens_in_addresses(visitor, tokens) == []


# A whole sitting


def test_a_whole_sitting_is_played_with_the_keyboard_alone(
    seat: Seat, server: Server, screenshots: Path | None
) -> None:
    visitor = seat("keyboard")
    play_and_watch(visitor, "desktop", screenshots)
    all_went_well(visitor, server)


def test_a_whole_sitting_is_played_with_one_thumb(seat: Seat, server: Server, screenshots: Path | None) -> None:
    visitor = seat("thumb")
    play_and_watch(visitor, "phone", screenshots)
    all_went_well(visitor, server)


def test_a_whole_sitting_is_played_without_javascript(seat: Seat, server: Server, screenshots: Path | None) -> None:
    visitor = seat("plain")
    play_and_watch(visitor, "no-js", screenshots)
    all_went_well(visitor, server)


# Refresh, back, double click, two tabs


@either_way
def test_a_refresh_loses_nothing_and_doubles_nothing(seat: Seat, server: Server, means: str) -> None:
    visitor = seat(means)
    visitor.until("round")
    asked = visitor.round_id
    visitor.page.reload()
    visitor.until("round")
    assert visitor.round_id == asked
    visitor.guess(6.5)
    told = visitor.page.locator(".verdict").inner_text()
    visitor.page.reload()  # without JavaScript this sends the guess again
    if means == "plain":
        assert visitor.page.locator(".verdict").inner_text() == told
        assert "your first answer counts" in visitor.text
    visitor.until("round")
    assert visitor.round_id != asked
    assert recorded(server.campaign) == [6.5]


@either_way
def test_the_back_button_changes_no_answer(seat: Seat, server: Server, means: str) -> None:
    visitor = seat(means)
    visitor.until("round")
    visitor.guess(6.5)
    visitor.until("round")
    asked = visitor.round_id
    with suppress(PlaywrightError):  # without JavaScript the browser asks first whether to send the form again
        visitor.page.go_back()
    if means == "plain":
        visitor.page.wait_for_url("chrome-error://chromewebdata/")
        visitor.page.reload()
        assert "you guessed 6.5" in visitor.text
        assert "your first answer counts" in visitor.text
    visitor.open()
    assert "Welcome back" in visitor.text
    expect(visitor.page.locator(".begin button")).to_be_in_viewport()
    visitor.step()
    assert visitor.round_id == asked
    assert recorded(server.campaign) == [6.5]


@either_way
def test_a_double_click_answers_once_and_skips_no_answer(seat: Seat, server: Server, means: str) -> None:
    visitor = seat(means)
    visitor.until("round")
    for _ in range(3):
        visitor.page.locator("#guess").fill("2.5")
        visitor.moving_on(visitor.page.locator("button.main").dblclick)
        visitor.page.wait_for_timeout(150)
        assert visitor.kind == "reveal"
        assert "you guessed 2.5" in visitor.text
        visitor.step()
    held_out = visitor.round_id
    visitor.page.locator("#guess").fill("8")
    visitor.moving_on(visitor.page.locator("button.main").dblclick)
    visitor.page.wait_for_timeout(150)
    assert visitor.kind == "round"
    assert visitor.round_id != held_out
    assert recorded(server.campaign) == [2.5, 2.5, 2.5, 8.0]


@either_way
def test_of_two_tabs_the_first_answer_counts(seat: Seat, server: Server, means: str) -> None:
    first = seat(means)
    first.until("round")
    second = first.another_tab()
    second.open()
    second.until("round")
    assert second.round_id == first.round_id
    first.guess(2.0)
    assert "you guessed 2.0" in first.text
    assert second.kind == "round"
    second.guess(9.0)
    assert second.kind == "reveal"
    assert "you guessed 2.0" in second.text
    assert "your first answer counts" in second.text
    second.until("questions")  # the first tab is left behind at an old answer
    first.step()
    assert first.kind == "questions"
    first.step()
    second.step()
    assert first.round_id == second.round_id
    assert recorded(server.campaign) == [2.0, *second.given[1:]]
    assert len(answers(server.campaign)) == 1


# A server that dies, a reply that is lost


def test_a_dead_server_costs_a_kind_word_and_no_guess(seat: Seat, server: Server, screenshots: Path | None) -> None:
    visitor = seat("mouse")
    visitor.until("round")
    visitor.guess(1.5)
    visitor.until("round")
    server.kill()
    page = visitor.page
    page.locator("#guess").fill("6.5")
    page.locator("button.main").click()
    expect(page.locator(".trouble")).to_contain_text("Nothing is lost")
    assert page.locator("#guess").input_value() == "6.5"
    assert page.locator("#slider").input_value() == "6.5"
    visitor.picture("trouble", screenshots)
    server.start()
    visitor.moving_on(page.locator("button.main").click)
    assert "you guessed 6.5" in visitor.text
    assert recorded(server.campaign) == [1.5, 6.5]
    wide = page.locator("#next").bounding_box()
    server.kill()
    page.locator("#next").click()
    expect(page.locator(".trouble")).to_be_visible()
    assert page.locator("#next").bounding_box() == wide, "the word stands below the button, not beside it"
    visitor.picture("trouble-reveal", screenshots)


def test_without_javascript_a_dead_server_costs_a_reload(seat: Seat, server: Server) -> None:
    visitor = seat("plain")
    visitor.until("round")
    server.kill()
    visitor.page.locator("#guess").fill("6.5")
    visitor.page.locator("button.main").click()
    visitor.page.wait_for_url("chrome-error://chromewebdata/")
    server.start()
    visitor.page.reload()
    expect(visitor.page.locator(".verdict")).to_contain_text("you guessed 6.5")
    assert recorded(server.campaign) == [6.5]


def test_a_guess_whose_answer_was_lost_on_the_way_counts_once(seat: Seat, server: Server) -> None:
    visitor = seat("mouse")
    visitor.until("round")

    def lose_the_reply(route: Route) -> None:
        route.fetch()
        route.abort("connectionreset")

    page = visitor.page
    page.route("**/guess", lose_the_reply, times=1)
    page.locator("#guess").fill("6.5")
    page.locator("button.main").click()
    expect(page.locator(".trouble")).to_be_visible()
    page.locator("#guess").fill("9")  # a change of mind comes too late
    visitor.moving_on(page.locator("button.main").click)
    assert "you guessed 6.5" in visitor.text
    assert "your first answer counts" in visitor.text
    assert recorded(server.campaign) == [6.5]


def test_an_error_of_the_server_leaves_the_guess_where_it_was_typed(seat: Seat, server: Server) -> None:
    visitor = seat("mouse")
    visitor.until("round")
    page = visitor.page
    sorry = '<main class="problem" data-announce="sorry"><h1>Please try again in a minute</h1></main>'
    page.route("**/guess", lambda route: route.fulfill(status=503, content_type="text/html", body=sorry), times=1)
    page.locator("#guess").fill("6.5")
    page.locator("button.main").click()
    expect(page.locator(".trouble")).to_contain_text("Nothing is lost")
    assert page.locator("#guess").input_value() == "6.5"
    visitor.moving_on(page.locator("button.main").click)
    assert recorded(server.campaign) == [6.5]


# What goes wrong, and is said kindly


def test_an_unknown_link_is_answered_kindly(seat: Seat, server: Server, screenshots: Path | None) -> None:
    visitor = seat("mouse")
    reply = visitor.page.goto(f"{server.address}/j/{'0' * 32}")
    assert reply is not None
    assert reply.status == 400
    assert visitor.kind == "problem"
    assert "Please check that you copied all of it." in visitor.text
    assert "Write to lab@example.org." in visitor.text
    visitor.picture("problem", screenshots)
    visitor.page.goto(f"{server.address}/guess")
    assert "Please open your personal link again." in visitor.text
    visitor.open()
    assert visitor.kind == "landing"


def test_a_guess_off_the_scale_is_refused_where_it_was_typed(seat: Seat, server: Server) -> None:
    visitor = seat("keyboard")
    visitor.until("round")
    asked, keyboard, box = visitor.round_id, visitor.page.keyboard, visitor.page.locator("#guess")
    sent = len(visitor.addresses)
    for typed, kept, said in (("", "", "Please guess first"), ("11", "11", "The scale goes from 0 to 10")):
        keyboard.type(typed)
        keyboard.press("Enter")
        expect(visitor.page.locator("#error")).to_contain_text(said)
        assert box.input_value() == kept
    assert len(visitor.addresses) == sent
    assert visitor.round_id == asked
    keyboard.press("Control+A")
    keyboard.type("6,5")  # as half of the world writes it
    keyboard.press("ArrowUp")
    keyboard.press("Shift+ArrowDown")
    visitor.moving_on(lambda: keyboard.press("Enter"))
    assert recorded(server.campaign) == [6.9]


@either_way
def test_a_guess_that_the_browser_lets_through_is_refused_by_the_server(seat: Seat, server: Server, means: str) -> None:
    visitor = seat(means)
    visitor.until("round")
    asked = visitor.round_id
    for nonsense in ("11", "seven", "nan", ""):

        def garble(route: Route, instead: str = nonsense) -> None:
            sent = route.request.post_data or ""
            assert "guess=6.5" in sent
            route.continue_(post_data=sent.replace("guess=6.5", f"guess={instead}"))

        visitor.page.route("**/guess", garble, times=1)
        visitor.guess(6.5)
        assert visitor.round_id == asked
        alert = "Please give a number from 0 to 10, such as 6.5, and submit again."
        expect(visitor.page.locator("#error")).to_have_text(alert)
    assert recorded(server.campaign) == []
    visitor.guess(6.5)
    assert visitor.kind == "reveal"
    assert recorded(server.campaign) == [6.5]


@either_way
def test_the_earlier_rounds_can_be_unfolded(seat: Seat, means: str) -> None:
    visitor = seat(means)
    visitor.until("round")
    history = visitor.page.locator(".history")
    expect(history).to_have_count(0)
    for guess in (6.5, 2):
        visitor.guess(guess)
        visitor.step()
    rows = history.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_be_hidden()
    visitor.press(history.locator("summary"))
    expect(rows.first).to_be_visible()
    assert [rows.nth(at).locator("td").first.inner_text() for at in (0, 1)] == ["2.0", "6.5"]
    visitor.guess(3)
    assert (history.get_attribute("open") is not None) == (means == "mouse")  # it stays as it was left, by JavaScript
    visitor.step()
    visitor.guess(4)
    expect(rows.filter(has_text="not shown")).to_have_count(1)


def test_stopping_early_keeps_what_was_done(seat: Seat, server: Server, screenshots: Path | None) -> None:
    visitor = seat("mouse")
    visitor.until("round")
    visitor.guess(6.5)
    visitor.stop()
    assert visitor.kind == "done"
    assert "Your guesses are saved." in visitor.text
    visitor.picture("stopped", screenshots)
    visitor.open()
    assert visitor.kind == "done"
    assert recorded(server.campaign) == [6.5]
