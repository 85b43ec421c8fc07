"""How far an annotator's play lies from everybody's, whatever the reason: for bots that nobody described.

Six features of an annotator, each over what is usual on the targets that he played: bias, slope on the truth, pull of
the mean of the truths so far, scatter about his own line, skill, and the evenness of his errors (mean over root mean
square: the lower, the more a few large errors stand out). Each is divided by its spread at his number of episodes;
the distance is Mahalanobis's, with centre and covariance of the most central half of the annotators in earnest
(Rousseeuw & Van Driessen, A fast algorithm for the minimum covariance determinant estimator, 1999), the covariance
drawn half-way to its diagonal. It is two-sided: who is too good stands out like who is too bad.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from .honest import Played, Population
from .regressions import Sums
from .symmetric import Floats, unpacked

FEWEST_PEOPLE = 8
"""Annotators in earnest below which nobody can stand out."""
FEWEST_GUESSES = 10
"""Guesses below which an annotator cannot stand out, nor shows what is usual."""
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)
"""Shares of a feature's variance that fall as one over the number of episodes; the best is taken."""
FARTHEST = 12.0
"""Robust standard deviations at which a feature is cut off."""
DIAGONAL = 0.5
"""How far the covariance is drawn to its diagonal."""
STEPS = 10
TAIL = 15.0
"""Degrees of freedom of the F distribution that gives the tail: people differ by more than the normal one."""
FEATURES = ("bias", "slope", "pull", "scatter", "skill", "evenness")


def anomalies(
    episodes: pd.DataFrame, data: Sums, usual: Population, play: Played, earnest: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Minus the decimal logarithm of the tail probability of every annotator, (A,), and his features, (6, A).

    2 means that one in a hundred annotators in earnest lies as far out. 0 under `FEWEST_GUESSES`, and for everybody
    where fewer than `FEWEST_PEOPLE` are `earnest`, (A,). Features are in robust standard deviations.
    """
    raw = _features(episodes, data, usual, play, earnest)
    enough = data.by_annotator(data.n) >= FEWEST_GUESSES
    earnest = earnest & enough
    if earnest.sum() < FEWEST_PEOPLE:
        return np.zeros(data.annotators), np.zeros_like(raw)
    size = np.bincount(data.annotator, minlength=data.annotators).astype(np.float64)
    features = np.stack([_standardised(row, size, earnest) for row in raw])
    return np.where(enough, _tail(_distance(features, earnest), len(features), earnest), 0.0), features


def _features(
    episodes: pd.DataFrame, data: Sums, usual: Population, play: Played, earnest: npt.NDArray[np.bool_]
) -> Floats:
    of, n = data.of, np.maximum(data.by_annotator(data.n), 1.0)
    variance = np.diag(usual.annotator)[:, None] - unpacked(play.covariance).diagonal(axis1=1, axis2=2).T
    effect = play.effect / np.sqrt(np.maximum(variance, 1e-3 * np.diag(usual.annotator)[:, None]))
    unit = 10.0 / (10.0 - episodes["low"].to_numpy(np.float64))
    y = episodes["y"].to_numpy(np.float64)
    counts = earnest[data.annotator]
    mean = data.by_cell(y * counts) / np.maximum(data.by_cell(data.n * counts), 1.0)
    skill = data.by_annotator(y - data.n * mean[data.cell]) / n
    far = data.by_annotator(unit * (data.n - y) * episodes["l_ref"].to_numpy(np.float64)) / n
    square = data.by_annotator(np.maximum(of["gg"] - 2 * of["gz"] + of["zz"], 0.0)) / n
    even = np.divide(far, np.sqrt(square), out=np.full(len(n), np.sqrt(2 / np.pi)), where=square > 1e-12)
    return np.concatenate([effect, [play.log_noise, skill, even]])


def _standardised(values: Floats, size: Floats, earnest: npt.NDArray[np.bool_]) -> Floats:
    """Robust deviations, over a spread that may fall with the number of episodes."""
    off = values - np.median(values[earnest])
    best, found = -np.inf, np.zeros_like(off)
    for share in SHARES:
        spread = np.sqrt(1 - share + share / size)
        scaled = off / spread
        middle = float(np.median(np.abs(scaled[earnest])))
        if middle <= 1e-9:
            continue
        fit = -np.log(spread[earnest] * middle).sum() - np.minimum(np.abs(scaled[earnest]) / middle, 4.0).sum()
        if fit > best:
            best, found = fit, scaled / (1.4826 * middle)
    return np.clip(found, -FARTHEST, FARTHEST)


def _distance(features: Floats, earnest: npt.NDArray[np.bool_]) -> Floats:
    """Squared distances, (A,), their median that of chi-squared."""
    x = features.T
    among = x[earnest]
    centre, k = np.zeros(x.shape[1]), x.shape[1]
    inside = np.square(among).sum(axis=1)
    covariance = np.eye(k)
    for _ in range(STEPS):
        central = among[inside <= np.median(inside)]
        centre = central.mean(axis=0)
        second = np.einsum("ai,aj->ij", central - centre, central - centre) / len(central)
        own = np.maximum(np.diag(second), 1e-2)
        covariance = (1 - DIAGONAL) * second + DIAGONAL * np.diag(own) + 1e-3 * np.eye(k)
        off = among - centre
        inside = np.einsum("ij,ij->i", off @ np.linalg.inv(covariance), off)
    off = x - centre
    squared = np.einsum("ij,ij->i", off @ np.linalg.inv(covariance), off)
    result: Floats = squared * stats.chi2.ppf(0.5, k) / max(float(np.median(squared[earnest])), 1e-9)
    return result


def _tail(squared: Floats, k: int, earnest: npt.NDArray[np.bool_]) -> Floats:
    """Minus log10 of the tail probability under an F distribution that agrees at the median."""
    unit = stats.f.ppf(0.5, k, TAIL) / max(float(np.median(squared[earnest])), 1e-9)
    result: Floats = -stats.f.logsf(squared * unit, k, TAIL) / np.log(10.0) + 0.0
    return np.maximum(result, 0.0)
