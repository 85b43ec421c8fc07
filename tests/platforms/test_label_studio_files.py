"""Label Studio by hand: files to import, and an export read back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from imitable.campaign import Folder
from imitable.commands.accounts import forget
from imitable.commands.close import close
from imitable.commands.collect import collect, collect_file
from imitable.commands.export import export
from imitable.commands.publish import publish_files
from imitable.commands.status import status
from imitable.errors import PlatformError
from imitable.game.label_studio import names
from imitable.money.earned import earned
from imitable.money.ledger import decide
from imitable.platforms.by_hand import NotTaken, TakenIn
from imitable.platforms.label_studio.exported import take_in_export
from imitable.platforms.label_studio.files import write_files
from imitable.platforms.label_studio.project import check_config
from imitable.store import Store, open_store, tables
from imitable.testing import invented_campaign
from labelling import invent_readings


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[tuple[Folder, Store]]:
    folder = invented_campaign(tmp_path / "campaign", consent="We study texts.")
    with closing(open_store(folder)) as store:
        yield folder, store


def _tasks(folder: Folder, store: Store, out: Path, places: int = 2) -> list[dict[str, Any]]:
    write_files(folder, store, out, places=places)
    made: list[dict[str, Any]] = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    return made


def _answer(number: int, value: object, **more: object) -> dict[str, Any]:
    """An annotation as Label Studio 1.23.2 exports it."""
    result = [{"from_name": "guess", "to_name": "text", "type": "number", "value": {"number": value}}]
    return {
        "id": number,
        "completed_by": 2,
        "result": result,
        "was_cancelled": False,
        "created_at": f"2026-11-20T10:00:{number:02d}.000000Z",
        "lead_time": 3.2,
    } | more


def _take_in(folder: Folder, store: Store, path: Path, tasks: list[dict[str, Any]]) -> TakenIn:
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return take_in_export(folder, store, path)


def test_the_files_hold_every_round_and_no_truth(campaign: tuple[Folder, Store], tmp_path: Path) -> None:
    folder, store = campaign
    tasks = _tasks(folder, store, tmp_path / "files")
    assert len(tasks) == 2 * 2 * 5  # annotators, episodes, rounds
    assert len({task["data"]["imitable"] for task in tasks}) == len(tasks)
    assert {task["data"]["annotator"] for task in tasks} == {"annotator-01", "annotator-02"}
    assert "We study texts." in tasks[0]["data"]["intro"]
    assert "three short questions" not in tasks[0]["data"]["intro"]  # none are asked
    said = "".join(task["data"]["text"] for task in tasks)
    assert said.count("A new neuron.") == 2 * 2
    assert "Last" not in said  # answers that were never shown do not end
    with store.read() as connection:
        truths = [f"{truth:.4f}" for truth in connection.execute(select(tables.truths.c.truth)).scalars() if truth]
    written = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "files").iterdir())
    assert not [truth for truth in truths if truth in written]
    config = (tmp_path / "files" / "config.xml").read_text(encoding="utf-8")
    check_config(config)
    assert set(re.findall(r'value="\$(\w+)"', config)) <= set(tasks[0]["data"])


def test_levels_stand_in_the_files_and_one_that_needs_answers_is_refused_before_anything_is_kept(
    tmp_path: Path,
) -> None:
    folder = invented_campaign(tmp_path / "campaign", levels=("upstream", "weights"))
    with closing(open_store(folder)) as store:
        invent_readings(store, "upstream", "weights")
        shown = [task["data"]["text"] for task in _tasks(folder, store, tmp_path / "files")]
    assert {(text.count('class="gauge"'), text.count("<tbody>")) for text in shown} == {(8, 0), (0, 1)}
    folder = invented_campaign(tmp_path / "other", levels=("upstream", "consult"))
    with closing(open_store(folder)) as store:
        for dry_run in (True, False):
            with pytest.raises(PlatformError, match="Level 'consult' needs a game that answers"):
                write_files(folder, store, tmp_path / "none", places=2, dry_run=dry_run)
        with store.read() as connection:
            assert connection.execute(select(tables.sittings)).all() == []
    assert not (tmp_path / "none").exists()


def test_the_same_call_writes_the_same_files_and_never_over_others(
    campaign: tuple[Folder, Store], tmp_path: Path
) -> None:
    folder, store = campaign
    first = _tasks(folder, store, tmp_path / "files")
    with pytest.raises(PlatformError, match="is there already"):
        write_files(folder, store, tmp_path / "files", places=2)
    assert _tasks(folder, store, tmp_path / "again") == first
    with pytest.raises(PlatformError, match="--links how many"):
        write_files(folder, store, tmp_path / "nobody", places=None)
    assert not (tmp_path / "nobody").exists()


def test_an_export_is_taken_in_once_and_exports_without_feedback(
    campaign: tuple[Folder, Store], tmp_path: Path
) -> None:
    folder, store = campaign
    tasks = _tasks(folder, store, tmp_path / "files", places=1)
    answered = [task | {"annotations": [_answer(at, at % 10)]} for at, task in enumerate(tasks)]
    assert _take_in(folder, store, tmp_path / "e.json", answered) == TakenIn(10, 0, ())
    assert _take_in(folder, store, tmp_path / "e.json", answered) == TakenIn(0, 10, ())
    made = export(folder.path, out=tmp_path / "out")
    assert (made.guesses, made.episodes, made.annotators) == (10, 2, 1)
    import pandas as pd

    guesses = pd.read_csv(tmp_path / "out" / "guesses.csv")
    assert not guesses["feedback"].any()
    assert guesses["seconds"].isna().all()
    assert sorted(guesses["guess"]) == list(range(10))
    played = pd.read_csv(tmp_path / "out" / "episodes_played.csv")
    assert played["completed"].all()


def test_commands_know_that_the_tasks_are_files(tmp_path: Path) -> None:
    settings = '[platform.label_studio]\nurl = "http://127.0.0.1:9"\n'  # nothing runs there, and nothing is asked
    folder = invented_campaign(tmp_path / "campaign", more=settings)
    publish_files(folder.path, tmp_path / "files", platform="label-studio", places=2)
    tasks = json.loads((tmp_path / "files" / "tasks.json").read_text(encoding="utf-8"))
    export = tmp_path / "export.json"
    export.write_text(json.dumps([task | {"annotations": [_answer(1, 5)]} for task in tasks[:1]]), encoding="utf-8")
    assert collect_file(folder.path, export).taken == 1
    assert collect(folder.path).platforms["label-studio"].sittings == 1
    seen = status(folder.path)
    assert seen.next_step == f"imitable collect {folder.path} --from-file FILE"
    assert not [said for said in seen.also if said.startswith("imitable collect")]
    assert [said for said in seen.also if " --files OUT --links " in said]
    table = tmp_path / "export.csv"
    table.write_text("id,guess\n1,5\n", encoding="utf-8")
    with pytest.raises(PlatformError, match="Export again from Label Studio, as JSON"):
        collect_file(folder.path, table)
    assert "take its tasks out of the project. 2 sittings are over" in close(folder.path, now=True)["label-studio"]


def test_other_accounts_are_more_sittings_and_money_is_set_aside_for_them(tmp_path: Path) -> None:
    settings = '[platform.label_studio]\nurl = "http://127.0.0.1:9"\naccounts = "accounts.csv"\n'
    pay = '[pay]\ncurrency = "USD"\nbase = "3.00"\ncap = "400.00"\n'
    folder = invented_campaign(tmp_path / "campaign", more=settings + pay)
    for people in (2, 4, 4):
        file = "".join(f"player-{number}@example.com\n" for number in range(people - 2, people))
        (folder.path / "accounts.csv").write_text(f"email\n{file}", encoding="utf-8")
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        assert publish_files(folder.path, out, platform="label-studio").sittings == people
        assert status(folder.path).money.aside.minor == 300 * people


def test_what_cannot_be_a_guess_is_told_and_changes_nothing(campaign: tuple[Folder, Store], tmp_path: Path) -> None:
    folder, store = campaign
    tasks = _tasks(folder, store, tmp_path / "files", places=1)
    found: list[list[Any]] = [
        [_answer(9, 4), _answer(8, 3)],  # the earlier one counts
        [_answer(11, "abc")],
        [_answer(12, 99)],
        [_answer(13, 1, was_cancelled=True)],
        [_answer(14, 1, completed_by={"email": "eve@example.com"})],
        [{"id": 15, "result": "nonsense", "created_at": "2026-11-20"}],
        [_answer(16, 1, result=[])],
    ]
    stranger = {"data": {"imitable": "t_ffff"}, "annotations": [_answer(17, 1)]}
    nothing = {"data": {}, "annotations": [_answer(18, 1)]}
    rows = [*(task | {"annotations": one} for task, one in zip(tasks, found, strict=False)), stranger, nothing]
    done = _take_in(folder, store, tmp_path / "e.json", rows)
    assert (done.taken, done.known) == (1, 0)
    whys = [
        "second",
        "no_number",
        "no_number",
        "skipped",
        "not_theirs",
        "unreadable",
        "no_number",
        "unknown",
        "unknown",
    ]
    assert [one.why for one in done.not_taken] == whys
    assert done.not_taken[0] == NotTaken(1, "9", "second")
    with store.read() as connection:
        assert connection.execute(select(tables.guesses.c.guess)).scalars().all() == [3.0]
    later = [tasks[0] | {"annotations": [_answer(8, 5)]}]  # edited after it was taken in
    assert _take_in(folder, store, tmp_path / "e.json", later).not_taken == (NotTaken(1, "8", "other"),)


def test_annotations_that_nobody_could_have_made_hold_nobody_else_up(
    campaign: tuple[Folder, Store], tmp_path: Path
) -> None:
    folder, store = campaign
    tasks = _tasks(folder, store, tmp_path / "files", places=1)
    odd: list[dict[str, Any]] = [
        {"lead_time": 10**400},
        {"created_at": "0001-01-01T00:00:00+14:00"},
        {"created_at": "9999-12-31T23:59:59-14:00"},
        {"completed_by": {"id": [2]}},
        {"completed_by": [2]},
    ]
    rows = [
        task | {"annotations": [_answer(at, 4, **more)]}
        for at, (task, more) in enumerate(zip(tasks, odd, strict=False))
    ]
    rows.append(tasks[5] | {"annotations": [_answer(20, 4, lead_time=float("nan"))]})
    done = _take_in(folder, store, tmp_path / "e.json", rows)
    assert done.taken == 1
    assert [one.why for one in done.not_taken] == ["unreadable"] * 5


def test_who_answered_everything_in_files_is_owed_the_base(campaign: tuple[Folder, Store], tmp_path: Path) -> None:
    folder, store = campaign
    tasks = _tasks(folder, store, tmp_path / "files", places=1)
    rows = [task | {"annotations": [_answer(at, 4)]} for at, task in enumerate(tasks)]
    _take_in(folder, store, tmp_path / "e.json", rows[1:])
    with store.read() as connection:
        assert list(earned(connection, folder)) == []
    _take_in(folder, store, tmp_path / "e.json", rows)
    with store.read() as connection:
        assert [one.kind for one in earned(connection, folder)] == ["base", "bonus"]


def test_what_comes_after_the_pay_was_decided_is_told_and_not_taken(
    campaign: tuple[Folder, Store], tmp_path: Path
) -> None:
    folder, store = campaign
    tasks = _tasks(folder, store, tmp_path / "files", places=1)
    rows = [task | {"annotations": [_answer(at, 4)]} for at, task in enumerate(tasks)]
    _take_in(folder, store, tmp_path / "e.json", rows[:3])
    said = close(folder.path, now=True)["label-studio"]
    assert "1 sittings are over. Import the last export before you pay" in said
    assert _take_in(folder, store, tmp_path / "e.json", rows[:6]) == TakenIn(3, 3, ())
    decide(store, folder, now=datetime.now(UTC))
    done = _take_in(folder, store, tmp_path / "e.json", rows)
    assert (done.taken, done.known) == (0, 6)
    assert {one.why for one in done.not_taken} == {"over"}


def test_of_somebody_who_was_forgotten_nothing_is_taken_in(campaign: tuple[Folder, Store], tmp_path: Path) -> None:
    folder, store = campaign
    tasks = _tasks(folder, store, tmp_path / "files", places=1)
    rows = [task | {"annotations": [_answer(at, 4)]} for at, task in enumerate(tasks)]  # they name people by number
    close(folder.path, now=True)
    forget(folder.path, folder.annotator_id("label-studio", "annotator-01"))
    done = _take_in(folder, store, tmp_path / "e.json", rows)
    assert (done.taken, {one.why for one in done.not_taken}) == (0, {"not_theirs"})


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"id": 1}]', "\xff", "[" * 100_000])
def test_a_file_that_is_no_export_is_refused(campaign: tuple[Folder, Store], tmp_path: Path, text: str) -> None:
    folder, store = campaign
    (tmp_path / "e.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(PlatformError, match=r"e\.json .* Export again"):
        take_in_export(folder, store, tmp_path / "e.json")


@pytest.mark.parametrize("key", ["t\0", "\ud800", "t_\u0661", "x" * 100_000, ""])
def test_a_key_that_somebody_wrote_into_a_task_is_that_of_none(tmp_path: Path, either_store: str, key: str) -> None:
    folder = invented_campaign(tmp_path / "campaign")
    with closing(open_store(folder)) as store:
        tasks = _tasks(folder, store, tmp_path / "files", places=1)
        rows = [task | {"annotations": [_answer(at, 5)]} for at, task in enumerate(tasks)]
        rows[0]["data"] = rows[0]["data"] | {names.KEY: key}
        done = _take_in(folder, store, tmp_path / "e.json", rows)
    assert done == TakenIn(len(rows) - 1, 0, (NotTaken(1, "0", "unknown"),))
