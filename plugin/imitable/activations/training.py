"""Training a linear probe on the residual stream: what is taken from the model, and the logistic regression on it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imitable.activations.models import Loaded
from imitable.activations.running import one_thread, run
from imitable.activations.shards import Shard
from imitable.activations.sites import Tap
from imitable.errors import CampaignError, MissingExtra
from imitable.targets import Floats

Ints = npt.NDArray[np.int64]

TOKENS_A_TEXT = 16
"""Positions taken of one text, at most: drawn at random among those that may be asked about."""
HELD_OUT = 0.25
"""Share of the texts that the probe is tried on and not trained on."""
LEAST_TEXTS = 20
"""Texts of each label that there must be."""
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the penalty (scikit-learn's C) that are tried."""
_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Fitted:
    """A probe `((x - mean) / scale) · weight + bias`, positive for the second label."""

    weight: Floats
    """(1, d)"""
    bias: Floats
    """(1,)"""
    mean: Floats
    """(d,)"""
    scale: Floats
    """(d,)"""
    strength: float
    """The C that was chosen."""
    auroc: float
    """Of tokens of held-out texts: 0.5 is chance, 1 is perfect."""
    auroc_texts: float
    """Of held-out texts, each by the mean of its tokens."""
    held_out: int
    """Number of held-out texts."""


def residuals(
    loaded: Loaded, shard: Shard, tap: Tap, *, rng: np.random.Generator, tick: Callable[[int], object] | None = None
) -> tuple[Floats, Ints]:
    """What a tap catches at up to TOKENS_A_TEXT random focusable positions of every window, in the windows' order.

    Returns ((tokens, d) float32, (tokens,) index of each one's window).
    """
    chosen = []
    for start, end in zip(shard.starts, shard.ends, strict=True):
        places = start + np.flatnonzero(shard.focusable[start:end])
        chosen.append(np.sort(rng.permutation(places)[:TOKENS_A_TEXT]))
    wanted = np.concatenate(chosen)
    rows: Floats | None = None

    def take(_tap: Tap, caught: Any, places: Ints) -> None:
        nonlocal rows
        at = np.searchsorted(wanted, places).clip(max=len(wanted) - 1)
        hit = wanted[at] == places
        values = caught.float().cpu().numpy()
        if rows is None:
            rows = np.empty((len(wanted), values.shape[-1]), np.float32)
        rows[at[hit]] = values[hit]

    with one_thread():
        for places in run(loaded, shard, [tap], take):
            if tick is not None:
                tick(places.size)
    if rows is None:
        raise CampaignError("No text is left to train on. Name longer texts.")
    return rows, shard.window_at(wanted)


def fit_probe(rows: Floats, text_of: Ints, labels: npt.NDArray[np.bool_], *, seed: int) -> Fitted:
    """Logistic regression on standardised rows; its penalty is chosen by cross-validation over whole texts.

    `text_of` (tokens,) indexes `labels` (texts,). A quarter of the texts, stratified, is held out of everything but
    the AUROC. Raises MissingExtra without scikit-learn.
    """
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import StratifiedGroupKFold, train_test_split
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingExtra("models", wanted_for="Training a probe") from error

    def regression(strength: float) -> LogisticRegression:
        return LogisticRegression(C=strength, max_iter=5000)

    train, held_out = train_test_split(np.arange(len(labels)), test_size=HELD_OUT, stratify=labels, random_state=seed)
    in_train = np.isin(text_of, train)
    mean = rows[in_train].mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = rows[in_train].std(axis=0, dtype=np.float64).astype(np.float32)
    scale[scale < 1e-6 * max(float(scale.max()), 1e-30)] = 1
    x = ((rows[in_train] - mean) / scale).astype(np.float64)
    y, groups = labels[text_of[in_train]], text_of[in_train]
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    with threadpool_limits(1), warnings.catch_warnings():  # sums then do not depend on how many threads there are
        warnings.simplefilter("ignore", ConvergenceWarning)  # a nearly best probe will do: it is measured
        tried = dict.fromkeys(STRENGTHS, 0.0)
        for fitting, judging in folds.split(x, y, groups):
            for strength in STRENGTHS:
                scores = regression(strength).fit(x[fitting], y[fitting]).decision_function(x[judging])
                tried[strength] += float(roc_auc_score(y[judging], scores)) / _FOLDS
        best = max(STRENGTHS, key=lambda strength: (round(tried[strength], 4), -strength))
        fitted = regression(best).fit(x, y)
    weight, bias = fitted.coef_.astype(np.float32), fitted.intercept_.astype(np.float32)
    apart = np.isin(text_of, held_out)
    scores = ((rows[apart] - mean) / scale) @ weight[0] + bias[0]
    counts = np.bincount(text_of[apart], minlength=len(labels))[held_out]
    means = np.bincount(text_of[apart], weights=scores, minlength=len(labels))[held_out] / counts
    return Fitted(
        weight=weight,
        bias=bias,
        mean=mean,
        scale=scale,
        strength=best,
        auroc=float(roc_auc_score(labels[text_of[apart]], scores)),
        auroc_texts=float(roc_auc_score(labels[held_out], means)),
        held_out=len(held_out),
    )
