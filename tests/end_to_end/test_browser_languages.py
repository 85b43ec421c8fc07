"""In Chromium: pages from right to left, and the sentences that a page says by itself, in the campaign's language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from end_to_end.test_browser_access import FITS, findings
from end_to_end.visiting import Visitor
from playwright.sync_api import Route, expect
from sqlalchemy import update

from imitable.commands.folders import built
from imitable.commands.publish import publish
from imitable.store import tables

if TYPE_CHECKING:
    from conftest import Server

Seat = Callable[..., Visitor]

pytestmark = pytest.mark.browser

HEBREW = """
[number]
decimal = ","
[page]
stop = "לעצור כאן"
[landing]
title = "האם תצליחו לנחש על מה הנוירון מגיב?"
read = "**קוראים** קטע קצר מתוך טקסט ארוך יותר. חלק אחד ממנו מסומן."
start = "להתחיל"
[progress]
neuron = "נוירון {episode} מתוך {episodes}"
warm_up = "חימום"
round = "סיבוב {trial} מתוך {total}"
points = "**{points}** נקודות"
[round]
question = "כמה חזק הנוירון מגיב אל {piece}?"
submit = "לשלוח ניחוש"
hint_both = "{low} עד {high}, 0 פירושו אין תגובה. גם שברים עשרוניים."
[scale]
none = "**{number}** אין תגובה"
strongest = "**{number}** החזקה ביותר"
other_way = "**{number}** החזקה ביותר בכיוון ההפוך"
[reveal]
verdict = "**{grade}:** ניחשתם {guess}, והיה {truth}."
[reading]
you = "אתם"
neuron = "הנוירון"
[examples]
title = "דוגמאות עם תשובות"
legend = "יותר צבע: הנוירון מגיב יותר."
[history]
title = "הסיבובים הקודמים"
[script]
not_set = "עוד לא נבחר"
no_guess = "נא לנחש קודם: מספר מ־{low} עד {high}."
off_scale = "הסולם הוא מ־{low} עד {high}."
lost = "זה לא עבר. שום דבר לא אבד."
"""


@pytest.fixture
def server(small_campaign: Path, serving: Callable[[Path], Server]) -> Server:
    """The small real campaign, speaking Hebrew where it can, on the scale with two sides."""
    with (small_campaign / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write('[study]\nlanguage = "he"\ntexts = "he.toml"\n')
    (small_campaign / "he.toml").write_text(HEBREW, encoding="utf-8")
    publish(small_campaign)
    with built(small_campaign) as (_, store), store.write() as connection:
        connection.execute(update(tables.targets).values(polarity="both"))
    return serving(small_campaign)


def test_every_page_is_laid_out_from_right_to_left_and_its_scales_to_the_right(
    seat: Seat, screenshots: Path | None
) -> None:
    visitor = seat("mouse", viewport={"width": 320, "height": 700})
    page = visitor.page
    seen: set[str] = set()

    def look() -> None:
        what = visitor.kind + ("-warm-up" if visitor.warming_up else "")
        for folded in page.locator("details").all():
            folded.evaluate("one => { one.open = true; }")
        assert page.locator("html").get_attribute("lang") == "he"
        assert page.evaluate("getComputedStyle(document.querySelector('h1')).direction") == "rtl"
        assert page.evaluate(FITS), f"{what} scrolls sideways"
        if what not in seen:
            assert findings(visitor) == [], what
            visitor.picture(f"hebrew-{what}", screenshots)
        for folded in page.locator(".stop").all():
            folded.evaluate("one => { one.open = false; }")
        seen.add(what)
        if visitor.kind == "round":
            slider, ends = page.locator("#slider"), page.locator(".scale .ends span")
            box = slider.bounding_box()
            assert box is not None
            page.mouse.click(box["x"] + box["width"] - 17, box["y"] + box["height"] / 2)
            assert float(page.locator("#guess").input_value()) == 10
            left, right = ends.first.bounding_box(), ends.last.bounding_box()
            assert left is not None
            assert right is not None
            assert left["x"] < right["x"]
        if visitor.kind == "reveal":
            you = page.locator(".you-label").bounding_box()
            assert you is not None
            assert 0 <= you["x"] <= you["x"] + you["width"] <= 320

    visitor.play(look)
    assert seen == {"landing", "round-warm-up", "reveal-warm-up", "round", "reveal", "questions", "done"}
    assert visitor.complaints == []


def test_what_the_page_says_by_itself_is_in_the_campaigns_language(seat: Seat) -> None:
    visitor = seat("keyboard")
    visitor.until("round")
    page, slider, error = visitor.page, visitor.page.locator("#slider"), visitor.page.locator("#error")
    expect(slider).to_have_attribute("aria-valuetext", "עוד לא נבחר")
    page.keyboard.press("Enter")
    expect(error).to_have_text("נא לנחש קודם: מספר מ־\u200e−10 עד 10.")
    page.keyboard.type("11")
    page.keyboard.press("Enter")
    expect(error).to_have_text("הסולם הוא מ־\u200e−10 עד 10.")
    page.locator("#guess").fill("-2.5")
    expect(slider).to_have_attribute("aria-valuetext", "\u200e−2,5")

    def lose(route: Route) -> None:
        route.abort("connectionreset")

    page.route("**/guess", lose, times=1)
    page.locator("button.main").click()
    expect(page.locator(".trouble")).to_have_text("זה לא עבר. שום דבר לא אבד.")
    visitor.moving_on(page.locator("button.main").click)
    expect(page.locator(".verdict .n").first).to_have_text("\u200e−2,5")
