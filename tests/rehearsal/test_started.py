"""A server in a process of its own: its address, what it says when it does not begin, and that none is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from imitable.errors import PlatformError
from imitable.rehearsal.controls import started
from imitable.rehearsal.loopback import command, environment

DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(f"http://127.0.0.1:{os.getpid()}. I serve", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("noted", [True, False])
def test_a_server_that_does_not_begin_says_why_and_how_it_was_started(tmp_path: Path, noted: bool) -> None:
    script = "import sys; print('Hello'); sys.exit('no room here')"
    errors = tmp_path / "errors.txt" if noted else None
    said = "Hello no room here" if noted else "Hello"
    why = rf"did not begin: {said}\. Run it to see why: \S+ -c"
    with pytest.raises(PlatformError, match=why), started([sys.executable, "-c", script], None, errors=errors):
        pytest.fail("it has no address")


def test_a_server_that_does_not_end_when_it_is_told_to_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imitable.rehearsal.controls._ENDING", 0.1)
    with started([sys.executable, "-c", DEAF], None) as address:
        pid = int(address.rpartition(":")[2])
        assert Path(f"/proc/{pid}").exists() or sys.platform != "linux"
    assert not Path(f"/proc/{pid}").exists()


def test_a_file_where_one_stands_is_not_taken_for_a_library(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError('this is a script of the user')", encoding="utf-8")
    words = command(tmp_path / "log.txt", "imitable", "--version")
    done = subprocess.run(words, cwd=tmp_path, env=environment({}), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[0]) == (0, "imitable"), done.stderr
