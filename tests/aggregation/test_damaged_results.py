"""`imitable plan` from a folder of `rank` that was damaged or edited: a message, and no plan."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from imitable.cli.app import app
from imitable.errors import TablesError
from imitable_aggregation.rank import rank

SIZE = ("--targets", 10, "--annotators", 10, "--episodes", 3)
Draws = Callable[[pd.DataFrame], pd.DataFrame]


def plan(*words: object) -> Result:
    return CliRunner().invoke(app, ["plan", *(str(word) for word in words)])


@pytest.fixture
def results(tmp_path: Path, crowd: Callable[..., pd.DataFrame]) -> Path:
    """What rank wrote."""
    crowd(targets=4, annotators=6, each=3).to_csv(tmp_path / "guesses.csv", index=False)
    rank(tmp_path / "guesses.csv", tmp_path / "results")
    return tmp_path / "results"


def test_a_whole_folder_is_planned_from(results: Path, tmp_path: Path) -> None:
    for words in (SIZE, ("--next", 8, "--top-k", 2, "--out", tmp_path / "next.csv")):
        shown = plan(results, *words)
        assert shown.exit_code == 0, shown.exception
        assert "nan" not in shown.output


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (["sizes", "levels"], [], "fit.json names no level"),
        (["notes"], 3, "not iterable"),
        (["variance_components", "noise"], float("nan"), "noise is nan"),
        (["variance_components", "noise"], 0.0, "noise is 0"),
        (["variance_components", "item"], 9.0, "9 goes with the item"),
        (["variance_components", "knots"], ["begin", "middle", "held_out"], "knots are begin, middle, held_out"),
        (["variance_components", "target"], [[0.1]], "target is no covariance of 3 knots"),
        (["variance_components", "target"], np.zeros((3, 3)).tolist(), "target is no covariance of 3 knots"),
        (["variance_components", "episode"], (-np.eye(3)).tolist(), "episode is no covariance of 3 knots"),
        (["variance_components", "annotator"], (1e300 * np.eye(3)).tolist(), "annotator is no covariance of 3"),
    ],
)
def test_a_fit_that_cannot_be_is_named(results: Path, place: Sequence[str], value: object, said: str) -> None:
    fit: dict[str, Any] = json.loads((results / "fit.json").read_text(encoding="utf-8"))
    inner = fit
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    (results / "fit.json").write_text(json.dumps(fit), encoding="utf-8")
    shown = plan(results, *SIZE)
    assert isinstance(shown.exception, TablesError)
    assert said in str(shown.exception)
    assert str(results) in str(shown.exception)


@pytest.mark.parametrize(
    "damage",
    [
        lambda draws: draws.head(0),
        lambda draws: draws.iloc[1:],
        lambda draws: draws.assign(held_out=np.where(draws.index == 5, np.nan, draws["held_out"])),
        lambda draws: draws.assign(held_out=np.inf),
        lambda draws: pd.concat([draws, draws]),
    ],
)
def test_draws_that_are_not_whole_are_no_ground_for_a_plan(results: Path, tmp_path: Path, damage: Draws) -> None:
    file = results / "draws.parquet"
    damage(pd.read_parquet(file)).to_parquet(file)
    shown = plan(results, "--next", 8, "--top-k", 2, "--out", tmp_path / "next.csv")
    assert isinstance(shown.exception, TablesError)
    assert "write them anew with 'imitable rank'" in str(shown.exception)
    assert not (tmp_path / "next.csv").exists()


@pytest.mark.parametrize("text", ["imitability,l_ref\n", "imitability,l_ref\ninf,3\n", "imitability,l_ref\n0.1,\n"])
def test_a_ranking_without_numbers_is_no_ground_for_a_forecast(results: Path, text: str) -> None:
    (results / "ranking.csv").write_text(text, encoding="utf-8")
    shown = plan(results, *SIZE)
    assert "ranking.csv lacks numbers" in str(shown.exception)


def test_a_plan_of_more_episodes_than_anyone_plays_is_refused(results: Path, tmp_path: Path) -> None:
    shown = plan(results, "--next", 10**12, "--top-k", 2, "--out", tmp_path / "next.csv")
    assert "are too many for a plan; ask for at most 1,000,000" in str(shown.exception)
    assert not (tmp_path / "next.csv").exists()
