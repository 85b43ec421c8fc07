"""`imitable plan` and `imitable assign`, as a user types them: forecasts, costs, choices, and one clear error."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from imitable.cli.app import app
from imitable.commands.export import export
from imitable.commands.new import new
from imitable.commands.plan import expect, plan_next
from imitable.errors import TablesError
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from imitable_aggregation.simulate import Setting, simulate
from playing import Table

SIZE = ("--targets", "100", "--annotators", "250", "--episodes", "4")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def guesses(tmp_path: Path) -> Path:
    """A small simulated campaign, as one file."""
    path = tmp_path / "guesses.csv"
    simulate(Setting(guesses=4000, per_target=200, seed=3)).guesses.to_csv(path, index=False)
    return path


def test_a_forecast_says_what_to_expect_and_where_its_variances_come_from() -> None:
    shown = run("plan", *SIZE)
    assert shown.exit_code == 0, shown.output
    assert "simulated campaigns of known truth" in shown.output
    assert "not people" in shown.output
    assert "For the cost, give --campaign DIR" in shown.output
    numbers = [line.split() for line in shown.output.splitlines() if line.strip()[:1].isdigit()]
    assert [line[0] for line in numbers[1:5]] == ["125", "250", "500", "1,000"]


def test_costs_follow_from_the_campaigns_own_pay(tmp_path: Path) -> None:
    pay = '[pay]\ncurrency = "EUR"\nbase = "3.00"\nbonus_per_point = "0.05"\ncap = "400.00"'
    invented_campaign(tmp_path / "campaign", episodes=2, practice=3, held_out=2, more=pay)
    found = expect(targets=100, annotators=250, episodes=5, campaign=tmp_path / "campaign")
    asked = next(row for row in found.rows if row.asked)
    assert (found.practice, found.held_out, found.cap) == (3, 2, 40_000)
    assert asked.cost is not None
    assert asked.cost.sittings == 250 * 3  # five episodes, two a sitting
    assert asked.cost.base == 750 * 300
    assert asked.cost.most == 250 * 5 * 2 * 3 * 5  # held-out rounds at three points above par
    assert 0 < asked.cost.bonus < asked.cost.most
    shown = run("plan", "--targets", 100, "--annotators", 250, "--episodes", 5, "--campaign", tmp_path / "campaign")
    assert "750 sittings" in shown.output
    assert "more than [pay] cap, 400.00 EUR" in " ".join(shown.output.split())


def test_the_documentation_shows_what_the_command_prints(tmp_path: Path) -> None:
    new(tmp_path / "first-look")
    shown = run("plan", *SIZE, "--campaign", tmp_path / "first-look")
    told = Path(__file__).parents[2].joinpath("docs", "planning.md").read_text(encoding="utf-8")
    lines = [" ".join(line.split()) for line in told.splitlines()]
    for line in shown.output.splitlines():
        assert " ".join(line.split()) in lines


def test_a_price_of_ones_own_goes_before_the_campaigns(tmp_path: Path) -> None:
    shown = run("plan", *SIZE, "--cost-per-sitting", "3.50")
    assert "875.00" in shown.output
    assert "250 sittings" in shown.output
    found = expect(targets=10, annotators=3, episodes=2, cost_per_sitting=Decimal("0.10"))
    assert [row.cost.base for row in found.rows if row.cost and row.asked] == [30]


def test_variances_of_a_pilot_are_used_and_named(guesses: Path) -> None:
    found = expect(targets=20, annotators=40, episodes=4, pilot=guesses)
    plain = expect(targets=20, annotators=40, episodes=4)
    assert str(guesses) in found.source
    assert found.rows[0].forecast.tau != plain.rows[0].forecast.tau
    assert found.honest < 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give --targets, --annotators and --episodes"),
        (("--targets", "5"), "give --targets, --annotators and --episodes"),
        (("--next", "5"), "say what was played"),
        ((*SIZE, "--cost-per-sitting", "many"), "at most two decimals"),
        ((*SIZE, "--cost-per-sitting", "1.234"), "at most two decimals"),
        (("--next", "0"), "--next"),
    ],
)
def test_wrong_usage_exits_with_2(words: Sequence[str], said: str) -> None:
    shown = run("plan", *words)
    assert shown.exit_code == 2
    assert said in " ".join(shown.output.replace("│", " ").split())


def test_the_next_episodes_are_written_with_their_probabilities(guesses: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "next.csv"
    shown = run("plan", guesses, "--next", 50, "--goal", "top", "--top-k", 4, "--out", out)
    assert shown.exit_code == 0, shown.output
    assert f"imitable assign DIR {out}" in shown.output
    chosen = rows(out)
    assert len(chosen) == 50
    assert list(chosen[0]) == ["target_id", "level", "probability"]
    assert {row["level"] for row in chosen} == {"text"}
    each = {row["target_id"]: float(row["probability"]) for row in chosen}
    assert sum(each.values()) <= 1 + 1e-9
    assert all(chance >= 0.2 / 20 - 1e-12 for chance in each.values())
    again = tmp_path / "again.csv"
    run("plan", guesses, "--next", 50, "--top-k", 4, "--out", again)
    assert again.read_bytes() == out.read_bytes()
    run("plan", guesses, "--next", 20, "--goal", "all", "--out", again)
    assert {row["probability"] for row in rows(again)} == {"0.05"}
    assert len({row["target_id"] for row in rows(again)}) == 20


def test_what_cannot_be_planned_from_is_named_and_nothing_is_written(guesses: Path, tmp_path: Path) -> None:
    out = tmp_path / "next.csv"
    with pytest.raises(TablesError, match=r"there is no such file or folder"):
        plan_next(tmp_path / "nowhere.csv", episodes=5, out=out)
    with pytest.raises(TablesError, match=r"the best 20 of 20 targets are no choice; give a smaller k"):
        plan_next(guesses, episodes=5, out=out, top_k=20)
    assert not out.exists()


def test_a_campaign_is_played_planned_assigned_and_played_on(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", targets=6, practice=3, held_out=2, episodes=3)
    store = open_store(folder)
    here = Table(folder, store, 12)
    for link in range(6):
        here.play(here.sit(link), guess=str(link))
    export(folder.path, out=tmp_path / "guesses")
    out = tmp_path / "next.csv"
    shown = run("plan", tmp_path / "guesses", "--next", 30, "--top-k", 2, "--out", out)
    assert shown.exit_code == 0, shown.output
    assert {row["level"] for row in rows(out)} == {"examples"}
    shown = run("assign", folder.path, out)
    assert shown.exit_code == 0, shown.output
    assert "Loaded the plan" in shown.output
    for link in range(6, 12):
        here.play(here.sit(link))
    assigned = here.rows(select(tables.episodes.c.assigned_by, tables.episodes.c.assignment_probability))
    store.close()
    assert {row.assigned_by for row in assigned} >= {"uniform", "plan"}
    assert all(0 < row.assignment_probability <= 1 for row in assigned)
    assert "Replaced the plan" in run("assign", folder.path, out).output


def test_a_plan_of_another_campaign_is_refused(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign")
    bad = tmp_path / "next.csv"
    bad.write_text("target_id,level,probability\nother/mlp.0/0,examples,0.5\n", encoding="utf-8")
    shown = run("assign", folder.path, bad)
    assert shown.exit_code == 1
    assert "line 2: other/mlp.0/0 is no target of this campaign" in str(shown.exception)


def test_the_plan_in_force_is_told_by_status_and_can_be_removed(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", targets=3).path
    written = tmp_path / "next.csv"
    written.write_text("target_id,level,probability\ninvented/mlp.0/0,examples,0.4\n", encoding="utf-8")
    assert "plan:" not in run("status", folder).output
    told = "1 of 3 targets is named and gets 40% of the episodes after a sitting's first."
    assert f"Loaded the plan: {told}" in run("assign", folder, written).output
    shown = run("status", folder).output
    assert f"plan: {told}" in shown
    assert f"imitable assign {folder} --clear" in shown
    assert "Removed the plan" in run("assign", folder, "--clear").output
    assert "plan:" not in run("status", folder).output
    assert "There was no plan" in run("assign", folder, "--clear").output


@pytest.mark.parametrize("words", [(), ("next.csv", "--clear")])
def test_assign_takes_a_plan_or_clear(tmp_path: Path, words: Sequence[str]) -> None:
    shown = run("assign", tmp_path, *words)
    assert shown.exit_code == 2
    assert "give the plan to load, or --clear" in " ".join(shown.output.replace("│", " ").split())


def test_costs_of_large_campaigns_fit_on_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = run("plan", "--targets", 900, "--annotators", 90_000, "--episodes", 40, "--cost-per-sitting", "3.50")
    assert "1,260,000" in shown.output
    assert "…" not in shown.output
    assert max(map(len, shown.output.splitlines()[2:7])) <= 80


def test_a_campaign_that_pays_nothing_says_how_to_set_a_price(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign").path
    shown = run("plan", *SIZE, "--campaign", folder).output
    assert "for which nothing is paid; --cost-per-sitting AMOUNT sets a price" in shown
    assert "cost USD" not in shown


def test_a_plan_does_not_speak_of_files_that_it_does_not_write(guesses: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    assert run("rank", guesses, "--out", results).exit_code == 0
    for source, who in ((guesses, "'imitable rank'"), (results, str(results / "annotators.csv"))):
        for words in (("--next", 5, "--out", tmp_path / "next.csv"), SIZE):
            told = run("plan", source, *words).output
            assert f"are left out; {who} says who and why." in told
            assert "keep-bad" not in told
