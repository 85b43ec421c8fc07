"""The files of a build: they come back as they went, all at once, and for the runner's eyes only."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import delete, select, update

from imitable.campaign import Folder, open_folder
from imitable.errors import BuildError
from imitable.rounds import AnswerKey, Item, MadeTarget, PlayedTarget
from imitable.store import (
    build_hash_of,
    load_build,
    open_store,
    read_build,
    read_report,
    store_differs,
    tables,
    write_build,
)
from imitable.testing import invented_campaign
from imitable_aggregation import scoring
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
    report = {"build_hash": "old", "models": [], "targets": 1, "items": 1, "left_out": [], "notes": []}
    write_build(tmp_path / "build", [one_target()], report)
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


def test_a_table_that_lacks_a_column_is_damaged(tmp_path: Path) -> None:
    write_build(tmp_path / "build", [one_target()], {"build_hash": "x"})
    path = tmp_path / "build" / "truths.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["truth", "values"]), path)
    with pytest.raises(
        BuildError, match=r"build is damaged \(truths\.parquet has no truth, values\)\. Remove it and run"
    ):
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


def test_shades_are_kept_at_every_token_and_not_where_they_would_tell_another_round(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", targets=1)
    made = one_target()

    def item(name: str, text: str, focus: int) -> tuple[Item, AnswerKey]:
        offsets = tuple((at, at + 1) for at in range(len(text)))
        values = tuple(at / 4 for at in range(len(text)))
        ids = tuple(range(len(text)))
        return (
            Item(name, made.target.target_id, "practice", text, ids, offsets, focus, 3, "active-2", 1.5),
            AnswerKey(name, 1.0, values[focus], values),
        )

    pairs = [item("i_1", "abcdef", 4), item("i_2", "abcxyz", 2), item("i_3", "bcdefa", 3)]
    records: dict[str, list[Any]] = {
        "targets": [made.target],
        "items": [one for one, _ in pairs],
        "truths": [one for _, one in pairs],
        "examples": [],
    }
    store = open_store(folder)
    load_build(store, name="invented", build_hash="0" * 64, records=records)
    with store.read() as connection:
        rows = {row.item_id: row for row in connection.execute(select(tables.shades))}
    # i_1 begins with all of i_2 up to its marked token, and so would tell its truth; i_2 ends otherwise than i_1.
    assert set(rows) == {"i_2", "i_3"}
    assert rows["i_3"].position == 3
    y = scoring.played([at / 4 for at in range(6)], "pos")
    exact = scoring.display(y, s=1.0, m=2.0, polarity="pos")
    assert rows["i_3"].values == pytest.approx(exact, abs=0.05)
    assert store_differs(store, records) == []
    with store.write() as connection:
        connection.execute(update(tables.shades).where(tables.shades.c.item_id == "i_2").values(position=1))
    assert store_differs(store, records) == ["shades"]
    with store.write() as connection:  # as a version left it that knew no shades
        connection.execute(delete(tables.shades))
    assert store_differs(store, records) == []
    store.close()


def test_the_shade_of_the_marked_token_is_the_truth_and_no_two_items_of_a_target_share_a_text(built_once: Path) -> None:
    folder = open_folder(built_once)
    records = read_build(folder.build)
    truths = {answer.item_id: answer.truth for answer in records["truths"]}
    store = open_store(folder)
    with store.read() as connection:
        rows = connection.execute(select(tables.shades)).all()
    store.close()
    assert len(rows) > 0.9 * len(truths)
    for row in rows:
        assert row.values[row.position] == round(truths[row.item_id], 1)
    for target in records["targets"]:
        texts = [item.text for item in records["items"] if item.target_id == target.target_id]
        assert len(set(texts)) == len(texts)
