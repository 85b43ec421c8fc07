"""`imitable build`: the same bytes again, nothing half-written, and every mistake told with its remedy."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import func, select

from building import KEY, build_bytes, campaign, edit, ids, leftovers, never, stored, stories
from imitable.campaign import open_folder
from imitable.commands.build import Built, build
from imitable.commands.progress import Advance
from imitable.errors import BuildError
from imitable.store import open_store, read_build, tables
from playing import Table


def play(directory: Path) -> None:
    """Let one annotator begin."""
    folder = open_folder(directory)
    store = open_store(folder)
    try:
        Table(folder, store, 1).sit()
    finally:
        store.close()


def test_the_same_settings_and_key_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = campaign(tmp_path / "first", texts=140), campaign(tmp_path / "elsewhere" / "second", texts=140)
    chosen = 'select = { method = "kurtosis", count = 3 }'
    for directory, threads in ((first, 1), (second, 2)):
        edit(directory, "units = [0, 1, 2, 3, 4, 5]", chosen)
        torch.set_num_threads(threads)
        try:
            build(directory)
        finally:
            torch.set_num_threads(1)
    assert build_bytes(first) == build_bytes(second)
    assert sorted(build_bytes(first)) == [
        "baselines.parquet",
        "examples.parquet",
        "items.parquet",
        "report.json",
        "targets.parquet",
        "truths.parquet",
    ]


def test_another_key_or_seed_gives_other_rounds_under_other_ids(tmp_path: Path) -> None:
    made = [
        campaign(tmp_path / "first"),
        campaign(tmp_path / "key", key=KEY[::-1]),
        campaign(tmp_path / "seed", seed=1),
    ]
    for directory in made:
        build(directory)
    first, other_key, other_seed = (ids(directory) for directory in made)
    assert not first & other_key
    assert first != other_seed


def test_the_store_holds_what_the_files_hold(tmp_path: Path, either_store: str) -> None:
    directory = campaign(tmp_path / "c")
    built = build(directory)
    records = read_build(directory / "build")
    store = open_store(open_folder(directory))
    try:
        with store.read() as connection:
            truths = {row.item_id: row for row in connection.execute(select(tables.truths))}
            items = {row.item_id: row for row in connection.execute(select(tables.items))}
            examples = connection.execute(select(func.count()).select_from(tables.examples)).scalar_one()
            targets = {row.target_id: row for row in connection.execute(select(tables.targets))}
    finally:
        store.close()
    assert (len(targets), len(items)) == (built.targets, built.items)
    assert examples == len(records["examples"])
    for answer in records["truths"]:
        assert (truths[answer.item_id].truth, truths[answer.item_id].activation) == (answer.truth, answer.activation)
    for item in records["items"]:
        row = items[item.item_id]
        assert (row.text, row.focus_start, row.focus_end, row.split) == (item.text, *item.focus, item.split)
        assert row.active == (not item.stratum.startswith("inactive"))
    for target in records["targets"]:
        assert targets[target.target_id].l_ref == target.l_ref


def test_a_build_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c")
    first = build(directory)
    before = {path.name: path.stat().st_mtime_ns for path in (directory / "build").iterdir()}
    second = build(directory, progress=never)
    assert first.fresh
    assert second == replace(first, fresh=False)
    assert {path.name: path.stat().st_mtime_ns for path in (directory / "build").iterdir()} == before


def test_a_store_that_was_lost_is_filled_again_from_the_files(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c")
    build(directory)
    for path in directory.glob("campaign.db*"):
        path.unlink()
    build(directory, progress=never)
    assert stored(directory)[1] == ids(directory)


def test_new_settings_replace_a_build_that_no_one_played(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c")
    build(directory)
    old = ids(directory)
    edit(directory, "units = [0, 1, 2, 3, 4, 5]", "units = [6, 7]")
    assert build(directory).fresh
    assert not old & ids(directory)
    assert stored(directory)[1] == ids(directory)
    assert leftovers(directory) == ["build"]


def test_a_corpus_that_changed_under_a_removed_build_reaches_the_store_too(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c")
    build(directory)
    (directory / "corpus.txt").write_text("\n\n".join(stories(240)[::-1]), encoding="utf-8")
    shutil.rmtree(directory / "build")
    build(directory)
    assert stored(directory)[1] == ids(directory)


def test_a_played_campaign_refuses_other_settings_and_keeps_all_it_has(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c")
    build(directory)
    play(directory)
    before, held = build_bytes(directory), stored(directory)
    edit(directory, "seed = 0", "seed = 1")
    with pytest.raises(BuildError, match=r"has been played.*Put the old settings back, or make a new campaign"):
        build(directory)
    assert build_bytes(directory) == before
    assert stored(directory) == held
    edit(directory, "seed = 1", "seed = 0")
    assert not build(directory).fresh


def test_the_lost_files_of_a_played_campaign_are_made_again(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c")
    build(directory)
    play(directory)
    before = build_bytes(directory)
    shutil.rmtree(directory / "build")
    build(directory)
    assert build_bytes(directory) == before
    shutil.rmtree(directory / "build")
    (directory / "corpus.txt").write_text("\n\n".join(stories(240)[::-1]), encoding="utf-8")
    with pytest.raises(BuildError, match=r"the corpus or the model is no longer what .*Put .*build back\.$"):
        build(directory)
    assert leftovers(directory) == []


class Stop:
    """Interrupts a build at its nth sign of progress, as Ctrl-C does."""

    def __init__(self, after: int) -> None:
        self.left = after

    @contextmanager
    def __call__(self, what: str, total: int) -> Iterator[Advance]:
        yield self.advance

    def advance(self, _done: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_an_interrupted_build_leaves_no_half_build_and_the_same_command_finishes_it(tmp_path: Path) -> None:
    calm, directory = campaign(tmp_path / "calm"), campaign(tmp_path / "hasty")
    build(calm)
    with pytest.raises(KeyboardInterrupt):
        build(directory, progress=Stop(after=3))
    assert not (directory / "build").exists()
    assert stored(directory)[0] is None
    build(directory)
    assert build_bytes(directory) == build_bytes(calm)
    assert leftovers(directory) == ["build"]


def test_a_build_interrupted_before_it_is_loaded_is_loaded_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = campaign(tmp_path / "c")

    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("imitable.commands.build.load_build", stopped)
        with pytest.raises(KeyboardInterrupt):
            build(directory)
    made = build_bytes(directory)
    assert not build(directory, progress=never).fresh
    assert stored(directory)[1] == ids(directory)
    assert build_bytes(directory) == made


KILLED = """
import os, signal, sys
from pathlib import Path
import pyarrow.parquet as pq
from imitable.commands.build import build

