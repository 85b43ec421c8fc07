"""The files of a build: they come back as they went, all at once, and for the runner's eyes only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from sqlalchemy import select

from imitable.campaign import Folder
from imitable.errors import BuildError
from imitable.rounds import AnswerKey, Item, MadeTarget, PlayedTarget
from imitable.store import build_hash_of, load_build, open_store, read_build, read_report, tables, write_build
from imitable.testing import invented_campaign
from playing import Table


@pytest.fixture
def folder(tmp_path: Path, either_store: str) -> Folder:
    return invented_campaign(tmp_path / "campaign")


def one_target(truth: float = 0.1 + 0.2) -> MadeTarget:
    target = PlayedTarget("m/mlp.0/0", "m", "neuron", "mlp.0", 0, "pos", "units", 2.5, 1.0, 2.0, "0" * 64, None)
    item = Item("i_1", "m/mlp.0/0", "practice", "a é\nb", (1, 2), ((0, 0), (0, 5)), 1, 3, "active-2", 1.5)
    return MadeTarget(target, (item,), (AnswerKey("i_1", truth, -1e-9, (1e30, 0.0)),), ())


def test_records_come_back_exactly(tmp_path: Path) -> None:
    made = one_target()
    write_build(tmp_path / "build", [made], {"build_hash": "x"})
    records = read_build(tmp_path / "build")
    assert records["targets"] == [made.target]
    assert records["items"] == list(made.items)
    assert records["truths"] == list(made.answers)
    assert records["examples"] == []


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_no_one_else_can_read_a_build(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_build(tmp_path / "build", [one_target()], {"build_hash": "x"})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "build").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "build").iterdir()} == {0o600}


def test_a_failed_write_leaves_the_old_build_and_no_trace(tmp_path: Path) -> None:
    write_build(tmp_path / "build", [one_target()], {"build_hash": "old"})
    with pytest.raises(TypeError):
        write_build(tmp_path / "build", [one_target(0.7)], {"build_hash": object()})
    assert [path.name for path in tmp_path.iterdir()] == ["build"]
    assert (read_report(tmp_path / "build") or {})["build_hash"] == "old"
    assert read_build(tmp_path / "build")["truths"][0].truth == 0.1 + 0.2


def test_what_an_interrupted_write_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".build-new").mkdir()
    (tmp_path / ".build-new" / "truths.parquet").write_bytes(b"half")
    (tmp_path / ".build-old").mkdir()
    write_build(tmp_path / "build", [one_target()], {"build_hash": "x"})
    assert [path.name for path in tmp_path.iterdir()] == ["build"]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_damaged_report_says_what_to_remove(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "report.json").write_bytes(damage)
    with pytest.raises(BuildError, match=r"report\.json is damaged .* Remove .*build and run 'imitable build' again"):
        read_report(tmp_path / "build")


def test_damaged_records_say_what_to_remove(tmp_path: Path) -> None:
    write_build(tmp_path / "build", [one_target()], {"build_hash": "x"})
    (tmp_path / "build" / "truths.parquet").write_bytes(b"PAR1")
    with pytest.raises(BuildError, match=r"build is damaged .* Remove it and run 'imitable build' again\.$"):
        read_build(tmp_path / "build")


def test_loading_puts_the_new_build_in_the_place_of_an_unplayed_one(folder: Folder, tmp_path: Path) -> None:
    write_build(tmp_path / "other", [one_target()], {"build_hash": "other"})
    store = open_store(folder)
    try:
        load_build(store, name="invented", build_hash="other", records=read_build(tmp_path / "other"))
        assert store.build_hash() == "other"
        with store.read() as connection:
            assert connection.execute(select(tables.items.c.item_id)).scalars().all() == ["i_1"]
            assert connection.execute(select(tables.truths)).one() == ("i_1", 0.1 + 0.2, -1e-9)
    finally:
        store.close()


def test_a_build_that_someone_began_to_play_meanwhile_is_not_replaced(folder: Folder, tmp_path: Path) -> None:
    write_build(tmp_path / "other", [one_target()], {"build_hash": "other"})
    store = open_store(folder)
    try:
        Table(folder, store, 1).sit()
        with pytest.raises(BuildError, match=r"is being played .*cannot be replaced.*imitable new"):
            load_build(store, name="invented", build_hash="other", records=read_build(tmp_path / "other"))
        assert store.build_hash() == build_hash_of(folder)
        assert store.played() == 1
    finally:
        store.close()
