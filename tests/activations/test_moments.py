"""Moments that are merged batch by batch are the moments of everything, however it was divided."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imitable.activations import Moments, merged
from imitable.activations.moments import Sums
from imitable.activations.summing import adder
from lengths import examples

Values = npt.NDArray[np.float32]


def moments_of(batches: list[Values], width: int) -> Moments:
    sums = Sums(width)
    for batch in batches:
        sums.add(torch.from_numpy(batch))
    return sums.result()


def values(count: int, seed: int, mean: float = 0.0) -> Values:
    """Three units: light tails, heavy tails, one that hardly ever fires."""
    rng = np.random.default_rng(seed)
    columns = [rng.normal(0, 1, count), rng.standard_t(5, count), rng.gamma(0.1, 1.0, count)]
    return (np.stack(columns, axis=1) + mean).astype(np.float32)


def by_numpy(rows: Values) -> dict[str, npt.NDArray[np.float64]]:
    exact = rows.astype(np.float64)
    away = exact - exact.mean(axis=0)
    variance = (away**2).mean(axis=0)
    kurtosis = np.where(variance > 1e-12, (away**4).mean(axis=0) / np.maximum(variance, 1e-12) ** 2 - 3, 0)
    return {
        "mean": exact.mean(axis=0),
        "sd": exact.std(axis=0),
        "kurtosis": kurtosis,
        "minimum": exact.min(axis=0),
        "maximum": exact.max(axis=0),
    }


def compare(found: Moments, rows: Values, *, rtol: float, atol: float) -> None:
    assert found.count == len(rows)
    for name, exact in by_numpy(rows).items():
        np.testing.assert_allclose(getattr(found, name), exact, rtol=rtol, atol=atol, err_msg=name)


@settings(max_examples=examples(60), deadline=None)
@given(
    count=st.integers(1, 600),
    cuts=st.lists(st.integers(0, 600), max_size=8),
    shards=st.lists(st.integers(0, 9), max_size=3),
    seed=st.integers(0, 10**6),
)
def test_any_partition_into_batches_and_shards_gives_numpys_moments(
    count: int, cuts: list[int], shards: list[int], seed: int
) -> None:
    rows = values(count, seed)
    batches = [batch for batch in np.split(rows, sorted(min(cut, count) for cut in cuts)) if len(batch)]
    borders = [0, *sorted(min(at, len(batches)) for at in shards), len(batches)]
    parts = [moments_of(batches[a:b], 3) for a, b in pairwise(borders)]
    found = merged(parts, 3)
    compare(found, rows, rtol=1e-4, atol=1e-5)
    one_by_one = Moments.none(3)
    for part in parts:
        one_by_one = merged([one_by_one, part], 3)
    for name in ("mean", "powers", "minimum", "maximum"):
        assert getattr(one_by_one, name).tobytes() == getattr(found, name).tobytes()


@pytest.mark.parametrize("batch", [37, 1000, 20_000])
def test_a_mean_that_is_large_beside_the_spread_does_not_drown_it(batch: int) -> None:
    rows = values(20_000, 5, mean=1e4)
    found = moments_of([rows[at : at + batch] for at in range(0, len(rows), batch)], 3)
    exact = by_numpy(rows)
    np.testing.assert_allclose(found.mean, exact["mean"], rtol=1e-6)
    np.testing.assert_allclose(found.sd, exact["sd"], rtol=1e-3)
    np.testing.assert_allclose(found.kurtosis, exact["kurtosis"], rtol=5e-3, atol=0.01)


def test_the_third_power_is_merged_too() -> None:
    rows = values(5000, 7)
    found = moments_of([rows[:10], rows[10:3000], rows[3000:]], 3)
    exact = rows.astype(np.float64)
    np.testing.assert_allclose(found.powers[1], ((exact - exact.mean(axis=0)) ** 3).sum(axis=0), rtol=1e-3, atol=1)


def test_the_same_parts_in_the_same_order_give_the_same_bytes() -> None:
    rows = values(999, 3)
    once, again = (moments_of(np.split(rows, [100, 500]), 3) for _ in range(2))
    assert once.powers.tobytes() == again.powers.tobytes()
    assert once.mean.tobytes() == again.mean.tobytes()


def test_of_nothing_there_is_nothing_and_a_constant_unit_has_no_kurtosis() -> None:
    nothing = merged([], 2)
    assert nothing.count == 0
    assert nothing.sd.tolist() == [0, 0]
    assert nothing.kurtosis.tolist() == [0, 0]
    constant = moments_of([np.full((50, 2), 3.25, np.float32)] * 3, 2)
    assert (nothing + constant) is constant
    assert (constant + nothing) is constant
    assert constant.kurtosis.tolist() == [0, 0]
    assert constant.sd.tolist() == [0, 0]


@pytest.mark.parametrize("width", [1, 511, 513, 1100])
@pytest.mark.parametrize("count", [1, 3, 66, 131])
def test_bfloat16_and_any_shape_are_summed_as_the_numbers_that_they_stand_for(width: int, count: int) -> None:
    rows = torch.randn(count, width, generator=torch.Generator().manual_seed(width + count)).bfloat16()
    sums = Sums(width)
    sums.add(rows)
    sums.add(rows[: count // 2 + 1, torch.arange(width)])
    exact = torch.cat([rows, rows[: count // 2 + 1]]).float().numpy()
    compare(sums.result(), exact, rtol=1e-4, atol=1e-5)


def test_an_accelerators_way_gives_the_same_moments() -> None:
    rows = torch.from_numpy(values(300, 11)).bfloat16()
    here, there = Sums(3), Sums(3)
    here.add(rows[:100])
    there.add(rows[:100])
    here.add(rows[100:])
    there._count += 200
    there._add_on_device(rows[100:])
    for name in ("mean", "powers", "minimum", "maximum"):
        np.testing.assert_allclose(getattr(there.result(), name), getattr(here.result(), name), rtol=1e-4)


def test_where_nothing_can_be_kept_the_loop_is_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object, **options: object) -> object:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr("numba.njit", nowhere)
    adder.cache_clear()
    try:
        assert callable(adder())
    finally:
        adder.cache_clear()
