"""What tables of tokens foretell of a unit, and the method that prefers what they do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from building import build_bytes, campaign
from imitable.activations import Moments
from imitable.commands.build import build
from imitable.selection import Candidate, Look, Tables, ranked
from imitable.store import read_build

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 20, 6000)
BEFORE = RNG.integers(0, 20, 6000)
HELD_OUT = np.arange(6000) >= 4000
TABLES = Tables(TOKENS, BEFORE, HELD_OUT)


def test_what_follows_from_the_token_is_foretold() -> None:
    assert TABLES.foretell((TOKENS == 3) * 5.0) > 0.99


def test_what_follows_from_a_pair_is_foretold_by_pairs() -> None:
    pairs = ((TOKENS == 3) & (BEFORE < 10)) * 5.0
    assert TABLES.foretell(pairs) > 0.8
    alone = Tables(TOKENS, np.zeros(6000, np.int64), HELD_OUT)
    assert alone.foretell(pairs) < 0.6


def test_noise_is_not_foretold_though_tables_remember_it() -> None:
    assert TABLES.foretell(RNG.normal(size=6000)) < 0.02


def test_a_unit_that_is_silent_where_tables_are_tried_is_not_foretold() -> None:
    assert TABLES.foretell(np.where(HELD_OUT, 0.0, 1.0)) == 0


def test_tokens_that_were_not_seen_before_get_the_mean() -> None:
    tables = Tables(np.where(HELD_OUT, 99, TOKENS), BEFORE, HELD_OUT)
    assert tables.foretell((TOKENS == 3) * 5.0) < 0.01


def moments(*kurtosis: float) -> Moments:
    zeros, ones = np.zeros(len(kurtosis)), np.ones(len(kurtosis))
    return Moments(1, zeros, np.stack([ones, zeros, np.array(kurtosis) + 3]), zeros, zeros)


def test_of_the_rarely_active_those_come_first_that_tables_foretell_least() -> None:
    kurtosis = np.arange(200.0)[::-1]
    asked: list[Sequence[Candidate]] = []

    def lexical(wanted: Sequence[Candidate]) -> list[float]:
        asked.append(wanted)
        return [0.9 if one.unit % 2 else 0.2 for one in wanted]

    found = ranked("beyond-lexical", {"mlp.0": moments(*kurtosis)}, np.random.default_rng(0), Look(2, lexical))
    assert [len(each) for each in asked] == [128]
    assert [one.unit for one in found] == [*range(0, 128, 2), *range(1, 128, 2), *range(128, 200)]
    assert [one.score for one in found[63:66]] == [0.8, 0.1, 0.1]
    assert {one.score for one in found[128:]} == {None}


def test_the_more_targets_are_wanted_the_more_units_are_looked_at() -> None:
    asked: list[int] = []

    def lexical(wanted: Sequence[Candidate]) -> list[float]:
        asked.append(len(wanted))
        return [0.5] * len(wanted)

    for count in (1, 32, 40):
        look = Look(count, lexical)
        ranked("beyond-lexical", {"mlp.0": moments(*range(200))}, np.random.default_rng(0), look)
    assert asked == [128, 128, 160]


def test_on_a_real_model_it_takes_units_that_tables_do_not_solve(tmp_path: Path) -> None:
    best: dict[str, float] = {}
    for method in ("kurtosis", "beyond-lexical"):
        chosen = f'select = {{ method = "{method}", count = 8 }}'
        directory = campaign(tmp_path / method, sites='["mlp.0", "mlp.3"]', chosen=chosen)
        build(directory)
        records = read_build(directory / "build")
        assert {target.selected_by for target in records["targets"]} == {method}
        assert all(0 <= target.score <= 1 or method == "kurtosis" for target in records["targets"])
        skills = [one.skill for one in records["baselines"] if one.player in ("lookup", "unigram", "bigram")]
        best[method] = float(np.mean(skills))
    assert best["beyond-lexical"] < best["kurtosis"] - 0.1


def test_a_sample_of_a_large_corpus_gives_the_same_choice_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imitable.commands.choosing.SAMPLE_TOKENS", 6000)
    made = []
    for name in ("first", "second"):
        directory = campaign(tmp_path / name, chosen='select = { method = "beyond-lexical", count = 2 }')
        build(directory)
        made.append(build_bytes(directory))
    assert made[0] == made[1]
