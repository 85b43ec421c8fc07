"""How well a campaign would rank its targets, before it is played.

With m honest episodes a target, generalizability theory gives the reliability of the ranking,

    reliability = V_t / (V_t + V_e / m),     expected Kendall's tau = (2/π) asin √reliability

where V_t is the variance between targets and V_e that of one episode's mean: of annotators, of their meeting with the
target, and of guesses over the rounds (Brennan, Generalizability theory, 2001; the second step holds for normal
levels). Three refinements make V_e what the estimator sees: all three knots of the learning curve count, since practice
tells of held-out skill; what an annotator's other episodes say of him is not error; and a held-out pool of a few dozen
items is shared. Widths of ranks come from a simulation of normal levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import TableError

Floats = npt.NDArray[np.float64]

TOP_SHARE = 0.1
"""The best tenth: of it, how many are found."""
POOL = {"practice": 60, "held_out": 40}
"""Items that a target usually has."""
SIMULATED = 4000
"""Targets that ranks are simulated of, about."""
DRAWS = 200
STEPS = 30
KNOTS = ("start", "middle", "held_out")
LARGEST = 1e30
"""No variance of skill is larger."""


@dataclass(frozen=True)
class Variances:
    """Where skill varies: squared skill, (K, K) over the knots that were seen."""

    target: Floats
    annotator: Floats
    episode: Floats
    """Of the meeting of an annotator with a target."""
    noise: float
    """Of one guess about its episode's curve."""
    item: float
    """What of the noise goes with the item."""
    knots: tuple[str, ...] = KNOTS
    source: str = ""
    """Where they come from, for who reads the forecast."""

    @classmethod
    def of(cls, components: dict[str, Any], source: str) -> Variances:
        """From `Fit.components`, or from `variance_components` of fit.json. Raises TableError where they are none."""
        try:
            target, annotator, episode = (
                np.array(components[name], dtype=np.float64) for name in ("target", "annotator", "episode")
            )
            knots = tuple(str(name) for name in components["knots"])
            noise, item = float(components["noise"]), float(components["item"])
            if not knots or len(set(knots)) < len(knots) or not set(knots) <= set(KNOTS):
                raise ValueError(f"knots are {', '.join(knots) or 'none'}")
            if not (0 < noise < np.inf and 0 <= item <= noise):
                raise ValueError(f"noise is {noise:g}, of which {item:g} goes with the item")
            for name, matrix in (("target", target), ("annotator", annotator), ("episode", episode)):
                if not _is_covariance(matrix, len(knots)):
                    raise ValueError(f"{name} is no covariance of {len(knots)} knots")
        except (KeyError, TypeError, ValueError) as error:
            raise TableError(
                f"holds no variance components that can be read ({error})",
                remedy="write it anew with 'imitable rank'",
                file=source,
                field="variance_components",
            ) from error
        return cls(target, annotator, episode, noise=noise, item=item, knots=knots, source=source)


def _is_covariance(matrix: Floats, knots: int) -> bool:
    if matrix.shape != (knots, knots) or not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
        return False
    return bool(np.linalg.eigvalsh(matrix).min() > 0) and bool(np.abs(matrix).max() < LARGEST)


DEFAULT = Variances(
    target=np.array([[0.060, 0.056, 0.050], [0.056, 0.073, 0.065], [0.050, 0.065, 0.064]]),
    annotator=np.array([[0.026, 0.016, 0.015], [0.016, 0.022, 0.017], [0.015, 0.017, 0.019]]),
    episode=np.array([[0.030, 0.010, 0.008], [0.010, 0.023, 0.008], [0.008, 0.008, 0.016]]),
    noise=0.42,
    item=0.09,
    source="simulated campaigns of known truth (imitable_aggregation.simulate, 100,000 guesses), not people",
)
"""What the estimator finds in the simulator's campaigns."""


@dataclass(frozen=True)
class Forecast:
    """What to expect of a campaign. Skill is on its own scale: 1 is exact, 0 the best constant guess."""

    targets: int
    annotators: int
    episodes: int
    """That each annotator plays."""
    per_target: float
    """Honest episodes of a target."""
    reliability: float
    """Share of the variance of estimates that is of the targets, 0 to 1."""
    tau: float
    """Expected Kendall's tau between the estimated and the true order."""
    width: float
    """Width of a usual interval of imitability."""
    rank_width: float
    """Width of a usual rank interval, as a share of all ranks, 0 to 1."""
    top_hit: float
    """Share of the best tenth that is among the estimated best tenth, 0 to 1."""
    group_width: float
    """Width of the interval of a difference between two halves of the targets, for new targets like these."""


