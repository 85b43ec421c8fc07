"""No text on two sides: what is dropped, compared with a search by brute force."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds.invented import laid_out

from imitable.activations import Shard
from imitable.rounds import Split, windows_to_keep
from imitable.rounds.overlap import KEPT_FIRST
from lengths import examples

NAMES: list[Split] = ["examples", "practice", "held_out"]


def kept(
    texts: list[list[int]], splits: list[Split], *, shards: int = 1, special: frozenset[int] = frozenset()
) -> list[bool]:
    """Which texts stay; each is a window and a document of its own."""
    cut = [part for part in np.array_split(np.arange(len(texts)), shards) if len(part)]
    pieces: list[Shard] = [laid_out((int(at), texts[at], [0]) for at in part) for part in cut]
    with TemporaryDirectory() as work:
        flags = windows_to_keep(pieces, splits, special=special, work=Path(work))
        assert not list(Path(work).iterdir())
    return [bool(flag) for part in flags for flag in part]


def by_brute_force(texts: list[list[int]], splits: list[Split], special: frozenset[int]) -> list[bool]:
    bare = [tuple(token for token in text if token not in special) for text in texts]
    runs = [{text[at : at + 12] for at in range(len(text) - 11)} | {text} for text in bare]
    ranks = [KEPT_FIRST.index(split) for split in splits]
    return [
        not any(ranks[other] < ranks[at] and runs[at] & runs[other] for other in range(len(texts)))
        and bare[at] not in [bare[other] for other in range(at) if ranks[other] == ranks[at]]
        for at in range(len(texts))
    ]


@settings(max_examples=examples(80), deadline=None)
@given(
    texts=st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=20), min_size=1, max_size=14),
    seed=st.integers(0, 99),
    shards=st.integers(1, 5),
)
def test_what_is_kept_is_what_brute_force_keeps(texts: list[list[int]], seed: int, shards: int) -> None:
    texts = [[token + 1 for token in text] for text in texts]
    splits = [NAMES[at] for at in np.random.default_rng(seed).integers(3, size=len(texts))]
    special = frozenset({3}) if seed % 2 else frozenset()
    texts = [text for text in texts if set(text) - special] or [[1]]
    found = kept(texts, splits[: len(texts)], shards=shards, special=special)
    assert found == by_brute_force(texts, splits[: len(texts)], special)


def test_a_run_of_twelve_tokens_keeps_a_text_to_the_split_that_measures() -> None:
    shared = list(range(100, 112))
    texts = [[1, 2, *shared], [*shared, 9], [*shared[:11], 8, 7]]
    assert kept(texts, ["practice", "held_out", "examples"]) == [False, True, True]


def test_a_text_that_stood_there_before_goes_and_one_that_only_shares_a_run_stays() -> None:
    same = list(range(20))
    assert kept([same, [*same, 50], same], ["practice"] * 3) == [True, True, False]
    assert kept([[1, 2, 3], [1, 2, 3]], ["held_out"] * 2) == [True, False]


def test_special_tokens_neither_make_a_run_nor_break_one() -> None:
    shared = list(range(100, 111))
    special = frozenset({1})
    assert kept([[1, *shared], [1, *shared, 5]], ["practice", "held_out"], special=special) == [True, True]
    broken = [[*shared[:5], 1, *shared[5:], 50], [*shared, 50]]
    assert kept(broken, ["practice", "held_out"], special=special) == [False, True]


def test_a_run_does_not_go_on_in_the_next_window() -> None:
    shared = list(range(100, 112))
    assert kept([shared[:6], shared[6:], shared], ["practice", "practice", "held_out"]) == [True, True, True]
