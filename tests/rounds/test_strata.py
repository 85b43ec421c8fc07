"""Strata: every place in one of them, by a bound that a sample of the corpus gave."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imitable.rounds import Side, TooFlat, calibrate
from imitable.rounds.strata import INACTIVE, LOUDNESS, STRATA, Floats, Ints
from imitable.targets import Polarity

HOT = np.array([7], dtype=np.int64)
NO_TOKENS = np.empty(0, np.int64)


def names(y: list[float], tokens: list[int], polarity: Polarity) -> list[str]:
    side = Side(polarity, 10.0, HOT)
    return [STRATA[at] for at in side.strata(np.array(y), np.array(tokens, dtype=np.int32))]


def test_strata_are_cut_at_a_tenth_three_tenths_six_tenths_and_the_bound() -> None:
    y = [0.0, 0.999, 1.0, 2.999, 3.0, 5.999, 6.0, 9.999, 10.0, 1e9]
    expected = ["inactive"] * 2 + ["active-1"] * 2 + ["active-2"] * 2 + ["active-3"] * 2 + ["active-top"] * 2
    assert names(y, [0] * 10, "pos") == expected
    opposite = [-each for each in y]
    assert names(opposite, [0] * 10, "pos") == ["inactive"] * 2 + ["inactive-opposite"] * 8
    assert names(opposite, [0] * 10, "both") == [name.replace("active-", "negative-") for name in expected]


def test_a_hard_negative_is_a_quiet_place_on_a_token_that_is_hot_elsewhere() -> None:
    assert names([0.5, 0.5, -0.5, 5.0, -5.0], [7, 8, 7, 7, 7], "pos") == [
        "inactive-hard",
        "inactive",
        "inactive-hard",
        "active-2",
        "inactive-opposite",
    ]
    assert names([0.5, -5.0], [7, 7], "both") == ["inactive-hard", "negative-2"]


@given(
    y=st.lists(st.floats(-30, 30), min_size=1, max_size=60),
    bound=st.floats(1e-6, 20),
    polarity=st.sampled_from(["pos", "neg", "both"]),
    seed=st.integers(0, 99),
)
def test_every_place_lies_in_the_one_stratum_that_the_words_name(
    y: list[float], bound: float, polarity: Polarity, seed: int
) -> None:
    tokens = np.random.default_rng(seed).integers(6, 9, len(y)).astype(np.int32)
    found = Side(polarity, bound, HOT).strata(np.array(y), tokens)
    for value, token, stratum in zip(y, tokens, found, strict=True):
        size = abs(value) if polarity == "both" else value
        level = sum(size >= edge * bound for edge in (0.1, 0.3, 0.6, 1.0))
        if level:
            expected = ("negative-" if value < 0 else "active-") + ("1", "2", "3", "top")[level - 1]
        elif polarity != "both" and -value >= 0.1 * bound:
            expected = "inactive-opposite"
        else:
            expected = "inactive-hard" if token == HOT[0] else "inactive"
        assert STRATA[stratum] == expected


def test_names_tell_which_strata_are_inactive_and_loudness_ranks_them_all() -> None:
    assert [name.startswith("inactive") for name in STRATA] == [at < INACTIVE for at in range(len(STRATA))]
    assert len(LOUDNESS) == len(STRATA)
    assert max(LOUDNESS[:INACTIVE]) < min(LOUDNESS[INACTIVE:])


@given(size=st.integers(2, 200), polarity=st.sampled_from(["pos", "neg", "both"]))
def test_a_quota_fills_the_pool_half_of_it_inactive(size: int, polarity: Polarity) -> None:
    quota = Side(polarity, 1.0, NO_TOKENS).quota(size)
    active = quota[INACTIVE:]
    assert (quota >= 0).all()
    assert quota[:INACTIVE].sum() == size - size // 2
    assert active.sum() == size // 2
    played = active if polarity == "both" else active[:4]
    assert played.max() - played.min() <= 1
    assert polarity == "both" or not active[4:].any()
    assert (quota[2] == 0) if polarity == "both" else (quota[0] >= quota[1] >= quota[2] or size < 12)


def calibrated(raw: Floats, polarity: str, tokens: Ints | None = None) -> Side:
    ids = np.zeros(len(raw), np.int32) if tokens is None else tokens.astype(np.int32)
    return calibrate(raw.astype(np.float32), ids, polarity)


@pytest.mark.parametrize(("sign", "played"), [(1, "pos"), (-1, "neg")])
def test_auto_plays_the_side_with_the_larger_extreme(sign: int, played: str) -> None:
    raw = np.random.default_rng(0).normal(0, 1, 5000)
    raw[17] = sign * 50.0
    assert calibrated(raw, "auto").polarity == played
    for asked in ("pos", "neg", "both"):
        assert calibrated(raw, asked).polarity == asked


def test_the_bound_is_the_quantile_of_what_is_played() -> None:
    raw = np.random.default_rng(0).normal(0.3, 1, 20000).astype(np.float32).astype(np.float64)
    for polarity, y in (("pos", raw), ("neg", -raw), ("both", np.abs(raw))):
        assert calibrated(raw, polarity).bound == np.quantile(y, 0.999)


def test_a_unit_that_never_fires_is_left_out() -> None:
    told = r"never fires: its 99\.9 % quantile over the corpus is not above zero"
    for raw, polarity in ((-np.ones(100), "pos"), (np.zeros(100), "auto"), (np.zeros(100), "both")):
        with pytest.raises(TooFlat, match=told):
            calibrated(raw, polarity)


def test_hot_tokens_are_the_most_frequent_of_those_with_strong_activations() -> None:
    rng = np.random.default_rng(0)
    tokens = np.concatenate([np.repeat(np.arange(100), np.arange(100, 0, -1)), rng.integers(200, 300, 20000)])
    raw = np.concatenate([rng.uniform(4, 10, 5050), rng.uniform(0, 1, 20000)])
    assert calibrated(raw, "pos", tokens).hot.tolist() == list(range(64))
    assert calibrated(raw[5050:], "pos", tokens[5050:]).hot.dtype == np.int64
