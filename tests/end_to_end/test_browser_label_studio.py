"""Annotators in Chromium, at a stock Label Studio with our own server behind it: whole episodes, answer by answer."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import SMALL
from end_to_end.annotating import Annotator
from label_studio_campaign import with_key
from playwright.sync_api import Browser, BrowserContext, expect
from sqlalchemy import select

from building import edit
from imitable.campaign import open_folder
from imitable.commands.build import build
from imitable.commands.collect import collect
from imitable.commands.new import new
from imitable.commands.publish import publish
from imitable.rehearsal.label_studio.accounts import Account, write_accounts
from imitable.store import open_store, tables

if TYPE_CHECKING:
    from conftest import Server

    from label_studio_server import LabelStudio

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("label-studio")]

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
ROUNDS, PRACTICE = 10, 7

TEN_ROUNDS = (
    SMALL.replace("practice = 3", f"practice = {PRACTICE}").replace("held_out = 2", f"held_out = {ROUNDS - PRACTICE}")
    + '[study]\nconsent = "consent.md"\ncontact = "lab@example.org"\n[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\n'
)


class Room:
    """A published campaign, our server, and the people in front of Label Studio."""

    def __init__(self, directory: Path, server: Server, label_studio: LabelStudio, people: list[Account]) -> None:
        self.directory = directory
        self.server = server
        self.label_studio = label_studio
        self.people = people
        with (directory / "label-studio.csv").open(encoding="utf-8") as file:
            self.addresses = {row["email"]: row["url"] for row in csv.DictReader(file)}

    def rows(self, query: Any) -> list[Any]:
        with closing(open_store(open_folder(self.directory))) as store, store.read() as connection:
            return list(connection.execute(query).all())

    def truths(self, email: str, place: int = 0) -> list[float]:
        """The true activations of somebody's episode, in order."""
        rows = self.rows(
            select(tables.truths.c.truth)
            .join(tables.rounds, tables.rounds.c.item_id == tables.truths.c.item_id)
            .join(tables.episodes, tables.episodes.c.episode_id == tables.rounds.c.episode_id)
            .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
            .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.episodes.c.episode_id)
            .where(tables.identities.c.platform_id == email, tables.sitting_episodes.c.place == place)
            .order_by(tables.rounds.c.trial)
        )
        return [row.truth for row in rows]

    @property
    def project(self) -> str:
        """The campaign's project in Label Studio."""
        return str(self.rows(select(tables.tasks.c.project))[0].project)

    def guesses(self) -> int:
        return len(self.rows(select(tables.guesses)))


@pytest.fixture(scope="module")
def ten_rounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of real neurons with ten rounds an episode, built once."""
    directory = tmp_path_factory.mktemp("ten") / "campaign"
    new(directory)
    (directory / "campaign.toml").write_text(TEN_ROUNDS, encoding="utf-8")
    build(directory)
    return directory


Invite = Callable[..., Room]
Seat = Callable[..., Annotator]


@pytest.fixture
def invite(
    ten_rounds: Path,
    tmp_path: Path,
    serving: Callable[..., Server],
    label_studio: LabelStudio,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Invite]:
    """Serve a copy of the campaign and publish it for new annotators: `invite(2)`; `tokens`: theirs are known."""

    def make(number: int, *, tokens: bool = True) -> Room:
        directory = Path(shutil.copytree(ten_rounds, tmp_path / "campaign"))
        people = label_studio.accounts(number)
        known = people if tokens else [Account(one.email, one.password) for one in people]
        write_accounts(directory / "accounts.csv", known)
        settings = f'[platform.label_studio]\nurl = "{label_studio.url}"\naccounts = "accounts.csv"\n'
        with (directory / "campaign.toml").open("a", encoding="utf-8") as file:
            file.write(settings + 'backend_url = "http://127.0.0.1:1"\n')
        server = serving(directory, "--log", str(tmp_path / "log"))
        edit(directory, "http://127.0.0.1:1", server.address)
        with_key(monkeypatch, label_studio)
        publish(directory, platform="label-studio")
        rooms.append(Room(directory, server, label_studio, people))
        return rooms[-1]

    rooms: list[Room] = []
    yield make
    for room in rooms:  # else the next copy of this campaign would find its project
        label_studio.client().delete(f"/api/projects/{room.project}/").raise_for_status()


@pytest.fixture
def seat(chromium: Browser) -> Iterator[Seat]:
    """Seat one of a room's people before a browser: `seat(room, 0, viewport=PHONE)`."""
    contexts: list[BrowserContext] = []

    def sit(room: Room, number: int = 0, **more: Any) -> Annotator:
        contexts.append(chromium.new_context(**{"viewport": DESKTOP} | more))
        person = room.people[number]
        return Annotator(contexts[-1], room.label_studio.url, person, room.addresses[person.email])

    yield sit
    for context in contexts:
        context.close()


