"""A build that is stopped, or killed, or finds the disk full, goes on shard by shard, to the bytes of a calm one."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from building import build_bytes, campaign, edit, leftovers, stories
from imitable.activations import Shard, Threads, save_arrays
from imitable.commands.build import build
from imitable.errors import BuildError, CorpusError

CHOSEN = 'select = { method = "kurtosis", count = 3 }'

KILLED = """
import os, signal, sys
from pathlib import Path
import imitable.activations.cutting, imitable.commands.choosing, imitable.commands.work as work
from imitable.commands.build import build

imitable.activations.cutting.SHARD_TOKENS = 1500
imitable.commands.choosing.SAMPLE_TOKENS = 4000
stage, left = sys.argv[2], [3]
save = work.save_arrays
def save_some(path, **arrays):
    if path.parent.name.startswith(stage):
        if not left[0]:
            path.with_name(path.name + ".half").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
    save(path, **arrays)
work.save_arrays = save_some
build(Path(sys.argv[1]))
"""


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of a few windows, and a sample that is not the whole corpus: every stage has something to resume."""
    monkeypatch.setattr("imitable.activations.cutting.SHARD_TOKENS", 1500)
    monkeypatch.setattr("imitable.commands.choosing.SAMPLE_TOKENS", 4000)


class Counting(Threads):
    """Counts the shards that the model is run on, by what is computed."""

    ran: ClassVar[list[str]] = []

    def map(self, work: Any, shards: Any) -> Iterator[dict[Any, Any]]:
        def counted() -> Iterator[Shard]:
            for shard in shards:
                self.ran.append("scan" if work.units is None else "read")
                yield shard

        return super().map(work, counted())


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(Counting, "ran", [])
    monkeypatch.setattr("imitable.commands.gathering.Threads", Counting)
    return Counting.ran


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """The bytes of a build that was never stopped, and how many shards it had."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("imitable.activations.cutting.SHARD_TOKENS", 1500)
        patched.setattr("imitable.commands.choosing.SAMPLE_TOKENS", 4000)
        patched.setattr(Counting, "ran", [])
        patched.setattr("imitable.commands.gathering.Threads", Counting)
        directory = campaign(tmp_path_factory.mktemp("calm") / "c", chosen=CHOSEN)
        build(directory)
        assert leftovers(directory) == ["build"]
        return build_bytes(directory), Counting.ran.count("scan")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("stage", ["scan", "draw"])
@pytest.mark.usefixtures("small_shards")
def test_a_build_killed_between_shards_goes_on_with_the_next(
    stage: str, tmp_path: Path, calm: tuple[dict[str, bytes], int], ran: list[str]
) -> None:
    whole, shards = calm
    assert shards >= 8
    directory = campaign(tmp_path / "c", chosen=CHOSEN)
    done = subprocess.run([sys.executable, "-c", KILLED, str(directory), stage], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert leftovers(directory) == [".build-work"]
    assert oct((directory / ".build-work").stat().st_mode)[-3:] == "700"
    build(directory)
    assert build_bytes(directory) == whole
    assert leftovers(directory) == ["build"]
    assert ran.count("scan") == (shards - 3 if stage == "scan" else 0)


@pytest.mark.usefixtures("small_shards")
def test_a_corpus_that_changed_meanwhile_is_cut_again(
    tmp_path: Path, calm: tuple[dict[str, bytes], int], ran: list[str]
) -> None:
    directory = campaign(tmp_path / "c", chosen=CHOSEN)
    right = (directory / "corpus.txt").read_bytes()
    (directory / "corpus.txt").write_text("\n\n".join(stories(240)[::-1]), encoding="utf-8")
    subprocess.run([sys.executable, "-c", KILLED, str(directory), "scan"], capture_output=True, check=False)
    (directory / "corpus.txt").write_bytes(right)
    build(directory)
    assert build_bytes(directory) == calm[0]


@pytest.mark.usefixtures("small_shards")
def test_a_mistake_leaves_nothing_to_resume(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c", chosen=CHOSEN)
    edit(directory, "max_tokens = 32", 'max_tokens = 32\ncolumn = "words"')
    shutil.move(directory / "corpus.txt", directory / "corpus.jsonl")
    (directory / "corpus.jsonl").write_text(json.dumps({"text": "Once"}) + "\n", encoding="utf-8")
    edit(directory, 'path = "corpus.txt"', 'path = "corpus.jsonl"')
    with pytest.raises(CorpusError, match=r"line 1: no field 'words'"):
        build(directory)
    assert leftovers(directory) == []


def test_two_builds_at_once_are_told_apart(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    directory = campaign(tmp_path / "c")
    (directory / ".build-work").mkdir()
    held = os.open(directory / ".build-work" / "lock", os.O_CREAT | os.O_WRONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with pytest.raises(BuildError, match=r"Another build of .* is running\. Wait for it, or stop it\.$"):
            build(directory)
    finally:
        os.close(held)
    assert build(directory).fresh


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def filling(save: Callable[..., None], stage: str, *, after: int) -> Callable[..., None]:
    """`save_arrays` on a disk that is full once a stage has written some of its shards."""
    left = [after]

    def save_some(path: Path, **arrays: Any) -> None:
        if path.parent.name.startswith(stage):
            if not left[0]:
                path.with_name(f"{path.name}.half").write_bytes(b"half")
                raise full()
            left[0] -= 1
        save(path, **arrays)

    return save_some


@pytest.mark.parametrize("stage", ["scan", "draw"])
@pytest.mark.usefixtures("small_shards")
def test_a_build_that_finds_the_disk_full_goes_on_once_there_is_room(
    stage: str, tmp_path: Path, calm: tuple[dict[str, bytes], int], ran: list[str]
) -> None:
    whole, shards = calm
    directory = campaign(tmp_path / "c", chosen=CHOSEN)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("imitable.commands.work.save_arrays", filling(save_arrays, stage, after=3))
        with pytest.raises(
            BuildError,
            match=r"cannot be written \(.*No space left.*\)\. Make room and build again; what was done is kept in",
        ):
            build(directory)
    assert leftovers(directory) == [".build-work"]
    ran.clear()
    build(directory)
    assert build_bytes(directory) == whole
    assert leftovers(directory) == ["build"]
    assert ran.count("scan") == (shards - 3 if stage == "scan" else 0)


@pytest.mark.usefixtures("small_shards")
def test_a_disk_too_full_for_the_last_files_costs_no_shard(
    tmp_path: Path, calm: tuple[dict[str, bytes], int], ran: list[str]
) -> None:
    def write(*_: Any, **__: Any) -> None:
        raise full()

    directory = campaign(tmp_path / "c", chosen=CHOSEN)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pyarrow.parquet.write_table", write)
        with pytest.raises(BuildError, match=r"build cannot be written \(.*No space left.*\)\. Make room for it and"):
            build(directory)
    assert leftovers(directory) == [".build-work"]
    ran.clear()
    build(directory)
    assert build_bytes(directory) == calm[0]
    assert ran.count("scan") == 0


def test_a_disk_that_fails_otherwise_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    directory = campaign(tmp_path / "c", chosen=CHOSEN)
    monkeypatch.setattr("imitable.commands.work.save_arrays", broken)
    with pytest.raises(BuildError, match=r"cannot be written \(.*Input/output error\)\. Mend that and build again\.$"):
        build(directory)
    assert leftovers(directory) == []
