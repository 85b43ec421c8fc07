"""The runner reads a build in a real Chromium: on a desk and on a phone, in light and in dark."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from end_to_end.test_browser_sight import FITS, TOO_FAINT
from playwright.sync_api import Browser, Page, expect

from imitable.commands.inspecting import Records
from imitable.commands.inspecting.door import link_to

pytestmark = pytest.mark.browser

SCRIPT = """
import sys
from pathlib import Path
from imitable.commands.inspect import inspect
inspect(Path(sys.argv[1]), ready=lambda address: print(address, flush=True))
"""
SIZES = {"desk": (1280, 900), "tablet": (1000, 800), "phone": (390, 844), "small": (320, 640)}
CLIPPED = """() => [...document.querySelectorAll(".spot small")].filter((number) => {
  const [mine, room] = [number, number.closest(".shaded")].map((one) => one.getBoundingClientRect());
  return mine.left < room.left || mine.right > room.right || mine.bottom > room.bottom;
}).map((number) => number.closest(".shaded").outerHTML)"""
"""Texts whose marked token's number is cut off by their edge."""


@pytest.fixture(scope="module")
def address(built_once: Path) -> Iterator[str]:
    """Where a real server shows the small campaign's build."""
    command = [sys.executable, "-c", SCRIPT, str(built_once)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()
        process.wait(timeout=20)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page_fits_can_be_read_and_asks_nobody_else(
    chromium: Browser, built_once: Path, address: str, screenshots: Path | None, size: str, scheme: str
) -> None:
    width, height = SIZES[size]
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    complaints, asked = watched(page)
    targets = list(Records(built_once / "build").targets)
    pages = {
        "overview": "",
        "sorted": "?sort=l_ref&find=mlp",
        "target": link_to(targets[0]),
        "numbers": link_to(targets[-1]) + "&numbers=all&split=held_out",
        "nothing": link_to(targets[0]) + "&stratum=none",
    }
    for name, link in pages.items():
        page.goto(address + link)
        assert page.evaluate(FITS), f"{name} scrolls sideways"
        assert page.evaluate(TOO_FAINT) == []
        assert page.evaluate(CLIPPED) == []
        if screenshots is not None:
            page.screenshot(path=screenshots / f"inspect-{name}-{size}-{scheme}.png", full_page=True)
    assert {urlsplit(one).netloc for one in asked} == {urlsplit(address).netloc}
    assert complaints == []
    context.close()


def test_a_runner_finds_a_target_and_its_items_with_the_keyboard_alone(
    chromium: Browser, built_once: Path, address: str
) -> None:
    wanted = list(Records(built_once / "build").targets)[-1]
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    complaints, _ = watched(page)
    page.goto(address)
    tab_to(page, "#find")
    page.keyboard.type(wanted)
    page.keyboard.press("Enter")
    expect(page.get_by_role("row")).to_have_count(2)
    tab_to(page, "tbody a")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(wanted)
    page.wait_for_load_state()
    everything = page.locator(".item").count()
    tab_to(page, "a[href$='split=held_out']")
    assert page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="held-out 16")).to_have_attribute("aria-current", "true")
    page.wait_for_load_state()
    assert 0 < page.locator(".item").count() < everything
    assert complaints == []
    context.close()


def watched(page: Page) -> tuple[list[str], list[str]]:
    """What the browser will complain of, and the addresses that it will ask for."""
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    return complaints, asked


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is there, as long as a patient person would."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the Tab key does not reach {selector}")
