"""Where the next episodes should go, each choice with its probability.

To find the best k targets: top-two Thompson sampling on sets (after Russo, Simple Bayesian algorithms for best-arm
identification, 2020). One joint draw says which k are best; further draws are made until one says otherwise; the target
to play is drawn uniformly from those on which the two disagree. To rank everything: uniformly, since no adaptive rule
that was tried gained more than 0.01 of Kendall's tau. A fifth of all choices is uniform in any case, so that every
target keeps a positive, known probability; and choices depend on recorded data only, so that the likelihood of a later
fit stays valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from .errors import TableError

Floats = npt.NDArray[np.float64]
Goal = Literal["top", "all"]

UNIFORM = 0.2
"""Share of choices that are uniform."""

MOST = 1_000_000
"""Episodes that a plan may hold."""


def next_episodes(
    samples: Mapping[str, Floats],
    target_ids: Sequence[str],
    n: int,
    goal: Goal = "top",
    *,
    k: int = 10,
    rng: np.random.Generator,
    levels: Sequence[str] = ("text",),
) -> pd.DataFrame:
    """Choose n episodes: `target_id, level, probability`, in random order; a target may be chosen several times.

    `samples` holds joint draws (draws, N) of `held_out` in the order of `target_ids`. Every row is the target and level
    that it is with exactly `probability`; as a batch, rows are spread as evenly as these allow (systematic sampling).
    Levels are as likely as each other. Raises TableError as `probabilities` does, and for n below 1 or above `MOST`.
    """
    if n < 1:
        raise TableError(f"{n} episodes are none", remedy="ask for at least 1", field="n")
    if n > MOST:
        raise TableError(f"{n:,} episodes are too many for a plan", remedy=f"ask for at most {MOST:,}", field="n")
    each = probabilities(samples["held_out"], goal, k=k) / len(levels)
    order = rng.permutation(len(each))
    cumulated = np.cumsum(np.repeat(each[order], len(levels)))
    at = np.searchsorted(cumulated, cumulated[-1] * (rng.random() + np.arange(n)) / n, side="right")
    at = rng.permutation(np.minimum(at, len(cumulated) - 1))
    target = order[at // len(levels)]
    return pd.DataFrame(
        {
            "target_id": [target_ids[one] for one in target],
            "level": [levels[one] for one in at % len(levels)],
            "probability": each[target],
        }
    )


def probabilities(held_out: Floats, goal: Goal, *, k: int = 10) -> Floats:
    """Probability of each target to be played next, (N,), from joint draws (draws, N) of its held-out skill.

    They sum to 1, and none is below `UNIFORM` / N. Raises TableError where the best k are no choice.
    """
    n = held_out.shape[1]
    if goal == "all":
        return np.full(n, 1 / n)
    if not 1 <= k < n:
        raise TableError(
            f"the best {k} of {n} targets are no choice", remedy="give a smaller k, or the goal 'all'", field="k"
        )
    mixed: Floats = UNIFORM / n + (1 - UNIFORM) * top_two(held_out, k)
    return mixed


def top_two(held_out: Floats, k: int) -> Floats:
    """Probability of each target under top-two Thompson sampling for the best k, over all pairs of draws, exactly.

    Uniform where all draws name the same k.
    """
    draws, n = held_out.shape
    best = np.zeros((draws, n))
    np.put_along_axis(best, np.argsort(-held_out, axis=1, kind="stable")[:, :k], 1.0, axis=1)
    apart = 2 * (k - (best @ best.T).round())  # targets on which two draws disagree
    others = (apart > 0).sum(axis=1)  # draws that name another k
    if not others.any():
        return np.full(n, 1 / n)
    chance = np.divide(1.0, apart * others[:, None], out=np.zeros_like(apart), where=apart > 0)
    either = best.T @ (chance.sum(axis=1) + chance.sum(axis=0))
    found: Floats = np.maximum(either - 2 * (best * (chance @ best)).sum(axis=0), 0.0)
    shares: Floats = found / found.sum()
    return shares
