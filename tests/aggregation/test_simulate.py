"""The simulated campaigns that the estimator is judged on: what is true of them, and that they stay the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from imitable_aggregation.simulate import DESCRIBED, Setting, simulate

SMALL = Setting(guesses=8_000, seed=3)


@pytest.fixture(scope="module")
def small() -> pd.DataFrame:
    return simulate(SMALL).guesses


def test_the_same_setting_plays_the_same_campaign(small: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(small, simulate(SMALL).guesses)
    assert not small["guess"].equals(simulate(Setting(guesses=8_000, seed=4)).guesses["guess"])


def test_guesses_are_those_of_a_campaign(small: pd.DataFrame) -> None:
    assert small["guess"].between(0, 10).all()
    assert small["truth"].between(0, 10).all()
    assert not small.duplicated(["episode_id", "trial"]).any()
    assert not small.duplicated(["episode_id", "item_id"]).any()
    assert (small.groupby("episode_id")["annotator_id"].nunique() == 1).all()
    assert not small.drop_duplicates("episode_id").duplicated(["annotator_id", "target_id"]).any()
    assert (small.groupby("item_id")["truth"].nunique() == 1).all()
    assert ((small["phase"] == "practice") == (small["trial"] <= 15)).all()


def test_truth_is_on_the_scale_of_skill_and_bad_players_have_none() -> None:
    seen = simulate(SMALL)
    assert (seen.imitability < 1).all()
    assert (seen.imitability > seen.start - 0.1).mean() > 0.9
    assert (np.isnan(seen.skill) == (seen.kind != "honest")).all()
    assert set(seen.kind) <= {"honest", *DESCRIBED}
    assert 0.05 < (seen.kind != "honest").mean() < 0.3


def test_correlated_assignment_gives_the_skilled_the_hard_targets() -> None:
    found = []
    for correlated in (0.0, 0.6):
        seen = simulate(Setting(guesses=20_000, correlated=correlated, bad=0))
        episodes = seen.guesses.drop_duplicates("episode_id")
        skill = seen.skill[episodes["annotator_id"].str[2:].astype(int)]
        ease = seen.imitability[episodes["target_id"].str[10:].astype(int)]
        found.append(float(np.corrcoef(skill, ease)[0, 1]))
    assert abs(found[0]) < 0.1
    assert found[1] < -0.3
