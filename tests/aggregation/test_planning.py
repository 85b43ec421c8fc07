"""Plans: forecasts that agree with what the estimator then does, and choices with their exact probabilities."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from imitable_aggregation.allocation import UNIFORM, next_episodes, probabilities, top_two
from imitable_aggregation.defaults import filled
from imitable_aggregation.errors import TableError
from imitable_aggregation.model import fit
from imitable_aggregation.pilot import read_pilot, with_unplayed
from imitable_aggregation.plan_files import Planned, read_plan, write_plan
from imitable_aggregation.planning import DEFAULT, Variances, forecast
from imitable_aggregation.rank import rank
from imitable_aggregation.simulate import Setting, simulate
from imitable_aggregation.statistics import collect

Floats = npt.NDArray[np.float64]


def drawn(targets: int, *, draws: int = 60, seed: int = 0, error: float = 0.15) -> Floats:
    """Joint draws of targets of random level."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.25, targets) + rng.normal(0, error, (draws, targets))


def test_more_annotators_tell_more_and_cost_no_sense() -> None:
    found = [forecast(DEFAULT, targets=100, annotators=n, episodes=4) for n in (25, 100, 250, 1000)]
    assert [f.per_target for f in found] == [1.0, 4.0, 10.0, 40.0]
    for name, rising in (("reliability", 1), ("tau", 1), ("top_hit", 1), ("width", -1), ("rank_width", -1)):
        values = [rising * getattr(f, name) for f in found]
        assert values == sorted(values), name
    assert all(0 < f.tau < 1 and 0 < f.rank_width <= 1 and 0 < f.top_hit <= 1 for f in found)


def test_a_forecast_follows_the_formula_where_it_is_simple() -> None:
    one = np.eye(1)
    simple = Variances(0.05 * one, 0.02 * one, 0.03 * one, noise=0.5, item=0.0, knots=("held_out",))
    found = forecast(simple, targets=50, annotators=500, episodes=1, practice=0, held_out=5)
    reliability = 0.05 / (0.05 + (0.02 + 0.03 + 0.5 / 5) / 10)
    assert found.reliability == pytest.approx(reliability)
    assert found.tau == pytest.approx(2 / np.pi * np.arcsin(np.sqrt(reliability)))
    assert found.width == pytest.approx(2 * 1.6448536 * np.sqrt(0.05 * (1 - reliability)))
    crossed = forecast(simple, targets=50, annotators=125, episodes=4, practice=0, held_out=5)
    assert crossed.reliability > reliability  # what somebody's other episodes tell of him is no error


def test_few_shared_items_and_dishonest_people_are_reckoned_with() -> None:
    usual = forecast(DEFAULT, targets=60, annotators=600, episodes=4)
    assert forecast(DEFAULT, targets=60, annotators=600, episodes=4, pool=6).tau < usual.tau
    assert forecast(DEFAULT, targets=60, annotators=600, episodes=4, honest=0.5).per_target == 20
    assert forecast(DEFAULT, targets=60, annotators=15, episodes=2).per_target == 0.5


def test_a_forecast_agrees_with_what_the_estimator_then_does() -> None:
    taus, widths, expected = [], [], []
    for seed in (400, 401):
        campaign = simulate(Setting(guesses=10_000, per_target=200, bad=0.0, seed=seed))
        statistics = collect(filled(campaign.guesses.copy()))
        found = fit(statistics.episodes, statistics.items(), statistics.knots)
        statistics.close()
        taus.append(kendalltau(found.targets["imitability"], campaign.imitability).statistic)
        widths.append(float(found.targets["imitability_sd"].median()) * 2 * 1.645)
        people = statistics.episodes["annotator_id"].nunique()
        variances = Variances.of(found.components, "this")
        expected.append(forecast(variances, targets=50, annotators=people, episodes=4))
    assert np.mean([f.tau for f in expected]) == pytest.approx(np.mean(taus), abs=0.05)
    assert np.mean([f.width for f in expected]) == pytest.approx(np.mean(widths), rel=0.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": 0}, r"0 targets make no campaign"),
        ({"annotators": 0}, r"0 annotators make no campaign"),
        ({"episodes": 11}, r"plays a target once, and so not 11 episodes on 10 targets"),
        ({"practice": 0, "held_out": 0}, r"an episode without rounds tells nothing"),
        ({"honest": 0.0}, r"0 is no share of episodes"),
    ],
)
def test_a_campaign_that_cannot_be_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        forecast(DEFAULT, **{"targets": 10, "annotators": 10, "episodes": 2, **changes})


def test_components_that_are_none_are_named() -> None:
    with pytest.raises(TableError, match=r"no variance components .*write it anew with 'imitable rank'"):
        Variances.of({"target": [[1.0]]}, "")


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 30), st.data())
def test_probabilities_sum_to_one_and_leave_no_target_out(targets: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, targets - 1))
    draws = drawn(targets, seed=data.draw(st.integers(0, 10**6)), error=data.draw(st.sampled_from([0.0, 0.05, 0.5])))
    for goal in ("top", "all"):
        chance = probabilities(draws, goal, k=k)
        assert chance.sum() == pytest.approx(1)
        assert chance.min() >= UNIFORM / targets - 1e-12


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(9)), st.integers(0, 10**6))
def test_probabilities_go_with_their_target_and_not_with_its_place(order: list[int], seed: int) -> None:
    draws = drawn(9, seed=seed)
    np.testing.assert_allclose(top_two(draws[:, order], 3), top_two(draws, 3)[order], atol=1e-12)


