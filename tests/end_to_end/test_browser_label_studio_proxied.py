"""An annotator in Chromium at a Label Studio that is reached through the generated nginx only."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from label_studio_proxied import Proxied, proxied_campaign
from playwright.sync_api import Browser, Page, expect

if TYPE_CHECKING:
    from label_studio_server import LabelStudio

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("label-studio")]


@pytest.fixture(scope="module")
def proxied(_label_studio_on_sqlite: LabelStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with proxied_campaign(_label_studio_on_sqlite, tmp_path_factory.mktemp("proxied")) as made:
        yield made


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


def test_the_page_misses_nothing_that_the_proxy_keeps_back(proxied: Proxied, page: Page) -> None:
    """From the address that was sent, through the log-in, to two episodes submitted; nothing it does is refused."""
    me = proxied.second
    answers: list[tuple[str, int]] = []
    thrown: list[str] = []
    page.on("response", lambda came: answers.append((came.url, came.status)))
    page.on("pageerror", lambda error: thrown.append(str(error)))
    with (proxied.campaign.folder.path / "label-studio.csv").open(encoding="utf-8", newline="") as file:
        [address] = [row["url"] for row in csv.DictReader(file) if row["email"] == me.email]
    before = len(proxied.campaign.guesses())
    page.goto(address)
    page.fill("input[name=email]", me.email)
    page.fill("input[name=password]", me.password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(re.compile(r"/projects/"))
    for _task in proxied.tasks(me):
        answer(page, "begin", "yes", then="guess1")
        for trial in range(1, 6):
            answer(page, f"guess{trial}", str(trial), then=f"feedback{trial}:")
        page.locator("button[name=submit]").click()
        expect(page.locator('.imitable [name^="feedback5:"]')).to_be_hidden()  # the next one is open
    assert len(proxied.campaign.guesses()) == before + 10
    assert thrown == []
    refused = {url.removeprefix(proxied.nginx.url) for url, status in answers if status >= 400}
    assert refused <= {"/heidi-tips"}  # advertisements, which a stock server does not have either


def answer(page: Page, box: str, text: str, *, then: str) -> None:
    """Type into a box, and wait for what unfolds."""
    field = page.locator(f'.imitable input[name="{box}"]')
    field.fill(text, timeout=20_000)
    field.press("Enter")
    page.locator(f'.imitable [name^="{then}"]').wait_for(timeout=20_000)
