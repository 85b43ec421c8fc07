"""The report as a reader sees it: on a phone and on a desk, by day and by night."""

from __future__ import annotations

from pathlib import Path

import pytest
from aggregation.reporting import found
from end_to_end.conftest import DESKTOP, PHONE
from end_to_end.test_browser_sight import FITS, TOO_FAINT
from playwright.sync_api import Browser

from imitable_aggregation.report import render

pytestmark = pytest.mark.browser

MISPLACED = """() => {
  const wrong = [];
  for (const figure of document.querySelectorAll("svg")) {
    const whole = figure.getBoundingClientRect();
    const texts = [...figure.querySelectorAll("text")].map((one) => [one.textContent, one.getBoundingClientRect()]);
    texts.forEach(([name, box], at) => {
      if (box.left < whole.left - 1 || box.right > whole.right + 1 || box.top < whole.top - 1
        || box.bottom > whole.bottom + 1) wrong.push(`${name} is cut off`);
      for (const [other, there] of texts.slice(at + 1)) {
        const across = Math.min(box.right, there.right) - Math.max(box.left, there.left);
        const down = Math.min(box.bottom, there.bottom) - Math.max(box.top, there.top);
        if (across > 1 && down > 3) wrong.push(`${name} is over ${other}`);
      }
    });
  }
  return wrong;
}"""
"""Words in figures that are cut off or lie over others."""


@pytest.mark.parametrize("size", [(4, 5), (30, 40), (300, 500)], ids=str)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_word_of_the_report_is_cut_off_covered_or_faint(
    chromium: Browser, screenshots: Path | None, scheme: str, size: tuple[int, int]
) -> None:
    page = render(found(*size, gap=1.2 / size[0]))
    for name, viewport in (("phone", PHONE), ("desk", DESKTOP)):
        context = chromium.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
        sheet = context.new_page()
        sheet.set_content(page)
        assert sheet.evaluate(FITS)
        assert sheet.evaluate(MISPLACED) == []
        assert sheet.evaluate(TOO_FAINT) == []
        if screenshots:
            sheet.screenshot(path=screenshots / f"report-{size[0]}-{name}-{scheme}.png", full_page=True)
        context.close()


def test_the_report_prints_on_white_without_what_only_a_screen_can_open(chromium: Browser) -> None:
    sheet = chromium.new_page(color_scheme="dark")
    sheet.set_content(render(found(30, 40)))
    sheet.emulate_media(media="print")
    assert sheet.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert sheet.evaluate(MISPLACED) == []
    assert not sheet.locator("nav").is_visible()
    assert sheet.pdf(format="A4").startswith(b"%PDF")
    sheet.close()
