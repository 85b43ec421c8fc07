"""`imitable rehearse`: the whole campaign on each stand-in, from the command line, and what it must never do."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest
from typer.testing import CliRunner

from imitable.cli.app import app
from imitable.commands.build import build
from imitable.commands.new import new
from imitable.rehearsal.loopback import ALLOWED, environment
from imitable.testing import invented_campaign

PAY = '[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\nfloor_per_hour = "9.00"\ncap = "400.00"\n'
LIVE = """
[store]
url = "postgresql://nobody@db.live.example/record"
[serve]
public_url = "https://lab.live.example/play"
[platform.prolific]
places = 6
project = "live-project"
keys_url = "https://keys.live.example/jwks.json"
[platform.mturk]
endpoint_url = "https://mturk.live.example"
[platform.label_studio]
url = "https://labels.live.example"
"""
"""A campaign that would reach out, wherever it is used: Prolific's own address is the default."""


def invented(path: Path, more: str = PAY) -> Path:
    """A small campaign that costs nothing to make, on which two targets are played by a few people."""
    return invented_campaign(path, annotators_per_target=6, targets=4, practice=4, held_out=3, more=more).path


def rehearsed(*words: object, code: int = 0) -> str:
    """The command in this process: what it says, its lines joined."""
    shown = CliRunner().invoke(app, ["rehearse", *map(str, words)])
    assert shown.exit_code == code, shown.output
    return " ".join(shown.output.split())


