"""Accessibility: axe-core finds nothing on any page, in either scheme, at either size, with any script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from end_to_end.visiting import Visitor
from sqlalchemy import update

from imitable.commands.folders import built
from imitable.store import tables

if TYPE_CHECKING:
    from conftest import Server

Seat = Callable[..., Visitor]

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
FITS = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
CALM = "() => document.getAnimations().length === 0"

SHOWN = """() => {
  const text = document.querySelector(".stimulus").cloneNode(true);
  text.querySelectorAll(".unseen").forEach((one) => one.remove());
  text.querySelectorAll(".code").forEach((one) => one.replaceWith(`<${one.textContent}>`));
  return text.textContent;
}"""
"""The text as it is drawn, names of invisible marks in angle brackets."""

ODD_TEXTS = {
    "right-to-left": ("הילדה הלכה אל ה", "גן", " עם אחיה הקטן, 123 صباح الخير"),
    "cjk": ("从前有一个小女孩，她住在", "森林", "旁边的小屋里。昔々あるところに"),
    "emoji": ("We had 🍕 and 👩‍👩‍👧 came along, ", "🏳️‍🌈", " and then 🇩🇪 e\u0301 won."),
    "control": ("a\u202eb\u200bc\x07d\x1b[31m\ttab\r\n", "\u200b\u2066", "\u00ad end\ufeff"),
    "long": ("x" * 300, "Donaudampfschifffahrt" * 20, "y" * 300),
    "space": ("before", " \n\n ", "after"),
}
CODED = {"control": "a<RLO>b<ZWSP>c<BEL>d<ESC>[31m\ttab\n<ZWSP><LRI><SHY> end<BOM>"}
"""What must not be drawn as it stands."""


def findings(visitor: Visitor) -> list[str]:
    """What axe-core has to say against the page as it stands."""
    visitor.stand_still()
    visitor.page.evaluate(AXE)
    found: dict[str, Any] = visitor.page.evaluate("rules => axe.run(document, rules)", RULES)
    return [f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_has_a_barrier_that_axe_finds(seat: Seat, scheme: str, width: int) -> None:
    visitor = seat("mouse", viewport={"width": width, "height": 800}, color_scheme=scheme)
    seen: set[str] = set()

    def look() -> None:
        for folded in visitor.page.locator("details").all():
            folded.evaluate("one => { one.open = true; }")
        held_out = "-held-out" if visitor.page.locator(".banner-final").count() else ""
        what = visitor.kind + held_out + ("-warm-up" if visitor.warming_up else "")
        if what not in seen or visitor.page.locator(".history").count():
            assert findings(visitor) == [], what
        for folded in visitor.page.locator(".stop[open]").all():
            folded.evaluate("one => { one.open = false; }")
        seen.add(what)

    while visitor.kind != "questions":
        look()
        visitor.step()
    look()
    visitor.stop()
    look()
    visitor.page.goto(visitor.link + "x")
    look()
    kinds = {"landing", "round-warm-up", "reveal-warm-up", "round", "reveal", "round-held-out", "questions"}
    assert seen == {*kinds, "done", "problem"}


@pytest.mark.parametrize("script", ODD_TEXTS)
def test_every_script_is_shown_whole_on_the_smallest_phone(
    seat: Seat, server: Server, screenshots: Path | None, script: str
) -> None:
    before, focus, after = ODD_TEXTS[script]
    text = before + focus + after
    start, end = len(before), len(before + focus)
    with built(server.campaign) as (_, store), store.write() as connection:
        connection.execute(update(tables.items).values(text=text, focus_start=start, focus_end=end))
        offsets, values = [[0, start], [start, end], [end, len(text)]], [0.4, 7.0, 3.2]
        connection.execute(update(tables.shades).values(offsets=offsets, values=values, position=1))
        connection.execute(update(tables.examples).values(text=text, offsets=offsets, values=values, position=1))
    visitor = seat("mouse", viewport={"width": 320, "height": 640}, is_mobile=True)
    visitor.page.goto("about:blank")
    server.stop()
    server.start()
    visitor.open()
    visitor.until("round")
    visitor.guess(5)
    visitor.step()
    for folded in visitor.page.locator("details").all():
        folded.evaluate("one => { one.open = true; }")
    for what in ("round", "reveal"):
        if what == "reveal":
            visitor.guess(4)
        assert visitor.kind == what
        assert visitor.page.evaluate(FITS), f"{what} scrolls sideways"
        assert findings(visitor) == []
        shown = visitor.page.evaluate(SHOWN)
        assert shown == CODED.get(script, text)
        visitor.picture(f"script-{script}-{what}", screenshots)
    assert visitor.complaints == []


def test_nothing_moves_for_those_who_ask_for_less_motion(seat: Seat) -> None:
    visitor = seat("mouse", reduced_motion="reduce")
    while visitor.kind != "reveal":
        visitor.step()
        assert visitor.page.evaluate(CALM)
    assert visitor.page.evaluate(CALM)
