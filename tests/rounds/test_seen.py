"""What one shard shows of a unit: counts, uniform picks, loudest and quiet places, and the corpus' upper quantile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds.invented import Ints, Invented, Raw, invent, laid_out

from imitable.rounds import Seen, Side, see, upper_quantile
from imitable.rounds.strata import STRATA
from lengths import examples

CORPUS = invent(30, seed=4)


def seen_of(corpus: Invented, side: Side, *seeds: int) -> Seen:
    rngs = [np.random.default_rng(seed) for seed in seeds]
    columns = np.repeat(corpus.raw[:, None], len(seeds), axis=1)
    return see(corpus.whole, columns, [side] * len(seeds), rngs)


@pytest.mark.parametrize("corpus", [CORPUS, replace(CORPUS, raw=np.round(CORPUS.raw, 1))], ids=["apart", "ties"])
@pytest.mark.parametrize("polarity", ["pos", "neg", "both"])
def test_what_is_counted_is_what_a_loop_would_count(polarity: str, corpus: Invented) -> None:
    side = corpus.side(polarity)
    seen = seen_of(corpus, side, 0)
    y = side.played(corpus.raw)
    strata = side.strata(y, corpus.whole.tokens)
    size = np.abs(y) if polarity == "both" else y
    window_of = np.repeat(np.arange(len(corpus.whole)), corpus.whole.lengths)
    assert seen.document.tolist() == sorted(set(corpus.document_of[corpus.whole.focusable].tolist()))
    assert seen.places.tolist() == [corpus.whole.focusable.sum()]
    for row, document in enumerate(seen.document):
        mine = np.flatnonzero(corpus.whole.focusable & (corpus.document_of == document))
        assert seen.counts[0, row].tolist() == np.bincount(strata[mine], minlength=len(STRATA)).tolist()
        for stratum in range(len(STRATA)):
            pick = seen.picks[0, row, stratum]
            places = mine[strata[mine] == stratum]
            assert pick in places if len(places) else pick == -1
        assert seen.top[0, row] == size[mine].max()
        assert seen.top_at[0, row] == mine[np.argmax(size[mine])]
        quiet = [at for at in mine if size[mine[window_of[mine] == window_of[at]]].max() < 0.1 * side.bound]
        assert seen.quiet_at[0, row] in quiet if quiet else seen.quiet_at[0, row] == -1


def test_a_pick_is_any_place_of_its_stratum_equally_often() -> None:
    side = CORPUS.side("pos")
    draws = examples(600)
    seen = seen_of(CORPUS, side, *range(draws))
    chi, freedom = 0.0, 0
    for row in range(len(seen.document)):
        for stratum in (0, 1, 2):
            picks, counts = np.unique(seen.picks[:, row, stratum], return_counts=True)
            there = int(seen.counts[0, row, stratum])
            if there > 1:
                assert len(picks) == there
                chi += float(((counts - draws / there) ** 2).sum() * there / draws)
                freedom += there - 1
    assert abs(chi - freedom) < 4 * np.sqrt(2 * freedom)
    assert abs(seen.tickets.mean() - 0.5) < 4 / np.sqrt(12 * seen.tickets.size)


def test_units_are_seen_apart_and_by_their_own_generators() -> None:
    sides = [CORPUS.side("pos"), CORPUS.side("both")]
    raw = np.stack([CORPUS.raw, CORPUS.raw[::-1]], axis=1)
    together = see(CORPUS.whole, raw, sides, [np.random.default_rng(seed) for seed in (1, 2)]).arrays()
    for unit in (0, 1):
        rngs = [np.random.default_rng(unit + 1)]
        alone = see(CORPUS.whole, raw[:, [unit]], [sides[unit]], rngs).arrays()
        for name, array in alone.items():
            np.testing.assert_array_equal(
                array if name in ("document", "places") else array[0],
                together[name] if name in ("document", "places") else together[name][unit],
            )


def test_a_shard_without_a_place_to_ask_about_shows_nothing() -> None:
    side = Side("pos", 1.0, np.empty(0, np.int64))
    for shard in (laid_out([]), laid_out([(0, [1, 2, 3], [])])):
        raw: Raw = np.ones((len(shard.tokens), 1), np.float32)
        seen = see(shard, raw, [side], [np.random.default_rng(0)])
        assert len(seen.document) == 0
        assert seen.places.tolist() == [0]
        assert not seen.tail.any()


def tail_of(values: Raw, bound: float) -> tuple[Ints, int]:
    shard = laid_out((number, [0] * 100, list(range(100))) for number in range(len(values) // 100))
    side = Side("pos", bound, np.empty(0, np.int64))
    seen = see(shard, values[:, None], [side], [np.random.default_rng(0)])
    return seen.tail[0].astype(np.int64), int(seen.places[0])


@settings(max_examples=examples(12), deadline=None)
@given(seed=st.integers(0, 99), kind=st.sampled_from(["normal", "gamma", "lognormal"]), off=st.floats(0.01, 3))
def test_the_upper_quantile_is_within_three_parts_in_a_thousand(seed: int, kind: str, off: float) -> None:
    rng = np.random.default_rng(seed)
    drawn = {
        "normal": rng.normal(0, 2, 100_000),
        "gamma": rng.gamma(0.3, 1.0, 100_000),
        "lognormal": rng.lognormal(0, 1, 100_000),
    }
    values = drawn[kind].astype(np.float32)
    exact = float(np.quantile(values.astype(np.float64), 0.999))
    tail, places = tail_of(values, exact * off)
    assert upper_quantile(tail, places, bound=exact * off) == pytest.approx(exact, rel=0.003)


def test_a_bound_that_was_far_too_high_gives_three_tenths_of_it() -> None:
    values = np.random.default_rng(0).gamma(0.3, 1.0, 100_000).astype(np.float32)
    exact = float(np.quantile(values, 0.999))
    tail, places = tail_of(values, exact * 100)
    assert upper_quantile(tail, places, bound=exact * 100) == pytest.approx(30 * exact, rel=1e-9)


def test_tails_of_shards_add_up() -> None:
    values = np.random.default_rng(0).gamma(0.3, 1.0, 50_000).astype(np.float32)
    whole, places = tail_of(values, 3.0)
    halves = [tail_of(part, 3.0) for part in (values[:20_000], values[20_000:])]
    assert (halves[0][0] + halves[1][0]).tolist() == whole.tolist()
    assert sum(count for _, count in halves) == places