def forecast(
    variances: Variances,
    *,
    targets: int,
    annotators: int,
    episodes: int,
    practice: int = 15,
    held_out: int = 5,
    pool: int = POOL["held_out"],
    honest: float = 1.0,
    coverage: float = 0.9,
    seed: int = 0,
) -> Forecast:
    """Expect what a campaign tells whose annotators play so many episodes each, on targets given out evenly.

    `practice` and `held_out` are rounds of an episode, `pool` the held-out items of a target, `honest` the share of
    episodes that count. Raises TableError for a campaign that cannot be.
    """
    _refuse(targets, annotators, episodes, practice, held_out, honest)
    mean = annotators * episodes * honest / targets
    counts = np.array([np.floor(mean), np.ceil(mean)])
    share = np.array([1 - (mean - counts[0]), mean - counts[0]])
    total = float(variances.target[-1, -1])
    error = np.array(
        [_left(variances, m, mean, episodes, practice, held_out, pool) if m > 0 else total for m in counts]
    )
    reliability = float(np.clip(1 - (share * error).sum() / total, 0.0, 1.0))
    reach = 2 * NormalDist().inv_cdf(0.5 + coverage / 2)
    rank_width, top_hit = _ranks(targets, 1 - error / total, share, coverage, np.random.default_rng([20261127, seed]))
    per_group = max(targets / 2, 1)
    of_group = 2 * (total + total * (1 - reliability) / max(reliability, 1e-9)) / per_group
    return Forecast(
        targets=targets,
        annotators=annotators,
        episodes=episodes,
        per_target=mean,
        reliability=reliability,
        tau=float(2 / np.pi * np.arcsin(np.sqrt(reliability))),
        width=float(reach * np.sqrt((share * error).sum())),
        rank_width=rank_width,
        top_hit=top_hit,
        group_width=float(reach * np.sqrt(of_group)),
    )


def _refuse(targets: int, annotators: int, episodes: int, practice: int, held_out: int, honest: float) -> None:
    for name, value in (("targets", targets), ("annotators", annotators), ("episodes", episodes)):
        if value < 1:
            raise TableError(f"{value} {name} make no campaign", remedy="give at least 1", field=name)
    if episodes > targets:
        raise TableError(
            f"an annotator plays a target once, and so not {episodes} episodes on {targets} targets",
            remedy="give fewer episodes or more targets",
            field="episodes",
        )
    if practice < 0 or held_out < 0 or practice + held_out == 0:
        raise TableError("an episode without rounds tells nothing", remedy="give at least one round", field="held_out")
    if not 0 < honest <= 1:
        raise TableError(f"{honest:g} is no share of episodes", remedy="give more than 0 and at most 1", field="honest")


def _left(
    variances: Variances, m: float, usual: float, episodes: int, practice: int, held_out: int, pool: int
) -> float:
    """Variance that m episodes leave of a target's held-out level; its people's other targets have the usual m."""
    used = [KNOTS.index(name) for name in variances.knots]
    unit: Floats = np.eye(len(used))
    told = _information(practice, held_out)[np.ix_(used, used)] / variances.noise
    sizes = np.array([POOL["practice"], POOL["practice"], pool], dtype=np.float64)[used]

    def after(count: float, annotator: Floats) -> Floats:
        each = np.linalg.solve(unit + told @ (annotator + variances.episode), told)
        shared = variances.item * max(0.0, 1 - 1 / count) * np.diag(1 / sizes)
        whole = count * np.linalg.solve(unit + count * each @ shared, each)
        return _inverse(_inverse(variances.target) + 0.5 * (whole + whole.T))

    left, annotator = variances.target, variances.annotator
    for _ in range(STEPS):  # what others' targets leave open decides what is known of the annotator, and so on
        other = np.linalg.solve(unit + told @ (left + variances.episode), told)
        annotator = _inverse(_inverse(variances.annotator) + (episodes - 1) * 0.5 * (other + other.T))
        left = after(max(usual, 1.0), annotator)
    return float(after(m, annotator)[-1, -1])


def _information(practice: int, held_out: int) -> Floats:
    """X'X of an episode over start, middle and held-out: linear interpolation between 0, 3 and all feedbacks."""
    last = max(float(practice), 1.0)
    knots = (0.0, 3.0 if last > 3 else last / 2, last)
    seen = np.concatenate([np.arange(practice, dtype=np.float64), np.full(held_out, last)])
    x = np.stack([np.interp(seen, knots, row) for row in np.eye(3)], axis=1)
    return np.asarray(x.T @ x, dtype=np.float64)


def _inverse(matrix: Floats) -> Floats:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _ranks(
    targets: int, reliability: Floats, share: Floats, coverage: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Median width of rank intervals, as a share of ranks, and share of the best tenth found, by simulation."""
    n = min(targets, 1000)
    k = max(1, round(TOP_SHARE * n))
    widths, hits = [], []
    for _ in range(max(3, SIMULATED // n)):
        own = np.where(rng.random(n) < share[1], reliability[1], reliability[0])
        estimate = np.sqrt(own) * rng.standard_normal(n)
        level = estimate + np.sqrt(1 - own) * rng.standard_normal((DRAWS, n))
        ranks = np.argsort(np.argsort(-level, axis=1), axis=1)
        low, high = np.quantile(ranks, [(1 - coverage) / 2, (1 + coverage) / 2], axis=0)
        widths.append(np.median(np.floor(high) - np.ceil(low) + 1) / n)
        best = np.argsort(-estimate, kind="stable")[:k]
        hits.append(float((ranks[:, best] < k).mean()))
    return float(np.mean(widths)), float(np.mean(hits))
