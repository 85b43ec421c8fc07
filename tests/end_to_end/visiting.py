"""A person in front of a real Chromium: by keyboard, by thumb, with a mouse, or without JavaScript."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from playwright.sync_api import BrowserContext, Error, Locator, Page

_ACTIVE = "selector => document.activeElement !== null && document.activeElement.matches(selector)"
_STILL = "() => document.getAnimations().every(one => one.playState === 'finished')"


class Visitor:
    """One tab of one person's browser, at that person's link. What the browser complains of is kept."""

    def __init__(self, context: BrowserContext, link: str, *, javascript: bool = True, thumb: bool = False) -> None:
        self.context = context
        self.link = link
        self.javascript = javascript
        self.thumb = thumb
        self.page: Page = context.new_page()
        self.page.set_default_timeout(10_000)
        self.complaints: list[str] = []
        """Errors on the console (breaches of the CSP among them) and errors thrown."""
        self.addresses: list[str] = []
        """Every address that was asked for or stood in the address bar."""
        self.given: list[float] = []
        """The guesses given in the real game, in order."""
        self._numbers = (((7 * n) % 100) / 10 for n in count(3))
        page = self.page
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.addresses.append(request.url))
        page.on("framenavigated", lambda frame: self.addresses.append(frame.url))

    def another_tab(self) -> Visitor:
        """The same person opens the same link once more."""
        return Visitor(self.context, self.link, javascript=self.javascript, thumb=self.thumb)

    # What is on the page

    @property
    def kind(self) -> str:
        """Which page this is: landing, round, reveal, questions, done or problem."""
        return self.page.locator("main").get_attribute("class") or ""

    @property
    def text(self) -> str:
        """The page's words as they are seen."""
        return self.page.locator("main").inner_text()

    @property
    def token(self) -> str:
        """The session's token, from its hidden field."""
        return self.page.locator("input[name=token]").first.input_value()

    @property
    def round_id(self) -> str:
        """The round that is asked now, from its hidden field; `1` to `3` in the warm-up."""
        return self.page.locator("input[name=round_id], input[name=step]").input_value()

    @property
    def warming_up(self) -> bool:
        """True on the practice neuron, which does not count."""
        return self.page.locator(".tag-practice").count() == 1

    # What a person does

    def open(self) -> None:
        """Follow the link."""
        self.page.goto(self.link)

    def moving_on(self, act: Callable[[], object]) -> None:
        """Do something and wait for the page that follows."""
        self.page.bring_to_front()
        if self.javascript:
            main = self.page.query_selector("main")
            act()
            self.page.wait_for_function("main => !main.isConnected", arg=main)
        else:
            try:
                with self.page.expect_navigation():
                    act()
            except Error as error:  # a second click sends the form again, and the first reply is given up
                if "ERR_ABORTED" not in str(error):
                    raise
                self.page.wait_for_timeout(500)
                self.page.wait_for_load_state("load")

    def press(self, what: Locator) -> None:
        """Tap or click."""
        if self.thumb:
            what.tap()
        else:
            what.click()

    def step(self) -> None:
        """Do what this page asks for, with the means at hand."""
        {"landing": self._agree, "round": self.guess, "reveal": self._go_on, "questions": self._answer}[self.kind]()

    def until(self, kind: str) -> None:
        """Play on until a page of this kind; `round` means a round of the real game."""
        while self.kind != kind or self.warming_up:
            self.step()

    def play(self, seen: Callable[[], object] = lambda: None) -> None:
        """Play from here to the end; `seen` is called on every page."""
        while self.kind != "done":
            seen()
            self.step()
        seen()

    def guess(self, number: float | None = None) -> None:
        """Type a number and submit it; with a thumb, tap it on the slider instead."""
        chosen = next(self._numbers) if number is None else number
        counts = not self.warming_up
        box = self.page.locator("#guess")
        if self.thumb and number is None:
            self.slide(chosen)
            chosen = float(box.input_value())
        else:
            box.fill(f"{chosen:g}")
        self.moving_on(lambda: self.press(self.page.locator("button.main")))
        if counts:
            self.given.append(chosen)

    def stop(self) -> None:
        """Stop here, and mean it."""
        self.press(self.page.locator(".stop summary"))
        self.moving_on(lambda: self.press(self.page.locator(".stop button")))

    def slide(self, number: float) -> None:
        """Tap the slider where the number is."""
        slider = self.page.locator("#slider")
        low, high = (float(slider.get_attribute(name) or 0) for name in ("min", "max"))
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        assert box is not None
        self.page.touchscreen.tap(
            box["x"] + 17 + (box["width"] - 34) * (number - low) / (high - low), box["y"] + box["height"] / 2
        )

    def _agree(self) -> None:
        if self.page.locator(".agree").count():
            self.press(self.page.locator(".agree"))
        self.moving_on(lambda: self.press(self.page.locator("button.main")))

    def _go_on(self) -> None:
        if self.thumb:
            self.page.wait_for_timeout(400)  # faster would be a double tap, whose second half must not skip the answer
        self.moving_on(lambda: self.press(self.page.locator("button.main")))

    def _answer(self) -> None:
        for name, value in (("fun", 4), ("interest", 2)):
            self.press(self.page.locator(f".five label:has(input[name={name}][value='{value}'])"))
        self.page.locator("#explanation").fill("the names of animals")
        self.moving_on(lambda: self.press(self.page.locator("button.main")))

    def stand_still(self) -> None:
        """Wait until nothing moves any more."""
        for _ in range(100):  # asked from here: without JavaScript the page cannot wait for itself
            if self.page.evaluate(_STILL):
                return
            time.sleep(0.05)
        raise AssertionError("the page does not come to rest")

    def picture(self, name: str, folder: Path | None) -> None:
        """A picture of the whole page as it stands at rest, if there is a folder for pictures."""
        if folder is None:
            return
        self.stand_still()
        self.page.screenshot(path=folder / f"{name}.png", full_page=True)


class Typist(Visitor):
    """A person who has a keyboard and nothing else."""

    def tab_to(self, selector: str) -> None:
        """Press Tab until the focus is there, as long as a patient person would."""
        for _ in range(12):
            if self.page.evaluate(_ACTIVE, selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the Tab key does not reach {selector}")

    def _agree(self) -> None:
        if self.page.locator(".agree").count():
            self.tab_to("input[name=agree]")
            self.page.keyboard.press("Space")
        self.tab_to("button.main")
        self.moving_on(lambda: self.page.keyboard.press("Enter"))

    def guess(self, number: float | None = None) -> None:
        """Type into the box, where the focus already is."""
        assert self.page.evaluate(_ACTIVE, "#guess"), "a new round puts the focus into the box"
        chosen = next(self._numbers) if number is None else number
        counts = not self.warming_up
        self.page.keyboard.type(f"{chosen:g}")
        self.moving_on(lambda: self.page.keyboard.press("Enter"))
        if counts:
            self.given.append(chosen)

    def _go_on(self) -> None:
        assert self.page.evaluate(_ACTIVE, "#next"), "an answer puts the focus on its button"
        self.moving_on(lambda: self.page.keyboard.press("Enter"))

    def _answer(self) -> None:
        self.tab_to("input[name=fun]")
        self.page.keyboard.press("Space")
        for _ in range(3):
            self.page.keyboard.press("ArrowRight")
        self.tab_to("input[name=interest]")
        self.page.keyboard.press("Space")
        self.page.keyboard.press("ArrowRight")
        self.tab_to("textarea")
        self.page.keyboard.type("the names of animals")
        self.tab_to("button.main")
        self.moving_on(lambda: self.page.keyboard.press("Enter"))
