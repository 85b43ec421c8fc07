"""Simulated annotators learn from what they are shown, and from nothing else."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from imitable.commands.folders import built
from imitable.game.content import read_content
from imitable.game.simulated import Kind, Profile, SimulatedAnnotator, draw_profiles, features, honest
from imitable.rounds import plan_rounds
from imitable.store import tables

TEXTS = [
    ("The ", "cat", " sat on the mat"),
    ("A ", "dog", " ran in the park"),
    ("The ", "cat", " slept all day"),
    ("My ", "dog", " likes a bone"),
    ("One ", "bird", " sang a song"),
    ("That ", "cat", " was very big"),
]


def question(before: str, focus: str, after: str, *, first: bool = False) -> dict[str, Any]:
    stimulus = {"before": before, "focus": focus, "after": after}
    return {"stimulus": stimulus, "first_of_target": first, "examples": [], "low": 0.0, "high": 10.0}


def truth(focus: str) -> float:
    return 9.0 if focus == "cat" else 0.5


def errors(profile: Profile, rounds: int = 120) -> np.ndarray[Any, Any]:
    """|guess - truth| of a player over rounds on one target that reacts to one word."""
    rng = np.random.default_rng(4)
    player = SimulatedAnnotator(profile, np.random.default_rng(5))
    found = []
    for number in range(rounds):
        before, focus, after = TEXTS[int(rng.integers(len(TEXTS)))]
        asked = question(before, focus, after, first=number == 0)
        found.append(abs(player.guess(asked) - truth(focus)))
        player.learn(asked | {"truth": truth(focus)})
    return np.array(found)


def test_a_learner_gets_better_and_ends_near_the_truth() -> None:
    found = errors(Profile("careful", attention=1.0, learning_rate=4, noise=0.2))
    assert found[-40:].mean() < 0.6
    assert found[:3].mean() > 2 * found[-40:].mean()


def test_attention_noise_and_bias_cost_skill() -> None:
    best = errors(Profile("best", attention=1.0, noise=0.1)).mean()
    for worse in (
        Profile("noisy", noise=3.0),
        Profile("biased", noise=0.1, bias=2.5),
        Profile("asleep", attention=0.02),
    ):
        assert errors(worse).mean() > best + 0.3


@pytest.mark.parametrize("kind", ["constant", "random", "copies"])
def test_bad_players_do_not_learn(kind: Kind) -> None:
    found = errors(Profile("bad", kind=kind), rounds=200)
    assert found[-60:].mean() > 2.0


def test_a_player_that_copies_gives_the_last_answer() -> None:
    player = SimulatedAnnotator(Profile("copies", kind="copies"), np.random.default_rng(0))
    asked = question("a ", "b", " c", first=True)
    player.guess(asked)
    player.learn(asked | {"truth": 7.26})
    assert player.guess(question("x ", "y", " z")) == 7.5


def test_guesses_stay_on_the_scale_and_on_half_points() -> None:
    wild = SimulatedAnnotator(Profile("wild", noise=50.0), np.random.default_rng(1))
    guesses = [wild.guess(question("a ", "b", "", first=False)) for _ in range(200)]
    assert min(guesses) == 0
    assert max(guesses) == 10
    assert all(guess * 2 == int(guess * 2) for guess in guesses)


def test_a_new_target_is_learned_from_its_own_examples() -> None:
    player = SimulatedAnnotator(honest(Profile("x")), np.random.default_rng(2))
    pieces = [{"text": "The", "value": 0.0}, {"text": " cat", "value": 9.0}, {"text": " sat", "value": 0.0}]
    asked = question("The ", "cat", " sat", first=True) | {"examples": [{"pieces": pieces, "focus": 1, "value": 9.0}]}
    assert player.guess(asked) > 5
    assert player.guess(question("The ", "cat", " sat", first=True)) < 5


def test_features_go_from_the_piece_to_the_word_and_the_pair() -> None:
    assert features("what a sur", "pr", "ise this") == (
        "piece False pr",
        "letters ur|pr",
        "word surprise pr",
        "pair a sur|pr",
    )
    assert features("", "Once", " upon")[0] == "piece True once"


def test_a_crowd_has_the_share_of_bad_players_asked_for() -> None:
    crowd = draw_profiles(40, np.random.default_rng(0), bad=0.15)
    assert sum(profile.kind != "learner" for profile in crowd) == 6
    assert {profile.kind for profile in crowd} == {"learner", "constant", "random", "copies"}
    assert len({profile.name for profile in crowd}) == 40
    assert draw_profiles(40, np.random.default_rng(0)) == crowd


def test_some_real_neurons_are_more_imitable_than_others(small_campaign: Path) -> None:
    """A careful reader plays four real neurons in memory: it beats the best constant, and on some by far more."""
    with built(small_campaign) as (folder, store):
        content = read_content(store, folder.texts())
        with store.read() as connection:
            truths = {row.item_id: row.truth for row in connection.execute(select(tables.truths))}
            l_refs = {row.target_id: row.l_ref for row in connection.execute(select(tables.targets))}
    found = []
    for target in content.targets.values():
        skills = []
        for seed in range(12):
            rng = np.random.default_rng(seed)
            player = SimulatedAnnotator(honest(Profile("careful", learning_rate=5)), rng)
            for one in plan_rounds(target.pools, practice=12, held_out=8, rng=rng):
                asked = {"stimulus": asdict(content.stimuli[one.item_id]), "first_of_target": one.trial == 1}
                asked |= {"examples": [asdict(example) for example in target.examples], "low": 0.0, "high": 10.0}
                guess, truth = player.guess(asked), truths[one.item_id]
                if one.phase == "practice":
                    player.learn(asked | {"truth": truth})
                else:
                    skills.append(1 - abs(guess - truth) / l_refs[target.target_id])
        found.append(float(np.mean(skills)))
    assert max(found) > 0.4, found
    assert max(found) - min(found) > 0.15, found
