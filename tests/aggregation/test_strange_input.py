"""What a ranking says to input that no campaign writes: columns, cells, paths and disks as strange as they come."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from imitable.cli.app import app
from imitable.errors import TablesError
from imitable_aggregation.errors import TableError
from imitable_aggregation.export import write_folder

Builder = Callable[..., pd.DataFrame]
CHANGE = ("run.json", "datapackage.json", "fit.json", "report.html", "quarantine.csv")
"""Files of a ranking that also tell of the input or of the machine."""


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def ranked(source: Path, out: Path) -> dict[str, bytes]:
    """The tables that a ranking of a source writes."""
    shown = run("rank", source, "--out", out)
    assert shown.exit_code == 0, shown.exception or shown.output
    return {file.name: file.read_bytes() for file in out.iterdir() if file.name not in CHANGE}


def refused(source: Path, out: Path) -> str:
    """What is said to a source that cannot be ranked."""
    shown = run("rank", source, "--out", out)
    assert isinstance(shown.exception, TablesError), shown.output
    assert not out.exists()
    return str(shown.exception)


@pytest.fixture
def small(crowd: Builder) -> pd.DataFrame:
    """Some people's guesses, with the columns of the contract only."""
    return crowd(targets=4, annotators=6, each=3).drop(columns="known")


@pytest.mark.parametrize("first", [True, False])
def test_columns_of_ones_own_change_nothing_whatever_they_are_called(
    small: pd.DataFrame, tmp_path: Path, first: bool
) -> None:
    names = ["e", "a", "t", "line", "File", "reason", "mixed", "twice", "Level", "TRUTH", "Weight", "Episode_ID", ""]
    twice = pd.concat([small, small.head(3)])
    own = pd.DataFrame({name: ["0"] * len(twice) for name in names}, index=twice.index)
    twice.to_csv(tmp_path / "plain.csv", index=False)
    pd.concat([own, twice] if first else [twice, own], axis=1).to_csv(tmp_path / "own.csv", index=False)
    assert ranked(tmp_path / "own.csv", tmp_path / "own") == ranked(tmp_path / "plain.csv", tmp_path / "plain")
    set_aside = pd.read_csv(tmp_path / "own" / "quarantine.csv")
    assert len(set_aside) == 3
    assert (set_aside["row"].str.count(",") == len(names) + small.shape[1] - 1).all()


def test_a_column_that_stands_twice_in_a_parquet_is_named_and_an_empty_table_has_none(
    small: pd.DataFrame, tmp_path: Path
) -> None:
    rows = pa.Table.from_pandas(small, preserve_index=False)
    names = [*rows.column_names, "guess"]
    pq.write_table(pa.Table.from_arrays([*rows.columns, rows["guess"]], names=names), tmp_path / "g.parquet")
    assert "has the column guess twice; keep one of them" in refused(tmp_path / "g.parquet", tmp_path / "out")
    pq.write_table(pa.table({}), tmp_path / "g.parquet")
    assert "lacks the columns annotator_id, target_id" in refused(tmp_path / "g.parquet", tmp_path / "out")


@pytest.mark.parametrize(("column", "kind"), [("trial", np.int64), ("trial", np.uint64), ("guess", np.int64)])
def test_one_enormous_whole_number_in_a_parquet_costs_its_row_only(
    small: pd.DataFrame, tmp_path: Path, column: str, kind: type[np.integer[Any]]
) -> None:
    values = np.array(small[column].round(), kind)
    values[2] = 2**62 + 1
    small.assign(**{column: values}).to_parquet(tmp_path / "g.parquet")
    ranked(tmp_path / "g.parquet", tmp_path / "out")
    assert pd.read_csv(tmp_path / "out" / "quarantine.csv")["line"].tolist() == [3]


def test_times_that_no_calendar_holds_are_left_empty(small: pd.DataFrame, tmp_path: Path) -> None:
    rows = pa.Table.from_pandas(small, preserve_index=False)
    times = pa.array([2**62, -(2**62), *range(len(small) - 2)], pa.timestamp("ms", "Mars/Olympus"))
    pq.write_table(rows.append_column("answered_at", times), tmp_path / "g.parquet")
    shown = run("rank", tmp_path / "g.parquet", "--out", tmp_path / "out")
    assert shown.exit_code == 0, shown.exception
    assert "2 cells of answered_at could not be read and were left empty" in shown.output


