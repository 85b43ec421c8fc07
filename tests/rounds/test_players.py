"""Automatic players on invented targets whose nature is known: who solves what, and who sees what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds.targets import WORDS, invented, noise, pair, theme, token

from imitable.rounds import AnswerKey, Baseline, MadeTarget, Schooling, baselines, skills_of
from imitable.rounds.baselines import guessed
from imitable.rounds.players import PLAYERS
from imitable_aggregation import scoring

ALL_SHOWN = Schooling(practice=15, levels=["examples"], shaded=True)


def skills(made: MadeTarget, schooling: Schooling = ALL_SHOWN, seed: int = 0) -> dict[str, float]:
    return {one.player: one.skill for one in asked(made, schooling, seed)}


def asked(made: MadeTarget, schooling: Schooling = ALL_SHOWN, seed: int = 0) -> tuple[Baseline, ...]:
    return baselines(made, skills_of(made, schooling, np.random.default_rng(seed)))


@pytest.fixture(autouse=True)
def values_are_as_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invented activations are on the display scale already."""
    monkeypatch.setattr(scoring, "display", lambda y, **_: np.asarray(y, dtype=np.float64))


def test_a_target_of_one_token_is_solved_by_every_table() -> None:
    found = skills(invented(token, words=WORDS[:6]))
    assert found["lookup"] > 0.9
    assert found["unigram"] > 0.8
    assert found["bigram"] > 0.8


def test_a_target_of_two_tokens_is_solved_by_pairs_and_not_by_single_tokens() -> None:
    found = skills(invented(pair, words=("w0", "w1", "w2"), marked="w0"))
    assert found["bigram"] > 0.9
    assert max(found["constant"], found["lookup"], found["unigram"]) < 0.1


def test_a_theme_is_found_by_the_regression_on_the_context_and_by_no_table() -> None:
    found = skills(invented(theme, themes=True))
    assert found["ridge"] > 0.4
    assert max(found[name] for name in ("lookup", "unigram", "bigram")) < 0.2


def test_nobody_gets_above_a_constant_on_noise() -> None:
    for seed in range(4):
        for one in asked(invented(noise, seed=seed), seed=seed):
            assert one.skill < 3 * one.standard_error + 0.01, one


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**20), practice=st.integers(0, 15), examples=st.booleans(), shaded=st.booleans())
def test_nobody_gets_above_what_is_possible(seed: int, practice: int, examples: bool, shaded: bool) -> None:
    level = "examples" if examples else "text"
    found = skills(invented(noise, seed=seed % 5), Schooling(practice, [level], shaded), seed)
    assert max(found.values()) <= 1
    assert found["constant"] <= 1e-9  # 0 is what the best constant gets that knows all held-out truths


def test_held_out_truths_change_no_guess_by_a_byte() -> None:
    made = invented(token)
    held_out = {item.item_id for item in made.items if item.split == "held_out"}
    answers = tuple(
        AnswerKey(key.item_id, 10 - key.truth, -7.0, tuple(5.0 for _ in key.values)) if key.item_id in held_out else key
        for key in made.answers
    )
    for schooling in (ALL_SHOWN, Schooling(15, ["text", "examples"], False)):
        first, second = (
            guessed(one, schooling, np.random.default_rng(3), embed=lengths)
            for one in (made, replace(made, answers=answers))
        )
        assert [{name: mine.tobytes() for name, mine in each.items()} for each in first] == [
            {name: mine.tobytes() for name, mine in each.items()} for each in second
        ]


def test_practice_truths_do_change_the_guesses() -> None:
    made = invented(token)
    answers = tuple(replace(key, truth=10 - key.truth) for key in made.answers)
    assert skills(made)["lookup"] > 0.3
    first, second = (
        guessed(one, ALL_SHOWN, np.random.default_rng(3)) for one in (made, replace(made, answers=answers))
    )
    assert not np.array_equal(first[0]["examples", "lookup"], second[0]["examples", "lookup"])


def test_a_practice_text_that_holds_a_held_out_item_teaches_only_its_own_answer() -> None:
    """Shading the whole text would tell the other item's truth; the game does not shade it either."""
    made = invented(noise)
    practice = next(item for item in made.items if item.split == "practice")
    held_out = next(item for item in made.items if item.split == "held_out")
    inside = replace(held_out, text=practice.text, offsets=practice.offsets, position=practice.position - 1)
    items = tuple(inside if item is held_out else item for item in made.items)
    loud = next(key for key in made.answers if key.item_id == practice.item_id)
    values = tuple(999.0 for _ in loud.values)
    answers = tuple(replace(key, values=values) if key is loud else key for key in made.answers)
    schooling = Schooling(40, ["text"], True)
    rng = [np.random.default_rng(0) for _ in range(2)]
    first = guessed(replace(made, items=items), schooling, rng[0])
    second = guessed(replace(made, items=items, answers=answers), schooling, rng[1])
    assert first[0]["text", "unigram"].tobytes() == second[0]["text", "unigram"].tobytes()


def test_examples_and_shades_teach_only_where_they_are_shown() -> None:
    made = invented(token)
    everything, no_shades, bare = (
        skills(made, Schooling(15, [level], shaded))["unigram"]
        for level, shaded in (("examples", True), ("examples", False), ("text", False))
    )
    assert everything > no_shades > bare


def test_levels_weigh_the_same() -> None:
    made = invented(token)
    text, examples, both = (
        skills(made, Schooling(15, levels, False))["unigram"]
        for levels in (["text"], ["examples"], ["text", "examples"])
    )
    assert both == pytest.approx((text + examples) / 2, abs=0.08)
    assert text + 0.05 < both < examples - 0.05


def test_the_standard_error_is_how_far_other_episodes_would_lead() -> None:
    made = invented(token)
    found = [{one.player: one for one in asked(made, seed=seed)}["lookup"] for seed in range(40)]
    scatter = float(np.std([one.skill for one in found], ddof=1))
    told = float(np.mean([one.standard_error for one in found]))
    assert scatter / told == pytest.approx(1, abs=0.35)


def test_the_same_seed_gives_the_same_figures() -> None:
    assert asked(invented(noise)) == asked(invented(noise))
    assert asked(invented(noise), seed=1) != asked(invented(noise))


def test_who_is_shown_nothing_guesses_the_middle() -> None:
    nothing = guessed(invented(token), Schooling(0, ["text"], True), np.random.default_rng(0))
    assert all((guesses == 5).all() for each in nothing for guesses in each.values())


def test_the_nearest_neighbour_plays_only_with_an_embedding() -> None:
    made = invented(theme, themes=True)
    assert "nearest" not in skills(made)
    found = {
        one.player: one for one in baselines(made, skills_of(made, ALL_SHOWN, np.random.default_rng(0), embed=sea))
    }
    assert set(found) == set(PLAYERS)
    assert found["nearest"].skill > 0.8


def lengths(texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """An embedding that knows how long a text is."""
    return np.array([[len(text), 100.0] for text in texts], dtype=np.float32)


def sea(texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """An embedding that knows of the sea."""
    return np.array([[text.count("sea"), 2.5] for text in texts], dtype=np.float32)
