"""The demo in a real Label Studio, and what it leaves to play."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from imitable.rehearsal.label_studio import down
from imitable.rehearsal.label_studio.accounts import read_accounts
from label_studio_server import Bearer, installed

pytestmark = pytest.mark.xdist_group("label-studio")


def test_the_demo_plays_in_label_studio_and_leaves_tasks_for_a_person(tmp_path: Path) -> None:
    import httpx

    installed()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    data, out = tmp_path / "data", tmp_path / "demo"
    command = ["label-studio", "demo", "--players", "2", "--out", str(out), "--data", str(data), "--port", str(port)]
    try:
        done = subprocess.run([sys.executable, "-m", "imitable", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        made = int(re.search(r"made (\d+) guesses", done.stdout)[1])  # type: ignore[index]
        assert made in range(24, 73, 12)  # whole episodes: each plays one at least, and may leave before another
        assert "found 0 differences" in done.stdout
        assert "simulated players: nothing here is about people" in done.stdout
        guesses = pd.read_csv(out / "export" / "guesses.csv")
        assert set(guesses["platform"]) == {"simulated"}
        assert len(guesses) == made
        assert len(pd.read_csv(out / "results" / "ranking.csv")) == guesses["target_id"].nunique()
        assert read_accounts(data / "accounts.csv") == []  # nobody invented is among the accounts that `up` offers
        (you,) = (one for one in read_accounts(data / "demo.csv") if one.email == "you@example.com")
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, auth=Bearer(url, you.token), trust_env=False) as mine:
            rows = mine.get("/api/tasks/", params={"project": 1, "fields": "all", "page_size": 100}).json()["tasks"]
        waiting = [row for row in rows if row["data"]["annotator"] == you.email]
        assert [len(row["annotations"]) for row in waiting] == [0, 0, 0]
    finally:
        down(data)
