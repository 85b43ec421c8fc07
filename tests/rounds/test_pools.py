"""Pools: half active, one item a document, and weights that give the population back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds.invented import Floats, Ints, Invented, invent

from imitable.rounds.kept import Kept
from imitable.rounds.pools import Drawn, draw_pool
from imitable.rounds.strata import INACTIVE, STRATA, Side
from lengths import examples

CORPUS = invent(240, seed=1)
NO_HOT = np.empty(0, np.int64)


def quota(size: int, polarity: str = "pos") -> Ints:
    return Side("both" if polarity == "both" else "pos", 1.0, NO_HOT).quota(size)


def population(documents: int = 300, *, both: bool = False, seed: int = 0) -> Ints:
    """Places of each stratum in each document: many inactive ones, and few of the others."""
    rng = np.random.default_rng(seed)
    rates = np.array([20, 3, 2, 1, 0.5, 0.3, 0.1, 1, 0.5, 0.3, 0.1]) * rng.gamma(3.0, 1 / 3, (documents, 1))
    counts = rng.poisson(rates)
    counts[:, 2 if both else slice(INACTIVE + 4, None)] = 0
    counts[:, 0] += 1
    return np.asarray(counts, dtype=np.int64)


def draw(counts: Ints, size: int, seed: int, polarity: str = "pos") -> Drawn:
    return draw_pool(counts, np.ones(len(counts)), quota(size, polarity), np.random.default_rng(seed))


def estimates(corpus: Invented, side: Side, size: int, kept: list[Kept], starts: Ints) -> Floats:
    """One row a pool: what its weights say of the number of places, their sum of y, and the places of each kind."""
    found = []
    for seed, each in enumerate(kept):
        documents = each.documents
        assert documents is not None
        drawn = draw_pool(documents.counts, each.weights(), side.quota(size), np.random.default_rng([9, seed]))
        places = starts[documents.shard[drawn.rows]] + documents.picks[drawn.rows, drawn.strata]
        y = side.played(corpus.raw[places])
        assert (side.strata(y, corpus.whole.tokens[places]) == drawn.strata).all()
        assert corpus.of_split(each.split)[places].all()
        assert (corpus.document_of[places] == documents.document[drawn.rows]).all()
        w = drawn.weights
        found.append([w.sum(), w @ y, *np.bincount(np.minimum(drawn.strata, INACTIVE), w, minlength=INACTIVE + 1)])
    return np.array(found)


@pytest.mark.parametrize("polarity", ["pos", "neg", "both"])
@pytest.mark.parametrize(
    ("size", "most", "documents"),
    [(24, 10**6, 1000), (24, 10, 17), (60, 6, 40), (6, 8, 25)],
    ids=["one shard", "small shards", "classes overflow", "a quota below the strata"],
)
def test_weights_give_back_the_corpus_on_average(polarity: str, size: int, most: int, documents: int) -> None:
    side = CORPUS.side(polarity)
    kept = CORPUS.kept("practice", side, most=most, documents=documents, seeds=range(examples(250)))
    if most < 10:
        assert all(max(each.weights()) > 1 for each in kept)
    found = estimates(CORPUS, side, size, kept, CORPUS.starts(documents))
    mine = CORPUS.of_split("practice")
    y = side.played(CORPUS.raw[mine])
    strata = side.strata(y, CORPUS.whole.tokens[mine])
    assert min(np.bincount(strata)[[0, 1, INACTIVE]]) > 10
    truth = np.array([len(y), y.sum(), *np.bincount(np.minimum(strata, INACTIVE), minlength=INACTIVE + 1)])
    assert (truth[4] == 0) == (polarity == "both")
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - truth) <= 4 * error).all()


@pytest.mark.parametrize("polarity", ["pos", "both"])
@pytest.mark.parametrize("size", [2, 5, 12, 30])
def test_every_stratum_counts_as_often_as_it_is_there_also_where_it_has_no_quota(size: int, polarity: str) -> None:
    counts = population(40, both=polarity == "both", seed=3)
    draws = examples(500)
    found = np.zeros((draws, len(STRATA)))
    for seed in range(draws):
        drawn = draw(counts, size, seed, polarity)
        found[seed] = np.bincount(drawn.strata, drawn.weights, minlength=len(STRATA))
    truth = counts.sum(axis=0)
    assert (found[:, truth == 0] == 0).all()
    often = (found != 0).sum(axis=0) >= 80  # what fewer pools hold has no normal mean; it is in the total
    assert often[0]
    assert often.sum() >= 5
    error = found.std(axis=0, ddof=1)[often] / np.sqrt(draws)
    assert (np.abs(found.mean(axis=0) - truth)[often] < 4 * error + 1e-9 * truth[often]).all()
    total = found.sum(axis=1)
    assert abs(total.mean() - truth.sum()) < 4 * total.std(ddof=1) / np.sqrt(draws)


@pytest.mark.parametrize("size", [16, 24, 40, 60])
@pytest.mark.parametrize("polarity", ["pos", "both"])
def test_half_of_a_pool_is_active_spread_over_the_strata(size: int, polarity: str) -> None:
    drawn = draw(population(1500, both=polarity == "both"), size, 1, polarity)
    assert np.bincount(drawn.strata, minlength=len(STRATA)).tolist() == quota(size, polarity).tolist()
    assert len(drawn.rows) == size
    assert (drawn.strata < INACTIVE).sum() == size - size // 2


@settings(max_examples=examples(150), deadline=None)
@given(
    documents=st.integers(1, 40),
    each=st.integers(1, 8),
    size=st.integers(2, 60),
    polarity=st.sampled_from(["pos", "both"]),
    active=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_pool_keeps_its_promises(
    documents: int, each: int, size: int, polarity: str, active: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    counts = np.zeros((documents, len(STRATA)), np.int64)
    loud = rng.integers(INACTIVE, len(STRATA) if polarity == "both" else INACTIVE + 4, (documents, each))
    quiet = rng.integers(0, 2 if polarity == "both" else 3, (documents, each))
    np.add.at(counts, (np.arange(documents)[:, None], np.where(rng.random(loud.shape) < active, loud, quiet)), 1)
    own = rng.uniform(1, 5, documents)
    drawn = draw_pool(counts, own, quota(size, polarity), rng)
    assert (np.diff(drawn.rows) > 0).all()
    assert len(drawn.rows) <= min(size, documents)
    assert (counts[drawn.rows, drawn.strata] > 0).all()
    assert (drawn.weights >= own[drawn.rows] * (1 - 1e-9)).all()
    # A document draws a stratum with a chance of 2 % at least, one of its places there, and then a quota is drawn.
    assert (drawn.weights <= own[drawn.rows] * each / 0.02 * documents).all()
    still, moved = int((drawn.strata < INACTIVE).sum()), int((drawn.strata >= INACTIVE).sum())
    assert max(still, moved) <= -(-5 * min(still, moved) // 4)


def test_what_one_stratum_lacks_its_half_makes_up() -> None:
    counts = population(1500)
    counts[:, STRATA.index("active-top")] = 0
    counts[:, STRATA.index("inactive-hard")] = 0
    drawn = draw(counts, 40, 0)
    assert len(drawn.rows) == 40
    assert (drawn.strata >= INACTIVE).sum() == 20


def test_no_document_gives_an_empty_pool() -> None:
    nothing = draw(np.empty((0, len(STRATA)), np.int64), 10, 0)
    assert (len(nothing.rows), len(nothing.strata), len(nothing.weights)) == (0, 0, 0)


def test_a_unit_that_is_never_or_always_active_gives_an_empty_pool() -> None:
    for stratum in (0, INACTIVE):
        counts = np.zeros((50, len(STRATA)), np.int64)
        counts[:, stratum] = 3
        assert len(draw(counts, 10, 0).rows) == 0


def test_the_same_generator_draws_the_same_pool() -> None:
    counts = population()

    def listed(seed: int) -> list[list[float]]:
        drawn = draw(counts, 40, seed)
        columns: tuple[npt.NDArray[np.generic], ...] = (drawn.rows, drawn.strata, drawn.weights)
        return [column.tolist() for column in columns]

    assert listed(5) == listed(5)
    assert listed(5) != listed(6)
