"""Annotators and programs who try to learn an answer early, to answer twice, or to break what others do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from label_studio_campaign import OnLabelStudio, any_door, with_key

from imitable.errors import PlatformError
from imitable.game.label_studio import names
from imitable.platforms.label_studio.client import Server
from imitable.platforms.label_studio.in_turn import InTurn
from label_studio_server import LabelStudio as Real

pytestmark = pytest.mark.xdist_group("label-studio")


@pytest.fixture
def door() -> Iterator[str]:
    with any_door() as address:
        yield address


def in_mode(path: Path, real: Real, door: str, mode: str, **more: Any) -> OnLabelStudio:
    """A published campaign of a mode that has a task for each round."""
    here = OnLabelStudio(path, real, door, **more)
    with (path / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write(f'mode = "{mode}"\n')
    here.publish()
    return here


def answer(here: OnLabelStudio, who: Any, task: int, *results: Any, **more: Any) -> int:
    """Submit numbers for one region, as nobody's page does when there are several."""
    result = [{"from_name": "guess", "to_name": "text", "type": "number", "value": {"number": one}} for one in results]
    made = here.real.client(who).post(f"/api/tasks/{task}/annotations", json={"result": result, **more})
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


def committed(here: OnLabelStudio) -> list[float]:
    return sorted(guess for *_, guess in here.guesses())


def hinted(here: OnLabelStudio, *tasks: int) -> None:
    """What a webhook leads to."""
    with here.store() as store:
        turns = InTurn(here.folder, store)
        for task in tasks:
            turns.hint(task)


