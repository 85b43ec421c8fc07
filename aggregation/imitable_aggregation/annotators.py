"""annotators.csv: how well each annotator imitates, how he uses the scale, and the verdict on his conduct.

Everything but skill follows from the sums over his episodes. Rounds of one episode go together, so that intervals are
clustered by episode. Few episodes tell little of how much they differ: the variance of an annotator's own is averaged
with what is usual, as `USUAL_EPISODES` more episodes would weigh (Smyth, Linear models and empirical Bayes methods,
2004), and the t distribution has as many degrees of freedom more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from .ranking import with_interval
from .result_tables import ANNOTATORS
from .statistics import Statistics

Floats = npt.NDArray[np.float64]

USUAL_SLOPES = 0.08
"""Variance of an annotator's slope from target to target that is usual in our rehearsals."""
USUAL_EPISODES = 4.0
"""Episodes that what is usual counts for in the variance of an annotator's own."""


def annotators_table(
    people: pd.DataFrame, statistics: Statistics, verdict: pd.DataFrame, *, coverage: float
) -> pd.DataFrame:
    """One row for each annotator, by annotator_id, with every column of annotators.csv.

    `people` is `Fit.people` (`skill, skill_sd`; missing for who is not in it), `verdict` what `conduct.judge` found.
    `coverage` of the intervals is between 0 and 1. `bias` and `scale` are plain averages: mean of guess - truth and
    slope of guess on truth. Missing: `scale` where all truths were alike, `noise_sd` under three guesses, intervals
    under two guesses, `learning` without practice.
    """
    scales = _scales(statistics.episodes)
    ids, reach = scales.ids, _reach(scales, coverage)
    known = statistics.people.set_index("annotator_id")["median_seconds"]
    table = pd.DataFrame(
        {
            "n_guesses": scales.n.astype(np.int64),
            "n_episodes": scales.episodes.astype(np.int64),
            "bias": scales.bias,
            "bias_low": scales.bias - reach * np.sqrt(scales.bias_variance),
            "bias_high": scales.bias + reach * np.sqrt(scales.bias_variance),
            "scale": scales.scale,
            "scale_low": scales.scale - reach * np.sqrt(scales.scale_variance),
            "scale_high": scales.scale + reach * np.sqrt(scales.scale_variance),
            "noise_sd": scales.noise_sd,
            "learning": _learning(statistics.episodes),
            "median_seconds": known.reindex(ids).to_numpy(np.float64),
        },
        index=ids,
    )
    table = with_interval(table.join(people[["skill", "skill_sd"]]), "skill", coverage).join(verdict)
    return table.reset_index()[[column.name for column in ANNOTATORS.columns]]


def bias(episodes: pd.DataFrame) -> pd.DataFrame:
    """`annotator_id, bias`: each annotator's mean of guess - truth, display units, drawn towards 0 as far as it is
    uncertain beside how much annotators differ. Never missing.
    """
    scales = _scales(episodes)
    sampling = np.where(scales.n > 1, scales.bias_variance, np.inf)
    return pd.DataFrame({"annotator_id": scales.ids, "bias": _towards_zero(scales.bias, sampling)})


def _towards_zero(estimate: Floats, variance: Floats) -> Floats:
    """Posterior means under estimate ~ N(level, variance), level ~ N(0, tau²), tau² by Paule & Mandel's equation."""
    known = np.isfinite(variance)
    if not known.any():
        return np.zeros_like(estimate)
    squares, noise = estimate[known] ** 2, np.maximum(variance[known], 1e-9)
    low, high = 0.0, float(squares.max()) + 1e-12
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if (squares / (noise + middle)).mean() > 1 else (low, middle)
    keep = np.zeros_like(estimate)
    keep[known] = high / (high + noise)
    return keep * estimate


@dataclass(frozen=True)
class _Scales:
    """Of every annotator, (A,)."""

    ids: pd.Index[str]
    n: Floats
    episodes: Floats
    bias: Floats
    bias_variance: Floats
    """Sampling variance; nan under two guesses."""
    scale: Floats
    scale_variance: Floats
    noise_sd: Floats


