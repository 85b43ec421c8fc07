"""An annotator in Chromium before a page of a stock Label Studio."""

from __future__ import annotations

import re
import time
from pathlib import Path

from playwright.sync_api import BrowserContext, Locator, Page, expect

from imitable.rehearsal.label_studio.accounts import Account


class Annotator:
    """One person at a page of Label Studio."""

    def __init__(self, context: BrowserContext, url: str, account: Account, address: str) -> None:
        self.context = context
        self.email = account.email
        self.page: Page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.thrown: list[str] = []
        self.page.on("pageerror", lambda error: self.thrown.append(str(error)))
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.page.goto(f"{url}/user/login/")
        self.page.fill("input[name=email]", account.email)
        self.page.fill("input[name=password]", account.password)
        self.page.press("input[name=password]", "Enter")  # on a phone, the button lies under something else
        self.page.wait_for_url(re.compile(r"/projects|/$"))
        self.address = address
        self.waited: list[float] = []
        """Seconds from each Enter to the answer."""
        self.open()

    def open(self) -> None:
        """Go to one's own list, as the address that was sent does; its first task opens."""
        self.page.goto(self.address)
        expect(self.page.locator(".imitable .intro")).to_be_visible()

    def box(self, name: str) -> Locator:
        """An empty box."""
        return self.page.locator(f'.imitable input[name="{name}"]')

    def said(self, name: str) -> Locator:
        """What stands in a box that is filled."""
        return self.page.locator(f'.imitable [name^="{name}:"]')

    def bin(self, name: str) -> Locator:
        """The bin beside it."""
        filled = self.page.locator(".lsf-text-area").filter(has=self.page.locator(f'[name^="{name}:"]'))
        return filled.get_by_role("button")

    def type(self, name: str, text: str) -> None:
        self.box(name).fill(text)
        self.box(name).press("Enter")

    def begin(self) -> None:
        self.type("begin", "yes")
        expect(self.box("guess1")).to_be_visible()

    def guess(self, trial: int, text: str) -> str:
        """Type a guess, and wait for what is said to it."""
        self.box(f"guess{trial}").fill(text)
        began = time.perf_counter()
        self.box(f"guess{trial}").press("Enter")
        said = self.said(f"feedback{trial}")
        said.wait_for()
        self.waited.append(time.perf_counter() - began)
        return said.inner_text()

    def find_back(self, done: int) -> None:
        """Do what the page says to do where rounds are missing: its autosave is some seconds late."""
        last = self.page.locator(".round:visible").count()
        if last > done:
            return
        name = f"guess{last}" if last else "begin"
        if self.said(name).is_visible():
            self.bin(name).click()
        self.type(name, "1" if last else "yes")

    def slider(self, name: str) -> float | None:
        """What a bar shows, if it is there to be seen."""
        bar = self.page.locator(f'input[name="{name}"]')
        return float(bar.input_value()) if bar.count() and bar.is_visible() else None

    def answer(self, explanation: str) -> None:
        """The three questions at the end."""
        for number, (question, choice) in enumerate([("fun", 4), ("interest", 2)]):
            assert question
            self.page.locator(".five").nth(number).locator("label").nth(choice - 1).click()
        self.page.locator('textarea[name="explanation"]').fill(explanation)

    def submit(self) -> None:
        self.page.get_by_role("button", name=re.compile("submit", re.IGNORECASE)).first.click()

    def cut_off(self) -> list[str]:
        """Classes of what reaches beyond the right edge of the window."""
        beyond = "e.checkVisibility() && !e.closest('.unseen') && e.getBoundingClientRect().right > innerWidth + 1"
        every = f"[...document.querySelectorAll('.imitable *')].filter(e => {beyond})"
        found: list[str] = self.page.evaluate(f"() => {every}.map(e => String(e.className))")
        return found

    def snap(self, folder: Path | None, name: str) -> None:
        if folder is not None:
            self.page.wait_for_timeout(500)
            self.page.screenshot(path=folder / f"label-studio-{name}.png")
