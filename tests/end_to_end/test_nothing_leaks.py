"""A whole paid campaign with ids that can be recognised: what it writes and says holds none, no truth, no formula."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import exists, select

from imitable.campaign import Folder
from imitable.game import Game
from imitable.game.simulated import draw_profiles
from imitable.game.views import Done, Questions, Reveal, Round
from imitable.platforms.prolific.client import Api
from imitable.platforms.prolific.subscribing import SECRET
from imitable.rehearsal.prolific import TOKEN, StandIn
from imitable.rehearsal.prolific.participants import Habit, take_part
from imitable.store import Store, open_store, tables
from imitable.testing import invented_campaign
from prolific_campaign import OnProlific, settings, there, token
from typed import typed

__all__ = ["there", "token"]

PAY = '[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\ncap = "200.00"\n'
HABITS: list[Habit] = ["hands in", "hands in", "stops", "another code", "leaves"]
FORMULAS = ['=HYPERLINK("http://x.example")', "@SUM(1)", "+1+1", "-2+3", "\t=1"]
ORDINARY = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
SECRET_BY_NATURE = ("campaign.toml", "secret.key", "links.csv", "campaign.db", "campaign.db-wal", "campaign.db-shm")
"""Files of the runner alone, which are no exports and no logs."""


class Said:
    """Everything that commands and the server printed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: dict[str, str] = {}

    def run(self, *words: object, fails: bool = False) -> str:
        done = typed(words[0], self.path, *words[1:])
        assert done.code == fails, done.out + done.err
        self.texts[f"{len(self.texts)} {' '.join(map(str, words))}"] = done.out + done.err
        return done.out

    def pay(self, platform: str) -> None:
        due = re.search(rf"{platform}, .*?due: (\S+) USD", self.run("pay"), re.DOTALL)
        assert due is not None
        self.run("pay", "--platform", platform, "--execute", "--confirm", due[1])


@contextmanager
def served(path: Path, port: int, out: Path) -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "imitable",
        "serve",
        str(path),
        "--port",
        str(port),
        "--log",
        str(out / "log.jsonl"),
    ]
    with (out / "server.txt").open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            until = time.monotonic() + 60
            while "Serving" not in (out / "server.txt").read_text(encoding="utf-8"):
                assert time.monotonic() < until
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def by_link(folder: Folder, store: Store, number: int, *, says: str, rounds: int = 1000) -> None:
    """Play a link's sitting to its end, writing something strange; or so many rounds of it."""
    game = Game(folder, store)
    token = game.start(folder.derive("link", "web", f"link-{number:04d}", size=32), agreed=True)
    view: Any = game.view(token)
    while not isinstance(view, Done) and rounds:
        match view:
            case Round() if view.tutorial:
                view = game.tutorial(token, view.round_id, "5")
            case Round():
                view, rounds = game.guess(token, view.round_id, "4"), rounds - 1
            case Reveal():
                view = game.view(token)
            case Questions():
                view = game.answer(token, view.episode_id, fun="4", interest="2", explanation=says)


def unanswered(store: Store) -> set[str]:
    """Truths and activations of rounds that were planned or shown, and whose items nobody has answered yet."""
    answered = (
        exists()
        .where(tables.OF_ROUND)
        .where(tables.rounds.c.item_id == tables.truths.c.item_id)
        .correlate(tables.truths)
    )
    query = select(tables.truths).where(~answered)
    with store.read() as connection:
        rows = connection.execute(query).all()
    numbers = {repr(number) for row in rows for number in (row.truth, row.activation)}
    return {number for number in numbers if len(number) > 6}


def written(*folders: Path) -> dict[str, str]:
    """Every file that is not secret by nature, as text."""
    files = [one for folder in folders for one in sorted(folder.rglob("*")) if one.is_file()]
    files = [one for one in files if one.name not in SECRET_BY_NATURE and "build" not in one.parts]
    return {str(one): one.read_bytes().decode("utf-8", "replace") for one in files}