def _scales(episodes: pd.DataFrame) -> _Scales:
    """Bias and scale with their sampling variances, and the scatter about that line."""
    person, ids = pd.factorize(episodes["annotator_id"], sort=True)
    e = {name: episodes[name].to_numpy(np.float64) for name in ("n", "g", "z", "gg", "zz", "gz")}

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(person, values, len(ids)), np.float64)

    n, g, z, gg, zz, gz = (total(e[name]) for name in ("n", "g", "z", "gg", "zz", "gz"))
    count = np.bincount(person, minlength=len(ids)).astype(np.float64)
    bias_ = (g - z) / n
    power, shared = np.maximum(zz - z * z / n, 0.0), gz - g * z / n
    varied = power > 1e-9 * np.maximum(zz, 1.0)
    scale = np.where(varied, shared / np.where(varied, power, 1.0), np.nan)
    slope = np.nan_to_num(scale)
    rest = np.maximum(gg - g * g / n - slope * shared, 0.0)
    # scores: sums over an episode of what the two estimates add up
    off = e["g"] - e["z"] - e["n"] * bias_[person]
    mean_g, mean_z = (g / n)[person], (z / n)[person]
    x_g = e["gz"] - mean_g * e["z"] - mean_z * e["g"] + e["n"] * mean_g * mean_z
    x_x = e["zz"] - 2 * mean_z * e["z"] + e["n"] * mean_z**2
    along = x_g - slope[person] * x_x
    several = n > 1
    # bias: rounds of an episode go together, so that its variance is a multiple of that of single guesses
    single = np.maximum(gg - 2 * gz + zz - n * bias_**2, 0.0) / np.maximum(n - 1, 1.0) / n
    own = total(_left_out(off, e["n"] / n[person])) * (1 - 1 / count) / n**2
    bias_variance = _moderated(own, single * _ratio(own, single, count > 1, otherwise=1.0), count)
    # scale: the slope differs from target to target, by a variance that many guesses in an episode do not lessen
    safe = np.where(varied, power, 1.0)
    share = x_x / safe[person]
    own = np.where(varied, total(_left_out(along, share)) * (1 - 1 / count) / safe**2, 0.0)
    single = np.where(varied, rest / np.maximum(n - 2, 1.0) / safe, 0.0)
    concentration = np.where(varied, total(share**2), 0.0)
    between = max(_ratio(own - single, concentration, count > 1, otherwise=USUAL_SLOPES), 0.0)
    scale_variance = _moderated(own, single + between * concentration, count)
    return _Scales(
        ids=pd.Index(ids, name="annotator_id", dtype="str"),
        n=n,
        episodes=count,
        bias=bias_,
        bias_variance=np.where(several, bias_variance, np.nan),
        scale=scale,
        scale_variance=np.where(several & varied, scale_variance, np.nan),
        noise_sd=np.where(n > 2, np.sqrt(rest / np.maximum(n - 2, 1.0)), np.nan),
    )


def _left_out(score: Floats, leverage: Floats) -> Floats:
    """Squares of an episode's scores as if the estimate had been made without it (the jackknife)."""
    result: Floats = (score / np.maximum(1 - leverage, 0.1)) ** 2
    return result


def _ratio(a: Floats, b: Floats, among: npt.NDArray[np.bool_], *, otherwise: float) -> float:
    """Ratio of sums over those who played several episodes, `otherwise` where nobody did."""
    below = float(b[among].sum())
    return float(a[among].sum()) / below if below > 0 else otherwise


def _moderated(own: Floats, usual: Floats, episodes: Floats) -> Floats:
    """An annotator's own variance, averaged with what is usual by their degrees of freedom."""
    return ((episodes - 1) * own + USUAL_EPISODES * usual) / (episodes - 1 + USUAL_EPISODES)


def _reach(scales: _Scales, coverage: float) -> Floats:
    freedom = scales.episodes - 1 + USUAL_EPISODES
    return np.asarray(stats.t.ppf(0.5 + coverage / 2, freedom), np.float64)


def _learning(episodes: pd.DataFrame) -> pd.Series[float]:
    """Mean over episodes of skill in the later half of practice minus the earlier half."""
    return (episodes["late"] - episodes["early"]).groupby(episodes["annotator_id"], sort=True).mean()
