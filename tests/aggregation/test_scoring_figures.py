"""Figures kept for comparison, and what importing the scoring rule may cost a game server."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from imitable_aggregation import scoring


def correlation(guess: list[float], truth: list[float], weight: list[float] | None = None) -> float:
    w, g, t = (np.array(each, dtype=float) for each in (weight or [1] * len(guess), guess, truth))
    return float(scoring.correlation(w.sum(), w @ g, w @ t, w @ g**2, w @ t**2, w @ (g * t)))


def r2(guess: list[float], truth: list[float]) -> float:
    g, t = np.array(guess, dtype=float), np.array(truth, dtype=float)
    return float(scoring.r2(g @ g, t @ t, g @ t))


def test_correlation_is_blind_to_scale_and_undefined_for_a_constant() -> None:
    assert correlation([1, 2, 3], [10, 20, 30]) == pytest.approx(1.0)
    assert correlation([3, 2, 1], [10, 20, 30]) == pytest.approx(-1.0)
    assert math.isnan(correlation([5, 5, 5], [1, 2, 3]))
    assert math.isnan(correlation([5], [1]))


def test_a_weight_counts_as_so_many_rows() -> None:
    weighted = correlation([1, 5, 2], [2, 4, 6], [1, 3, 2])
    assert weighted == pytest.approx(correlation([1, 5, 5, 5, 2, 2], [2, 4, 4, 4, 6, 6]))


def test_r2_pays_a_constant_because_its_zero_is_the_guess_zero() -> None:
    assert r2([0, 0], [3, 4]) == 0.0
    assert r2([3.5, 3.5], [3, 4]) > 0.9
    assert math.isnan(r2([1], [0]))


def test_importing_the_scoring_rule_loads_no_table_and_no_figure() -> None:
    code = (
        "import sys, imitable_aggregation.scoring;"
        "print([m for m in ('pandas', 'pyarrow', 'scipy', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=None)
    assert done.stdout.strip() == "[]"