def state_of(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file in it, by its content and when it was changed."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session")
def shipped_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `imitable new` makes, built; its key is fixed, so that it draws the same neurons every time."""
    directory = tmp_path_factory.mktemp("shipped") / "campaign"
    new(directory)
    (directory / "secret.key").write_text(bytes(range(32)).hex() + "\n", encoding="ascii")
    build(directory)
    return directory


@pytest.mark.parametrize(
    ("platform", "people"),
    [
        ("web", 4),
        ("prolific", 4),
        pytest.param("mturk", 4, marks=pytest.mark.long),
        *(pytest.param(name, 0, marks=pytest.mark.long) for name in ("web", "prolific", "mturk")),
    ],
)
def test_the_shipped_example_is_ready_on_each_platform(
    shipped_once: Path, tmp_path: Path, platform: str, people: int
) -> None:
    before, kept = state_of(shipped_once), tmp_path / "kept"
    some = ["--players", people] if people else []
    said = rehearsed(shipped_once, "--platform", platform, "--minutes", "10", "--keep", kept, *some)
    assert said.startswith("simulated players: nothing here is about people")
    assert said.endswith("ready")
    assert "not ready" not in said
    assert "Assumed, not measured: a usual sitting takes 10 minutes" in said
    assert state_of(shipped_once) == before
    guesses = pd.read_csv(kept / "guesses" / "guesses.csv")
    assert set(guesses["platform"]) == {"simulated"}
    assert guesses["seconds"].median() == pytest.approx(4.5, rel=0.35)  # of 10 minutes, over 80 guesses and the rest
    assert json.loads((kept / "results" / "fit.json").read_text())["simulated"]
    assert (kept / "results" / "report.html").exists()
    log = (kept / "commands.txt").read_text(encoding="utf-8")
    if platform != "web":
        assert f"{platform}: 0 differences" in log  # of reconcile
        assert "a stand-in: no real money" in log
    if not people:
        assert guesses["annotator_id"].nunique() >= 30


@pytest.mark.long
def test_the_same_seed_is_the_same_rehearsal(tmp_path: Path) -> None:
    path = invented(tmp_path / "campaign")
    said = [rehearsed(path, "--players", 5, "--seed", seed).partition(" s here ")[2] for seed in (3, 3, 4)]
    assert said[0] == said[1] != said[2]


class Trap:
    """Somebody who listens on this machine, and must not be called."""

    def __init__(self) -> None:
        self.calls = 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        while True:
            try:
                self.listening.accept()[0].close()
            except OSError:
                return
            self.calls += 1


@pytest.fixture
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.listening.close()


@pytest.mark.parametrize("platform", ["prolific", "mturk"])
def test_a_live_token_and_live_addresses_lead_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: Trap, platform: str
) -> None:
    path = invented(tmp_path / "campaign", more=PAY.replace('floor_per_hour = "9.00"\n', ""))  # without a pilot
    with (path / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write(LIVE)
    secrets = {
        "PROLIFIC_TOKEN": "live-prolific-token",
        "LABEL_STUDIO_API_KEY": "live-label-studio-key",
        "AWS_ACCESS_KEY_ID": "live-aws-key",
        "AWS_SECRET_ACCESS_KEY": "live-aws-secret",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{trap.port}",
        "IMITABLE_STORE_URL": f"postgresql://nobody@127.0.0.1:{trap.port}/record",
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"), f"http://127.0.0.1:{trap.port}"),
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    before, kept = state_of(path), tmp_path / "kept"
    rehearsed(path, "--platform", platform, "--players", 4, "--keep", kept)
    asked = set((kept / "connections.txt").read_text(encoding="utf-8").splitlines())
    assert asked <= {f"{ALLOWED} {name}" for name in ("127.0.0.1", "localhost")}
    assert trap.calls == 0
    assert state_of(path) == before
    config = (kept / "campaign" / "campaign.toml").read_text(encoding="utf-8")
    assert ".live.example" not in config
    key = (path / "secret.key").read_text(encoding="ascii")
    assert key != (kept / "campaign" / "secret.key").read_text(encoding="ascii")
    for each in kept.rglob("*"):
        if each.is_file():
            content = each.read_bytes()
            assert not [word for word in (*secrets.values(), key.strip()) if word.encode() in content], each


def test_behind_the_gate_a_live_platform_is_refused_in_words(tmp_path: Path) -> None:
    """The proof that the gate would have held: the real campaign itself, with a token, behind it."""
    path = invented(
        tmp_path / "campaign", more='[serve]\npublic_url = "http://127.0.0.1:9"\n[platform.prolific]\n' + PAY
    )
    log = tmp_path / "log.txt"
    script = (  # little patience; all else as `python -m imitable.rehearsal.loopback` does it
        "import sys; import imitable.platforms.prolific.client as c; from imitable.rehearsal.loopback import main; "
        "c.WAITS = (); main(sys.argv[1:])"
    )
    words = ["imitable", "publish", str(path), "--platform", "prolific", "--pilot", "3"]
    done = subprocess.run(
        [sys.executable, "-c", script, str(log), *words],
        env=environment({"PROLIFIC_TOKEN": "live-token"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "a rehearsal connects to this machine only" in " ".join(done.stderr.split())
    assert "refused api.prolific.com" in log.read_text(encoding="utf-8").splitlines()


@pytest.mark.long
def test_what_it_would_pay_too_little_for_is_not_ready(tmp_path: Path) -> None:
    path = invented(tmp_path / "campaign", more=PAY.replace('"9.00"', '"40.00"'))
    said = rehearsed(path, "--platform", "prolific", "--players", 6, code=4)
    assert "not ready. Mend this, and rehearse again:" in said
    assert "less than floor_per_hour, 40.00 USD" in said
    assert said.count("floor_per_hour") == 1
    assert "--keep OUT" in said


def test_what_does_not_fit_the_cap_is_not_ready_and_nothing_is_played(tmp_path: Path) -> None:
    path = invented(tmp_path / "campaign", more=PAY.replace('"400.00"', '"20.00"'))
    said = rehearsed(path, "--platform", "web", code=4)
    assert "more than the cap of 20.00 USD" in said
    assert "guesses by" not in said
    assert "imitable-rehearsal-" not in said


def test_a_server_that_stops_answering_is_said_and_nobody_waits_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_answer(*_: object, **__: object) -> None:
        raise httpx.ReadTimeout("")

    monkeypatch.setattr("imitable.rehearsal.playing.play_sitting", no_answer)
    said = rehearsed(invented(tmp_path / "campaign"), "--players", 2, code=4)
    assert said.partition("rehearse again: ")[2].startswith("The game's server stopped answering (ReadTimeout). Keep")


def test_a_share_of_the_people_tells_what_all_would_cost(tmp_path: Path) -> None:
    path, kept = invented(tmp_path / "campaign"), tmp_path / "kept"
    said = rehearsed(path, "--players", 4, "--keep", kept)
    assert "by 4 people, for 12 places (a share: 33%)" in said
    assert "for all places about" in said
    again = CliRunner().invoke(app, ["export", str(kept / "campaign"), "--out", str(tmp_path / "again")])
    assert again.exit_code == 0, again.output  # also by hand, from what was kept: it is nobody's
    with (tmp_path / "again" / "guesses.csv").open(encoding="utf-8", newline="") as file:
        assert {row["platform"] for row in csv.DictReader(file)} == {"simulated"}


@pytest.mark.long
def test_people_stop_coming_once_the_campaign_has_what_it_needs_however_many_places_it_offers(tmp_path: Path) -> None:
    mturk = "[platform.mturk]\nplaces = 40\nannotators_per_target = 3\n"
    path = invented(tmp_path / "campaign", more=PAY.replace('floor_per_hour = "9.00"\n', "") + mturk)
    said = rehearsed(path, "--platform", "mturk")
    people = re.search(r"guesses by (\d+) people, for 40 places: ", said)
    assert people is not None, said
    assert int(people[1]) < 40, "six are enough; some leave, and some come while the last ones play"
    assert "12 of 12 episodes finished" in said
    assert "people played all 12 episodes: 40 sittings are more than it needs" in said


def test_without_a_build_there_is_nothing_to_rehearse(tmp_path: Path) -> None:
    path = invented(tmp_path / "campaign")
    shutil.rmtree(path / "build")
    done = subprocess.run(
        [sys.executable, "-m", "imitable", "rehearse", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"imitable build {path}" in " ".join(done.stderr.split())


def test_a_folder_that_holds_something_is_not_written_to(tmp_path: Path) -> None:
    path, kept = invented(tmp_path / "campaign"), tmp_path / "kept"
    kept.mkdir()
    (kept / "thesis.txt").write_text("years of work", encoding="utf-8")
    shown = CliRunner().invoke(app, ["rehearse", str(path), "--keep", str(kept)])
    assert "Give --keep a new folder" in str(shown.exception)
    assert os.listdir(kept) == ["thesis.txt"]
