"""What is kept of a unit's documents: the same in whatever order and shards they come, and never more than was said."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds.invented import SPLITS, Ints, invent

from imitable.rounds.kept import Documents, Kept
from imitable.rounds.strata import INACTIVE, LOUDNESS, STRATA
from lengths import examples

TOPS = 32
CLASSES = int(LOUDNESS.max()) + 1


def documents(count: int, seed: int) -> Documents:
    """Documents with few loud strata each."""
    rng = np.random.default_rng(seed)
    counts: Ints = rng.poisson(np.array([5, 1, 1] + [0.2] * (len(STRATA) - INACTIVE)), (count, len(STRATA)))
    counts[:, 0] += 1
    places = rng.integers(0, 10**6, counts.shape)
    return Documents(
        document=np.arange(count),
        shard=np.zeros(count, np.int64),
        counts=counts,
        picks=np.where(counts > 0, places, -1),
        top=np.round(rng.gamma(0.5, 1.0, count), 1).astype(np.float32),  # with ties
        top_at=places[:, 0],
        quiet_at=places[:, 1],
        ticket=rng.random(count),
    )


def after(parts: list[Documents], most: int) -> Kept:
    kept = Kept("practice", most)
    for part in parts:
        kept = kept.taking(part)
    return kept


def in_order(rows: Documents | None) -> list[list[float]]:
    if rows is None:
        return []
    order = np.argsort(rows.document)
    return [getattr(rows, field.name)[order].tolist() for field in fields(rows)]


def same(one: Kept, other: Kept) -> bool:
    loudest = [[] if each.loudest is None else each.loudest.document.tolist() for each in (one, other)]
    return (
        loudest[0] == loudest[1] and one.sizes == other.sizes and in_order(one.documents) == in_order(other.documents)
    )


@settings(max_examples=examples(120), deadline=None)
@given(
    count=st.integers(0, 120),
    most=st.integers(1, 12),
    cuts=st.lists(st.integers(0, 120), max_size=6),
    seed=st.integers(0, 10**6),
)
def test_neither_order_nor_shards_change_what_is_kept(count: int, most: int, cuts: list[int], seed: int) -> None:
    all_of_them = documents(count, seed)
    rng = np.random.default_rng(seed)
    groups = np.split(rng.permutation(count), sorted(min(cut, count) for cut in cuts))
    parts = [all_of_them.at(group) for group in groups]
    at_once = after([all_of_them], most)
    assert same(at_once, after(parts, most))
    assert same(at_once, after(parts[::-1], most))


@settings(max_examples=examples(60), deadline=None)
@given(count=st.integers(1, 300), most=st.integers(1, 12), step=st.integers(1, 60), seed=st.integers(0, 10**6))
def test_memory_is_bounded_and_what_is_kept_has_the_smallest_tickets(
    count: int, most: int, step: int, seed: int
) -> None:
    every = documents(count, seed)
    kept = Kept("practice", most)
    for first in range(0, count, step):
        kept = kept.taking(every.at(np.arange(first, min(first + step, count))))
        assert kept.documents is not None
        assert kept.loudest is not None
        assert np.bincount(kept.documents.classes).max() <= most
        assert len(kept.documents) <= most * CLASSES
        assert len(kept.loudest) <= TOPS
        assert kept.documents.picks.base is None  # a view would hold on to all that was ever seen
    documents_kept, loudest = kept.documents, kept.loudest
    assert documents_kept is not None
    assert loudest is not None
    for one in range(CLASSES):
        mine = np.flatnonzero(every.classes == one)
        assert kept.sizes[one] == len(mine)
        smallest = mine[np.argsort(every.ticket[mine])][:most]
        assert sorted(documents_kept.document[documents_kept.classes == one]) == sorted(smallest)
    assert loudest.top.tolist() == sorted(every.top.tolist(), reverse=True)[:TOPS]


@settings(max_examples=examples(60), deadline=None)
@given(count=st.integers(1, 200), most=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_weights_count_every_document_of_a_class(count: int, most: int, seed: int) -> None:
    kept = after([documents(count, seed)], most)
    assert kept.documents is not None
    weights = kept.weights()
    assert (weights >= 1).all()
    counted = np.bincount(kept.documents.classes, weights, CLASSES)
    np.testing.assert_allclose(counted, kept.sizes, rtol=1e-12)


def test_a_documents_class_is_the_rarest_stratum_that_it_holds() -> None:
    counts = np.eye(len(STRATA), dtype=np.int64)
    counts[:, 0] += 1
    rows = replace(documents(len(STRATA), 0), counts=counts)
    assert rows.classes.tolist() == LOUDNESS.tolist()


def test_nothing_seen_is_nothing_kept() -> None:
    kept = Kept("examples", 4)
    assert kept.taking(documents(0, 0)) == kept
    assert len(kept.weights()) == 0


def test_what_a_shard_gives_is_the_documents_of_one_split() -> None:
    corpus = invent(60, seed=2)
    side = corpus.side("both")
    for split in SPLITS:
        kept = corpus.kept(split, side, most=1000, documents=7, seeds=[3])[0]
        assert kept.documents is not None
        expected = [at for at in range(60) if corpus.splits[at] == split and (corpus.document_of == at).any()]
        assert sorted(kept.documents.document) == expected
        assert (kept.documents.shard == kept.documents.document // 7).all()
