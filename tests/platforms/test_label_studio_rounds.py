"""Label Studio with a round a task: in turn, where the next task tells how the last one went; and plain."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from label_studio_campaign import OnLabelStudio, with_key
from sqlalchemy import select

from imitable.commands.export import export
from imitable.game.label_studio import names
from imitable.rehearsal.label_studio.accounts import Account
from imitable.store import tables
from label_studio_server import LabelStudio as Real

pytestmark = pytest.mark.xdist_group("label-studio")


def _campaign(path: Path, real: Real, door: str, mode: str, **more: Any) -> OnLabelStudio:
    here = OnLabelStudio(path, real, door, **more)
    with (path / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write(f'mode = "{mode}"\n')
    return here


@contextmanager
def _serving(folder: Path, port: int, key: str) -> Iterator[None]:
    """`imitable serve`, for real."""
    command = [sys.executable, "-m", "imitable", "serve", str(folder), "--port", str(port)]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"LABEL_STUDIO_API_KEY": key}
    )
    assert server.stdout is not None
    try:
        assert "Serving" in server.stdout.readline()
        yield
    finally:
        server.terminate()
        server.wait(timeout=20)
        server.stdout.close()


def _open_task(here: OnLabelStudio, person: Account) -> dict[str, Any] | None:
    """The person's task that nobody answered, as their browser finds it."""
    rows = here.there(here.real.client(person))
    mine = [row for row in rows if row["data"][names.ANNOTATOR] == person.email and not row["annotations"]]
    assert len(mine) <= 1
    return mine[0] if mine else None


def _submit(client: httpx.Client, task: dict[str, Any], guess: object, **more: object) -> None:
    result = [{"from_name": "guess", "to_name": "text", "type": "number", "value": {"number": guess}}]
    made = client.post(f"/api/tasks/{task['id']}/annotations", json={"result": result, "lead_time": 4.5, **more})
    assert made.status_code == 201, made.text


def _truth(here: OnLabelStudio, task: dict[str, Any], trial: int) -> float:
    """The true activation of an earlier round of a task's episode."""
    episode = select(tables.tasks.c.episode_id).where(tables.tasks.c.task_key == task["data"][names.KEY])
    truth = (
        select(tables.truths.c.truth)
        .join(tables.rounds, tables.rounds.c.item_id == tables.truths.c.item_id)
        .where(tables.rounds.c.episode_id == episode.scalar_subquery(), tables.rounds.c.trial == trial)
    )
    with here.store() as store, store.read() as connection:
        return float(connection.execute(truth).scalar_one())


