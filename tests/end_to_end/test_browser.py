"""People in a real Chromium play a real campaign on a real server, and the record is what they typed."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from end_to_end.visiting import Visitor
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Route, expect
from sqlalchemy import select, update

from imitable.commands.folders import built
from imitable.store import tables

if TYPE_CHECKING:
    from conftest import Server

Seat = Callable[..., Visitor]

pytestmark = pytest.mark.browser

GUESSES = 2 * (3 + 2)

FITS = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
TOO_FAINT = """() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    const color = getComputedStyle(one).backgroundColor;
    return one.parentElement && color === "rgba(0, 0, 0, 0)" ? behind(one.parentElement) : color;
  };
  const says = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const faint = (one) => {
    const style = getComputedStyle(one);
    const pair = [light(one.closest("svg") ? style.fill : style.color), light(behind(one))].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05) < 4.5;
  };
  return [...document.querySelectorAll("body *")].filter((one) => says(one) && one.checkVisibility() && faint(one))
    .map((one) => one.outerHTML);
}"""
"""Text whose contrast with its ground is less than 4.5 to 1 (WCAG AA)."""
WITHOUT_EXAMPLES = """() => {
  const page = document.documentElement.cloneNode(true);
  page.querySelectorAll(".examples").forEach((one) => one.remove());
  return page.outerHTML;
}"""

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


def play_and_watch(visitor: Visitor, name: str, screenshots: Path) -> None:
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

    visitor.play(seen)
    assert {"landing", "round", "reveal", "held-out", "questions", "done"} <= taken
    assert len(tokens) == 1
    assert tokens_in_addresses(visitor, tokens) == []


# A whole sitting


def test_a_whole_sitting_is_played_with_the_keyboard_alone(seat: Seat, server: Server, screenshots: Path) -> None:
    visitor = seat("keyboard")
    play_and_watch(visitor, "desktop", screenshots)
    all_went_well(visitor, server)


def test_a_whole_sitting_is_played_with_one_thumb(seat: Seat, server: Server, screenshots: Path) -> None:
    visitor = seat("thumb")
    play_and_watch(visitor, "phone", screenshots)
    all_went_well(visitor, server)


def test_a_whole_sitting_is_played_without_javascript(seat: Seat, server: Server, screenshots: Path) -> None:
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
    visitor.play()
    assert recorded(server.campaign) == visitor.given


@either_way
def test_the_back_button_changes_no_answer(seat: Seat, server: Server, means: str) -> None:
    visitor = seat(means)
    visitor.until("round")
    visitor.guess(6.5)
    visitor.until("round")
    asked = visitor.round_id
    with suppress(PlaywrightError):  # without JavaScript the browser asks first whether to send the form again
        visitor.page.go_back()
    visitor.page.reload()
    if means == "plain":
        assert "you guessed 6.5" in visitor.text
        assert "your first answer counts" in visitor.text
    visitor.open()
    assert "Welcome back" in visitor.text
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


def test_a_dead_server_costs_a_kind_word_and_no_guess(seat: Seat, server: Server, screenshots: Path) -> None:
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


# What is seen, and what is not


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_the_smallest_phone_everything_fits_and_can_be_read(seat: Seat, screenshots: Path, scheme: str) -> None:
    visitor = seat("thumb", viewport={"width": 320, "height": 640}, color_scheme=scheme)
    taken: set[str] = set()

    def seen() -> None:
        visitor.stand_still()
        assert visitor.page.evaluate(FITS), f"{visitor.kind} scrolls sideways"
        assert visitor.page.evaluate(TOO_FAINT) == []
        if visitor.kind == "reveal":
            labels_stand_on_the_bar(visitor)
        if visitor.kind not in taken:
            visitor.picture(f"small-{scheme}-{visitor.kind}", screenshots)
        taken.add(visitor.kind)

    visitor.play(seen)
    visitor.page.goto(visitor.link + "x")
    seen()
    assert taken == {"landing", "round", "reveal", "questions", "done", "problem"}
    ground = visitor.page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", ground))) < 64) == (scheme == "dark")


def labels_stand_on_the_bar(visitor: Visitor) -> None:
    """The guess and the truth can both be read, inside the picture and apart from each other."""
    picture = visitor.page.locator("svg.reading").bounding_box()
    assert picture is not None
    ends = []
    for label in (".you-label", ".truth-label"):
        shown = visitor.page.locator(label)
        assert shown.evaluate("one => getComputedStyle(one).opacity") == "1"
        box = shown.bounding_box()
        assert box is not None
        assert picture["x"] <= box["x"] + 1
        assert box["x"] + box["width"] <= picture["x"] + picture["width"] + 1
        ends.append((box["y"], box["y"] + box["height"]))
    assert ends[0][1] < ends[1][0]


def test_no_truth_is_in_the_page_before_its_guess(seat: Seat, server: Server) -> None:
    with built(server.campaign) as (_, store), store.write() as connection:
        connection.execute(update(tables.truths).values(truth=7.77, activation=7.77))
    needle = re.compile(r"(?<![\d.])7\.(77|8)(?!\d)")
    visitor = seat("mouse")
    told: list[bool] = []

    def seen() -> None:
        page = visitor.page.evaluate(WITHOUT_EXAMPLES)
        if visitor.kind in {"round", "reveal"} and not visitor.warming_up:
            told.append(bool(needle.search(page.replace(visitor.token, ""))))
            assert told[-1] == (visitor.kind == "reveal"), page

    visitor.play(seen)
    assert told == 2 * [False, True, False, True, False, True, False, False]


# What goes wrong, and is said kindly


def test_an_unknown_link_is_answered_kindly(seat: Seat, server: Server, screenshots: Path) -> None:
    visitor = seat("mouse")
    reply = visitor.page.goto(f"{server.address}/j/{'0' * 32}")
    assert reply is not None
    assert reply.status == 400
    assert visitor.kind == "problem"
    assert "Please check that you copied all of it." in visitor.text
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


def test_stopping_early_keeps_what_was_done(seat: Seat, server: Server, screenshots: Path) -> None:
    visitor = seat("mouse")
    visitor.until("round")
    visitor.guess(6.5)
    visitor.page.locator(".stop summary").click()
    visitor.moving_on(visitor.page.locator(".stop button").click)
    assert visitor.kind == "done"
    assert "Your guesses are saved." in visitor.text
    visitor.picture("stopped", screenshots)
    visitor.open()
    visitor.step()
    assert visitor.kind == "done"
    assert recorded(server.campaign) == [6.5]
