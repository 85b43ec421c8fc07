"""Collecting from a real Label Studio: what it says is compared with the record, and changes nothing in it."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import faulty_proxy
import httpx
import pytest
from faulty_proxy import Fault
from label_studio_campaign import ROUNDS, OnLabelStudio, any_door, with_key
from typer.testing import CliRunner

from imitable.cli.app import app
from imitable.commands.accounts import forget
from imitable.commands.collect import collect
from imitable.commands.publish import publish
from imitable.errors import PlatformError
from imitable.game.label_studio import names
from imitable.game.label_studio.replies import Result
from imitable.game.simulated import Profile
from imitable.platforms import Finding
from imitable.platforms.label_studio import collecting, wire
from imitable.rehearsal.label_studio.accounts import Account
from imitable.rehearsal.label_studio.playing import play_tasks
from imitable.store import tables
from imitable.testing import invented_campaign
from label_studio_server import LabelStudio as Real

pytestmark = pytest.mark.xdist_group("label-studio")

GUESSES = ("3", "4.5", "0", "10", "7")


@pytest.fixture
def here(label_studio: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnLabelStudio]:
    """A published campaign of two annotators with two tasks each."""
    with_key(monkeypatch, label_studio)
    with any_door() as door:
        campaign = OnLabelStudio(tmp_path / "campaign", label_studio, door)
        campaign.publish()
        yield campaign


@pytest.fixture
def ann(here: OnLabelStudio) -> Account:
    return here.people[0]


@pytest.fixture
def bob(here: OnLabelStudio) -> Account:
    return here.people[1]


def played(here: OnLabelStudio, person: Account, place: int = 0) -> list[Result]:
    """An episode to its end, with the three questions."""
    return [*here.play(person, GUESSES, place), *here.answer()]


def answers(here: OnLabelStudio) -> list[tuple[Any, ...]]:
    with here.store() as store, store.read() as connection:
        return [(row.fun, row.interest, row.explanation) for row in connection.execute(tables.answers.select())]


def the_one(here: OnLabelStudio, kind: str) -> Finding:
    """The only finding, which stands when the same is asked again, and changes no guess."""
    before = here.guesses()
    said = here.collect()
    [finding] = said.findings
    assert finding.kind == kind, finding
    assert here.collect() == said
    assert here.guesses() == before
    return finding


def with_value(page: list[Result], name: str, **value: Any) -> list[Result]:
    """The page with another value in one control."""
    assert any(one["from_name"] == name for one in page)
    return [one | {"value": value} if one["from_name"] == name else one for one in page]


def test_what_was_played_and_submitted_as_it_was_is_heard_of_and_differs_in_nothing(
    here: OnLabelStudio, ann: Account, bob: Account
) -> None:
    assert here.collect().sittings == 0
    for person in (ann, bob):
        here.submit(person, played(here, person))
    said = here.collect()
    assert (said.sittings, said.findings) == (2, ())
    assert answers(here) == [(4, 2, "trees")] * 2
    assert len(here.guesses()) == 2 * ROUNDS


def test_the_first_answers_stand(here: OnLabelStudio, ann: Account) -> None:
    page = played(here, ann)
    number = here.submit(ann, page)
    here.collect()
    later = [*page[:-3], *here.answer(fun="1", explanation="cats")]
    here.real.client(ann).patch(f"/api/annotations/{number}/", json={"result": later})
    assert "was changed after it was first submitted" in the_one(here, "edited").sentence
    assert answers(here) == [(4, 2, "trees")]


def test_who_was_forgotten_is_not_heard_of_again_and_not_invited_again(
    here: OnLabelStudio, ann: Account, bob: Account
) -> None:
    for place in (0, 1):
        here.submit(ann, played(here, ann, place), place)
    here.collect()
    here.submit(bob, played(here, bob))
    forget(here.folder.path, here.folder.annotator_id("label-studio", ann.email))
    assert here.collect().findings == ()
    with here.store() as store, store.read() as connection:
        heard = [(row.completed_by, row.result) for row in connection.execute(tables.heard.select())]
    assert len(heard) == 3
    assert all((who == bob.email) == bool(result) for who, result in heard)
    assert ann.email not in str(heard)
    before = [row["id"] for row in here.there()]
    made = here.publish()
    assert "1 of the accounts belongs to people who were forgotten, and gets no task" in " ".join(made.notes)
    assert [row["id"] for row in here.there()] == before
    assert ann.email not in made.files[0].read_text(encoding="utf-8")
    assert made.sittings == here.publish(dry_run=True).sittings == 2  # the place that was paid for counts


def test_answers_of_an_episode_that_is_not_finished_wait(here: OnLabelStudio, ann: Account) -> None:
    here.submit(ann, [*here.play(ann, GUESSES[:3]), *here.answer()])
    assert f"was submitted after 3 of {ROUNDS} rounds" in the_one(here, "unfinished").sentence
    assert answers(here) == []
    here.play(ann, GUESSES)
    for text in GUESSES[3:]:
        here.say(ann, names.guess(len(here.guesses()) + 1), text)
    assert here.collect().findings == ()
    assert answers(here) == [(4, 2, "trees")]


def test_a_guess_edited_on_the_page_is_said_and_the_committed_one_counts(here: OnLabelStudio, ann: Account) -> None:
    page = with_value(played(here, ann), names.guess(2), text=["9"])
    number = here.submit(ann, page)
    finding = the_one(here, "edited")
    assert f"Annotation {number} in the task" in finding.sentence
    assert "says 9 in round 2, where 4.5 was committed. What was committed counts." in finding.sentence
    assert finding.annotator_id == here.folder.annotator_id(names.PLATFORM, ann.email)


@pytest.mark.parametrize("text", ["nonsense", "1e999", ""])
def test_a_guess_that_became_nonsense_is_said(here: OnLabelStudio, ann: Account, text: str) -> None:
    here.submit(ann, with_value(played(here, ann), names.guess(2), text=[text]))
    assert "says what is no number in round 2, where 4.5 was committed" in the_one(here, "edited").sentence


def test_an_answer_that_was_moved_is_said(here: OnLabelStudio, ann: Account) -> None:
    here.submit(ann, with_value(played(here, ann), names.truth(1), number=-7))
    assert "says -7 as the answer of round 1, which was " in the_one(here, "edited").sentence


def test_a_guess_that_was_never_committed_is_said_and_not_taken(here: OnLabelStudio, ann: Account) -> None:
    page = [*here.play(ann, GUESSES[:2]), words(names.guess(3), "5")]
    here.submit(ann, page)
    kinds = {one.kind: one.sentence for one in here.collect().findings}
    assert "a guess in round 3, where none was committed" in kinds["edited"]
    assert "after 2 of 5 rounds" in kinds["unfinished"]
    assert len(here.guesses()) == 2


def words(name: str, said: str) -> Result:
    return {"from_name": name, "to_name": names.INTRO, "type": "textarea", "value": {"text": [said]}}


def test_an_edit_by_somebody_else_is_said_under_a_pseudonym(here: OnLabelStudio, ann: Account, bob: Account) -> None:
    number = here.submit(ann, page := played(here, ann))
    here.collect()
    changed = with_value(page, names.guess(1), text=["10"])
    here.real.client(bob).patch(f"/api/annotations/{number}/", json={"result": changed})
    sentence = the_one(here, "forged").sentence
    assert f"was written, or written in, by {here.folder.annotator_id(names.PLATFORM, bob.email)}" in sentence
    assert answers(here) == [(4, 2, "trees")]


@pytest.mark.parametrize("says", ["its annotator", "nobody", "a third"])
def test_an_annotation_forged_in_anothers_task_is_found_whoever_it_says_it_is_by(
    here: OnLabelStudio, ann: Account, bob: Account, says: str
) -> None:
    page = played(here, ann)
    ids = {user["email"]: user["id"] for user in here.real.client().get("/api/users/").json()}
    who = {"its annotator": {"completed_by": ids[ann.email]}, "a third": {"completed_by": ids[here.real.admin.email]}}
    task = here.of(ann).external_id
    made = here.real.client(bob).post(
        f"/api/tasks/{task}/annotations",
        json={"result": with_value(page, names.guess(1), text=["10"]), "ground_truth": True, **who.get(says, {})},
    )
    assert made.status_code == 201
    sentence = the_one(here, "forged").sentence
    other = here.real.admin.email if says == "a third" else bob.email
    assert here.folder.annotator_id(names.PLATFORM, other) in sentence
    assert "@" not in sentence
    assert answers(here) == []


def test_a_deleted_annotation_is_said_for_good_and_what_was_committed_counts(
    here: OnLabelStudio, ann: Account, bob: Account
) -> None:
    number = here.submit(ann, played(here, ann))
    here.collect()
    assert here.real.client(bob).delete(f"/api/annotations/{number}/").status_code == 204
    assert f"Annotation {number} in the task" in the_one(here, "deleted").sentence
    assert answers(here) == [(4, 2, "trees")]


def test_work_that_was_finished_and_never_submitted_is_said(here: OnLabelStudio, ann: Account) -> None:
    played(here, ann)
    assert "played to its end and not submitted" in the_one(here, "unsubmitted").sentence


def test_a_second_annotation_of_one_person_and_a_skipped_task_are_said(
    here: OnLabelStudio, ann: Account, bob: Account
) -> None:
    here.submit(ann, page := played(here, ann))
    here.submit(ann, page)
    here.submit(bob, played(here, bob), was_cancelled=True)
    found = {one.kind: one.sentence for one in here.collect().findings}
    assert found.keys() == {"duplicated", "cancelled"}
    assert "has 2 annotations" in found["duplicated"]
    assert len(here.guesses()) == 2 * ROUNDS
    assert answers(here) == [(4, 2, "trees")]


def test_tasks_that_were_removed_or_are_not_ours_are_said(here: OnLabelStudio, ann: Account) -> None:
    here.submit(ann, played(here, ann))
    here.collect()
    row, admin = here.there()[0], here.real.client()
    admin.delete(f"/api/tasks/{here.of(ann).external_id}/")
    admin.post(f"/api/projects/{here.project}/import", json=[{"data": {**row["data"], "imitable": "t_mine"}}])
    found = {one.kind: one.sentence for one in here.collect().findings}
    assert found.keys() == {"missing", "deleted", "strange"}
    assert "was removed from the project" in found["missing"]
    assert len(here.guesses()) == ROUNDS


def test_a_task_put_there_for_each_that_was_removed_hides_neither(here: OnLabelStudio) -> None:
    """The number of tasks is then what it was; their numbers are not."""
    here.collect()
    gone, row, admin = here.of(here.people[0]).external_id, here.there()[-1], here.real.client()
    admin.delete(f"/api/tasks/{gone}/")
    admin.post(f"/api/projects/{here.project}/import", json=[{"data": row["data"]}])
    for _ in range(2):
        assert {one.kind for one in here.collect().findings} == {"missing", "strange"}


def test_one_annotation_that_breaks_the_servers_lists_hides_no_other(
    here: OnLabelStudio, ann: Account, bob: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a surrogate pair, which Label Studio stores and then cannot write: its own export fails from then on."""
    monkeypatch.setattr(wire, "WAITS", (0.05,))
    broken = here.of(bob).external_id
    here.real.client(bob).post(
        f"/api/tasks/{broken}/annotations",
        content=b'{"result": [{"from_name": "\\ud800"}]}',
        headers={"Content-Type": "application/json"},
    )
    export = here.real.client().get(f"/api/projects/{here.project}/export?exportType=JSON")
    assert export.status_code == 500
    here.submit(ann, played(here, ann))
    here.submit(bob, played(here, bob))
    said = the_one(here, "unreadable").sentence
    assert answers(here) == [(4, 2, "trees")] * 2
    address = said.partition("DELETE ")[2].partition(")")[0]
    assert here.real.client().delete(address).status_code == 204
    assert here.collect().findings == ()


