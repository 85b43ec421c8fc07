"""The fast solver of the mixed model is the dense one, and its draws have the posterior's covariance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from imitable_aggregation.mixed import Design, Parameters, System
from imitable_aggregation.variance import estimate

Floats = npt.NDArray[np.float64]

K = 3


def covariance(rng: np.random.Generator, size: float) -> Floats:
    root = rng.normal(0, 1, (K, K)) * 0.5 + np.eye(K)
    return size * root @ root.T


def parameters(rng: np.random.Generator) -> Parameters:
    return Parameters(
        noise=0.4,
        target=covariance(rng, 0.06),
        annotator=covariance(rng, 0.03),
        episode=covariance(rng, 0.04),
        gamma=rng.normal(0, 0.4, (K, K)),
    )


def curve(rounds: int) -> Floats:
    """X of an episode that was left after so many rounds: three knots, at 0, 3 and 12 feedbacks."""
    seen = np.minimum(np.arange(rounds), 12.0)
    return np.stack([np.interp(seen, [0, 3, 12], row) for row in np.eye(K)], axis=1)


def design(rng: np.random.Generator, *, episodes: int, targets: int, annotators: int, truth: Parameters) -> Design:
    """Episodes drawn from the model itself, some of them short; two fixed effects."""
    target = np.concatenate([np.arange(targets), rng.integers(targets, size=episodes - targets)])
    annotator = np.concatenate([rng.integers(annotators, size=episodes - annotators), np.arange(annotators)])
    size = np.bincount(annotator)
    theta = rng.multivariate_normal(np.zeros(K), truth.target, targets)
    met = np.zeros((annotators, K))
    np.add.at(met, annotator, theta[target] / size[annotator][:, None])
    alpha = met @ truth.gamma.T + rng.multivariate_normal(np.zeros(K), truth.annotator, annotators)
    fixed = np.stack([np.ones(episodes), rng.choice([-1.0, 1.0], episodes)], axis=1)
    beta = np.array([[0.1, 0.2, 0.3], [0.05, 0.0, -0.05]])
    lengths = rng.choice([16, 16, 16, 7, 2], episodes)
    kinds = np.unique(lengths)
    level = (
        fixed @ beta + theta[target] + alpha[annotator] + rng.multivariate_normal(np.zeros(K), truth.episode, episodes)
    )
    xy = np.empty((episodes, K))
    for at, rounds in enumerate(lengths):
        x = curve(int(rounds))
        xy[at] = x.T @ (x @ level[at] + np.sqrt(truth.noise) * rng.normal(size=len(x)))
    return Design(
        target=target,
        annotator=annotator,
        pattern=np.searchsorted(kinds, lengths),
        xx=np.stack([curve(int(rounds)).T @ curve(int(rounds)) for rounds in kinds]),
        xy=xy,
        fixed=fixed,
        targets=targets,
        annotators=annotators,
    )


def dense(d: Design, p: Parameters, item: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance of (theta, alpha, beta) by writing everything out."""
    t, a, f = d.targets, d.annotators, d.fixed.shape[1]
    n = K * (t + a + f)
    precision, right = np.zeros((n, n)), np.zeros(n)
    spread = d.spread().toarray()
    for e in range(len(d.target)):
        rows = np.zeros((K, n))
        rows[:, K * d.target[e] : K * d.target[e] + K] = np.eye(K)
        rows[:, K * (t + d.annotator[e]) : K * (t + d.annotator[e]) + K] = np.eye(K)
        for column in range(f):
            at = K * (t + a + column)
            rows[:, at : at + K] = d.fixed[e, column] * np.eye(K)
        xx = d.xx[d.pattern[e]] / p.noise
        shrink = np.linalg.inv(np.eye(K) + xx @ p.episode)
        precision += rows.T @ shrink @ xx @ rows
        right += rows.T @ shrink @ d.xy[e] / p.noise
    for at in range(t):
        part = slice(K * at, K * at + K)
        precision[part, part] += np.linalg.inv(p.target + item[at])
    for at in range(a):
        rows = np.zeros((K, n))
        rows[:, K * (t + at) : K * (t + at) + K] = np.eye(K)
        rows[:, : K * t] = -np.kron(spread[at], p.gamma)
        precision += rows.T @ np.linalg.inv(p.annotator) @ rows
    inverse = np.linalg.inv(precision).astype(np.float64)
    return inverse @ right, inverse


def flat(theta: Floats, alpha: Floats, beta: Floats) -> Floats:
    return np.concatenate([each.reshape(-1, each.shape[-1]) for each in (theta, alpha, beta)])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mean_and_draws_are_those_of_the_dense_posterior(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = parameters(rng)
    d = design(rng, episodes=40, targets=6, annotators=9, truth=p)
    item = np.stack([np.diag(rng.uniform(0, 0.03, K)) for _ in range(6)])
    mean, inverse = dense(d, p, item)
    many = 40_000
    normal = tuple(rng.standard_normal((n, K, many)) for n in (40, 6, 9))
    found = System(d, p, item).solve(normal)  # type: ignore[arg-type]
    values = flat(found.theta, found.alpha, found.beta)
    np.testing.assert_allclose(values[:, 0], mean, atol=2e-4)
    drawn = values[:, 1:]
    sd = np.sqrt(np.diag(inverse))
    assert np.abs(drawn.mean(axis=1) / sd).max() < 5 / np.sqrt(many)
    np.testing.assert_allclose(np.corrcoef(drawn), inverse / np.outer(sd, sd), atol=0.03)
    np.testing.assert_allclose(drawn.std(axis=1), sd, rtol=0.02)


def test_variances_and_the_correlated_effect_are_recovered_from_the_model_itself() -> None:
    rng = np.random.default_rng(5)
    shape = 0.4 * np.eye(K) + 0.6
    gamma = np.full((K, K), -0.25)
    truth = Parameters(0.4, 0.08 * shape, 0.03 * shape, 0.05 * shape, gamma)
    d = design(rng, episodes=6000, targets=500, annotators=900, truth=truth)
    found = estimate(d, 0.4, np.zeros((500, K, K)), columns=12, correlated=True, rng=rng).parameters
    for name in ("target", "annotator", "episode"):
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), rtol=0.25, atol=0.006, err_msg=name)
    np.testing.assert_allclose(found.gamma.sum(axis=1), gamma.sum(axis=1), atol=0.2)


def test_without_correlation_gamma_is_nothing_and_a_seed_gives_one_answer() -> None:
    rng = np.random.default_rng(8)
    p = parameters(rng)
    d = design(rng, episodes=60, targets=8, annotators=12, truth=p)
    none = np.zeros((8, K, K))
    once, again = (estimate(d, 0.4, none, columns=20, correlated=False, rng=np.random.default_rng(3)) for _ in "ab")
    assert not once.parameters.gamma.any()
    assert once.steps == again.steps
    assert once.parameters.target.tobytes() == again.parameters.target.tobytes()
