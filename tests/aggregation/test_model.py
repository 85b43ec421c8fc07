"""The estimator's parts against what is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from imitable_aggregation.moments import Level, level
from imitable_aggregation.shrinkage import shrink


def crossed(rng: np.random.Generator, *, sds: tuple[float, float, float], n: int = 40) -> Level:
    """Targets, each with eight people who saw the same six items."""
    a, i, e = sds
    people, items = rng.normal(0, a, (n, 8, 1)), rng.normal(0, i, (n, 1, 6))
    skill = people + items + rng.normal(0, e, (n, 8, 6))
    target, who, what = np.indices(skill.shape)
    return level(skill.ravel(), target.ravel(), (target * 8 + who).ravel(), (target * 6 + what).ravel(), n=n)


def test_the_three_variances_are_recovered() -> None:
    found = crossed(np.random.default_rng(0), sds=(0.4, 0.3, 0.6), n=200)
    parts = found.components
    assert (parts.annotator, parts.item, parts.noise) == pytest.approx((0.16, 0.09, 0.36), abs=0.03)
    assert found.variance[0] == pytest.approx(0.16 / 8 + 0.09 / 6 + 0.36 / 48, abs=0.006)


def test_the_sampling_variance_is_that_of_the_means() -> None:
    rng = np.random.default_rng(2)
    levels = [crossed(rng, sds=(0.4, 0.3, 0.6)) for _ in range(10)]
    seen = np.var(np.concatenate([found.mean for found in levels]))
    assert np.mean([found.variance.mean() for found in levels]) == pytest.approx(seen, rel=0.15)


def test_every_annotator_counts_the_same_however_many_rounds() -> None:
    skill = np.array([1.0, 1.0, 1.0, 0.0])
    zero = np.zeros(4, dtype=np.int64)
    found = level(skill, zero, np.array([0, 0, 0, 1]), np.arange(4), n=1)
    assert found.mean.tolist() == [0.5]


def test_a_target_without_guesses_gets_the_common_mean_and_a_wide_interval() -> None:
    found = shrink(np.array([0.0, 1.0, np.nan]), np.array([0.01, 0.01, np.inf]))
    assert found.mean[2] == pytest.approx(0.5, abs=0.01)
    assert found.sd[2] > 3 * found.sd[0]


def test_uncertain_estimates_are_drawn_further_towards_the_mean() -> None:
    found = shrink(np.array([0.0, 0.2, 0.4, 1.0, 1.0]), np.array([0.02, 0.02, 0.02, 0.02, 0.5]))
    assert found.mean[4] < found.mean[3] < 1.0
    assert found.sd[4] > found.sd[3]


def test_agreement_of_the_estimates_does_not_make_the_intervals_vanish() -> None:
    found = shrink(np.full(4, 0.3), np.full(4, 0.04))
    assert found.mean == pytest.approx(0.3)
    assert (found.sd > 0.10).all()


def test_one_level_alone_stays_where_it_is() -> None:
    found = shrink(np.array([0.3]), np.array([0.04]))
    assert found.mean == pytest.approx(0.3)
    assert found.sd == pytest.approx(0.2)
