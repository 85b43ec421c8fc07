"""Splits: every document on one side, and no run of tokens on two."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from imitable.activations import Window
from imitable.rounds import Split, assign_splits, without_shared_runs
from lengths import examples


def window(tokens: list[int], document: int) -> Window:
    return Window("text", tuple(tokens), tuple((n, n + 1) for n in range(len(tokens))), (len(tokens) - 1,), document)


@given(documents=st.integers(0, 400), practice=st.integers(2, 80), held_out=st.integers(2, 80), seed=st.integers(0, 99))
def test_splits_have_the_sizes_that_pools_need(documents: int, practice: int, held_out: int, seed: int) -> None:
    splits = assign_splits(documents, practice=practice, held_out=held_out, rng=np.random.default_rng(seed))
    assert len(splits) == documents
    assert abs(splits.count("examples") - documents / 5) <= 0.5
    playing = documents - splits.count("examples")
    assert abs(splits.count("held_out") - playing * held_out / (practice + held_out)) <= 0.5


def test_every_document_is_as_likely_as_any_to_measure() -> None:
    measured = np.zeros(10)
    for seed in range(2000):
        splits = assign_splits(10, practice=6, held_out=4, rng=np.random.default_rng(seed))
        measured += [split == "held_out" for split in splits]
    assert np.abs(measured / 2000 - 0.3).max() < 0.05


def test_a_run_of_twelve_tokens_keeps_a_text_to_the_split_that_measures() -> None:
    shared = list(range(100, 112))
    windows = [window([1, 2, *shared], 0), window([*shared, 9], 1), window([*shared[:11], 8, 7], 2)]
    kept, dropped = without_shared_runs(windows, ["practice", "held_out", "examples"])
    assert kept == windows[1:]
    assert dropped == 1


def test_repeats_within_a_split_stay() -> None:
    windows = [window(list(range(20)), 0), window(list(range(20)), 1)]
    assert without_shared_runs(windows, ["practice", "practice"]) == (windows, 0)


def test_special_tokens_neither_make_a_run_nor_break_one() -> None:
    shared = list(range(100, 111))
    apart = [window([1, *shared], 0), window([1, *shared], 1)]
    assert without_shared_runs(apart, ["practice", "held_out"], special=frozenset({1}))[1] == 0
    broken = [window([*shared[:5], 1, *shared[5:], 50], 0), window([*shared, 50], 1)]
    assert without_shared_runs(broken, ["practice", "held_out"], special=frozenset({1}))[1] == 1


@settings(max_examples=examples(60))
@given(
    texts=st.lists(st.lists(st.integers(0, 1), min_size=8, max_size=20), max_size=12),
    seed=st.integers(0, 99),
)
def test_what_is_kept_shares_nothing_across_splits(texts: list[list[int]], seed: int) -> None:
    names: list[Split] = ["examples", "practice", "held_out"]
    splits = [names[at] for at in np.random.default_rng(seed).integers(3, size=len(texts))]
    kept, dropped = without_shared_runs([window(text, at) for at, text in enumerate(texts)], splits)
    assert len(kept) + dropped == len(texts)
    owner: dict[tuple[int, ...], Split] = {}
    for one in kept:
        for start in range(len(one.token_ids) - 11):
            run = one.token_ids[start : start + 12]
            assert owner.setdefault(run, splits[one.document]) == splits[one.document]
    assert all(one in kept for one in (window(t, a) for a, t in enumerate(texts)) if splits[one.document] == "held_out")