@pytest.mark.parametrize("l_ref", [1e-300, 1e-9, 11.0, 1e300])
def test_an_l_ref_that_no_target_can_have_is_put_aside(small: pd.DataFrame, tmp_path: Path, l_ref: float) -> None:
    one = small["target_id"] == small["target_id"].iloc[0]
    small.assign(l_ref=np.where(one, l_ref, 3.0)).to_csv(tmp_path / "g.csv", index=False)
    ranked(tmp_path / "g.csv", tmp_path / "out")
    set_aside = pd.read_csv(tmp_path / "out" / "quarantine.csv")
    assert len(set_aside) == one.sum()
    assert set_aside["reason"].str.endswith("is no loss on the display scale, which is 1e-06 to 10").all()
    assert len(pd.read_csv(tmp_path / "out" / "ranking.csv")) == small["target_id"].nunique() - 1


def test_truths_that_differ_by_nothing_to_speak_of_are_all_equal(small: pd.DataFrame, tmp_path: Path) -> None:
    small.drop(columns="l_ref").assign(truth=np.where(small.index % 2, 0.0, 1e-200)).to_csv(tmp_path / "g.csv")
    assert "truths are all equal, so no l_ref can be derived" in refused(tmp_path / "g.csv", tmp_path / "out")


def test_numbers_of_targets_that_are_none_are_left_empty_and_counted(small: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    small.to_csv(tmp_path / "in" / "guesses.csv", index=False)
    told = pd.DataFrame({"target_id": sorted(small["target_id"].unique())})
    told["l_ref"], told["baseline_player"] = ["0", "-3", "3", "1e-300"], ["inf", "0.5", "word", ""]
    told.to_csv(tmp_path / "in" / "targets.csv", index=False)
    shown = run("rank", tmp_path / "in", "--out", tmp_path / "out")
    assert shown.exit_code == 0, shown.exception
    assert "3 cells of l_ref in targets.csv could not be read and were left empty" in shown.output
    assert "2 cells of baseline_player in targets.csv could not" in shown.output
    ranking = pd.read_csv(tmp_path / "out" / "ranking.csv").sort_values("target_id")
    assert ranking["baseline_player"].fillna(-1).tolist() == [-1, 0.5, -1, -1]


def test_weights_whose_sum_would_be_infinite_are_left_empty(small: pd.DataFrame, tmp_path: Path) -> None:
    small.assign(weight=np.where(small.index % 2, 1e308, 2.0)).to_csv(tmp_path / "g.csv", index=False)
    shown = run("rank", tmp_path / "g.csv", "--out", tmp_path / "out")
    assert shown.exit_code == 0, shown.exception
    assert f"{len(small) // 2} cells of weight could not be read" in shown.output
    assert pd.read_csv(tmp_path / "out" / "ranking.csv")["r_natural"].notna().all()


def test_paths_that_cannot_be_looked_at_are_said_to_be_so(small: pd.DataFrame, tmp_path: Path) -> None:
    small.to_csv(tmp_path / "g.csv", index=False)
    long = tmp_path / ("x" * 300)
    assert "cannot be looked at (File name too long); check the path" in refused(long, tmp_path / "out")
    shown = run("rank", tmp_path / "g.csv", "--out", long)
    assert "cannot be looked at (File name too long); give the path of a new folder" in str(shown.exception)
    for place, said in (
        (tmp_path, "is a folder; give the path of a file"),
        (Path("/"), "is a folder; give the path of a file"),
        (tmp_path / "g.csv" / "next.csv", "cannot be written"),
        (long, "cannot be written"),
    ):
        shown = run("plan", tmp_path / "g.csv", "--next", 3, "--top-k", 2, "--out", place)
        assert isinstance(shown.exception, TablesError)
        assert said in str(shown.exception)


def test_who_points_at_a_folder_of_ones_own_is_told_before_the_work(small: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    shown = run("rank", tmp_path / "nowhere.csv", "--out", tmp_path / "mine")
    assert "is not empty and was not written by imitable" in str(shown.exception)


def test_who_is_overtaken_by_another_run_leaves_its_results_and_nothing_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(by: str) -> None:
        write_folder(tmp_path / "out", {"a.json": {"by": by}}, name="imitable-ranking", title="A ranking")

    rename = Path.rename

    def overtaken(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            monkeypatch.setattr(Path, "rename", rename)
            write("the other")
        return rename(path, target)

    write("before")
    monkeypatch.setattr(Path, "rename", overtaken)
    with pytest.raises(TableError, match="cannot be written"):
        write("who is overtaken")
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    assert "the other" in (tmp_path / "out" / "a.json").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="files cannot be limited there")
def test_a_full_scratch_disk_is_named_with_what_to_do(small: pd.DataFrame, tmp_path: Path) -> None:
    small.to_csv(tmp_path / "g.csv", index=False)
    limited = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); from imitable.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", limited, "rank", tmp_path / "g.csv", "--out", tmp_path / "out"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"the scratch files found no room in {tmp_path}" in done.stderr
    assert "let TMPDIR name a folder with more" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["g.csv"]
