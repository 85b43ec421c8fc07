"""Automatic players on invented targets whose nature is known: who solves what, and who sees what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imitable.rounds import AnswerKey, Baseline, Example, Item, MadeTarget, PlayedTarget, Schooling, Split, baselines
from imitable.rounds.baselines import guessed
from imitable.rounds.players import PLAYERS
from imitable_aggregation import scoring

Rule = Callable[[Sequence[str], int], float]
"""From a text's words and a place to the truth there."""

ALL_SHOWN = Schooling(practice=15, examples=[True], shaded=True)
WORDS = tuple(f"w{number}" for number in range(30))
SEA = [f"sea{number}" for number in range(4)]


@cache
def invented(
    rule: Rule, *, words: tuple[str, ...] = WORDS, marked: str = "", themes: bool = False, seed: int = 0
) -> MadeTarget:
    """A target that follows a rule, in texts of 24 words; with `themes`, every other text is full of words of the sea.

    Half of the items are drawn so that their truth is above 3; with `marked`, this word is asked about in all of them.
    """
    rng = np.random.default_rng(seed)

    def text(about_the_sea: bool) -> list[str]:
        said = [str(word) for word in rng.choice(words, 24)]
        if about_the_sea:
            for at in rng.choice(20, 8, replace=False):
                said[at] = str(rng.choice(SEA))
        return said

    items, answers = [], []
    sizes: tuple[tuple[Split, int], ...] = (("practice", 40), ("held_out", 40))
    for split, size in sizes:
        for number in range(size):
            loud = number % 2 == 0
            for _ in range(2000):
                said = text(themes and loud)
                position = 23 if themes else int(rng.integers(8, 24))
                if (rule(said, position) > 3) == loud and said[position] == (marked or said[position]):
                    break
            else:
                raise AssertionError("the rule allows no such item")
            values = tuple(rule(said, at) for at in range(24))
            items.append(_item(f"i_{split}{number}", split, said, position, active=loud, document=number))
            answers.append(AnswerKey(f"i_{split}{number}", values[position], values[position], values))
    truths = [key.truth for item, key in zip(items, answers, strict=True) if item.split == "held_out"]
    target = PlayedTarget(
        "toy/mlp.0/0", "toy", "neuron", "mlp.0", 0, "pos", "units", scoring.l_ref(truths), 1.0, 1.0, "0" * 64, None
    )
    examples = []
    for place in range(6):
        said = text(themes and place % 2 == 0)
        values = tuple(rule(said, at) for at in range(24))
        position = int(np.argmax(values)) if place % 2 == 0 else int(np.argmin(values))
        joined, offsets = _laid_out(said)
        examples.append(Example("toy/mlp.0/0", place, "top", joined, offsets, position, values))
    return MadeTarget(target, tuple(items), tuple(answers), tuple(examples))


def _laid_out(said: Sequence[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    ends = np.cumsum([len(word) + 1 for word in said])
    return " ".join(said), tuple((int(end) - len(word) - 1, int(end) - 1) for word, end in zip(said, ends, strict=True))


def _item(name: str, split: Split, said: Sequence[str], position: int, *, active: bool, document: int) -> Item:
    text, offsets = _laid_out(said)
    stratum = "active-1" if active else "inactive"
    return Item(name, "toy/mlp.0/0", split, text, tuple(range(24)), offsets, position, document, stratum, 1.0)


def skills(made: MadeTarget, schooling: Schooling = ALL_SHOWN, seed: int = 0) -> dict[str, float]:
    return {one.player: one.skill for one in asked(made, schooling, seed)}


def asked(made: MadeTarget, schooling: Schooling = ALL_SHOWN, seed: int = 0) -> tuple[Baseline, ...]:
    return baselines(made, schooling, np.random.default_rng(seed))


@pytest.fixture(autouse=True)
def values_are_as_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invented activations are on the display scale already."""
    monkeypatch.setattr(scoring, "display", lambda y, **_: np.asarray(y, dtype=np.float64))


def token(said: Sequence[str], at: int) -> float:
    """Depends on the word alone: one of the first three is loud."""
    return 9.0 if said[at] in WORDS[:3] else 0.0


def pair(said: Sequence[str], at: int) -> float:
    """Loud at w0 after w1, and silent at w0 after w2."""
    return 9.0 if said[at] == "w0" and at > 0 and said[at - 1] == "w1" else 0.0


def theme(said: Sequence[str], at: int) -> float:
    """As loud as there are words of the sea so far."""
    return 10.0 if sum(word in SEA for word in said[: at + 1]) > 3 else 0.0


def noise(said: Sequence[str], at: int) -> float:
    """The same for the same text and place, and otherwise as good as random."""
    return float(np.random.default_rng([at, *map(ord, "".join(said))]).uniform(0, 10))


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
    found = skills(invented(noise, seed=seed % 5), Schooling(practice, [examples], shaded), seed)
    assert max(found.values()) <= 1
    assert found["constant"] <= 1e-9  # 0 is what the best constant gets that knows all held-out truths


def test_held_out_truths_change_no_guess_by_a_byte() -> None:
    made = invented(token)
    held_out = {item.item_id for item in made.items if item.split == "held_out"}
    answers = tuple(
        AnswerKey(key.item_id, 10 - key.truth, -7.0, tuple(5.0 for _ in key.values)) if key.item_id in held_out else key
        for key in made.answers
    )
    for schooling in (ALL_SHOWN, Schooling(15, [False, True], False)):
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
    assert not np.array_equal(first[0]["lookup"], second[0]["lookup"])


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
    schooling = Schooling(40, [False], True)
    rng = [np.random.default_rng(0) for _ in range(2)]
    first = guessed(replace(made, items=items), schooling, rng[0])
    second = guessed(replace(made, items=items, answers=answers), schooling, rng[1])
    assert first[0]["unigram"].tobytes() == second[0]["unigram"].tobytes()


def test_examples_and_shades_teach_only_where_they_are_shown() -> None:
    made = invented(token)
    everything, no_shades, bare = (
        skills(made, Schooling(15, [examples], shaded))["unigram"]
        for examples, shaded in ((True, True), (True, False), (False, False))
    )
    assert everything > no_shades > bare


def test_levels_weigh_the_same() -> None:
    made = invented(token)
    text, examples, both = (
        skills(made, Schooling(15, levels, False))["unigram"] for levels in ([False], [True], [False, True])
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
    nothing = guessed(invented(token), Schooling(0, [False], True), np.random.default_rng(0))
    assert all((guesses == 5).all() for each in nothing for guesses in each.values())


def test_the_nearest_neighbour_plays_only_with_an_embedding() -> None:
    made = invented(theme, themes=True)
    assert "nearest" not in skills(made)
    found = {one.player: one for one in baselines(made, ALL_SHOWN, np.random.default_rng(0), embed=sea)}
    assert set(found) == set(PLAYERS)
    assert found["nearest"].skill > 0.8


def lengths(texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """An embedding that knows how long a text is."""
    return np.array([[len(text), 100.0] for text in texts], dtype=np.float32)


def sea(texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """An embedding that knows of the sea."""
    return np.array([[text.count("sea"), 2.5] for text in texts], dtype=np.float32)
