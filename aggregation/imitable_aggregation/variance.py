"""Variances of the crossed mixed model by expectation-maximisation, with draws for the expectations.

The draws reuse one set of standard normal numbers in every step (common random numbers), so that the steps converge
and a seed gives one answer. Each covariance has a weak prior, worth `PRIOR_WEIGHT` units of the usual size: it decides
where a study is too small to tell, and is lost in any other. Steps are extrapolated by SQUAREM (Varadhan & Roland,
Simple and globally convergent methods for accelerating the convergence of any EM algorithm, 2008).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .mixed import Design, Floats, Parameters, System

PRIOR_WEIGHT = 2.0
"""Units that the prior of a covariance counts for."""
PRIOR_GAMMA = 10.0
"""Annotators that the prior of gamma, centred on 0, counts for."""
PRIOR_FREEDOM = 30.0
"""Degrees of freedom that all targets' noise counts for in each target's own."""
USUAL = {"target": 0.05, "annotator": 0.04, "episode": 0.05, "noise": 0.6}
"""Variances of skill that are usual, in our rehearsals: where a fit sets out, and what its weak prior holds."""
MOST_STEPS = 60
LONGEST = 8.0
"""Largest factor by which a step is extrapolated."""
SETTLED = 5e-3
"""Largest change of a covariance in a step, relative to its size, at which the steps end."""


@dataclass(frozen=True)
class Estimated:
    """Parameters and how they were found."""

    parameters: Parameters
    steps: int
    system: System


def usual(knots: int, noise: float) -> Parameters:
    """Where a fit sets out."""
    shape = 0.5 * np.eye(knots) + 0.5
    return Parameters(
        noise=noise,
        target=USUAL["target"] * shape,
        annotator=USUAL["annotator"] * shape,
        episode=USUAL["episode"] * shape,
        gamma=np.zeros((knots, knots)),
    )


def noise_within(design: Design, yy: Floats, n: Floats) -> tuple[float, Floats]:
    """Variance of one guess about its episode's own curve: of all, and of each target, relative to all, (T,).

    A target's own variance counts with its degrees of freedom, that of all with `PRIOR_FREEDOM`.
    """
    inverse = np.linalg.pinv(design.xx, rcond=1e-9, hermitian=True)
    rank = np.linalg.matrix_rank(design.xx, tol=1e-9, hermitian=True)[design.pattern]
    explained = np.einsum("ei,eij,ej->e", design.xy, inverse[design.pattern], design.xy)
    freedom = np.maximum(n - rank, 0).astype(np.float64)
    left = np.where(freedom > 0, np.maximum(yy - explained, 0.0), 0.0)
    if freedom.sum() < 1:
        return USUAL["noise"], np.ones(design.targets)
    noise = max(float(left.sum() / freedom.sum()), 1e-4)
    own = design.by_target(np.stack([left, freedom], axis=1))
    relative: Floats = (own[:, 0] / noise + PRIOR_FREEDOM) / (own[:, 1] + PRIOR_FREEDOM)
    return noise, relative


def estimate(
    design: Design, noise: float, item: Floats, *, columns: int, correlated: bool, rng: np.random.Generator
) -> Estimated:
    """Covariances of targets, annotators and their meetings, and gamma (0 unless `correlated`).

    `item` is C, (T, K, K); `columns` is how many draws stand for an expectation.
    """
    normal = tuple(
        rng.standard_normal((count, design.knots, columns))
        for count in (len(design.target), design.targets, design.annotators)
    )
    prior = usual(design.knots, noise)
    fixed_part: Floats | None = None
    steps = 0

    def step(now: Parameters) -> Parameters:
        nonlocal fixed_part, steps
        system = System(design, now, item, fixed_part)
        fixed_part = system.fixed_part
        steps += 1
        return _maximise(design, system, now, prior, item, normal, correlated=correlated)  # type: ignore[arg-type]

    now = prior
    while True:
        once = step(now)
        twice = step(once)
        settled = _change(once, twice) < SETTLED or steps >= MOST_STEPS
        now = twice if settled else _extrapolated(now, once, twice)
        if settled:
            return Estimated(now, steps, System(design, now, item, fixed_part))


def _extrapolated(zero: Parameters, one: Parameters, two: Parameters) -> Parameters:
    """SQUAREM's step, with covariances as logarithms of matrices so that they stay covariances."""
    a, b, c = (_vector(each) for each in (zero, one, two))
    first, bend = b - a, c - 2 * b + a
    length = float(np.clip(np.linalg.norm(first) / max(float(np.linalg.norm(bend)), 1e-12), 1.0, LONGEST))
    return _parameters(a + 2 * length * first + length**2 * bend, zero)


