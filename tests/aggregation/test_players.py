"""People beside automatic players: what the report says and draws, from columns that anybody may have written."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from imitable_aggregation import sentences
from imitable_aggregation.baselines import best_player
from imitable_aggregation.findings import Findings
from imitable_aggregation.report import render

from .reporting import found


def beside(skills: dict[str, list[float]], **changes: object) -> Findings:
    """Findings of four targets, at 0.7, 0.6, 0.5 and 0.4 with intervals of 0.13 to both sides."""
    base = found(targets=4)
    columns = {f"baseline_{name}": each for name, each in skills.items()}
    return replace(base, ranking=base.ranking.assign(**columns), **changes)  # type: ignore[arg-type]


def told(f: Findings) -> str:
    said = " ".join(sentences.findings(f)).replace("\N{NO-BREAK SPACE}", " ")
    start = said.find("best automatic player")
    return said[said.rfind("On ", 0, start) : said.index("How sure")].strip() if start > 0 else ""


def test_the_best_player_may_be_another_on_each_target() -> None:
    best = best_player(beside({"ridge": [0.1, 0.2, np.nan, np.nan], "bigram": [0.3, 0.1, 0.0, np.nan]}).ranking)
    assert best is not None
    assert best["player"].tolist() == ["bigram", "ridge", "bigram"]
    assert best["skill"].tolist() == [0.3, 0.2, 0.0]


def test_the_interesting_targets_are_named() -> None:
    said = told(beside({"ridge": [0.0, 0.2, 0.45, 0.9], "constant": [-0.1] * 4}))
    assert said == (
        "On 2 targets annotators do better than the best automatic player; these are the interesting ones, above all"
        " toy/mlp.0/0 (0.70 where ridge reaches 0.00). On 1 target the player does better (90 % intervals)."
    )


def test_where_people_do_better_nowhere_nothing_is_called_interesting() -> None:
    said = told(beside({"ridge": [0.95] * 4}))
    assert said.startswith("On no target annotators do better than the best automatic player. On every target the")


def test_one_interesting_target_is_one() -> None:
    said = told(beside({"bigram": [0.1, 0.6, 0.5, 0.4]}))
    assert "On 1 target annotators do better than the best automatic player; it is the interesting one, toy/" in said


def test_the_figure_says_aloud_what_it_shows() -> None:
    page = render(beside({"ridge": [0.0, 0.2, 0.45, 0.9]}))
    assert "People against the best automatic player: 2 people better, 1 not told apart, 1 player better." in page
    assert '<h2 id="players">Beside automatic players</h2>' in page
    assert 'href="#players"' in page


def test_simulated_players_are_not_called_people_beside_them() -> None:
    page = render(beside({"ridge": [0.0] * 4}, banner="simulated players: nothing here is about people"))
    assert "Simulated players against the best automatic player: 4 simulated players better" in page
    assert "people do better" not in page
    assert "People against" not in page


def test_without_automatic_players_there_is_no_such_part() -> None:
    empty = beside({"ridge": [np.nan] * 4})
    for findings in (found(), empty):
        assert told(findings) == ""
        assert "Beside automatic players" not in render(findings)


def test_a_column_that_a_stranger_named_cannot_break_the_page() -> None:
    page = render(beside({"<script>x</script>": [0.0] * 4}))
    assert "<script>" not in page


def test_many_targets_are_drawn_too() -> None:
    base = found(targets=700, gap=0.001)
    ranking = base.ranking.assign(baseline_ridge=np.linspace(-0.1, 0.8, 700))
    page = render(replace(base, ranking=ranking))
    assert re.search(r"People against the best automatic player: \d+ people better", page)
    assert isinstance(best_player(ranking), pd.DataFrame)
    assert len(page) < 700_000
