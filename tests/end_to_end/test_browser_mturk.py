"""A HIT of a real campaign on a stand-in's worker site, in a real Chromium: preview, accept, return, hand in, pay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from end_to_end.test_browser_frames import Worker
from playwright.sync_api import Browser, BrowserContext
from sqlalchemy import select

from imitable.campaign import open_folder
from imitable.commands.collect import collect
from imitable.commands.pay import pay
from imitable.commands.publish import publish
from imitable.rehearsal.mturk import StandIn
from imitable.store import open_store, tables
from mturk_campaign import credentials, settings, there
from platform_campaign import PAY

if TYPE_CHECKING:
    from conftest import Server

__all__ = ["credentials", "there"]

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Site:
    """Where a worker begins."""

    origin: str


@pytest.fixture
def game(small_campaign: Path, serving: Callable[..., Server], there: StandIn, port: int) -> Server:
    """The small real campaign as HITs on the stand-in, served where they lead."""
    with (small_campaign / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write('[study]\nconsent = "consent.md"\n' + settings(there, public=f"http://127.0.0.1:{port}") + PAY)
    server = serving(small_campaign, port=port)
    done = publish(small_campaign, platform="mturk", places=2, pilot=True)
    assert not any("Nobody answers" in note for note in done.notes)
    return server


@pytest.fixture
def come(chromium: Browser, there: StandIn) -> Iterator[Callable[[], Worker]]:
    contexts: list[BrowserContext] = []

    def new() -> Worker:
        contexts.append(chromium.new_context(viewport={"width": 1100, "height": 900}))
        [worker] = there.workers(1)
        here = there.address.replace("127.0.0.1", "localhost")
        person = Worker(contexts[-1].new_page(), Site(f"{here}/worker/{worker}"))  # type: ignore[arg-type]
        person.page.get_by_role("link", name="Preview").click()
        person.page.wait_for_selector("iframe")
        return person

    yield new
    for context in contexts:
        context.close()


def test_a_hit_is_previewed_accepted_returned_and_played_to_the_end_by_another_worker(
    game: Server, there: StandIn, come: Callable[[], Worker], screenshots: Path | None
) -> None:
    there.set(reuse_assignment_ids=True)
    folder = open_folder(game.campaign)
    with closing(open_store(folder)) as store, store.read() as connection:
        texts = [text.strip() for text in connection.execute(select(tables.items.c.text)).scalars()]
    first = come()
    assert "preview" in first.frame.locator("main").inner_text()
    seen = first.frame.content()
    assert not [text for text in texts if text in seen], "a preview shows nothing of the campaign"
    _picture(first, screenshots, "mturk-preview")
    _accept(first)
    first.frame.wait_for_selector("main.landing")
    first.frame.locator("input[name=agree]").check()
    for _ in range(9):  # the first page, three warm-up rounds with answers, a round
        first.press()
    _picture(first, screenshots, "mturk-round")
    first.page.get_by_role("button", name="Return").click()
    first.page.get_by_text("You returned the task").wait_for()

    second = come()
    _accept(second)
    second.play()
    _picture(second, screenshots, "mturk-done")
    second.frame.locator("main button.main").click()
    second.page.get_by_text("Your work was handed in").wait_for()
    _picture(second, screenshots, "mturk-handed-in")
    assert first.complaints == second.complaints == []
    assert second.page.context.cookies() == []

    said = collect(game.campaign).platforms["mturk"]
    assert (said.sittings, [one.kind for one in said.findings]) == (2, ["given back"])
    _part, done = pay(game.campaign, platform="mturk", confirm=lambda part: part.total.decimal)
    assert (done.failed, done.doubtful) == (0, 0)
    [submitted] = [one for one in there.state()["assignments"] if one["status"] == "Approved"]
    rewards = [one for one in there.state()["payments"] if one["kind"] == "reward"]
    assert [(one["worker"], one["amount"]) for one in rewards] == [(submitted["worker"], 300)]


def _accept(person: Worker) -> None:
    person.page.get_by_role("button", name="Accept").click()
    person.page.wait_for_url("**/assignments/**")
    person.page.wait_for_selector("iframe")


def _picture(person: Worker, screenshots: Path | None, name: str) -> None:
    if screenshots:
        person.page.screenshot(path=screenshots / f"{name}.png")
