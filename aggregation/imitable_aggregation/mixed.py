"""The linear system of the crossed mixed model: its exact posterior mean and joint draws, in time O(episodes).

For episode e of annotator a on target t, the levels L_e (one a knot of the learning curve) are

    L_e = F_e beta + theta_t + alpha_a + u_e,     u_e ~ N(0, V_u)
    theta_t ~ N(0, V_t + C_t)                     C_t: what few shared items add, known
    alpha_a ~ N(Gamma · mean of theta over the episodes of a, V_a)

and beta is flat. u_e is integrated out, alpha is eliminated (block diagonal), and what is left, one block a target, is
solved by conjugate gradients with the exact diagonal blocks as preconditioner. Draws are exact: the right-hand side is
perturbed by noise of the likelihood's and the priors' own covariance and solved again (Papandreou & Yuille, Gaussian
sampling by local perturbations, 2010). Gamma, the correlated random effect, lets the data say that skilled people were
given hard targets (Mundlak, On the pooling of time series and cross section data, 1978).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TOLERANCE = 1e-5
"""Residual of the conjugate gradients relative to the right-hand side, for means."""
TOLERANCE_OF_DRAWS = 1e-3
"""The same for draws, which nobody sees one by one."""
MOST_STEPS = 200
MOST_NUMBERS = 20_000_000
"""Numbers in one array of draws: bounds the memory, of which several such arrays are needed."""


@dataclass(frozen=True)
class Design:
    """Who played what, with each episode's sums over its guesses. E episodes, T targets, A annotators, K knots."""

    target: Ints
    """(E,)"""
    annotator: Ints
    """(E,)"""
    pattern: Ints
    """(E,): many episodes share their X'X."""
    xx: Floats
    """(patterns, K, K): X'X."""
    xy: Floats
    """(E, K): X'y."""
    fixed: Floats
    """(E, p): the row of F, the same at every knot; its first column is the intercept."""
    targets: int
    annotators: int

    @property
    def knots(self) -> int:
        """K."""
        return int(self.xy.shape[1])

    def columns(self, most: int, *, least: int) -> int:
        """Draws that are solved together: fewer than `most` where there are many episodes, targets and annotators."""
        each = self.knots * (len(self.target) + self.targets + self.annotators)
        return max(least, min(most, MOST_NUMBERS // each))

    def by_target(self, values: Floats) -> Floats:
        """Sum (E, ...) over the episodes of each target."""
        return _sums(self.target, self.targets, values)

    def by_annotator(self, values: Floats) -> Floats:
        """Sum (E, ...) over the episodes of each annotator."""
        return _sums(self.annotator, self.annotators, values)

    def mean_target(self, theta: Floats) -> Floats:
        """Mean of theta, (T, ...), over the episodes of each annotator: (A, ...)."""
        mean: Floats = self.spread() @ theta.reshape(self.targets, -1)
        return mean.reshape(self.annotators, *theta.shape[1:])

    def spread(self) -> Any:
        """The sparse (A, T) matrix of that mean."""
        size = np.bincount(self.annotator, minlength=self.annotators)
        where = (self.annotator, self.target)
        return sparse.csr_matrix((1.0 / size[self.annotator], where), shape=(self.annotators, self.targets))


@dataclass(frozen=True)
class Parameters:
    """Variances and the correlated effect. All (K, K) but `noise`."""

    noise: float
    """Variance of one guess's skill about its episode's curve."""
    target: Floats
    annotator: Floats
    episode: Floats
    gamma: Floats


@dataclass(frozen=True)
class Draws:
    """Columns 0 to R of the solution: the posterior mean first where asked for, then draws about it."""

    theta: Floats
    """(T, K, columns)"""
    alpha: Floats
    """(A, K, columns)"""
    beta: Floats
    """(p, K, columns)"""


class System:
    """The posterior under given parameters."""

    def __init__(self, design: Design, parameters: Parameters, item: Floats, start: Floats | None = None) -> None:
        """`item` is C, (T, K, K). `start` is `fixed_part` of a similar system, from which the solver sets out."""
        self._design, self._parameters = design, parameters
        d, k, p = design, design.knots, design.fixed.shape[1]
        precision = d.xx / parameters.noise
        whole = np.eye(k) + precision @ parameters.episode
        self._shrink = np.linalg.inv(whole)
        m = self._shrink @ precision
        self._m = 0.5 * (m + m.transpose(0, 2, 1))
        m_e = self._m[d.pattern]
        self._prior_target = np.linalg.inv(parameters.target + item)
        self._prior_annotator = np.linalg.inv(parameters.annotator)
        pull = parameters.gamma.T @ self._prior_annotator
        size = np.bincount(d.annotator, minlength=d.annotators)
        weight = 1.0 / size[d.annotator]
        self._diagonal = d.by_target(m_e) + self._prior_target
        self._annotator_inverse = np.linalg.inv(d.by_annotator(m_e) + self._prior_annotator)
        cross = m_e - weight[:, None, None] * pull
        self._cross = _blocks(d.target, d.annotator, cross, d.targets, d.annotators)
        self._cross_back = _blocks(d.annotator, d.target, cross.transpose(0, 2, 1), d.annotators, d.targets)
        self._spread = d.spread()
        self._gathered = self._spread.T.tocsr()
        self._both = pull @ parameters.gamma
        inner = cross @ self._annotator_inverse[d.annotator] @ cross.transpose(0, 2, 1)
        share = np.bincount(d.target, weight**2, minlength=d.targets)
        exact = self._diagonal + share[:, None, None] * self._both - d.by_target(inner)
        self._precondition = np.linalg.inv(exact)
        # beta: what it shares with theta and alpha, and its own block once both are eliminated
        spread_out = m_e[:, :, None, :] * d.fixed[:, None, :, None]
        to_target = d.by_target(spread_out).reshape(d.targets, k, p * k)
        self._to_annotator = d.by_annotator(spread_out).reshape(d.annotators, k, p * k)
        own = np.einsum("ep,eq,eij->piqj", d.fixed, d.fixed, m_e).reshape(p * k, p * k)
        own -= np.einsum("akb,akl,alc->bc", self._to_annotator, self._annotator_inverse, self._to_annotator)
        self._to_target = to_target - self._times_cross(self._annotator_inverse @ self._to_annotator)
        self.fixed_part = self._conjugate(self._to_target, np.full(p * k, TOLERANCE), start)
        self._own_inverse = np.linalg.pinv(
            own - np.einsum("tkb,tkc->bc", self._to_target, self.fixed_part), rcond=1e-10, hermitian=True
        )

    def solve(self, normal: tuple[Floats, Floats, Floats], *, mean: bool = True) -> Draws:
        """The posterior mean (if `mean`), and one draw about 0 for each column of the standard normal numbers given.

        They are (E, K, R), (T, K, R) and (A, K, R). A draw of the posterior is the mean plus a column. Numbers of
        another variance than 1 give what the estimator would do under noise that the model does not know of.
        """
        d = self._design
        h = root(self._m)[d.pattern] @ normal[0]
        of_target = np.linalg.cholesky(self._prior_target) @ normal[1]
        of_annotator = np.linalg.cholesky(self._prior_annotator) @ normal[2]
        pulled = self._parameters.gamma.T @ of_annotator
        of_target = of_target - (self._gathered @ pulled.reshape(d.annotators, -1)).reshape(of_target.shape)
        b_theta, b_alpha = d.by_target(h) + of_target, d.by_annotator(h) + of_annotator
        b_beta = np.tensordot(d.fixed, h, axes=(0, 0))
        if mean:
            data = self._shrink[d.pattern] @ (d.xy / self._parameters.noise)[:, :, None]
            b_theta = np.concatenate([d.by_target(data), b_theta], axis=2)
            b_alpha = np.concatenate([d.by_annotator(data), b_alpha], axis=2)
            b_beta = np.concatenate([np.tensordot(d.fixed, data, axes=(0, 0)), b_beta], axis=2)
        shape = b_beta.shape
        inner = self._annotator_inverse @ b_alpha
        left = b_beta.reshape(-1, shape[2]) - np.einsum("akb,akr->br", self._to_annotator, inner)
        tolerance = np.full(shape[2], TOLERANCE_OF_DRAWS)
        tolerance[: int(mean)] = TOLERANCE
        x = self._conjugate(b_theta - self._times_cross(inner), tolerance)
        beta = self._own_inverse @ (left - np.einsum("tkb,tkr->br", self._to_target, x))
        theta = x - self.fixed_part @ beta
        alpha = self._annotator_inverse @ (b_alpha - self._times_cross_back(theta) - self._to_annotator @ beta)
        return Draws(theta, alpha, beta.reshape(shape))

    def episodes(self, levels: Floats) -> tuple[Floats, Floats]:
        """Posterior of u_e given the other levels (E, K, columns), the first of which is their mean.

        Returns means in the same shape (columns after the first: how far a draw moves them), and covariances
        (patterns, K, K).
        """
        d = self._design
        precision = d.xx / self._parameters.noise
        covariance = np.linalg.inv(precision + np.linalg.inv(self._parameters.episode))
        left = -(precision[d.pattern] @ levels)
        left[:, :, 0] += d.xy / self._parameters.noise
        return covariance[d.pattern] @ left, covariance

    def _times_cross(self, alpha: Floats) -> Floats:
        out: Floats = self._cross @ alpha.reshape(-1, alpha.shape[2])
        return out.reshape(self._design.targets, self._design.knots, -1)

    def _times_cross_back(self, theta: Floats) -> Floats:
        out: Floats = self._cross_back @ theta.reshape(-1, theta.shape[2])
        return out.reshape(self._design.annotators, self._design.knots, -1)

    def _times(self, theta: Floats) -> Floats:
        """The system's matrix, alpha eliminated, on (T, K, columns)."""
        pulled: Floats = self._gathered @ (self._spread @ theta.reshape(theta.shape[0], -1))
        inner = self._annotator_inverse @ self._times_cross_back(theta)
        return self._diagonal @ theta + self._both @ pulled.reshape(theta.shape) - self._times_cross(inner)

    def _conjugate(self, right: Floats, tolerance: Floats, start: Floats | None = None) -> Floats:
        x = np.zeros_like(right) if start is None else start.copy()
        left = right - self._times(x) if start is not None else right.copy()
        goal = tolerance**2 * np.einsum("tkr,tkr->r", right, right)
        z = self._precondition @ left
        step, size = z.copy(), np.einsum("tkr,tkr->r", left, z)
        for _ in range(MOST_STEPS):
            if (np.einsum("tkr,tkr->r", left, left) <= goal).all():
                break
            moved = self._times(step)
            along = np.einsum("tkr,tkr->r", step, moved)
            rate = np.divide(size, along, out=np.zeros_like(size), where=along > 0)
            x += rate * step
            left -= rate * moved
            z = self._precondition @ left
            new = np.einsum("tkr,tkr->r", left, z)
            step = z + np.divide(new, size, out=np.zeros_like(size), where=size > 0) * step
            size = new
        return x


def _sums(of: Ints, count: int, values: Floats) -> Floats:
    flat = values.reshape(len(of), -1)
    adding: Any = sparse.csr_matrix((np.ones(len(of)), (of, np.arange(len(of)))), shape=(count, len(of)))
    summed: Floats = adding @ flat
    return summed.reshape(count, *values.shape[1:])


def _blocks(row: Ints, column: Ints, blocks: Floats, rows: int, columns: int) -> Any:
    """A sparse matrix of (K, K) blocks, one an episode."""
    order = np.argsort(row, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))])
    k = blocks.shape[1]
    return sparse.bsr_matrix(
        (np.ascontiguousarray(blocks[order]), column[order], starts), shape=(rows * k, columns * k), blocksize=(k, k)
    )


def root(covariance: Floats) -> Floats:
    """A square root of a covariance, or of a stack of them: also of one that is singular, or is not quite one by
    rounding."""
    values, vectors = np.linalg.eigh((covariance + np.swapaxes(covariance, -1, -2)) / 2)
    found: Floats = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    return found