def test_top_two_is_what_drawing_would_give() -> None:
    draws, k = drawn(8, draws=12, seed=3), 3
    best = [frozenset(np.argsort(-row)[:k]) for row in draws]
    expected = np.zeros(8)
    for first in best:
        others = [second for second in best if second != first]
        for second in others:
            for target in first ^ second:
                expected[target] += 1 / (len(best) * len(others) * len(first ^ second))
    np.testing.assert_allclose(top_two(draws, k), expected, atol=1e-12)


def test_top_two_plays_what_is_contested_and_not_what_is_clear() -> None:
    level = np.array([1.0, 0.9, 0.5, 0.48, -0.5, -0.6])
    draws = level + np.random.default_rng(0).normal(0, 0.05, (400, 6))
    chance = top_two(draws, 3)
    assert chance[[2, 3]].sum() > 0.99
    assert top_two(np.tile(level, (5, 1)), 3) == pytest.approx(np.full(6, 1 / 6))


def test_choices_come_as_often_as_their_probability_says() -> None:
    draws = {"held_out": drawn(12, seed=5)}
    ids = [f"m/mlp.0/{at}" for at in range(12)]
    chance = dict(zip(ids, probabilities(draws["held_out"], "top", k=3), strict=True))
    counts: Counter[str] = Counter()
    for seed in range(400):
        plan = next_episodes(draws, ids, 5, "top", k=3, rng=np.random.default_rng(seed), levels=("examples", "text"))
        assert list(plan.columns) == ["target_id", "level", "probability"]
        assert len(plan) == 5
        for row in plan.itertuples():
            assert row.probability == pytest.approx(chance[str(row.target_id)] / 2)
        counts.update(plan["target_id"])
    for name in ids:
        assert counts[name] / 2000 == pytest.approx(chance[name], abs=0.02)


def test_uniform_choices_are_spread_evenly() -> None:
    ids = [f"t{at}" for at in range(10)]
    plan = next_episodes({"held_out": drawn(10)}, ids, 20, "all", rng=np.random.default_rng(1))
    assert set(plan["target_id"].value_counts()) == {2}
    assert set(plan["probability"]) == {0.1}


def test_the_same_seed_chooses_the_same(tmp_path: Path) -> None:
    draws, ids = {"held_out": drawn(20)}, [f"t{at}" for at in range(20)]
    one, two = (next_episodes(draws, ids, 9, k=4, rng=np.random.default_rng(7)) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("k", [0, 5, 6])
def test_a_top_that_is_no_choice_is_said(k: int) -> None:
    with pytest.raises(TableError, match=rf"the best {k} of 5 targets are no choice; give a smaller k"):
        next_episodes({"held_out": drawn(5)}, list("abcde"), 3, k=k, rng=np.random.default_rng(0))


def test_targets_that_nobody_played_are_as_uncertain_as_targets_are() -> None:
    played = drawn(30, draws=400, error=0.01)
    every = with_unplayed(played, [f"t{at}" for at in range(30)], ["new", "t3"], np.random.default_rng(0))
    assert every[:, 1] == pytest.approx(played[:, 3])
    assert every[:, 0].std() == pytest.approx(played.mean(axis=0).std(), rel=0.25)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8).filter(lambda t: t == t.strip()), min_size=1, max_size=6, unique=True))
def test_a_plan_comes_back_as_it_was_written(names: list[str]) -> None:
    import tempfile

    if any(not name.isprintable() for name in names):
        return
    chance = 1 / (3 * len(names))
    frame = pd.DataFrame({"target_id": names, "level": "text", "probability": chance})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "next.csv"
        write_plan(path, pd.concat([frame, frame]))
        assert [one.name for one in Path(folder).iterdir()] == ["next.csv"]
        assert read_plan(path, targets=names, levels=["text"]) == [Planned(name, "text", chance) for name in names]


def test_a_plan_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "next.csv").mkdir()
    frame = pd.DataFrame({"target_id": ["t"], "level": "text", "probability": 0.5})
    with pytest.raises(TableError, match=r"next\.csv: is a folder; give the path of a file"):
        write_plan(tmp_path / "next.csv", frame)
    assert [one.name for one in tmp_path.iterdir()] == ["next.csv"]


def test_a_pilot_is_the_same_from_guesses_and_from_their_ranking(tmp_path: Path) -> None:
    campaign = simulate(Setting(guesses=3000, per_target=150, bad=0.05, seed=2))
    source = tmp_path / "guesses.csv"
    campaign.guesses.assign(platform="simulated").to_csv(source, index=False)
    rank(source, tmp_path / "results")
    fresh, kept = read_pilot(source), read_pilot(tmp_path / "results")
    assert fresh.target_ids == kept.target_ids
    np.testing.assert_allclose(fresh.held_out, kept.held_out)
    np.testing.assert_allclose(fresh.variances.target, kept.variances.target)
    assert (fresh.levels, fresh.simulated) == (kept.levels, kept.simulated) == (["text"], True)
    assert fresh.honest == pytest.approx(kept.honest)
    assert fresh.skill == pytest.approx(kept.skill)
    (tmp_path / "results" / "fit.json").write_text("{}", encoding="utf-8")
    with pytest.raises(TableError, match=r"results that cannot be read .*write them anew with 'imitable rank'"):
        read_pilot(tmp_path / "results")
