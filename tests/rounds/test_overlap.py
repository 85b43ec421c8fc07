"""No run of twelve tokens on two sides, and no text twice, compared with a loop over all pairs of windows."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rounds.invented import SPLITS, laid_out

from imitable.activations import Shard
from imitable.rounds import Split, windows_to_keep
from imitable.rounds.overlap import KEPT_FIRST
from lengths import examples

Texts = list[list[int]]
SPECIAL = 9


def kept(texts: Texts, splits: list[Split], *, special: tuple[int, ...] = (), cuts: tuple[int, ...] = ()) -> list[bool]:
    """Which windows stay. One document a window; shards begin at `cuts`."""
    borders = [0, *sorted(cuts), len(texts)]
    shards: list[Shard] = [
        laid_out((at, texts[at], []) for at in range(first, last)) for first, last in pairwise(borders)
    ]
    with tempfile.TemporaryDirectory() as work:
        flags = windows_to_keep(shards, splits, special=frozenset(special), work=Path(work))
        assert list(Path(work).iterdir()) == []
    assert [len(each) for each in flags] == [len(shard) for shard in shards]
    return [bool(each) for each in np.concatenate(flags)]


def runs(text: list[int]) -> set[tuple[int, ...]]:
    return {tuple(text[at : at + 12]) for at in range(len(text) - 11)}


def by_hand(texts: Texts, splits: list[Split], special: tuple[int, ...]) -> list[bool]:
    plain = [[token for token in text if token not in special] for text in texts]
    order = {at: (KEPT_FIRST.index(splits[at]), at) for at in range(len(texts))}
    stay = []
    for at, text in enumerate(plain):
        shares = any(order[other][0] < order[at][0] and runs(text) & runs(plain[other]) for other in range(len(texts)))
        repeats = any(order[other] < order[at] and text == plain[other] for other in range(len(texts)))
        stay.append(not (shares or (repeats and bool(text))))
    return stay


@settings(max_examples=examples(200), deadline=None)
@given(
    texts=st.lists(st.lists(st.sampled_from([0, 0, 0, 1, SPECIAL]), max_size=22), min_size=1, max_size=12),
    seed=st.integers(0, 99),
    cuts=st.lists(st.integers(0, 12), max_size=3),
    copies=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=4),
)
@example(texts=[[SPECIAL, SPECIAL], [SPECIAL], []], seed=0, cuts=[], copies=[])
def test_what_is_kept_is_what_a_loop_over_all_windows_keeps(
    texts: Texts, seed: int, cuts: list[int], copies: list[tuple[int, int]]
) -> None:
    texts = [list(text) or [SPECIAL] for text in texts]
    for source, target in copies:
        texts[target % len(texts)] = list(texts[source % len(texts)])
    splits = [SPLITS[at] for at in np.random.default_rng(seed).integers(3, size=len(texts))]
    sharded = tuple(min(cut, len(texts)) for cut in cuts)
    stay = kept(texts, splits, special=(SPECIAL,), cuts=sharded)
    assert stay == by_hand(texts, splits, (SPECIAL,))
    assert stay == kept(texts, splits, special=(SPECIAL,))
    plain = [[token for token in text if token != SPECIAL] for text in texts]
    owner: dict[tuple[int, ...], Split] = {}
    for at in np.flatnonzero(stay):
        for run in runs(plain[at]):
            assert owner.setdefault(run, splits[at]) == splits[at]
    wholes = [tuple(plain[at]) for at in np.flatnonzero(stay) if plain[at]]
    assert len(set(wholes)) == len(wholes)
    first_held_out: set[tuple[int, ...]] = set()
    for text, split, stays in zip(plain, splits, stay, strict=True):
        if split == "held_out" and text:
            assert stays == (tuple(text) not in first_held_out)
            first_held_out.add(tuple(text))


def test_a_run_of_twelve_tokens_keeps_a_text_to_the_split_that_measures() -> None:
    shared = list(range(100, 112))
    texts = [[1, 2, *shared], [*shared, 9], [*shared[:11], 8, 7], [3, *shared]]
    assert kept(texts, ["practice", "held_out", "examples", "held_out"]) == [False, True, True, True]
    assert kept(texts, ["practice", "examples", "examples", "practice"]) == [True, False, True, True]


def test_the_first_of_a_text_that_stands_twice_stays_and_the_measuring_one_before_others() -> None:
    text, short = list(range(20)), [1, 2, 3]
    assert kept([text, short, text, short, text], ["practice"] * 5) == [True, True, False, False, False]
    measured: list[Split] = ["examples", "practice", "held_out", "held_out"]
    assert kept([short, short, short, short], measured) == [False, False, True, False]
    assert kept([short, short[::-1], short[:2]], ["practice"] * 3) == [True, True, True]


def test_special_tokens_neither_make_a_run_nor_break_one() -> None:
    shared = list(range(100, 111))
    apart = [[1, *shared, 3], [1, *shared, 4]]
    assert kept(apart, ["practice", "held_out"], special=(1,)) == [True, True]
    assert kept(apart, ["practice", "held_out"]) == [False, True]
    broken = [[*shared[:5], 1, *shared[5:], 50], [7, *shared, 50]]
    assert kept(broken, ["practice", "held_out"], special=(1,)) == [False, True]
    assert kept(broken, ["practice", "held_out"]) == [True, True]
    assert kept([[1, 2, 3], [2, 3, 1]], ["practice", "practice"], special=(1,)) == [True, False]


def test_a_run_never_reaches_into_the_next_window() -> None:
    halves = [list(range(6)), list(range(6, 12)), list(range(12))]
    assert kept(halves, ["practice", "practice", "held_out"]) == [True, True, True]


def test_no_shard_at_all_keeps_nothing(tmp_path: Path) -> None:
    assert windows_to_keep([], [], special=frozenset(), work=tmp_path) == []
    assert [each.tolist() for each in windows_to_keep([laid_out([])], [], special=frozenset(), work=tmp_path)] == [[]]
