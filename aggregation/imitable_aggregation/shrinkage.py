"""Estimates of many levels at once, each drawn towards their common mean by as much as it is uncertain.

The two-stage normal model: estimate_n ~ N(level_n, v_n), level_n ~ N(mu, tau²), v_n known, mu flat, tau uniform. The
posterior is averaged over a grid of tau (Gelman et al., Bayesian Data Analysis, section 5.4), so that not knowing how
much targets differ widens the intervals, and a moment estimate of zero cannot make them vanish.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

GRID = 81
"""Values of tau that are averaged over."""
TINY = 1e-9
"""Least sampling variance, so that perfect agreement divides by nothing."""


@dataclass(frozen=True)
class Shrunk:
    """Posterior means and standard deviations of the levels, and what they were drawn towards."""

    mean: Floats
    sd: Floats
    centre: float
    """Posterior mean of the common mean."""
    centre_sd: float
    """Its standard deviation."""
    between: float
    """Posterior mean of tau², the variance between levels."""


def shrink(estimate: Floats, variance: Floats) -> Shrunk:
    """Posterior of levels from their estimates and sampling variances.

    A level whose variance is infinite was not observed: it gets the common mean and its full spread.
    """
    seen = np.isfinite(variance)
    if not seen.any():
        nothing = np.full(len(estimate), np.nan)
        return Shrunk(nothing, nothing.copy(), float("nan"), float("nan"), float("nan"))
    y, v = estimate[seen], np.maximum(variance[seen], TINY)
    spread = float(np.sqrt(np.mean((y - y.mean()) ** 2)))
    widest = 3 * spread + float(np.sqrt(np.median(v)))
    tau2 = np.linspace(0.0, widest, GRID)[:, None] ** 2
    precision = 1.0 / (v + tau2)
    total = precision.sum(axis=1)
    mu = (precision @ y) / total
    deviance = np.log(v + tau2).sum(axis=1) + np.log(total) + (precision * (y - mu[:, None]) ** 2).sum(axis=1)
    weight = np.exp(-0.5 * (deviance - deviance.min()))
    weight /= weight.sum()
    keep = tau2 * precision
    means = np.tile(mu[:, None], (1, len(estimate)))
    variances = np.tile(tau2 + 1.0 / total[:, None], (1, len(estimate)))
    means[:, seen] = mu[:, None] + keep * (y - mu[:, None])
    variances[:, seen] = keep * v + (1 - keep) ** 2 / total[:, None]
    mean = weight @ means
    sd = np.sqrt(weight @ (variances + (means - mean) ** 2))
    centre = float(weight @ mu)
    centre_sd = float(np.sqrt(weight @ (1.0 / total + (mu - centre) ** 2)))
    return Shrunk(mean, sd, centre, centre_sd, float(weight @ tau2[:, 0]))
