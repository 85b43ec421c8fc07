"""Automatic players from `imitable build` to ranking.csv: where their figures stand, and where they never do."""

from __future__ import annotations

import json
import re
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import delete
from typer.testing import CliRunner, Result

from building import campaign, edit, never
from imitable.campaign import open_folder
from imitable.cli.app import app
from imitable.commands.build import build
from imitable.commands.players import Help, helps
from imitable.commands.verify import verify
from imitable.errors import ModelError
from imitable.rounds import SOLVED, AtLevel
from imitable.store import open_store, read_build, tables
from playing import Table

TABLES_OF_TOKENS = ("lookup", "unigram", "bigram")
PLAYERS = ("bigram", "constant", "lookup", "ridge", "unigram")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def first_layers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A built campaign on neurons of the first and a later layer, and what building it said."""
    directory = campaign(
        tmp_path_factory.mktemp("players") / "c", sites='["mlp.0", "mlp.3"]', chosen="units = [0, 1, 2, 3, 4, 5]"
    )
    return directory, said(run("build", directory))


@pytest.fixture
def built(first_layers: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(first_layers[0], tmp_path / "c"))


@pytest.fixture
def exported(built: Path, tmp_path: Path) -> Path:
    """An export of it, two people having played."""
    folder = open_folder(built)
    store = open_store(folder)
    try:
        here = Table(folder, store, 2)
        for link in (0, 1):
            here.play(here.sit(link))
    finally:
        store.close()
    said(run("export", built, "--out", tmp_path / "export"))
    return tmp_path / "export"


def test_every_target_has_the_skill_of_every_player_in_targets_csv(built: Path, exported: Path) -> None:
    targets = pd.read_csv(exported / "targets.csv").set_index("target_id")
    assert [name for name in map(str, targets) if name.startswith("baseline_")] == [
        f"baseline_{name}" for name in PLAYERS
    ]
    for one in read_build(built / "build")["baselines"]:
        assert targets.loc[one.target_id, f"baseline_{one.player}"] == one.skill
    skills = targets[[f"baseline_{name}" for name in PLAYERS]]
    assert skills.notna().all(axis=None)
    assert (skills <= 1).all(axis=None)
    assert (targets["baseline_constant"] <= 0).all()


def test_tables_do_better_on_the_first_layer_than_later(exported: Path) -> None:
    targets = pd.read_csv(exported / "targets.csv")
    best = targets[[f"baseline_{name}" for name in TABLES_OF_TOKENS]].max(axis=1).groupby(targets["site"]).mean()
    assert best["mlp.0"] > best["mlp.3"] + 0.1


def test_a_ranking_carries_them_and_its_report_says_where_people_do_better(exported: Path, tmp_path: Path) -> None:
    said(run("rank", exported, "--out", tmp_path / "results"))
    ranking = pd.read_csv(tmp_path / "results" / "ranking.csv").set_index("target_id")
    targets = pd.read_csv(exported / "targets.csv").set_index("target_id")
    for name in PLAYERS:
        column = f"baseline_{name}"
        pd.testing.assert_series_equal(ranking[column].sort_index(), targets.loc[ranking.index, column].sort_index())
    page = (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    assert "Beside automatic players" in page
    assert re.search(r"On (no|every|\d+) targets? annotators do better than the best automatic player", page)


def test_build_says_which_targets_a_table_solves(first_layers: tuple[Path, str]) -> None:
    directory, told = first_layers
    best: dict[str, float] = {}
    for one in read_build(directory / "build")["baselines"]:
        if one.player in TABLES_OF_TOKENS:
            best[one.target_id] = max(one.skill, best.get(one.target_id, -1.0))
    solved = sum(skill >= SOLVED for skill in best.values())
    assert 0 < solved < len(best)
    assert f"tables of tokens solve {solved} of {len(best)} targets" in told
    assert max(best, key=lambda name: best[name]) in told
    assert 'select = { method = "beyond-lexical", count = ... } prefers others' in told


def test_plan_says_it_before_anybody_is_paid(built: Path) -> None:
    size = ("--targets", 12, "--annotators", 40, "--episodes", 4)
    told = said(run("plan", *size, "--campaign", built))
    assert re.search(r"automatic players: the best one on each of \d+ targets reaches [+-]0\.\d\d to \+0\.\d\d", told)
    assert re.search(r"tables of tokens solve \d+ of \d+ targets", told)
    assert "nearest did not play: [players] embedding names no model" in told
    assert "levels:" not in told  # none shows anything beside texts
    shutil.rmtree(built / "build")
    told = said(run("plan", *size, "--campaign", built))
    assert "automatic players:" not in told
    assert "Not built yet. After imitable build DIR, automatic players say here where levels may help." in told


@pytest.fixture(scope="module")
def levelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Six neurons at levels with readings, and what building them said."""
    more = 'levels = ["text", "upstream", "consult", "weights"]\n[readings]\nlooks = 2'
    directory = campaign(tmp_path_factory.mktemp("levelled") / "c", sites='["mlp.2"]', texts=600, more=more)
    edit(directory, "practice = 3", "practice = 12")
    edit(directory, "pool = { practice = 16, held_out = 12 }", "pool = { practice = 40, held_out = 30 }")
    return directory, said(run("build", directory))


def test_build_says_how_much_the_readings_of_each_level_tell(levelled: tuple[Path, str]) -> None:
    directory, told = levelled
    by_level: dict[str, list[dict[str, Any]]] = {}
    for one in json.loads((directory / "build" / "report.json").read_text(encoding="utf-8"))["readings"]:
        by_level.setdefault(one["level"], []).append(one)
    assert set(by_level) == {"upstream", "consult", "weights"}
    for level, each in by_level.items():
        most = max(each, key=lambda one: float(one["r2"]))
        assert (
            f"level {level}: readings tell R² {np.median([one['r2'] for one in each]):.2f} of the truths (median of "
            f"{len(each)} targets), {most['r2']:.2f} at most ({most['target_id']})" in told
        )
    assert "level weights: readings tell" in said(run("build", directory))  # again, where nothing had to be done


