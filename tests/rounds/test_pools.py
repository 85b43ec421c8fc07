"""Pools: half active, one item a document, and weights that give the population back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imitable.rounds.pools import Drawn, Ints, draw_pool, strata_of
from lengths import examples

Floats = npt.NDArray[np.float64]


class Population:
    """Documents of several places each, of which few are active: a document is as active as its subject."""

    def __init__(self, documents: int = 300, each: int = 30, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.documents: Ints = np.repeat(np.arange(documents, dtype=np.intp), each)
        subject = np.repeat(rng.gamma(0.5, 1.0, documents), each)
        self.y: Floats = subject * rng.exponential(1.0, len(subject)) - 0.3
        self.bound = float(np.quantile(self.y, 0.999))
        self.strata = strata_of(self.y, self.bound)

    def draw(self, size: int, seed: int) -> Drawn:
        return draw_pool(self.strata, self.documents, size, np.random.default_rng(seed))


def test_strata_are_cut_at_a_tenth_three_tenths_and_six_tenths() -> None:
    y = np.array([-1.0, 0.0, 0.99, 1.0, 2.99, 3.0, 5.99, 6.0, 10.0, 12.0])
    assert strata_of(y, 10.0).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]


@pytest.mark.parametrize(("documents", "size"), [(300, 60), (80, 40), (60, 24)])
def test_weights_give_back_the_population_on_average(documents: int, size: int) -> None:
    population = Population(documents)
    totals, counts, shares = [], [], []
    for seed in range(300):
        drawn = population.draw(size, seed)
        y = population.y[drawn.pairs]
        totals.append(drawn.weights @ y)
        counts.append(drawn.weights.sum())
        shares.append(drawn.weights @ (drawn.strata > 0))
    for found, truth in (
        (totals, population.y.sum()),
        (counts, len(population.y)),
        (shares, (population.strata > 0).sum()),
    ):
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        assert abs(np.mean(found) - truth) < 4 * error
        assert error < 0.1 * truth


def test_every_place_is_drawn_as_often_as_its_weight_says() -> None:
    population = Population(documents=40, each=6)
    estimate = np.zeros(len(population.y))
    draws = 1200
    for seed in range(draws):
        drawn = population.draw(20, seed)
        np.add.at(estimate, drawn.pairs, drawn.weights)
    # Each place's inverse-probability estimate of "one of me" is 1 on average.
    assert np.mean(estimate / draws) == pytest.approx(1, abs=0.01)
    assert np.quantile(np.abs(estimate / draws - 1), 0.9) < 0.5
    assert (estimate > 0).all()


@pytest.mark.parametrize("size", [16, 24, 40, 60])
def test_half_of_a_pool_is_active_spread_over_the_strata(size: int) -> None:
    drawn = Population().draw(size, seed=1)
    assert len(drawn.pairs) == size
    assert (drawn.strata == 0).sum() == size - size // 2
    active = [int((drawn.strata == s).sum()) for s in (1, 2, 3)]
    assert max(active) - min(active) <= 1


@settings(max_examples=examples(150), deadline=None)
@given(
    documents=st.integers(1, 40),
    each=st.integers(1, 8),
    size=st.integers(2, 60),
    active=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_pool_keeps_its_promises(documents: int, each: int, size: int, active: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    row: Ints = np.repeat(np.arange(documents, dtype=np.intp) * 7, each)
    strata: Ints = np.where(rng.random(len(row)) < active, rng.integers(1, 4, len(row)), 0).astype(np.intp)
    drawn = draw_pool(strata, row, size, rng)
    chosen = row[drawn.pairs]
    assert len(set(chosen.tolist())) == len(chosen) <= min(size, documents)
    assert (strata[drawn.pairs] == drawn.strata).all()
    assert (np.diff(drawn.pairs) > 0).all()
    assert (drawn.weights >= 1 - 1e-9).all()
    # A document draws a stratum with a chance of 2 % at least, one of its places there, and then a quota is drawn.
    assert (drawn.weights <= each / 0.02 * documents).all()
    quiet, loud = int((drawn.strata == 0).sum()), int((drawn.strata > 0).sum())
    assert max(quiet, loud) <= -(-5 * min(quiet, loud) // 4)


def test_no_place_gives_an_empty_pool() -> None:
    nothing = np.empty(0, dtype=np.intp)
    assert len(draw_pool(nothing, nothing, 10, np.random.default_rng(0)).pairs) == 0


def test_the_same_generator_draws_the_same_pool() -> None:
    first, second, other = (Population().draw(40, seed) for seed in (5, 5, 6))
    assert first.pairs.tolist() == second.pairs.tolist()
    assert first.weights.tolist() == second.weights.tolist()
    assert first.pairs.tolist() != other.pairs.tolist()
