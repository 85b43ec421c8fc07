"""Closing on a real Label Studio: what nobody began is taken away, what has begun may be finished."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import faulty_proxy
import pytest
from faulty_proxy import Fault
from label_studio_campaign import OnLabelStudio, any_door, with_key
from typer.testing import CliRunner

from imitable.cli.app import app
from imitable.errors import PlatformError
from imitable.game.label_studio import names
from imitable.platforms.label_studio import wire
from imitable.platforms.label_studio.client import connected
from imitable.platforms.label_studio.closing import close_tasks
from label_studio_server import LabelStudio as Real

pytestmark = pytest.mark.xdist_group("label-studio")

GUESSES = ("3", "4.5", "0", "10", "7")


@pytest.fixture
def here(label_studio: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnLabelStudio]:
    """A published campaign of two annotators with two tasks each, of which one has begun."""
    with_key(monkeypatch, label_studio)
    with any_door() as door:
        campaign = OnLabelStudio(tmp_path / "campaign", label_studio, door)
        campaign.publish()
        campaign.play(campaign.people[0], GUESSES[:2])
        yield campaign


def test_only_what_has_begun_stays_and_may_be_finished(here: OnLabelStudio) -> None:
    person, begun = here.people[0], here.of(here.people[0])
    shown = CliRunner().invoke(app, ["close", str(here.folder.path)], catch_exceptions=False)
    assert "3 tasks that nobody had begun are withdrawn; 1 have begun." in " ".join(shown.output.split())
    assert [row["id"] for row in here.there()] == [int(begun.external_id)]
    for at, text in enumerate(GUESSES[2:], start=3):
        here.say(person, names.guess(at), text)
    assert len(here.guesses()) == 5
    assert here.close() == "0 tasks that nobody had begun are withdrawn; 1 have begun."


def test_a_page_that_was_open_already_begins_nothing_any_more(here: OnLabelStudio) -> None:
    """Withdrawn in the record first: whoever has the page before him is told nothing."""
    person, task = here.people[1], here.of(here.people[1])
    here.close()
    assert here.ask(person, task.task_key, names.BEGIN, "yes") == []


def test_publishing_opens_it_again(here: OnLabelStudio) -> None:
    before = {task.task_key for task in here.tasks()}
    here.close()
    here.publish()
    assert {task.task_key for task in here.tasks()} == before
    assert here.everything_is_there_once()


def test_now_ends_what_has_begun_and_what_was_done_counts(here: OnLabelStudio) -> None:
    person = here.people[0]
    assert "Sittings that had begun are over" in here.close(now=True)
    said = here.say(person, names.guess(3), "5")
    assert len(here.guesses()) == 2
    assert here.folder.texts().plain("label_studio.over") in [
        word for one in said for word in one["value"].get("text", ())
    ]


def test_a_closing_that_is_broken_off_is_finished_by_the_same_command(
    here: OnLabelStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "WAITS", ())
    with faulty_proxy.before(here.real.url) as proxy:
        here.through(proxy.url)
        proxy.faults = [Fault("POST", "/api/dm/actions", "cut", times=1)]
        with pytest.raises(PlatformError, match=r"gave no answer.*The same command again"):
            here.close()
        assert len(here.there()) == 4
        assert here.close().startswith("3 tasks")
    assert len(here.there()) == 1


def test_a_task_that_somebody_relabelled_is_not_taken_for_a_withdrawn_one(here: OnLabelStudio) -> None:
    begun = here.of(here.people[0])
    [row] = [row for row in here.there() if row["id"] == int(begun.external_id)]
    changed = {"data": {**row["data"], names.KEY: "t_elsewhere"}}
    here.real.client(here.people[1]).patch(f"/api/tasks/{begun.external_id}/", json=changed)
    here.close()
    assert [row["id"] for row in here.there()] == [int(begun.external_id)]


def test_what_is_answered_while_the_tasks_are_withdrawn_is_not_thrown_away(here: OnLabelStudio) -> None:
    number = here.of(here.people[1]).external_id
    here.submit(here.people[1], [])
    with here.store() as store, connected(here.real.url) as server:
        said = close_tasks(server, store, here.project, now=False)
    assert said == "2 tasks that nobody had begun are withdrawn; 2 have begun."
    assert int(number) in [row["id"] for row in here.there()]
    assert here.everything_is_there_once()
