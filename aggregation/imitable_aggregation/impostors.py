"""The described ways of not playing in earnest, and how likely each makes an annotator's guesses.

Each is evaluated on the rounds that the annotator himself had, from the sums of his episodes. s is a standard
deviation, for an unsteady hand and for rounding, averaged over a grid that is even in log s.

* random: about the middle of the scale and about as wide as uniform guesses, whatever the truth;
* constant: one value in an episode, give or take s;
* copies: the last truth shown, give or take s;
* running: the mean of the truths shown so far, which an earlier belief may still colour, give or take s;
* leaks: the truth itself, give or take s, from the first round on.

Guesses before any feedback are taken as uniform where a class says nothing of them. `random` is a normal distribution,
as honest play is, rather than a uniform one: else the two would differ by their shape, and an honest but noisy player
would be called random for it.
"""

from __future__ import annotations

import numpy as np

from .regressions import Sums
from .symmetric import Floats

KINDS = ("random", "constant", "copies", "running", "leaks")
SLACK = np.exp(np.linspace(np.log(0.05), np.log(0.4), 4))
"""Values of s, tenths of the scale."""
WIDTH = np.log(10.0)
"""Minus log density of a uniform guess."""
LOG_2PI = float(np.log(2 * np.pi))

RANDOM_CENTRE = 1.0
"""Standard deviation of the centre of an episode's random guesses about the middle of the scale."""
RANDOM_SPREAD = np.exp(np.linspace(-0.4, 0.4, 5))
"""How many times as wide as uniform guesses random ones are; log-normal with standard deviation 0.15."""
RANDOM_PRIOR = -0.5 * (np.log(RANDOM_SPREAD) / 0.15) ** 2
BELIEF = (0.5**2, 0.35**2)
"""Variances of intercept and slope by which a running mean departs from the mean of the truths so far."""


def impostors(data: Sums) -> Floats:
    """Log likelihood of each annotator's guesses, (len(KINDS), A)."""
    of, n, told, total = data.of, data.n, data.told, data.by_annotator
    episodes = total(np.ones_like(n))
    untold = total(n - told) * WIDTH
    scatter = np.maximum(of["gg"] - of["g"] ** 2 / np.maximum(n, 1.0), 0.0)
    centres = total(WIDTH + 0.5 * np.log(np.maximum(n, 1.0)) - 0.5 * LOG_2PI)
    return np.stack(
        [
            _random(data),
            _within(total(scatter), total(n), episodes) - centres,
            _within(total(of["t_gg"] - 2 * of["t_gc"] + of["t_cc"]), total(told)) - untold,
            _running(data) - untold,
            _within(total(of["gg"] - 2 * of["gz"] + of["zz"]), total(n)),
        ]
    )


def _within(squares: Floats, n: Floats, centres: Floats | float = 0.0) -> Floats:
    """n deviations with this sum of squares, about `centres` values that were fitted: s averaged over."""
    s = SLACK[:, None]
    log = -0.5 * np.maximum(squares, 0.0) / s**2 - (n - centres) * np.log(s) - 0.5 * n * LOG_2PI
    return _mean(log, np.zeros(len(SLACK)))


def _random(data: Sums) -> Floats:
    middle, of, n = data.middle, data.of, data.n
    y = of["g"] - n * middle
    yy = of["gg"] - 2 * middle * of["g"] + n * middle**2
    log = []
    for times in RANDOM_SPREAD:
        v = (10.0 * times) ** 2 / 12.0
        d = n / v + 1.0 / RANDOM_CENTRE**2
        log.append(data.by_annotator(yy / v - (y / v) ** 2 / d + n * (np.log(v) + LOG_2PI) + np.log(d)))
    return _mean(-0.5 * np.array(log), RANDOM_PRIOR)


def _running(data: Sums) -> Floats:
    """g − m = a + b (m − centre), a and b normal in every episode and integrated out."""
    of, n, at = data.of, data.told, data.centre
    x = of["t_m"] - n * at
    xx = np.maximum(of["t_mm"] - 2 * at * of["t_m"] + n * at**2, 0.0)
    y = of["t_g"] - of["t_m"]
    xy = of["t_gm"] - of["t_mm"] - at * y
    yy = np.maximum(of["t_gg"] - 2 * of["t_gm"] + of["t_mm"], 0.0)
    va, vb = BELIEF
    log = []
    for s in SLACK:
        v = s * s
        a, b, d, u, w = n / v + 1 / va, x / v, xx / v + 1 / vb, y / v, xy / v
        det = a * d - b * b
        quad = yy / v - (d * u * u - 2 * b * u * w + a * w * w) / det
        log.append(data.by_annotator(quad + n * (np.log(v) + LOG_2PI) + np.log(det * va * vb)))
    return _mean(-0.5 * np.array(log), np.zeros(len(SLACK)))


def _mean(log: Floats, prior: Floats) -> Floats:
    """Average of likelihoods, (grid, A), in logarithms."""
    weighted = log + (prior - np.logaddexp.reduce(prior))[:, None]
    result: Floats = np.logaddexp.reduce(weighted, axis=0)
    return result
