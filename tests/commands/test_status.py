"""`imitable status`: places are counted for each platform, and the next step follows from those that are left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from imitable.cli.app import app
from imitable.commands.close import close
from imitable.commands.closed import note_closed
from imitable.commands.collect import COLLECTED
from imitable.commands.pay import pay, show
from imitable.commands.publish import publish
from imitable.commands.status import status
from imitable.game.label_studio import names
from imitable.game.label_studio.calls import Call
from imitable.game.label_studio.replies import Replies
from imitable.game.reserving import reserve
from imitable.game.views import Landing
from imitable.platforms.label_studio.exported import take_in_export
from imitable.platforms.label_studio.files import write_files
from imitable.store import Store, open_store, tables
from imitable.testing import invented_campaign
from labelling import published
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


# In Label Studio

LABEL_STUDIO = '[platform.label_studio]\nannotators_per_target = 2\naccounts = "accounts.csv"\n'
PAY = '[pay]\ncurrency = "USD"\nbase = "2.00"\n'


def play_all(here: Table, person: str) -> None:
    """Everything that a person has, as the door gets it from Label Studio."""
    door = Replies(here.game)
    for one in published(here, [person])[person]:
        for box, text in [(names.BEGIN, "yes"), *((names.guess(trial), "5") for trial in (1, 2))]:
            door.reply(Call(names.task_key(here.folder, one.episode_id), person, frozenset({person}), {box: text}))


def test_a_publication_that_did_not_get_through_is_to_be_repeated(table: Callable[..., Table]) -> None:
    here = table(links=0, more=LABEL_STUDIO)
    path = here.folder.path
    again = f"imitable serve {path}, and beside it imitable publish {path} --platform label-studio"
    with_sittings = {"platform": names.PLATFORM, "names": ["ann@example.org"], "share_items": False}
    reserve(here.store, here.folder, here.game.content, now=here.clock(), **with_sittings)  # type: ignore[arg-type]
    assert status(path).next_step == again
    published(here, ["ann@example.org"])
    assert (
        status(path).next_step == f"imitable serve {path}, and send each person the address in {path}/label-studio.csv"
    )
    with here.store.write() as connection:
        connection.execute(update(tables.tasks).values(external_id=None))
    assert status(path).next_step == f"{again}: the last time broke off, and nothing is made twice"


def test_what_was_played_asks_for_more_accounts_for_collecting_and_for_pay(table: Callable[..., Table]) -> None:
    here = table(links=0, more=LABEL_STUDIO + PAY)
    path = here.folder.path
    play_all(here, "ann@example.org")
    seen = status(path)
    assert seen.places == {"label-studio": (2, 4)}
    more = f"add 1 account to {path}/accounts.csv, then imitable publish {path} --platform label-studio"
    assert seen.next_step == f"all tasks were played: {more}; or, as it is: imitable export {path} --out OUT"
    assert [one.partition(f" {path}")[0] for one in seen.also[:3]] == [
        "imitable collect",
        "imitable pay",
        "imitable close",
    ]
    (path / COLLECTED).touch()
    assert not [one for one in status(path).also if one.startswith("imitable collect")]
    play_all(here, "bob@example.org")
    assert status(path).next_step.startswith(f"imitable export {path}")


def test_files_to_upload_by_hand_are_read_back(table: Callable[..., Table]) -> None:
    here = table(links=0)
    path = here.folder.path
    write_files(here.folder, here.store, path.parent / "files", places=1)
    assert status(path).next_step.endswith(f"then imitable collect {path} --from-file FILE")


def test_files_that_were_all_read_back_are_not_asked_for_beside_links_with_places_left(
    table: Callable[..., Table],
) -> None:
    here = table(links=2)
    path = here.folder.path
    write_files(here.folder, here.store, path.parent / "files", places=1)
    tasks = json.loads((path.parent / "files" / "tasks.json").read_text(encoding="utf-8"))
    number = {"from_name": "guess", "to_name": "text", "type": "number", "value": {"number": 5}}
    for at, task in enumerate(tasks):
        done = {"id": at, "completed_by": 2, "result": [number], "was_cancelled": False}
        done["created_at"] = f"2026-11-20T10:00:{at:02d}.000000Z"
        (path.parent / "export.json").write_text(json.dumps([task | {"annotations": [done]}]), encoding="utf-8")
        assert status(path).next_step.endswith(f"imitable collect {path} --from-file FILE")
        assert take_in_export(here.folder, here.store, path.parent / "export.json").taken == 1
    assert status(path).next_step.startswith(f"imitable serve {path} for the places left")


def test_what_was_earned_is_told_before_and_after_it_is_written_down_and_no_more_once_it_is_paid(
    table: Callable[..., Table],
) -> None:
    here = table(links=2, more=PAY)
    path = here.folder.path
    here.play(here.sit(0))

    def owing() -> bool:
        return any(one.startswith("imitable pay") for one in status(path).also)

    assert owing()
    show(path)
    assert owing()
    pay(path, platform=None, confirm=lambda part: part.total.decimal)
    assert not owing()


# Closed


def test_status_says_what_is_closed_until_it_is_published_again(table: Callable[..., Table]) -> None:
    here = table(links=0)
    path = here.folder.path
    publish(path)
    close(path)
    shown = CliRunner().invoke(app, ["status", str(path)], catch_exceptions=False).output
    assert "closed on web since 20" in shown
    assert status(path).next_step == "recruiting is closed: nobody played; imitable publish opens it again"
    publish(path)
    assert not status(path).closed
    assert status(path).next_step == f"imitable serve {path}, and send people their links"


def test_a_closed_campaign_that_was_played_is_to_be_ranked(table: Callable[..., Table]) -> None:
    here = table(links=1)
    here.play(here.sit(0))
    with here.store.write() as connection:
        note_closed(connection, "web", now=here.clock())
    assert status(here.folder.path).next_step.startswith("recruiting is closed: imitable export")
