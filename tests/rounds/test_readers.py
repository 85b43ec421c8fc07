"""Automatic players that go by readings: they gain from those that tell something, and from no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds.targets import WORDS, invented, noise, theme, token

from imitable.rounds import AtLevel, MadeTarget, Reading, Schooling, at_levels, baselines, correlations, skills_of
from imitable.rounds.baselines import guessed
from imitable.rounds.readers import look_up, read_off, to_look_up
from imitable_aggregation import scoring
from lengths import examples

Floats = npt.NDArray[np.float64]
Shown = Callable[[Floats, np.random.Generator], Floats]
"""From the truths (items,) to what is shown beside them (items, units)."""


@pytest.fixture(autouse=True)
def values_are_as_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invented activations are on the display scale already."""
    monkeypatch.setattr(scoring, "display", lambda y, **_: np.asarray(y, dtype=np.float64))


def telling(truths: Floats, rng: np.random.Generator) -> Floats:
    """Of eight units two go with the truths, one of them against; the others are noise."""
    units = rng.normal(0, 4, (len(truths), 8))
    units[:, 2] = 1.6 * (truths - 5) + rng.normal(0, 1.5, len(truths))
    units[:, 6] = -1.4 * (truths - 5) + rng.normal(0, 1.5, len(truths))
    shown: Floats = units.clip(-10, 10).round(1)
    return shown


def shuffled(truths: Floats, rng: np.random.Generator) -> Floats:
    """The same numbers beside other texts."""
    return telling(truths, rng)[rng.permutation(len(truths))]


def shown_at(made: MadeTarget, level: str, shown: Shown, seed: int = 0) -> MadeTarget:
    rng = np.random.default_rng(seed)
    rows = shown(np.array([answer.truth for answer in made.answers]), rng)
    readings = [
        Reading(item.item_id, level, tuple((float(value),) for value in row))
        for item, row in zip(made.items, rows, strict=True)
    ]
    return replace(made, readings=(*made.readings, *readings))


def at(made: MadeTarget, level: str = "neighbours", *, seed: int = 0, looks: int = 3) -> AtLevel:
    schooling = Schooling(15, [level], True, looks)
    [found] = at_levels(made, skills_of(made, schooling, np.random.default_rng(seed)))
    return found


def test_readings_that_go_with_the_truth_help_where_texts_tell_nothing() -> None:
    found = at(shown_at(invented(noise), "neighbours", telling))
    assert found.reader == "readings"
    assert found.skills["readings"][0] > 0.4
    assert found.gain > 0.4
    assert found.gain > 10 * found.standard_error


def test_on_top_of_a_table_they_help_where_texts_tell_something_too() -> None:
    """Half of what is heard comes of the word, and half of something that is seen in the readings alone."""
    made = invented(token, words=WORDS[:6])
    rng = np.random.default_rng(0)
    more = rng.uniform(-2.5, 2.5, len(made.answers))
    answers = []
    for answer, add, item in zip(made.answers, more, made.items, strict=True):
        values = [value / 2 + 2.5 for value in answer.values]
        values[item.position] += add
        answers.append(replace(answer, truth=values[item.position], activation=0.0, values=tuple(values)))
    held_out = [key.truth for item, key in zip(made.items, answers, strict=True) if item.split == "held_out"]
    target = replace(made.target, l_ref=scoring.l_ref(held_out))
    made = replace(made, target=target, answers=tuple(answers))
    one = at(shown_at(made, "neighbours", lambda _truths, _rng: np.round(3 * more, 1)[:, None]))
    assert one.reader == "bigram_readings"
    assert one.gain > 0.15
    assert one.gain > 5 * one.standard_error


@pytest.mark.parametrize("level", ["neighbours", "consult"])
@pytest.mark.parametrize("seed", range(3))
def test_shuffled_readings_help_nobody(level: str, seed: int) -> None:
    for rule in (noise, token, theme):
        made = invented(rule, themes=rule is theme)
        found = at(shown_at(made, level, shuffled, seed), level, seed=seed)
        assert found.gain < 2 * found.standard_error + 0.01, rule


@settings(max_examples=examples(15), deadline=None)
@given(seed=st.integers(0, 2**20), units=st.integers(1, 12), level=st.sampled_from(["neighbours", "consult"]))
def test_no_reading_makes_anybody_better_than_exact_or_breaks_the_scale(seed: int, units: int, level: str) -> None:
    """Constant, huge, few or all alike: guesses stay finite and on the scale."""

    def wild(truths: Floats, rng: np.random.Generator) -> Floats:
        sizes = [10.0 ** int(power) for power in rng.integers(-12, 9, units)]
        rows: Floats = np.where(rng.random(units) < 0.3, 4.0, rng.normal(0, 1, (len(truths), units)) * sizes)
        return rows

    made = shown_at(invented(noise), level, wild, seed)
    for each in guessed(made, Schooling(seed % 16, [level], True, 1 + seed % 4), np.random.default_rng(seed)):
        for guesses in each.values():
            assert ((guesses >= 0) & (guesses <= 10)).all()


