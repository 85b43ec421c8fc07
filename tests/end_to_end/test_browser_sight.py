"""What a person sees in a real Chromium, and what is not yet in the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from end_to_end.visiting import Visitor
from sqlalchemy import update

from imitable.commands.folders import built
from imitable.store import tables

if TYPE_CHECKING:
    from conftest import Server

Seat = Callable[..., Visitor]

pytestmark = pytest.mark.browser

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
WHAT_IS_ASKED = """() => {
  const page = document.documentElement.cloneNode(true);
  page.querySelectorAll(".examples, .history").forEach((one) => one.remove());
  return page.outerHTML;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_the_smallest_phone_everything_fits_and_can_be_read(
    seat: Seat, screenshots: Path | None, scheme: str
) -> None:
    still = {"reduced_motion": "reduce"} if scheme == "dark" else {}
    visitor = seat("mouse", viewport={"width": 320, "height": 640}, is_mobile=True, color_scheme=scheme, **still)
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

    while visitor.kind != "questions":
        seen()
        visitor.step()
    seen()
    visitor.stop()
    seen()
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
        page = visitor.page.evaluate(WHAT_IS_ASKED)
        if visitor.kind in {"round", "reveal"} and not visitor.warming_up:
            told.append(bool(needle.search(page.replace(visitor.token, ""))))
            assert told[-1] == (visitor.kind == "reveal"), page

    visitor.play(seen)
    assert told == 2 * [False, True, False, True, False, True, False, False]