def test_two_annotators_play_ten_rounds_each_and_are_told_after_every_guess(
    invite: Invite, seat: Seat, screenshots: Path | None
) -> None:
    room = invite(2)
    people = [seat(room, number) for number in (0, 1)]
    texts = []
    for one in people:
        one.snap(screenshots, f"{people.index(one)}-0-welcome")
        assert "USD 3.00" in one.page.locator(".intro").inner_text()
        one.begin()
        one.snap(screenshots, f"{people.index(one)}-1-first")
    for trial in range(1, ROUNDS + 1):
        for number, one in enumerate(people):
            truth = room.truths(one.email)[trial - 1]
            if trial == 3:
                assert "no number from 0 to 10" in one.guess(trial, "eight")
                one.snap(screenshots, f"{number}-3-no-number")
                one.type(f"guess{trial}", "8")
                expect(one.said(f"feedback{trial}")).to_contain_text("you guessed 8.0")
                said = one.said(f"feedback{trial}").inner_text()
            else:
                said = one.guess(trial, str((trial + 3 * number) % 10))
            if trial <= PRACTICE:
                assert f"it was {truth:.1f}." in said
                assert one.slider(f"truth{trial}") == pytest.approx(truth, abs=0.051)
            else:
                assert said.startswith("Recorded")
                assert one.slider(f"truth{trial}") is None
                assert "you guessed" not in one.page.locator(".round:visible").nth(trial - 1).inner_text()
            if trial < ROUNDS:
                expect(one.box(f"guess{trial + 1}")).to_be_visible()
                assert not one.box(f"guess{trial + 2}").is_visible()
            one.snap(screenshots, f"{number}-4-after-{trial:02d}")
            if trial == 5:
                one.page.reload()
                expect(one.page.locator(".imitable .intro")).to_be_visible()
                one.snap(screenshots, f"{number}-5-reloaded")
                one.find_back(5)
                expect(one.said("feedback5")).to_be_visible()
                expect(one.box("guess6")).to_be_visible()
    for number, one in enumerate(people):
        assert "practice points" in one.said(f"feedback{ROUNDS}").inner_text()
        one.answer("words with a t")
        one.snap(screenshots, f"{number}-6-questions")
        texts.append([one.page.locator(".stimulus").nth(k).inner_text() for k in range(ROUNDS)])
        one.submit()
        expect(one.page.locator(".intro")).to_contain_text("Neuron 2 of 2")
        one.snap(screenshots, f"{number}-7-second-neuron")
        assert one.thrown == []
    assert room.guesses() == 2 * ROUNDS
    assert not set(texts[0]) & set(texts[1])
    waited = [seconds for one in people for seconds in one.waited]
    print("\nseconds from Enter to the answer:", [round(seconds, 2) for seconds in sorted(waited)])  # noqa: T201
    told = collect(room.directory).platforms["label-studio"]
    assert told.findings == ()
    answers = room.rows(select(tables.answers))
    assert [(row.fun, row.interest, row.explanation) for row in answers] == [(4, 2, "words with a t")] * 2


def test_on_a_phone_all_of_a_round_is_in_sight_and_nothing_is_cut_off(
    invite: Invite, seat: Seat, screenshots: Path | None
) -> None:
    one = seat(invite(1), viewport=PHONE, has_touch=True, is_mobile=True)
    one.snap(screenshots, "phone-0-welcome")
    one.begin()
    for trial in (1, 2, 3):
        box = one.box(f"guess{trial}")
        box.scroll_into_view_if_needed()
        place = box.bounding_box()
        assert place is not None
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= PHONE["width"]
        assert place["height"] >= 44
        one.snap(screenshots, f"phone-{trial}-asked")
        one.guess(trial, str(trial))
        one.snap(screenshots, f"phone-{trial}-told")
    assert one.cut_off() == []


def test_digits_typed_beside_the_box_unfold_nothing_and_tab_leads_to_the_next_box(invite: Invite, seat: Seat) -> None:
    room = invite(1)
    one = seat(room)
    one.begin()
    one.page.locator(".intro").click(position={"x": 5, "y": 5})
    for key in "1234567890qwertyasdfghzxcvb":
        one.page.keyboard.press(key)
    assert not one.box("guess2").is_visible()
    assert room.guesses() == 0
    one.guess(1, "5")
    reached = []
    for _ in range(6):
        one.page.keyboard.press("Tab")
        reached.append(one.page.evaluate("document.activeElement.name"))
        if reached[-1] == "guess2":
            break
    assert reached[-1] == "guess2", reached
    one.page.keyboard.type("6")
    one.page.keyboard.press("Enter")
    expect(one.said("feedback2")).to_be_visible()


def test_a_guess_that_did_not_reach_us_is_deleted_and_typed_again(invite: Invite, seat: Seat) -> None:
    room = invite(1)
    one = seat(room)
    one.begin()
    one.guess(1, "5")
    room.server.kill()
    one.type("guess2", "6")
    one.page.wait_for_timeout(1500)
    assert not one.said("feedback2").is_visible()
    room.server.start()
    one.bin("guess2").click()
    assert "you guessed 6.0" in one.guess(2, "6")


def test_who_has_no_draft_yet_is_asked_to_wait_and_then_plays(
    invite: Invite, seat: Seat, screenshots: Path | None
) -> None:
    room = invite(1, tokens=False)
    one = seat(room)
    one.type("begin", "yes")
    expect(one.said("welcome")).to_contain_text("wait ten seconds")
    one.snap(screenshots, "wait")
    one.page.wait_for_timeout(10_000)
    one.begin()
    assert "you guessed 6.0" in one.guess(1, "6")
