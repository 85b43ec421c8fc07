"""Moments taken batch by batch and shard by shard are those of all rows at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imitable.activations import Moments, merged
from imitable.activations.moments import Sums
from lengths import examples

Rows = np.ndarray[tuple[int, int], np.dtype[np.float32]]


def taken(rows: Rows, cuts: list[int]) -> Moments:
    """Moments of rows that come in batches."""
    sums = Sums(rows.shape[1])
    for batch in np.split(rows, cuts):
        if len(batch):
            sums.add(torch.from_numpy(batch))
    return sums.result()


def skewed(count: int, *, seed: int, mean: float = 0.0) -> Rows:
    rng = np.random.default_rng(seed)
    rows: Rows = (rng.gamma(0.5, 1.0, (count, 5)) * rng.choice([-1, 1, 1], (count, 5)) + mean).astype(np.float32)
    return rows


def by_numpy(rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    x = rows.astype(np.float64)
    centred = x - x.mean(axis=0)
    return x.mean(axis=0), x.std(axis=0), (centred**4).mean(axis=0) / x.var(axis=0) ** 2 - 3


@settings(max_examples=examples(40), deadline=None)
@given(
    count=st.integers(20, 600),
    seed=st.integers(0, 50),
    mean=st.sampled_from([0.0, 3.0, 1e4]),
    cuts=st.lists(st.integers(0, 600), max_size=5).map(sorted),
    shards=st.lists(st.integers(0, 600), max_size=3).map(sorted),
)
def test_any_partition_gives_the_moments_of_the_whole(
    count: int, seed: int, mean: float, cuts: list[int], shards: list[int]
) -> None:
    rows = skewed(count, seed=seed, mean=mean)
    found = merged([taken(part, cuts) for part in np.split(rows, shards)], 5)
    expected_mean, sd, kurtosis = by_numpy(rows)
    assert found.count == count
    np.testing.assert_allclose(found.mean, expected_mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.sd, sd, rtol=2e-3 if mean == 1e4 else 1e-5)
    np.testing.assert_allclose(found.kurtosis, kurtosis, rtol=2e-2 if mean == 1e4 else 1e-4, atol=1e-3)
    np.testing.assert_array_equal(found.maximum, rows.max(axis=0))
    np.testing.assert_array_equal(found.minimum, rows.min(axis=0))


def test_the_same_parts_in_the_same_order_give_the_same_bytes() -> None:
    parts = [taken(skewed(300, seed=seed), [100]) for seed in range(4)]
    assert merged(parts, 5).powers.tobytes() == merged(parts, 5).powers.tobytes()


@pytest.mark.parametrize("value", [0.0, 7.5])
def test_a_constant_unit_has_no_spread_and_no_kurtosis(value: float) -> None:
    found = taken(np.full((50, 2), value, np.float32), [20])
    assert found.sd.tolist() == [0, 0]
    assert found.kurtosis.tolist() == [0, 0]


def test_nothing_at_all_adds_nothing() -> None:
    some = taken(skewed(40, seed=1), [])
    for both in (Moments.none(5) + some, some + Moments.none(5)):
        assert both.powers.tobytes() == some.powers.tobytes()
    assert merged([], 5).count == 0