def test_exports_logs_ledgers_and_commands_hold_no_id_no_early_truth_and_no_formula(
    there: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    path, out = tmp_path / "campaign", tmp_path / "out"
    out.mkdir()
    api = Api(there.address, TOKEN)
    monkeypatch.setenv(SECRET, api.post("/hooks/secrets/", {})["value"])
    more = settings(there, "hooks = true", public=f"http://127.0.0.1:{port}") + PAY
    folder = invented_campaign(path, more=more, consent="Be kind.", targets=6)
    there.set(bonus_delay=0.0)
    said = Said(path)
    with served(path, port, out), closing(open_store(folder)) as store:
        said.run("publish", "--platform", "prolific", "--links", "12")
        said.run("publish", "--platform", "web", "--links", "8")
        here = OnProlific(there, folder, store)
        profiles = draw_profiles(len(HABITS), np.random.default_rng(0), bad=0.0)
        played = take_part(there, here.study["id"], profiles, HABITS, seed=3)
        (person, playing), (thief, own) = here.arrive(2)
        here.play(playing, rounds=2)
        made_up = {
            "PROLIFIC_PID": "RECOGNISABLE-PERSON",
            "STUDY_ID": here.study["id"],
            "SESSION_ID": "RECOGNISABLE-WORK",
        }
        here.play(made_up)
        here.play({"PROLIFIC_PID": thief, "STUDY_ID": here.study["id"], "SESSION_ID": played[0].submission + "x"})
        there.start(own)
        there.complete(own, "GUESSED")
        for number, formula in enumerate(FORMULAS, start=1):
            by_link(folder, store, number, says=formula)
        by_link(folder, store, 6, says="", rounds=2)
        refused = f"http://127.0.0.1:{port}/prolific?PROLIFIC_PID=RECOGNISABLE%20ID&STUDY_ID=x&SESSION_ID=y"
        assert httpx.get(refused, trust_env=False).status_code == 400
        httpx.post(f"http://127.0.0.1:{port}/prolific/hook", content=b"RECOGNISABLE", trust_env=False)

        for word in ("collect", "status", "ledger"):
            said.run(word)
        for name, options in (("plain", []), ("with-text", ["--with-text"])):
            said.run("export", "--out", out / name, *options)
        said.pay("prolific")
        said.pay("web")
        with (path / "ledger.csv").open(encoding="utf-8", newline="") as file:
            sitting = next(csv.DictReader(file))["sitting_id"]
        for why in FORMULAS[:2]:
            said.run("top-up", sitting, "1.00", "--why", why)
        said.run("top-up", sitting, "=1", "--why", "x", fails=True)
        for word in ("reconcile", "close", "pay", "ledger", "status", "collect"):
            said.run(word)
        late = unanswered(store)
    api.close()

    everything = {**written(path, out), **said.texts}
    assert {"log.jsonl", "server.txt", "ledger.csv", "statement.csv", "collected.csv", "guesses.csv"} <= {
        Path(name).name for name in everything
    }
    people = [one.participant for one in played] + [person, thief, "RECOGNISABLE-PERSON", "RECOGNISABLE ID"]
    work = [one.submission for one in played] + [playing, "RECOGNISABLE"]
    assert {name.rpartition("/")[2].split()[-1] for name, text in everything.items() if own in text} == {
        "collected.csv",
        "collect",
    }, "what nobody played here has no other name by which the runner finds it on Prolific"
    for name, text in everything.items():
        assert not [one for one in people if one in text], name
        assert not [one for one in work if one in text], name
        assert not [number for number in late if number in text], f"{name}: a truth before its time"
    links = [f"link-{number:04d}" for number in range(1, 9)]
    public = {name: text for name, text in everything.items() if "statement.csv" not in name and "publish" not in name}
    assert not [(name, one) for name, text in public.items() for one in links if one in text]
    assert len(late) > 20, "everything was answered: nothing was compared"
    told = [cell for name, text in everything.items() if name.endswith(".csv") for cell in _cells(text)]
    assert not [cell for cell in told if cell[:1] in "=+-@\t\r" and cell and not ORDINARY.fullmatch(cell)]
    assert [cell for cell in told if cell.startswith("'=HYPERLINK")], "what was written was to be exported"


def _cells(text: str) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(text)) for cell in row]
