"""annotators.csv from sums: how an annotator uses the scale, and how sure that is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imitable_aggregation.annotators import annotators_table, bias
from imitable_aggregation.conduct import judge
from imitable_aggregation.defaults import filled
from imitable_aggregation.result_tables import ANNOTATORS
from imitable_aggregation.statistics import Statistics, collect
from lengths import examples


def known(rows: pd.DataFrame) -> Statistics:
    frame = filled(rows.drop(columns="l_ref"))
    frame["l_ref"] = rows["l_ref"].to_numpy()
    return collect(frame)


def table(rows: pd.DataFrame, coverage: float = 0.9) -> pd.DataFrame:
    return tabulated(known(rows), coverage)


def tabulated(found: Statistics, coverage: float = 0.9) -> pd.DataFrame:
    ids = pd.Index(sorted(found.episodes["annotator_id"].unique()), name="annotator_id")
    people = pd.DataFrame({"skill": 0.2, "skill_sd": 0.1}, index=ids)
    return annotators_table(people, found, judge(found.episodes, found.people), coverage=coverage)


def rows_of(episodes: list[tuple[str, str, list[float], list[float]]]) -> pd.DataFrame:
    """Practice rounds, from (annotator, target, guesses, truths)."""
    return pd.DataFrame(
        [
            {
                "annotator_id": who,
                "target_id": target,
                "trial": at + 1,
                "phase": "practice",
                "guess": guess,
                "truth": truth,
                "l_ref": 2.4,
                "seconds": 2.0 + at,
            }
            for who, target, guesses, truths in episodes
            for at, (guess, truth) in enumerate(zip(guesses, truths, strict=True))
        ]
    )


TRUTHS = [4.0, 0.0, 6.0, 2.0, 8.0]


def test_a_small_crowd_by_hand() -> None:
    answers = {
        "exact": TRUTHS,
        "higher": [truth + 1 for truth in TRUTHS],
        "halved": [truth / 2 for truth in TRUTHS],
        "fraudster": [5.0] * 5,
        "careless": [5.0, *TRUTHS[:-1]],
    }
    targets = ("toy/mlp.0/1", "toy/mlp.0/2")
    found = table(rows_of([(who, t, said, TRUTHS) for who, said in answers.items() for t in targets]))
    assert list(found) == [column.name for column in ANNOTATORS.columns]
    assert found["annotator_id"].tolist() == sorted(answers)
    people = found.set_index("annotator_id")
    assert (people["n_guesses"] == 10).all()
    assert (people["n_episodes"] == 2).all()
    assert (people["median_seconds"] == 4.0).all()
    wanted = {"exact": 0, "higher": 1, "halved": -2, "fraudster": 1, "careless": -0.6}
    assert people["bias"].to_dict() == pytest.approx(wanted)
    scale = {"exact": 1, "higher": 1, "halved": 0.5, "fraudster": 0, "careless": -0.5}
    assert people["scale"].to_dict() == pytest.approx(scale, abs=1e-9)
    assert people.loc[["exact", "higher", "fraudster"], "noise_sd"].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert people["learning"]["halved"] == pytest.approx(1 - 2.5 / 2.4 - (1 - 1 / 2.4))
    assert str(people["evidence"]["fraudster"]).startswith("answers hardly vary: they differ by 0.00")
    assert str(people["evidence"]["careless"]).startswith("repeats the last truth in 100 % of rounds")
    assert not people["excluded"].any()
    assert (people["skill_low"] < people["skill"]).all()


def drawn(
    rng: np.random.Generator, *, annotators: int, episodes: int, rounds: int = 12
) -> tuple[pd.DataFrame, pd.Series]:
    """Annotators of known bias, who differ from episode to episode as well."""
    level = pd.Series(rng.normal(0, 0.5, annotators), index=[f"a{at:03d}" for at in range(annotators)])
    played = []
    for who, own in level.items():
        for at in range(episodes):
            truths = rng.uniform(2, 8, rounds)
            guesses = truths + own + rng.normal(0, 0.6) + rng.normal(0, 1, rounds)
            played.append((str(who), f"toy/mlp.0/{at}", list(np.clip(guesses, 0, 10)), list(truths)))
    return rows_of(played), level


@pytest.mark.parametrize("episodes", [1, 2, 4])
def test_intervals_of_bias_cover_however_few_episodes(episodes: int) -> None:
    rng = np.random.default_rng(episodes)
    rows, level = drawn(rng, annotators=150, episodes=episodes)
    if episodes == 1:  # what an episode adds is learned from those who played several
        more, _ = drawn(rng, annotators=100, episodes=3)
        more["annotator_id"] = "b" + more["annotator_id"]
        rows = pd.concat([rows, more], ignore_index=True)
    found = table(rows).set_index("annotator_id").loc[level.index]
    inside = (found["bias_low"] <= level) & (level <= found["bias_high"])
    assert 0.84 <= inside.mean() <= 0.96
    assert (found["scale_low"] <= 1.02).mean() > 0.85
    assert (found["bias_high"] - found["bias_low"]).median() < 5.5 / np.sqrt(episodes)


def test_a_wider_coverage_gives_wider_intervals() -> None:
    rows, _ = drawn(np.random.default_rng(0), annotators=8, episodes=3)
    narrow, wide = table(rows, 0.5), table(rows, 0.95)
    for name in ("bias", "scale", "skill"):
        assert (wide[f"{name}_low"] < narrow[f"{name}_low"]).all()
        assert (wide[f"{name}_high"] > narrow[f"{name}_high"]).all()


def test_bias_for_the_crowd_is_drawn_towards_zero_and_is_nearer_the_truth() -> None:
    rows, level = drawn(np.random.default_rng(4), annotators=150, episodes=2)
    episodes = known(rows).episodes
    shrunk = bias(episodes).set_index("annotator_id")["bias"]
    plain = table(rows).set_index("annotator_id")["bias"]
    assert (shrunk.abs() <= plain.abs() + 1e-9).all()
    assert ((shrunk - level) ** 2).mean() < 0.9 * ((plain - level) ** 2).mean()


def test_one_guess_says_how_far_off_it_was_and_no_more() -> None:
    found = table(rows_of([("a", "toy/mlp.0/1", [3.0], [4.0])])).iloc[0]
    assert found["bias"] == -1.0
    assert np.isnan(found[["bias_low", "scale", "noise_sd", "learning"]].to_numpy(dtype=float)).all()
    assert bias(known(rows_of([("a", "toy/mlp.0/1", [3.0], [4.0])])).episodes)["bias"].tolist() == [0.0]


def test_who_is_in_no_fit_has_no_skill_but_everything_else() -> None:
    found = known(rows_of([(who, "toy/mlp.0/1", TRUTHS, TRUTHS) for who in "ab"]))
    people = pd.DataFrame({"skill": [0.2], "skill_sd": [0.1]}, index=pd.Index(["a"], name="annotator_id"))
    seen = annotators_table(people, found, judge(found.episodes, found.people), coverage=0.9)
    assert seen["skill"].isna().tolist() == [False, True]
    assert seen["bias"].tolist() == [0.0, 0.0]


score = st.integers(0, 20).map(lambda value: value / 2)


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.lists(st.tuples(score, score), min_size=1, max_size=6)),
        min_size=1,
        max_size=6,
        unique_by=lambda episode: episode[:2],
    ),
    st.integers(0, 99),
)
def test_what_is_promised_is_a_number_whatever_the_order_of_rows(
    played: list[tuple[int, int, list[tuple[float, float]]]], by: int
) -> None:
    seen = known(rows_of([(f"a{a}", f"toy/mlp.0/{t}", [g for g, _ in r], [z for _, z in r]) for a, t, r in played]))
    found = tabulated(seen)
    assert found[["bias", "p_bad", "anomaly", "skill"]].notna().all(axis=None)
    several = found["n_guesses"] > 1
    assert found.loc[several, ["bias_low", "bias_high"]].notna().all(axis=None)
    assert (found.loc[several, "bias_low"] <= found.loc[several, "bias"] + 1e-9).all()
    assert (found["scale"].isna() == found["scale_low"].isna())[several].all()
    assert bias(seen.episodes)["bias"].notna().all()
    shuffled = replace(seen, episodes=seen.episodes.sample(frac=1, random_state=by))
    pd.testing.assert_frame_equal(found, tabulated(shuffled))
