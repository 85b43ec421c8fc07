"""Which units are shown beside a text, on what scale, and how much they tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from imitable.rounds import in_turn, shown, strongest, told

Floats = npt.NDArray[np.float64]


def test_the_best_of_two_lists_are_taken_in_turn_and_stand_by_list() -> None:
    by_weight = [(("mlp.1", unit), 5.0 - unit) for unit in range(4)]
    together = [(("mlp.1", 0), 0.9), (("mlp.2", 7), -0.8), (("mlp.2", 8), 0.1)]
    found = in_turn({"weight": by_weight, "correlation": together}, most=4)
    assert found == [
        (("mlp.1", 0), "weight", 5.0),
        (("mlp.1", 1), "weight", 4.0),
        (("mlp.2", 7), "correlation", -0.8),
        (("mlp.2", 8), "correlation", 0.1),
    ]
    assert len(in_turn({"weight": by_weight, "correlation": together}, most=8)) == 6


def test_the_strongest_are_those_of_the_largest_size_without_those_that_are_played_or_nothing() -> None:
    strengths = {"mlp.0": np.array([0.1, -0.9, 0.0]), "mlp.1": np.array([0.5, 0.4])}
    found = strongest(strengths, without=frozenset({("mlp.1", 0)}), most=4)
    assert found == [(("mlp.0", 1), -0.9), (("mlp.1", 1), 0.4), (("mlp.0", 0), 0.1)]


@given(npst.arrays(np.float64, (20, 3), elements=st.floats(-1e6, 1e6, allow_subnormal=False)))
def test_what_is_shown_lies_on_the_scale_and_keeps_order_and_sign(activations: Floats) -> None:
    seen = shown(activations)
    assert np.isfinite(seen).all()
    assert np.abs(seen).max() <= 10
    assert (np.sign(seen) * np.sign(activations) >= 0).all()
    for column in range(3):
        order = np.argsort(activations[:, column])
        assert (np.diff(seen[order, column]) >= 0).all()
        if np.abs(activations[:, column]).max() > 0:
            assert np.abs(seen[:, column]).max() == 10


def test_readings_that_make_the_truth_tell_it_and_readings_of_something_else_do_not() -> None:
    rng = np.random.default_rng(0)
    readings = rng.normal(size=(100, 4))
    truths = 10 * np.tanh(np.maximum(readings[:, 0] + 0.5 * readings[:, 1], 0))
    assert told(readings[:, :2], truths) > 0.97
    assert 0.05 < told(readings[:, 1:], truths) < 0.4
    assert told(rng.permutation(readings), truths) < 0.05
    assert told(np.ones((100, 2)), truths) == 0
    assert told(readings, np.full(100, 3.0)) == 0
