"""`imitable status`: places are counted for each platform, and the next step follows from those that are left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imitable.commands.status import status
from imitable.game.views import Landing
from imitable.store import Store, open_store
from imitable.testing import invented_campaign
from playing import Table

PROLIFIC = "[platform.prolific]\nannotators_per_target = 2\n"
IDS = {"PROLIFIC_PID": "a" * 24, "STUDY_ID": "b" * 24, "SESSION_ID": "c" * 24}


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Callable[..., Table]]:
    stores: list[Store] = []

    def build(*, links: int, more: str = "") -> Table:
        settings: dict[str, Any] = {"practice": 1, "held_out": 1, "episodes": 2, "annotators_per_target": 1}
        folder = invented_campaign(tmp_path / "c", targets=2, more=more, **settings)
        stores.append(open_store(folder))
        return Table(folder, stores[-1], links)

    yield build
    for store in stores:
        store.close()


def from_prolific(here: Table) -> None:
    landing = here.game.arrival(here.game.entry("prolific", IDS))
    assert isinstance(landing, Landing)
    token = here.game.start(landing.code, agreed=True)
    for step in "123":
        here.game.tutorial(token, step, "5")
    here.play(token)


def test_places_are_counted_for_each_platform(table: Callable[..., Table]) -> None:
    here = table(links=2, more=PROLIFIC)
    assert status(here.folder.path).places == {"web": (0, 2), "prolific": (0, 4)}
    here.play(here.sit(0))
    seen = status(here.folder.path)
    assert seen.places == {"web": (2, 2), "prolific": (0, 4)}
    assert seen.next_step.startswith(f"imitable serve {here.folder.path} for the places left")
    from_prolific(here)
    assert status(here.folder.path).places == {"web": (2, 2), "prolific": (2, 4)}


def test_when_every_place_is_filled_the_next_step_is_the_ranking(table: Callable[..., Table]) -> None:
    here = table(links=2)
    here.play(here.sit(0))
    assert status(here.folder.path).next_step.startswith("imitable export")


def test_a_campaign_on_prolific_alone_asks_for_no_links(table: Callable[..., Table]) -> None:
    here = table(links=0, more=PROLIFIC)
    seen = status(here.folder.path)
    assert seen.places == {"prolific": (0, 4)}
    assert seen.next_step == f"imitable serve {here.folder.path}, and invite as it says"


def test_links_that_were_all_used_ask_for_as_many_more_as_are_needed(table: Callable[..., Table]) -> None:
    here = table(links=1)
    token = here.sit(0)
    here.game.guess(token, here.game.view(token).round_id, "5")  # type: ignore[union-attr]
    here.game.stop(token)
    assert f"imitable publish {here.folder.path} --links 2," in status(here.folder.path).next_step


def test_a_campaign_that_nobody_is_invited_to_asks_for_links(table: Callable[..., Table]) -> None:
    here = table(links=0)
    seen = status(here.folder.path)
    assert seen.places == {}
    assert seen.next_step == f"imitable publish {here.folder.path} --platform web"


def test_a_campaign_in_label_studio_asks_to_be_published_there(table: Callable[..., Table]) -> None:
    here = table(links=0, more="[platform.label_studio]\n")
    told = (
        f"imitable serve {here.folder.path}, and beside it imitable publish {here.folder.path} --platform label-studio"
    )
    assert status(here.folder.path).next_step == told
