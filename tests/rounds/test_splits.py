"""Splits: every document on one side, as many on each as pools need."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imitable.rounds import assign_splits


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