def _vector(parameters: Parameters) -> Floats:
    logs = [_by_eigen(each, np.log) for each in (parameters.target, parameters.annotator, parameters.episode)]
    return np.concatenate([*(each.ravel() for each in logs), parameters.gamma.ravel()])


def _parameters(vector: Floats, like: Parameters) -> Parameters:
    k = like.target.shape[0]
    parts = vector.reshape(4, k, k)
    target, annotator, episode = (_by_eigen(0.5 * (each + each.T), np.exp) for each in parts[:3])
    return Parameters(like.noise, target, annotator, episode, parts[3])


def _by_eigen(matrix: Floats, function: Callable[[Floats], Floats]) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    result: Floats = (vectors * function(values)) @ vectors.T
    return result


def _maximise(
    design: Design,
    system: System,
    now: Parameters,
    prior: Parameters,
    item: Floats,
    normal: tuple[Floats, Floats, Floats],
    *,
    correlated: bool,
) -> Parameters:
    found = system.solve(normal)
    theta, alpha = found.theta, found.alpha
    keep = now.target @ np.linalg.inv(now.target + item)
    second = keep @ _square(theta) @ keep.transpose(0, 2, 1) + now.target - keep @ now.target
    target = _with_prior(second, prior.target)
    gamma = now.gamma
    met = design.mean_target(theta)
    if correlated:
        # knots of one target are much alike: alpha is regressed on their mean, and not on each alone
        alike = met.mean(axis=1, keepdims=True)
        slope = _products(alpha, alike) / (_products(alike, alike) + PRIOR_GAMMA * float(now.target.mean()))
        gamma = np.tile(slope / design.knots, (1, design.knots))
    annotator = _with_prior(_square(alpha - gamma @ met), prior.annotator)
    levels = np.tensordot(design.fixed, found.beta, axes=(1, 0)) + theta[design.target] + alpha[design.annotator]
    moved, covariance = system.episodes(levels)
    episode = _with_prior(_square(moved) + covariance[design.pattern], prior.episode)
    return replace(now, target=target, annotator=annotator, episode=episode, gamma=gamma)


def _square(values: Floats) -> Floats:
    """E[v v'] of each unit from its mean (first column) and draws about it: (units, K, K)."""
    mean, about = values[:, :, 0], values[:, :, 1:]
    result: Floats = mean[:, :, None] * mean[:, None, :] + about @ about.transpose(0, 2, 1) / about.shape[2]
    return result


def _products(a: Floats, b: Floats) -> Floats:
    """Sum over units of E[a b']: (K, K)."""
    about = np.einsum("uir,ujr->ij", a[:, :, 1:], b[:, :, 1:]) / (a.shape[2] - 1)
    result: Floats = np.einsum("ui,uj->ij", a[:, :, 0], b[:, :, 0]) + about
    return result


def _with_prior(seconds: Floats, prior: Floats) -> Floats:
    value: Floats = (seconds.sum(axis=0) + PRIOR_WEIGHT * prior) / (len(seconds) + PRIOR_WEIGHT)
    return 0.5 * (value + value.T)


def _change(old: Parameters, new: Parameters) -> float:
    """Largest change of any entry, relative to the variances it stands between; of gamma, absolute."""
    changes = [float(np.abs(new.gamma - old.gamma).max())]
    for name in ("target", "annotator", "episode"):
        before, after = getattr(old, name), getattr(new, name)
        scale = np.sqrt(np.outer(np.diag(after), np.diag(after)))
        changes.append(float((np.abs(after - before) / scale).max()))
    return max(changes)