def test_plan_says_where_levels_are_likely_to_help_and_where_not(levelled: tuple[Path, str]) -> None:
    directory, _ = levelled
    told = said(run("plan", "--targets", 6, "--annotators", 40, "--episodes", 4, "--campaign", directory))
    found: dict[str, list[AtLevel]] = {}
    for one in json.loads((directory / "build" / "report.json").read_text(encoding="utf-8"))["players"]["by_level"]:
        found.setdefault(one["level"], []).append(AtLevel(**one))
    assert {level: {one.reader != "" for one in each} for level, each in found.items()} == {
        "text": {False}, "upstream": {True}, "consult": {True}, "weights": {True}
    }  # fmt: skip
    for level, each in found.items():
        if level != "text":
            gains = np.array([one.gain for one in each])
            better = sum(one.gain > max(2 * one.standard_error, 0.01) for one in each)
            row = rf"{level} \+0\.\d\d \+0\.\d\d ([+-]0\.\d+) ± 0\.\d+ {better} of {len(each)} \d of {len(each)}"
            match = re.search(row, told)
            assert match, told
            assert float(match[1]) == pytest.approx(gains.mean(), abs=0.001)
    most = max(found["weights"], key=lambda one: one.gain)
    assert f"likely to help: weights (most on {most.target_id}, {most.gain:+.2f})" in told
    assert re.search(r"(not likely to help|on some targets alone): .*(upstream|consult)", told)


def test_a_baseline_is_over_all_levels_and_a_reader_has_his_texts_where_a_level_shows_no_readings(
    levelled: tuple[Path, str],
) -> None:
    directory, _ = levelled
    by_level = json.loads((directory / "build" / "report.json").read_text(encoding="utf-8"))["players"]["by_level"]
    for one in read_build(directory / "build")["baselines"]:
        left = {"readings": "constant", "bigram_readings": "bigram"}.get(one.player, one.player)
        mine = [level["skills"] for level in by_level if level["target_id"] == one.target_id]
        assert sum(one.player in skills for skills in mine) == (3 if "readings" in one.player else 4)
        each = [skills[one.player if one.player in skills else left][0] for skills in mine]
        assert one.skill == pytest.approx(np.mean(each), abs=1e-4)


def test_the_report_of_a_build_says_what_players_were_shown(built: Path) -> None:
    report = json.loads((built / "build" / "report.json").read_text(encoding="utf-8"))
    by_level = report["players"].pop("by_level")
    assert {(one["level"], one["reader"], one["gain"]) for one in by_level} == {("examples", "", 0.0)}
    assert report["players"] == {
        "episodes": 12,
        "practice": 3,
        "levels": ["examples"],
        "shade_reveal": True,
        "looks": 3,
        "nearest": "did not play: [players] embedding names no model",
    }


def test_a_sentence_embedding_lets_the_nearest_neighbour_play(tmp_path: Path) -> None:
    directory = campaign(
        tmp_path / "c", chosen="units = [0, 1, 2]", more='[players]\nembedding = "builtin:stories260K"'
    )
    build(directory)
    records = read_build(directory / "build")
    skills = [one.skill for one in records["baselines"] if one.player == "nearest"]
    assert len(skills) == len(records["targets"])
    assert np.isfinite(skills).all()
    report = json.loads((directory / "build" / "report.json").read_text(encoding="utf-8"))
    assert report["players"]["nearest"]["path"] == "builtin:stories260K"


def test_an_embedding_that_is_not_there_is_told_before_the_model_is_run(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c", more='[players]\nembedding = "./missing"')
    with pytest.raises(ModelError, match=r"^\[players\] embedding: There is no model folder .*missing\. Correct it\.$"):
        build(directory, progress=never)
    assert not (directory / "build").exists()
    edit(directory, "./missing", "builtin:stories260K")
    assert build(directory).fresh


def test_a_store_that_was_filled_by_an_earlier_version_lacks_them_and_nothing_else(built: Path, tmp_path: Path) -> None:
    store = open_store(open_folder(built))
    with store.write() as connection:
        connection.execute(delete(tables.baselines))
    store.close()
    assert verify(built, sample=5, seed=0).problems == ()
    said(run("export", built, "--out", tmp_path / "export"))
    header = (tmp_path / "export" / "targets.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "baseline_" not in header


def test_nothing_that_annotators_reach_reads_them() -> None:
    rooms = [Path(str(files("imitable"))) / name for name in ("game", "platforms", "money")]
    rooms.append(Path(str(files("imitable_templates"))))
    looked = [path for room in rooms for path in room.rglob("*") if path.suffix in (".py", ".j2", ".js", ".toml")]
    assert len(looked) > 60
    assert [path for path in looked if "baseline" in path.read_text(encoding="utf-8")] == []


def test_one_target_is_believed_no_further_than_its_episodes_go_and_next_to_nothing_is_no_help() -> None:
    def one(gain: float, error: float) -> Help:
        skills = {"bigram": (0.3, 0.01), "readings": (0.3 + gain, 0.01)}
        return helps([AtLevel("m/mlp.0/1", "upstream", skills, "bigram", "readings", gain, error)])[0]

    assert not one(0.03, 0.02).likely
    assert not one(0.009, 0.0).likely
    assert one(0.05, 0.02).likely
    assert (one(-0.05, 0.02).worse, one(-0.05, 0.02).better) == (1, 0)
