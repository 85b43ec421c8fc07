"""An annotator in Chromium at a Label Studio where a task is one round, with a slider: mode `webhook`."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from label_studio_campaign import OnLabelStudio, with_key
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from labelling import invent_readings

if TYPE_CHECKING:
    from conftest import Server

    from label_studio_server import LabelStudio

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("label-studio")]

NOWHERE = "http://127.0.0.1:1"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
THUMB = 34
"""Pixels from side to side of what is dragged."""


@pytest.fixture
def campaign(
    label_studio: LabelStudio, serving: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> OnLabelStudio:
    with_key(monkeypatch, label_studio)
    settings = 'mode = "webhook"\nslider = true\n'
    at = tmp_path / "campaign"
    made = OnLabelStudio(at, label_studio, NOWHERE, annotators=1, toml=settings, levels=("upstream",))
    with made.store() as store:
        invent_readings(store, "upstream")
    made.edit(NOWHERE, serving(made.folder.path).address)
    made.publish()
    return made


def _opened(context: BrowserContext, campaign: OnLabelStudio) -> Page:
    """The first task of the one annotator, from the address that was sent."""
    with (campaign.folder.path / "label-studio.csv").open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    page = context.new_page()
    page.goto(row["url"])
    page.fill("input[name=email]", row["email"])
    page.fill("input[name=password]", campaign.people[0].password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(re.compile(r"/projects/"))
    return page


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_slider_says_what_to_do_and_shows_the_number_at_which_it_stands(
    chromium: Browser, campaign: OnLabelStudio, viewport: ViewportSize, screenshots: Path | None
) -> None:
    with chromium.new_context(viewport=viewport) as context:
        page = _opened(context, campaign)

        def snap(name: str) -> None:
            if screenshots is not None:
                page.screenshot(path=screenshots / f"label-studio-slider-{viewport['width']}-{name}.png")

        slider = page.locator(".imitable input[name=guess]")
        expect(page.locator(".imitable .round .gauge")).to_have_count(8)
        slider.scroll_into_view_if_needed()
        snap("0-unset")
        number, bar = page.locator(".imitable .slide output"), slider.bounding_box()
        assert bar is not None
        assert number.evaluate("e => getComputedStyle(e, '::before').content") == '"?"'
        expect(page.locator(".imitable .hint")).to_contain_text("Drag the ring, or click on the bar")
        assert bar["width"] > viewport["width"] * 0.4
        assert bar["height"] >= 44
        assert bar["x"] + bar["width"] <= viewport["width"]
        for at, mark in enumerate(page.locator(".imitable .marks span").all()):
            place = mark.bounding_box()
            assert place is not None
            assert mark.inner_text() == str(at)
            assert place["x"] == pytest.approx(bar["x"] + THUMB / 2 + at / 10 * (bar["width"] - THUMB), abs=1.5)
        page.mouse.click(bar["x"] + THUMB / 2 + 0.7 * (bar["width"] - THUMB), bar["y"] + bar["height"] / 2)
        expect(number).to_have_text(re.compile(r"^(6\.9|7|7\.1)$"))
        assert number.evaluate("e => getComputedStyle(e, '::before').content") == "none"
        guess = float(number.inner_text())
        slider.press("ArrowRight")
        guess = round(guess + 0.1, 1)
        expect(number).to_have_text(f"{guess:g}")
        snap("1-set")
        page.get_by_role("button", name=re.compile("submit", re.IGNORECASE)).first.click()
        last = page.locator(".imitable .last")
        for _ in range(30):  # where the next text is not there yet, people are told to load the page again
            page.wait_for_timeout(2000)
            if last.is_visible():
                break
            page.reload()
        expect(last).to_contain_text(f"You guessed {guess:.1f}; the neuron reacted with")
        expect(number).to_be_empty()
        snap("2-next")
    assert [committed for _episode, _trial, committed in campaign.guesses()] == [guess]