@pytest.mark.parametrize(
    ("before", "after"), [("interactive", "webhook"), ("plain", "interactive"), ("webhook", "plain")]
)
def test_a_campaign_stays_in_the_mode_in_which_it_was_published(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    with_key(monkeypatch, label_studio)
    here = in_mode(tmp_path / "campaign", label_studio, door, before)
    before_that = here.there()
    here.edit(f'mode = "{before}"', f'mode = "{after}"')
    for does in (here.publish, lambda: here.publish(dry_run=True), here.collect):
        with pytest.raises(PlatformError, match=f'published with .* mode = "{before}".* Set it back'):
            does()
    assert here.there() == before_that
    here.edit(f'mode = "{after}"', f'mode = "{before}"')
    here.publish()
    here.collect()
    assert here.everything_is_there_once()


def test_items_that_were_shared_behind_a_proxy_are_not_played_without_it(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(monkeypatch, label_studio)
    here = OnLabelStudio(tmp_path / "campaign", label_studio, door, annotators=5)
    here.edit("[platform.label_studio]\n", "[platform.label_studio]\nproxied = true\nannotators_per_target = 5\n")
    here.publish()
    here.edit("proxied = true\n", "")
    with pytest.raises(PlatformError, match=r"\d+ items that are yet to be guessed .* proxied"):
        here.publish()


def test_a_hint_goes_by_our_record_whatever_key_somebody_wrote_into_the_task(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch, either_store: str
) -> None:
    with_key(monkeypatch, label_studio)
    here = in_mode(tmp_path / "campaign", label_studio, door, "webhook")
    ann, bob = here.people
    mine, theirs = here.of(ann), here.of(bob)
    task = int(mine.external_id)
    answer(here, ann, task, 3)
    for key in (theirs.task_key, "t\0", "\x00", "t_" + "0" * 16, 7, None, {"a": [1]}):
        [row] = [one for one in here.there() if one["id"] == task]
        changed = label_studio.client(bob).patch(f"/api/tasks/{task}/", json={"data": row["data"] | {names.KEY: key}})
        assert changed.status_code == 200, changed.text
        hinted(here, task)
        assert committed(here) == [3.0]
    episodes = [episode for episode, *_ in here.guesses()]
    assert episodes == [mine.episode_id]
    here.collect()
    assert committed(here) == [3.0]


def test_hints_that_name_strange_things_change_nothing(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(monkeypatch, label_studio)
    here = in_mode(tmp_path / "campaign", label_studio, door, "webhook")
    ann, bob = here.people
    elsewhere = label_studio.project()
    [key] = [one.task_key for one in here.tasks() if one.platform_id == ann.email]
    copied = {"data": {"text": "a", names.KEY: key, names.ANNOTATOR: ann.email}, "project": elsewhere}
    copy = label_studio.client(bob).post("/api/tasks/", json=copied).json()["id"]
    answer(here, bob, copy, 9, completed_by=_number(label_studio, ann))
    theirs = int(here.of(ann).external_id)
    answer(here, bob, theirs, 9, completed_by=_number(label_studio, ann))
    answer(here, bob, theirs, 9)
    hinted(here, copy, theirs, 1, 999_999_999, (1 << 62) - 1)
    assert committed(here) == []
    assert here.everything_is_there_once()


def test_many_hints_at_once_commit_one_guess_and_make_one_task(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch, either_store: str
) -> None:
    with_key(monkeypatch, label_studio)
    here = in_mode(tmp_path / "campaign", label_studio, door, "webhook")
    ann, _ = here.people
    task = int(here.of(ann).external_id)
    answer(here, ann, task, 3)
    answer(here, ann, task, 8)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: hinted(here, task), range(16)))
    assert committed(here) == [3.0]
    assert len(here.there()) == 3
    assert here.everything_is_there_once()
    here.collect()
    here.collect()
    assert committed(here) == [3.0]
    assert here.everything_is_there_once()


def test_a_hint_while_the_record_is_away_is_logged_and_not_thrown(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_key(monkeypatch, label_studio)
    here = in_mode(tmp_path / "campaign", label_studio, door, "webhook")
    ann, _ = here.people
    task = int(here.of(ann).external_id)
    answer(here, ann, task, 3)
    with here.store() as store, here.store() as other:
        turns = InTurn(here.folder, store)
        store.hurry(0.2)
        with other.write():  # somebody else writes, and goes on writing
            turns.hint(task)
        assert committed(here) == []
        assert "could not be followed up" in caplog.text
        turns.hint(task)
    assert committed(here) == [3.0]


def test_of_several_numbers_for_one_text_the_first_counts_whoever_asks(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(monkeypatch, label_studio)
    here = in_mode(tmp_path / "campaign", label_studio, door, "webhook")
    ann, bob = here.people
    answer(here, ann, int(here.of(ann).external_id), 2, 9)
    answer(here, bob, int(here.of(bob).external_id), 2, 9)
    hinted(here, int(here.of(ann).external_id))
    said = here.collect()
    assert committed(here) == [2.0, 2.0]
    assert said.findings == ()


def test_what_no_page_would_send_holds_nobody_up(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch, either_store: str
) -> None:
    with_key(monkeypatch, label_studio)
    here = in_mode(tmp_path / "campaign", label_studio, door, "webhook")
    ann, bob = here.people
    deep: list[Any] = []
    task = int(here.of(ann).external_id)
    for _ in range(200):
        deep = [deep]
    hostile: list[Any] = ["nan", "Infinity", "1_0", "1e999", "\u0000", "", None, True, [], {}, deep, "9" * 5000]
    for one in (*hostile, 10**300):
        answer(here, ann, task, one, lead_time=-1e300)
    answer(here, ann, task, "\u0665", lead_time=1e300)  # an Arabic five
    answer(here, bob, int(here.of(bob).external_id), 7)
    here.collect()
    assert committed(here) == [5.0, 7.0]
    hinted(here, task)
    assert here.collect() == here.collect()
    assert committed(here) == [5.0, 7.0]


def test_an_annotation_that_was_moved_to_another_task_is_heard_of_once(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(monkeypatch, label_studio)
    monkeypatch.setitem(Server.pages.__kwdefaults__ or {}, "page", 1)  # as if the tasks were hundreds apart
    here = in_mode(tmp_path / "campaign", label_studio, door, "plain")
    ann, bob = here.people
    mine, theirs = here.of(ann), here.of(bob)
    number = answer(here, ann, int(mine.external_id), 3)
    here.collect()
    assert committed(here) == [3.0]
    moved = label_studio.client(bob).patch(f"/api/annotations/{number}/", json={"task": int(theirs.external_id)})
    assert moved.status_code == 200, moved.text
    answer(here, bob, int(theirs.external_id), 8)
    here.collect()
    assert here.collect() == here.collect()
    assert committed(here) == [3.0, 8.0]


def _number(real: Real, who: Any) -> int:
    return int(real.client(who).get("/api/current-user/whoami").json()["id"])
