"""Fixtures of the tests in a browser: Chromium, a served campaign, and people with links of their own."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import missing
from end_to_end.visiting import Typist, Visitor
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from imitable.commands.publish import publish

if TYPE_CHECKING:
    from conftest import Server

_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_QUIET += ["--disable-sync", "--no-first-run"]

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")  # not longer: while it lives, asyncio.run() is refused in this thread
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        expect.set_options(timeout=20_000)  # what a machine with much else to do may take
        browser = playwright.chromium.launch(executable_path=found, args=_QUIET)
        yield browser
        browser.close()


@pytest.fixture
def screenshots() -> Path | None:
    """Where pictures of the pages go: the folder IMITABLE_SCREENSHOTS, or nowhere if it is not set."""
    named = os.environ.get("IMITABLE_SCREENSHOTS")
    if named:
        Path(named).mkdir(parents=True, exist_ok=True)
    return Path(named) if named else None


@pytest.fixture
def server(small_campaign: Path, serving: Callable[[Path], Server]) -> Server:
    """The small real campaign, with the consent text that `imitable new` wrote, published and served."""
    with (small_campaign / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write('[study]\nconsent = "consent.md"\ncontact = "lab@example.org"\n')
    publish(small_campaign)
    return serving(small_campaign)


Seat = Callable[..., Visitor]


@pytest.fixture
def seat(chromium: Browser, server: Server) -> Iterator[Seat]:
    """Give a new person a browser and a link of their own: `seat("keyboard")`, `"thumb"`, `"mouse"`, `"plain"`.

    `plain` is a mouse without JavaScript. Further arguments are those of playwright's `new_context`.
    """
    with (server.campaign / "links.csv").open(encoding="utf-8") as file:
        links = [row["url"].replace("http://127.0.0.1:8000", server.address) for row in csv.DictReader(file)]
    contexts: list[BrowserContext] = []

    def sit(means: str, **more: object) -> Visitor:
        thumb, javascript = means == "thumb", means != "plain"
        settings = {
            "viewport": PHONE if thumb else DESKTOP,
            "has_touch": thumb,
            "is_mobile": thumb,
            "java_script_enabled": javascript,
            **more,
        }
        context = chromium.new_context(**settings)  # type: ignore[arg-type]
        contexts.append(context)
        person = Typist if means == "keyboard" else Visitor
        visitor = person(context, links[len(contexts) - 1], javascript=javascript, thumb=thumb)
        visitor.open()
        return visitor

    yield sit
    for context in contexts:
        context.close()
