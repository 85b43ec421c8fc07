"""Levels of information in a real Label Studio: what is shown beside a text, and what players look up themselves."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from end_to_end.annotating import Annotator
from label_studio_campaign import TRUTHS, OnLabelStudio, with_key
from playwright.sync_api import Browser, ViewportSize, expect
from sqlalchemy import select, update

from building import campaign
from imitable.commands.build import build
from imitable.commands.leaks import leaks
from imitable.game.content import read_content
from imitable.game.label_studio import names
from imitable.game.reserving import reserve
from imitable.platforms.label_studio.client import connected
from imitable.store import tables

if TYPE_CHECKING:
    from conftest import Server

    from label_studio_server import LabelStudio

pytestmark = pytest.mark.xdist_group("label-studio")

NOWHERE = "http://127.0.0.1:1"
LEVELS = ("upstream", "weights", "consult")
"""Of the one annotator's episodes, in order."""
LOOKS = 2
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
LENGTH = "e => ['--w', '--t'].map(n => parseFloat(getComputedStyle(e).getPropertyValue(n))).reduce((a, b) => a + b)"
"""Of a bar, on the scale."""


@pytest.fixture(scope="module")
def levelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of three real neurons, built once."""
    more = f"levels = {list(LEVELS)}\n[sitting]\nepisodes = 3\n[readings]\nlooks = {LOOKS}\n"
    chosen = "units = [3, 4, 5]"
    directory = campaign(tmp_path_factory.mktemp("levels") / "campaign", sites='["mlp.2"]', chosen=chosen, more=more)
    build(directory)
    return directory


@pytest.fixture
def here(
    levelled: Path,
    label_studio: LabelStudio,
    serving: Callable[..., Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[OnLabelStudio]:
    """It is published for one annotator, with an episode at each level, and served."""
    with_key(monkeypatch, label_studio)
    made = OnLabelStudio(tmp_path / "campaign", label_studio, NOWHERE, annotators=1, built=levelled)
    made.edit(NOWHERE, serving(made.folder.path).address)
    with made.store() as store:
        content, now = read_content(store, made.folder.texts()), datetime.now(UTC)
        who = [made.people[0].email]
        every = reserve(store, made.folder, content, platform=names.PLATFORM, names=who, share_items=False, now=now)
        with store.write() as connection:  # as if they had been drawn so
            for one, level in zip(every, LEVELS, strict=True):
                episode = tables.episodes.c.episode_id == one.episode_id
                connection.execute(update(tables.episodes).where(episode).values(level=level))
    made.publish()
    yield made
    label_studio.client().delete(f"/api/projects/{made.project}/").raise_for_status()


def _looks(here: OnLabelStudio) -> list[tuple[int, int]]:
    """What was looked up: round and place."""
    query = (
        select(tables.rounds.c.trial, tables.looks.c.place)
        .join(tables.rounds, tables.rounds.c.round_id == tables.looks.c.round_id)
        .order_by(tables.rounds.c.trial, tables.looks.c.place)
    )
    with here.store() as store, store.read() as connection:
        return [(row.trial, row.place) for row in connection.execute(query)]


def _seat(here: OnLabelStudio, chromium: Browser) -> Annotator:
    with (here.folder.path / "label-studio.csv").open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    return Annotator(chromium.new_context(viewport=DESKTOP), here.real.url, here.people[0], row["url"])


@pytest.mark.browser
def test_people_see_what_their_level_shows_and_look_up_what_they_choose(
    here: OnLabelStudio, chromium: Browser, screenshots: Path | None
) -> None:
    one = _seat(here, chromium)

    def seen(name: str) -> None:
        """Nothing is cut off on a desk or on a phone."""
        for size in (PHONE, DESKTOP):
            one.page.set_viewport_size(size)
            one.page.locator(".round:visible input.ant-input:visible").last.evaluate(
                "e => e.scrollIntoView({block: 'end'})"
            )
            assert one.cut_off() == []
            one.snap(screenshots, f"levels-{name}-{size['width']}")

    for place, level in enumerate(LEVELS):
        expect(one.page.locator(".intro")).to_contain_text(f"Neuron {place + 1} of 3")
        one.begin()
        shown = one.page.locator(".round:visible")
        if level == "upstream":
            expect(shown.locator(".gauge")).to_have_count(8)
            expect(shown.locator(".about")).to_contain_text("Yours gets its signals from them")
        elif level == "weights":
            expect(shown.locator(".weights").first).to_contain_text("The piece itself")
        else:
            _look_up(one, seen)
        expect(one.box("look1")).to_be_visible(visible=False)
        seen(f"{level}-1-asked")
        for trial in range(1, 6):
            one.guess(trial, "5")
            if trial == 1:
                expect(one.box("guess2")).to_be_visible()
                seen(f"{level}-2-told")
        one.answer("words with a t")
        one.submit()
    expect(one.page.get_by_text("No More Tasks Left in Queue")).to_be_visible()
    assert one.thrown == []
    one.context.close()
    assert _looks(here) == [(1, 0), (1, 2)]
    assert len(here.guesses()) == 15
    assert here.collect().findings == ()


def _look_up(one: Annotator, seen: Callable[[str], None]) -> None:
    """What a player does who may look up two neurons, and mistypes once in between."""
    shown = one.page.locator(".round:visible")
    expect(shown.locator(".letters")).to_contain_text("look up 2 neurons in each round")
    expect(shown.locator(".seen:visible")).to_have_count(0)
    seen("consult-0-letters")
    one.type("look1", "c")
    expect(shown.locator(".told")).to_contain_text("1 look left")
    expect(shown.locator(".seen:visible")).to_have_count(1)
    for key in ("8", "Enter"):  # the cursor is where it was
        one.page.keyboard.press(key)
    expect(shown.locator(".told")).to_contain_text("one letter, from A to L")
    seen("consult-0-mistyped")
    one.type("look1", "a")
    expect(shown.locator(".told")).to_contain_text("0 looks left")
    letters = [row.locator("p").inner_text() for row in shown.locator(".seen:visible").all()]
    assert letters == ["A", "C"]
    for row in shown.locator(".seen:visible").all():
        number, bar = float(row.locator("output").inner_text()), row.locator("input")
        assert bar.input_value() == f"{number:g}"
        assert bar.evaluate(LENGTH) == pytest.approx(abs(number)), "the bar is as long as the number says"


def test_looks_are_counted_by_the_game_and_nothing_sealed_is_readable(here: OnLabelStudio) -> None:
    player, stranger = here.real.client(here.people[0]), here.real.client(here.real.accounts(1)[0])
    [backend] = here.real.client().get("/api/ml", params={"project": here.project}).json()
    said = []

    def say(place: int, boxes: dict[str, str], client: httpx.Client = player) -> dict[str, Any]:
        """Fill boxes of a task, as a page does: what stands in its controls then."""
        results = [
            {"from_name": name, "to_name": "r1", "type": "textarea", "value": {"text": [text]}}
            for name, text in boxes.items()
        ]
        asked = {"task": int(here.of(here.people[0], place).external_id), "context": {"result": results}}
        answer = client.post(f"/api/ml/{backend['id']}/interactive-annotating", json=asked)
        said.append(answer.text)
        filled = answer.json()["data"]["result"] if answer.json().get("data") else []
        return {one["from_name"]: next(iter(one["value"].values())) for one in filled}

    for place, level in enumerate(LEVELS):
        assert say(place, {"begin": "yes"})["began"] == ["yes"]
        told = [say(place, {"look1": letter}) for letter in ("c", "a", "b", "c")]
        assert [one.get("looked1") for one in told] == (
            [["1"], ["2"], ["2"], ["2"]] if level == "consult" else [None] * 4
        )
        assert say(place, {"look1": "d", "guess1": "5", "look2": "b"})["done1"] == ["yes"]
        assert "looked2" not in say(place, {"look1": "d", "look3": "a"})
    assert set(say(2, {"look2": "a"}, stranger)) <= {"look2", "told2"}
    assert _looks(here) == [(1, 0), (1, 2)]
    whole: dict[str, Any] = {"project": here.project, "fields": "all", "page_size": 100}
    said.append(stranger.get("/api/tasks/", params=whole).text)
    assert said[-1].count('class=\\"gauge\\"') == 8 * 5, "the readings of one level are in its tasks"
    assert len(here.sealed()) > 10
    assert not here.sealed() & set(TRUTHS.findall(" ".join(said)))
    with connected(here.real.url) as server, here.store() as store:
        assert leaks(server, store, here.project) == (3, []), "the doctor takes no reading for an answer"
    for place in range(3):
        for trial in range(2, 6):
            assert say(place, {names.guess(trial): "5"})[names.done(trial)] == ["yes"]
    assert len(here.guesses()) == 15
