"""How much of the truths a level's readings tell: an R² that would find any smooth way from the ones to the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
_PENALTIES = 10.0 ** np.arange(-6, 3)


def told(readings: Floats, truths: Floats) -> float:
    """R² of truths (n,) from readings (n, f), each item foretold from all others; 1 when nothing is left to guess.

    Kernel ridge regression with a linear and a Gaussian kernel on standardised readings; width and penalty are those
    that foretell best, so it is on the high side with few items. The left-out residual of item i is
    (G⁻¹ y)_i / (G⁻¹)_ii, with G the penalised kernel matrix (Rasmussen and Williams, Gaussian Processes for Machine
    Learning, 2006, section 5.4.2). 0 at least: the mean of the others foretells nothing.
    """
    n, spread = len(truths), readings.std(0)
    x = (readings - readings.mean(0))[:, spread > 0] / spread[spread > 0]
    left_out_mean = (truths - truths.mean()) * n / (n - 1)
    total = float((left_out_mean**2).sum())
    if x.shape[1] == 0 or total == 0:
        return 0.0
    distance = ((x[:, None] - x[None]) ** 2).sum(-1) / x.shape[1]
    least = total
    for width in _WIDTHS:
        kernel = np.exp(-distance / (2 * width**2)) + x @ x.T / x.shape[1] + 1.0
        values, vectors = np.linalg.eigh(kernel)
        turned = vectors.T @ (truths - truths.mean())
        for penalty in _PENALTIES:
            scale = 1 / (np.maximum(values, 0) + penalty)
            residual = (vectors @ (scale * turned)) / ((vectors**2) @ scale)
            least = min(least, float((residual**2).sum()))
    return 1 - least / total
