"""A task in the frame of a worker site of another origin, in a real Chromium."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from end_to_end.other_site import OtherSite
from playwright.sync_api import Browser, BrowserContext, ElementHandle, Error, Frame, Page
from sqlalchemy import select

from imitable.campaign import open_folder
from imitable.game.finishing import receipt
from imitable.store import open_store, tables

if TYPE_CHECKING:
    from conftest import Server

pytestmark = pytest.mark.browser

IDS = {"assignmentId": "ASSIGN1", "hitId": "HIT1", "workerId": "AWORKER1"}
PREVIEW = {"assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE", "hitId": "HIT1"}
USUAL = "allow-scripts allow-same-origin allow-forms allow-popups"
OPAQUE = "allow-scripts allow-forms"


class WorkerSite(OtherSite):
    """The site of a platform: it frames the task and takes the submission."""

    def show(self, game: str, ids: dict[str, str], sandbox: str) -> None:
        """Put the task into the page."""
        address = f"{game}/mturk?{urlencode({**ids, 'turkSubmitTo': self.origin})}"
        frame = f'<iframe sandbox="{sandbox}" src="{escape(address)}" width="900" height="800"></iframe>'
        self.page = f"<!doctype html><title>Worker site</title><h1>Tasks</h1>{frame}"


@pytest.fixture
def site() -> Iterator[WorkerSite]:
    made = WorkerSite()
    yield made
    made.close()


@pytest.fixture
def game(small_campaign: Path, serving: Callable[[Path], Server], site: WorkerSite) -> Server:
    """The small campaign, offered on that site."""
    with (small_campaign / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write(f'[study]\nconsent = "consent.md"\n[platform.mturk]\nworker_sites = ["{site.origin}"]\n')
    return serving(small_campaign)


@pytest.fixture
def worker(chromium: Browser) -> Iterator[Callable[..., Worker]]:
    contexts: list[BrowserContext] = []

    def come(site: WorkerSite, *, javascript: bool = True) -> Worker:
        contexts.append(chromium.new_context(java_script_enabled=javascript))
        return Worker(contexts[-1].new_page(), site)

    yield come
    for context in contexts:
        context.close()


class Worker:
    """Somebody at the worker site, who works in the frame."""

    def __init__(self, page: Page, site: WorkerSite) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.set_default_timeout(30_000)
        page.goto(site.origin)

    @property
    def frame(self) -> Frame:
        """The task's frame."""
        return self.page.frames[1]

    @property
    def kind(self) -> str:
        self.frame.wait_for_selector("main")
        return self.frame.locator("main").get_attribute("class") or ""

    def press(self) -> None:
        """Press the page's button and wait for the page that follows."""
        main = self.frame.wait_for_selector("main:not([aria-busy])")
        assert main is not None
        button = self.frame.locator("main button.main")
        if self.frame.evaluate("() => document.querySelector('form[data-guess]') !== null"):
            self.frame.locator("#guess").fill("5")
        self.page.wait_for_timeout(30)
        button.click()
        self.frame.page.wait_for_timeout(30)
        for _ in range(1000):
            if not self._same(main):
                return
            self.page.wait_for_timeout(25)
        raise AssertionError("nothing followed")

    def _same(self, main: ElementHandle) -> bool:
        try:
            return bool(main.evaluate("main => main.isConnected"))
        except Error:  # the page it was on is gone
            return False

    def play(self) -> None:
        """From the first page to the last."""
        while self.kind != "done":
            if self.kind == "landing" and self.frame.locator(".agree").count():
                self.frame.locator("input[name=agree]").check()
            if self.kind == "questions":
                for name in ("fun", "interest"):
                    self.frame.locator(f".five label:has(input[name={name}][value='4'])").click()
            self.press()


def submission(game: Server) -> tuple[str, str]:
    """The assignment and the receipt of the only sitting."""
    folder = open_folder(game.campaign)
    store = open_store(folder)
    try:
        with store.read() as connection:
            row = connection.execute(select(tables.sittings)).one()
        assert row.ended_by == "finished"
        return row.submission, receipt(folder, row.sitting_id)
    finally:
        store.close()


@pytest.mark.parametrize(("sandbox", "javascript"), [(USUAL, True), (OPAQUE, True), (USUAL, False)])
def test_a_worker_plays_in_a_frame_of_another_origin_and_submits_there(
    game: Server, site: WorkerSite, worker: Callable[..., Worker], sandbox: str, javascript: bool
) -> None:
    site.show(game.address, IDS, sandbox)
    person = worker(site, javascript=javascript)
    person.play()
    folder = os.environ.get("IMITABLE_SCREENSHOTS")
    if folder:
        person.page.screenshot(path=Path(folder) / f"frame-done-{len(sandbox)}.png")
    person.frame.locator("main button.main").click()
    person.frame.wait_for_selector("h1:has-text('Submitted')")
    assignment, proof = submission(game)
    assert site.submitted == [{"path": ["/mturk/externalSubmit"], "assignmentId": [assignment], "receipt": [proof]}]
    if sandbox == USUAL:
        assert site.origins == [game.address], "the site is told who submits"
    assert person.complaints == []
    assert person.page.context.cookies() == []


def test_a_preview_in_a_frame_starts_nothing(
    game: Server, site: WorkerSite, worker: Callable[..., Worker], screenshots: Path | None
) -> None:
    site.show(game.address, PREVIEW, USUAL)
    person = worker(site)
    assert "preview" in person.frame.locator("main").inner_text()
    assert person.frame.locator("main button, main form").count() == 0
    if screenshots:
        person.page.screenshot(path=screenshots / "frame-preview.png", full_page=True)
    assert person.complaints == []


def test_another_site_cannot_frame_the_task(game: Server, site: WorkerSite, worker: Callable[..., Worker]) -> None:
    stranger = WorkerSite()
    try:
        stranger.show(game.address, IDS, USUAL)
        person = worker(stranger)
        person.page.wait_for_timeout(500)
        assert any("frame-ancestors" in said for said in person.complaints)
        assert person.frame.locator("main").count() == 0
    finally:
        stranger.close()