@pytest.fixture
def door() -> str:
    """Where `imitable serve` will be."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_rounds_come_in_turn_and_each_tells_how_the_last_one_went(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(monkeypatch, label_studio)
    here = _campaign(tmp_path / "campaign", label_studio, door, "webhook")
    here.publish()
    assert len(here.there()) == 2, "one open task for each annotator, and no more"
    ann, bob = here.people
    with _serving(here.folder.path, int(door.rpartition(":")[2]), label_studio.admin.token):
        for number in range(10):
            task, until = _open_task(here, ann), time.monotonic() + 30
            while task is None and time.monotonic() < until:  # Label Studio waits a second for us, and we may be slow
                time.sleep(0.2)
                task = _open_task(here, ann)
            assert task is not None, f"no task for round {number + 1}"
            text = task["data"][names.TEXT]
            assert ("You guessed" in text) == (number % 5 in (1, 2, 3))
            if number % 5 in (1, 2, 3):
                assert f"reacted with <b>{_truth(here, task, number % 5):.1f}</b>" in text
            assert ("Recorded" in text) == (number % 5 == 4)
            if number == 1:  # somebody else answers in her name, and says it is hers
                me = label_studio.client(ann).get("/api/current-user/whoami").json()["id"]
                _submit(label_studio.client(bob), task, 0, completed_by=me)
                assert len(here.guesses()) == 1
            _submit(label_studio.client(ann), task, number % 10)
        until = time.monotonic() + 30
        while len(here.guesses()) < 10 and time.monotonic() < until:
            time.sleep(0.2)
        assert _open_task(here, ann) is None
    assert [guess for *_, guess in sorted(here.guesses(), key=lambda row: row[2])] == list(range(10))
    with here.store() as store, store.read() as connection:
        ended = dict(
            connection.execute(
                select(tables.identities.c.platform_id, tables.sittings.c.ended_by).join(
                    tables.sittings, tables.sittings.c.annotator_id == tables.identities.c.annotator_id
                )
            ).all()
        )
    assert ended == {ann.email: "finished", bob.email: None}
    import pandas as pd

    export(here.folder.path, out=tmp_path / "out")
    guesses = pd.read_csv(tmp_path / "out" / "guesses.csv")
    assert guesses["feedback"].tolist() == [True, True, True, False, False] * 2
    assert guesses["seconds"].notna().all()


def test_a_round_that_no_webhook_told_of_is_followed_up_by_collect(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(monkeypatch, label_studio)
    here = _campaign(tmp_path / "campaign", label_studio, door, "webhook", annotators=1)
    here.publish()
    (ann,) = here.people
    task = _open_task(here, ann)
    assert task is not None
    _submit(label_studio.client(ann), task, 3)  # nobody serves
    assert here.guesses() == []
    here.collect()
    assert [guess for *_, guess in here.guesses()] == [3.0]
    following = _open_task(here, ann)
    assert following is not None
    assert following["id"] != task["id"]
    assert here.collect() == here.collect()
    assert here.everything_is_there_once()


def test_collect_sends_the_next_task_to_nobody_whose_tasks_were_withdrawn_or_never_sent(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(monkeypatch, label_studio)
    here = _campaign(tmp_path / "campaign", label_studio, door, "webhook")
    here.publish()
    ann, bob = here.people
    task = _open_task(here, ann)
    assert task is not None
    _submit(label_studio.client(ann), task, 3)
    here.collect()
    here.close()
    here.collect()
    assert _open_task(here, ann) is not None  # she may finish
    assert {task.platform_id for task in here.tasks()} == {ann.email}
    assert here.everything_is_there_once()
    here.publish()
    assert _open_task(here, bob) is not None


def test_plain_rounds_are_taken_once_and_show_nothing(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(monkeypatch, label_studio)
    here = _campaign(tmp_path / "campaign", label_studio, door, "plain", annotators=1)
    here.publish()
    (ann,) = here.people
    rows = here.there(label_studio.client(ann))
    assert len(rows) == 10
    for number, row in enumerate(rows):
        _submit(label_studio.client(ann), row, number)
    first = here.collect()
    assert first == here.collect()
    assert first.findings == ()
    assert sorted(guess for *_, guess in here.guesses()) == list(range(10))
    edited = here.there()[4]["annotations"][0]["id"]
    result = [{"from_name": "guess", "to_name": "text", "type": "number", "value": {"number": 9.5}}]
    label_studio.client(ann).patch(f"/api/annotations/{edited}/", json={"result": result})
    (finding,) = here.collect().findings
    assert finding.kind == "edited"
    assert "9.5" in finding.sentence
    assert "What was committed counts" in finding.sentence
    assert sorted(guess for *_, guess in here.guesses()) == list(range(10))
    import pandas as pd

    export(here.folder.path, out=tmp_path / "out")
    assert not pd.read_csv(tmp_path / "out" / "guesses.csv")["feedback"].any()


@pytest.mark.parametrize(("mode", "tasks"), [("plain", 10), ("webhook", 1)])
def test_closing_takes_in_first_what_was_answered_and_not_collected_yet(
    tmp_path: Path, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch, mode: str, tasks: int
) -> None:
    with_key(monkeypatch, label_studio)
    here = _campaign(tmp_path / "campaign", label_studio, door, mode)
    here.publish()
    ann, _bob = here.people
    for row in here.there():
        if row["data"][names.ANNOTATOR] == ann.email:
            _submit(label_studio.client(ann), row, 3)
    said = here.close()
    assert said == f"{tasks} tasks that nobody had begun are withdrawn; {tasks} have begun."
    assert len(here.guesses()) == tasks
    assert {task.platform_id for task in here.tasks()} == {ann.email}
    assert here.everything_is_there_once()