def test_held_out_truths_change_no_guess_of_a_reader_by_a_byte() -> None:
    made = shown_at(shown_at(invented(token), "upstream", telling), "consult", telling)
    held_out = {item.item_id for item in made.items if item.split == "held_out"}
    answers = tuple(
        replace(key, truth=10 - key.truth, activation=-7.0) if key.item_id in held_out else key for key in made.answers
    )
    schooling = Schooling(15, ["upstream", "consult"], True)
    first, second = (
        guessed(one, schooling, np.random.default_rng(3)) for one in (made, replace(made, answers=answers))
    )
    assert ("consult", "bigram_readings") in first[0]
    assert [{name: mine.tobytes() for name, mine in each.items()} for each in first] == [
        {name: mine.tobytes() for name, mine in each.items()} for each in second
    ]


def test_they_play_at_levels_with_readings_and_elsewhere_their_baseline_is_what_is_left_of_them() -> None:
    made = shown_at(shown_at(invented(noise), "upstream", telling), "downstream", shuffled)
    levels = ["text", "examples", "upstream", "downstream"]
    skills = skills_of(made, Schooling(15, levels, True), np.random.default_rng(0))
    played = {level: {player for at_level, player in skills if at_level == level} for level in levels}
    assert played["text"] == played["examples"] == {"constant", "lookup", "unigram", "bigram", "ridge"}
    assert played["upstream"] == played["downstream"] == played["text"] | {"readings", "bigram_readings"}
    by_level = {one.level: one for one in at_levels(made, skills)}
    assert (by_level["text"].reader, by_level["text"].gain) == ("", 0.0)
    both = {one.player: one.skill for one in baselines(made, skills)}
    beside = {"text": "constant", "examples": "constant", "upstream": "readings", "downstream": "readings"}
    mean = np.mean([by_level[level].skills[player][0] for level, player in beside.items()])
    assert both["readings"] == pytest.approx(mean, abs=1e-4)


def test_who_looks_up_two_units_of_four_comes_to_look_at_the_one_that_tells() -> None:
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(20):
        answers = rng.uniform(0, 10, 15)
        readings = rng.normal(0, 4, (15, 4))
        readings[:, 3] = 2 * (answers - 5)
        seen, last = look_up(readings, answers, looks=2)
        assert (np.isfinite(seen).sum(1) == 2).all()
        assert np.array_equal(seen[np.isfinite(seen)], readings[np.isfinite(seen)])
        found += 3 in last
    assert found >= 16


def test_units_are_looked_up_without_knowing_the_answer_to_come() -> None:
    rng = np.random.default_rng(0)
    readings, answers = rng.normal(0, 4, (15, 12)), rng.uniform(0, 10, 15)
    for row in range(15):
        changed = np.where(np.arange(15) >= row, -answers, answers)
        first, second = (look_up(readings, each, looks=3)[0] for each in (answers, changed))
        assert np.array_equal(np.isfinite(first[: row + 1]), np.isfinite(second[: row + 1]))


def test_more_looks_than_units_show_all_of_them() -> None:
    assert to_look_up(np.zeros((0, 5)), np.zeros(0), looks=9).tolist() == [0, 1, 2, 3, 4]


def test_correlations_are_pearsons_over_what_was_seen() -> None:
    rng = np.random.default_rng(0)
    readings, answers = rng.normal(0, 1, (12, 3)), rng.normal(0, 1, 12)
    readings[2:5, 1] = np.nan
    readings[2:, 2] = np.nan
    found = correlations(readings, answers)
    assert found[0] == pytest.approx(np.corrcoef(readings[:, 0], answers)[0, 1])
    kept = np.isfinite(readings[:, 1])
    assert found[1] == pytest.approx(np.corrcoef(readings[kept, 1], answers[kept])[0, 1])
    assert found[2] == 0


def test_of_a_table_of_weights_the_sums_are_read_and_their_product_as_the_page_says() -> None:
    table = np.array([[[3.0, 1.0, 2.0], [0.0, 4.0, -1.0]], [[3.0, -6.0, 2.0], [0.0, 4.0, 5.0]]])
    assert read_off("weights", table).tolist() == [[5.0, 1.0, 0.5], [-2.0, 7.0, 0.0]]
    assert read_off("weights", table[:, :, :2]).tolist() == [[5.0], [-2.0]]
    assert read_off("upstream", table[:, :, :1]).tolist() == [[3.0, 0.0], [3.0, 0.0]]