def test_a_webhook_that_comes_twice_or_is_made_up_changes_nothing(
    label_studio: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serving: Callable[..., Any]
) -> None:
    """Played through `imitable serve` and Label Studio, which tells our door of what was submitted, too."""
    with_key(monkeypatch, label_studio)
    here = OnLabelStudio(tmp_path / "campaign", label_studio, "http://127.0.0.1:1")
    address = serving(here.folder.path).address
    here.edit("http://127.0.0.1:1", address)
    here.publish()
    played = play_tasks(label_studio.url, here.project, here.people, [Profile("one"), Profile("other")], seed=3)
    assert played == len(before := here.guesses()) == 4 * ROUNDS
    [annotation] = here.there()[0]["annotations"]
    made_up = [one | {"value": {"text": ["1"]}} for one in annotation["result"] if one["type"] == "textarea"]
    for result in (annotation["result"], annotation["result"], made_up):
        told = {"action": "ANNOTATION_CREATED", "annotation": annotation | {"result": result}, "task": {"id": 1}}
        assert httpx.post(f"{address}/label-studio/webhook", json=told).status_code == 204
    assert here.collect().findings == ()
    assert here.guesses() == before
    assert len(answers(here)) == 4


@pytest.mark.usefixtures("either_store")
def test_it_is_the_same_wherever_the_record_lies(
    label_studio: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(monkeypatch, label_studio)
    with any_door() as door:
        here = OnLabelStudio(tmp_path / "campaign", label_studio, door)
        here.publish()
        ann, bob = here.people
        number = here.submit(ann, page := [*played(here, ann), words("odd", "\0")])
        here.submit(bob, played(here, bob))
        assert here.collect().findings == ()
        here.real.client(ann).patch(f"/api/annotations/{number}/", json={"result": page[:-1]})
        here.real.client(ann).delete(f"/api/tasks/{here.of(bob).external_id}/")
        found = {one.kind for one in here.collect().findings}
        assert found == {"edited", "missing", "deleted"}
        assert len(answers(here)) == 2
        here.publish()
        assert here.close().startswith("2 tasks")


# How it is asked


def test_only_what_changed_is_asked_for_again(
    here: OnLabelStudio, ann: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.submit(ann, played(here, ann))
    with faulty_proxy.before(here.real.url) as proxy:
        here.through(proxy.url)
        time.sleep(1.1)  # the server's clock, as it tells it, counts seconds
        here.collect()
        monkeypatch.setattr(collecting, "OVERLAP", timedelta(0))
        here.submit(ann, played(here, ann, 1), 1)
        noted: list[int] = []
        note = collecting._note

        def watched(connection: Any, rows: list[Any], *more: Any) -> None:
            noted.extend(row["id"] for row in rows)
            note(connection, rows, *more)

        monkeypatch.setattr(collecting, "_note", watched)
        here.collect()
    assert noted == [int(here.of(ann, 1).external_id)]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_wrong_by_an_hour_loses_nothing(
    here: OnLabelStudio, ann: Account, bob: Account, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * hours)
    here.skew = timedelta(hours=hours)
    here.submit(ann, played(here, ann))
    assert here.collect().findings == ()
    here.submit(bob, played(here, bob))
    assert here.collect().findings == ()
    assert len(answers(here)) == 2


def test_a_storm_of_5xx_while_collecting_is_waited_out_or_said_and_nothing_is_lost(
    here: OnLabelStudio, ann: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "WAITS", (0.05, 0.1))
    here.submit(ann, played(here, ann))
    with faulty_proxy.before(here.real.url) as proxy:
        here.through(proxy.url)
        proxy.faults = [Fault("GET", "/api/", "status", status=503)]
        with pytest.raises(PlatformError, match=r"failed \(GET .*Look into its log"):
            here.collect()
        proxy.faults = [Fault("GET", "/api/", "status", status=503, times=2)]
        assert here.collect().findings == ()
    assert answers(here) == [(4, 2, "trees")]


# The command


def test_the_command_lists_what_differs_on_every_platform_in_words_and_in_a_file(
    here: OnLabelStudio, ann: Account
) -> None:
    publish(here.folder.path, places=1)
    here.submit(ann, with_value(played(here, ann), names.guess(2), text=["9"]))
    shown = CliRunner().invoke(app, ["collect", str(here.folder.path)], catch_exceptions=False)
    said = " ".join(shown.output.split())
    assert "label-studio: 1 sittings have begun, 1 differences" in said
    assert "edited Annotation" in said
    assert "says 9 in round 2, where 4.5 was committed" in said
    assert "web: 0 sittings have begun, 0 differences" in said
    path = here.folder.path / "collected.csv"
    with path.open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["platform"], row["kind"]) == ("label-studio", "edited")
    assert row["sentence"] in said
    assert ann.email not in path.read_text(encoding="utf-8")


def test_a_campaign_that_was_not_published_says_how_to_publish_it(tmp_path: Path) -> None:
    invented_campaign(tmp_path / "c")
    with pytest.raises(
        PlatformError, match=r"was not published yet. Run: imitable publish .*label-studio, mturk, prolific, web"
    ):
        collect(tmp_path / "c")
