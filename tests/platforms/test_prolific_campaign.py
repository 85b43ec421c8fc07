"""A whole paid campaign: a real game server, participants who come by signed addresses, and every command as typed."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from imitable.campaign import open_folder
from imitable.game.simulated import draw_profiles
from imitable.money.ledger import statement
from imitable.rehearsal.prolific import StandIn
from imitable.rehearsal.prolific.participants import Habit, TookPart, take_part
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from prolific_campaign import settings, there, token
from typed import typed

__all__ = ["there", "token"]

PAY = '[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\nfloor_per_hour = "9.00"\ncap = "200.00"\n'
HABITS: list[Habit] = ["hands in", "hands in", "hands in", "hands in", "stops", "forgets", "leaves", "another code"]


def test_a_campaign_from_its_pilot_to_the_books(
    there: StandIn, tmp_path: Path, serving: Callable[..., Any], port: int
) -> None:
    path = tmp_path / "campaign"
    more = settings(there, "secure = true", public=f"http://127.0.0.1:{port}") + PAY
    invented_campaign(path, more=more, consent="Be kind.")
    serving(path, port=port)
    there.set(bonus_delay=0.0)

    refused = run("publish", path, "--platform", "prolific", "--links", "10", code=1)
    assert "Begin with a few" in refused
    assert there.state()["studies"] == []
    assert "a study for 3 participants on Prolific" in run("publish", path, "--platform", "prolific", "--pilot", "3")
    pilot = play(there, ["hands in"] * 3, seed=1)
    assert "3 sittings have begun, 0 differences" in run("collect", path)
    shown = run("pay", path)
    assert f"through {there.address} (a stand-in: no real money)" in shown
    assert total_of(shown) == run_and_total(path, there)

    assert "for 12 participants" in run("publish", path, "--platform", "prolific", "--links", "12")
    rest = play(there, HABITS, seed=2)
    assert "11 sittings have begun" in run("collect", path)
    assert kinds(path) == {"not handed in": 1, "returned": 1, "wrong code": 1}
    assert "1 may finish" in run("close", path)
    done = run("pay", path, "--execute", "--confirm", total_of(run("pay", path)))
    assert re.search(r"[12] cannot be paid yet: the work was not handed in on Prolific", done)
    [forgot] = [one for one in rest if one.habit == "forgets"]
    there.time_out(forgot.submission)
    run("pay", path, "--execute", "--confirm", total_of(run("pay", path)))
    assert "prolific: 0 differences" in run("reconcile", path)
    assert "The study is stopped" in run("close", path)
    assert "nothing is due" in run("pay", path).lower() or "due: 0.00 USD" in run("pay", path)
    _books_are_right(there, path, [*pilot, *rest])


def play(there: StandIn, habits: list[Habit], *, seed: int) -> list[TookPart]:
    profiles = draw_profiles(len(habits), np.random.default_rng(seed), bad=0.0)
    return take_part(there, there.state()["studies"][0]["id"], profiles, habits, seed=seed)


def run_and_total(path: Path, there: StandIn) -> str:
    """Pay, and return what left for participants, as a decimal number."""
    shown = run("pay", path)
    run("pay", path, "--execute", "--confirm", total_of(shown))
    cents = sum(one["amount"] for one in there.state()["payments"])
    return f"{cents / 100:.2f}"


def _books_are_right(there: StandIn, path: Path, everybody: list[TookPart]) -> None:
    """What reached each participant is what the rule says, to the cent; exports and books name nobody."""
    folder = open_folder(path)
    with closing(open_store(folder)) as store, store.read() as connection:
        lines = statement(connection)
        signed = connection.execute(tables.sittings.select()).all()
    assert {row.proven for row in signed} == {True}
    assert {line.stand for line in lines} <= {"paid", "nothing"}
    reached = Counter[tuple[str, str]]()
    for one in there.state()["payments"]:
        reached[one["submission"], one["kind"]] += one["amount"]
    owed = Counter[tuple[str, str]]()
    for line in lines:
        if line.amount.minor:
            owed[line.assignment, "reward" if line.kind == "base" else "bonus"] += line.amount.minor
    assert reached == owed
    by_habit = {one.habit: one.submission for one in everybody}
    assert reached[by_habit["forgets"], "reward"] == 300
    assert reached[by_habit["leaves"], "reward"] == reached[by_habit["leaves"], "bonus"] == 0
    assert 0 < reached[by_habit["stops"], "bonus"] < 300
    run("ledger", path)
    run("export", path, "--out", path / "out")
    written = [one for one in path.rglob("*") if one.suffix in (".csv", ".json", ".md") and one.name != "campaign.toml"]
    for file in written:
        text = file.read_text(encoding="utf-8")
        assert not [one.participant for one in everybody if one.participant in text], file


def total_of(shown: str) -> str:
    """The total that `imitable pay` shows."""
    found = re.search(r"due: (\S+) USD", shown)
    assert found is not None, shown
    return found[1]


def kinds(path: Path) -> Counter[str]:
    with (path / "collected.csv").open(encoding="utf-8", newline="") as file:
        return Counter(row["kind"] for row in csv.DictReader(file))


def run(*words: object, code: int = 0) -> str:
    """A command as a runner types it: what it says."""
    done = typed(*words)
    assert done.code == code, f"{words}: {done.out}{done.err}"
    return " ".join((done.out if code == 0 else done.err).split())