write, left = pq.write_table, [2]
def write_two(table, path):
    if not left[0]:
        path.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    write(table, path)
pq.write_table = write_two
build(Path(sys.argv[1]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_build_killed_while_it_writes_leaves_no_build_and_the_same_command_finishes_it(tmp_path: Path) -> None:
    calm, directory = campaign(tmp_path / "calm"), campaign(tmp_path / "killed")
    build(calm)
    done = subprocess.run([sys.executable, "-c", KILLED, str(directory)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (directory / "build").exists()
    build(directory)
    assert build_bytes(directory) == build_bytes(calm)
    assert leftovers(directory) == ["build"]


def test_every_model_gets_its_own_targets_on_the_same_split(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c", chosen="units = [2, 3]")
    two = (
        '[[models]]\npath = "builtin:stories260K"\nname = "one"\n[[models]]\npath = "builtin:stories260K"\nname = "two"'
    )
    edit(directory, '[model]\npath = "builtin:stories260K"', two)
    build(directory)
    records = read_build(directory / "build")
    assert {target.model_id for target in records["targets"]} == {"one", "two"}
    split: dict[int, str] = {}
    for item in records["items"]:
        assert split.setdefault(item.document, item.split) == item.split


def test_a_corpus_with_few_documents_makes_smaller_pools_and_says_so(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c", texts=50)
    with (directory / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write("[platform.label_studio]\n")
    built: Built = build(directory)
    assert any("shaded answers, which Label Studio does not show" in note for note in built.notes)
    assert any(note.startswith("practice pools hold ") and "where 16 were asked" in note for note in built.notes)


def test_an_id_tells_nothing_of_text_truth_or_order(small_campaign: Path) -> None:
    records = read_build(small_campaign / "build")
    in_order = [item.item_id for item in records["items"]]
    assert all(len(one) == 18 and one.startswith("i_") for one in in_order)
    by_id = {answer.item_id: answer.truth for answer in records["truths"]}
    ranks = {one: at for at, one in enumerate(sorted(in_order))}
    for target in records["targets"]:
        mine = [item.item_id for item in records["items"] if item.target_id == target.target_id]
        truths = torch.tensor([[by_id[one] for one in mine], [float(ranks[one]) for one in mine]])
        assert abs(float(torch.corrcoef(truths)[0, 1])) < 0.6
