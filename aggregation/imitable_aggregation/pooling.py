"""Means of groups of targets, partially pooled, from joint draws of the targets.

The draws come from a fit whose prior knows of no groups: every target is theta ~ N(mean of all, V). It pulls groups
towards each other, by the share of its targets' variance that the data leave open. Here that pull is undone, and a
two-level normal model put in its place,

    theta of a target of group g ~ N(mu_g, W),     mu_g flat, or mu_g ~ N(mu, t² V) from `POOLED` groups on

with nothing but the draws. Differences between means of groups, q, have the prior N(0, V) each in the fit, and the
draws show their posterior N(m, M), with all that targets share in it (annotators above all). So the likelihood of q is
N((M⁻¹ - V⁻¹)⁻¹ M⁻¹ m, (M⁻¹ - V⁻¹)⁻¹), exactly, and the prior of the two-level model is put to that. W comes from
expectation-maximisation over targets, whose own likelihoods follow in the same way; it is held to what the sum of
squares of all targets leaves, (N - G) W <= (N - 1) V, since a single target of which the data say less than the prior
would else push it without bound. t has a uniform prior (Gelman,
Prior distributions for variance parameters in hierarchical models, 2006) and is integrated over a grid; that W is an
estimate widens intervals as the inverse of a chi-square variable does.

All knots of the learning curve are treated jointly, in coordinates in which V is the identity: one knot by itself
would be pulled towards what the others say of a target under the old prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

POOLED = 5
"""Groups from which on they are taken as a sample of groups, whose variance can be estimated."""
DRAWS = 4000
"""Draws of group means, in pairs that are each other's mirror image."""
MOST_OPEN = 0.98
"""Share of its prior variance that the data leave open about a quantity, at most: bounds how far a pull is undone."""
PRIOR_TARGETS = 2.0
"""Targets that the prior of W, centred on V, counts for."""
STEPS = 30
GRID = (np.arange(40) + 0.5) / 20
"""Values of t: standard deviation of groups' means, relative to that of all targets."""


@dataclass(frozen=True)
class GroupMeans:
    """Draws of the means of G groups at K knots, (DRAWS, G, K). Only differences between groups mean something."""

    finite: Floats
    """Of these targets."""
    kind: Floats
    """Of new targets of the kind."""


def group_means(theta: Floats, group: Ints, *, pooled: bool, rng: np.random.Generator) -> GroupMeans:
    """Means of groups from joint draws `theta`, (draws, N, K), of targets of which each is in one `group`, (N,)."""
    about = theta - theta.mean(axis=1, keepdims=True)
    to, back = _scale(np.einsum("dni,dnj->ij", about, about) / (len(theta) * (theta.shape[1] - 1)))
    white = about @ to
    k = white.shape[2]
    size = np.bincount(group).astype(np.float64)
    root = np.sqrt(size)
    basis: Floats = np.linalg.svd(root[None, :])[2][1:].T  # (G, G - 1): q, orthogonal to the mean of all
    within, freedom = _within(white, group, len(size))
    likely, spread = _differences(white, group, basis * root[:, None])
    normal = _mirrored(rng.standard_normal((DRAWS // 2, len(likely))))
    t: Floats = np.full(DRAWS, np.inf)
    if pooled:
        t, q = _pooled(likely, spread, within, basis, size, normal, rng)
    else:
        q = likely + normal @ _root(spread).T
    finite: Floats = np.einsum("gb,rbk->rgk", basis / root[:, None], q.reshape(DRAWS, len(size) - 1, k))
    wider = _paired(freedom / rng.chisquare(freedom, DRAWS // 2))
    kind = _kind(finite, t, within * (wider[:, None] / size)[:, :, None, None], rng)
    return GroupMeans(finite @ back, kind @ back)


def _scale(total: Floats) -> tuple[Floats, Floats]:
    """(K, k) into coordinates in which V is the identity, and (k, K) back; what hardly varies is left out."""
    values, axes = np.linalg.eigh(total)
    kept = values >= max(1e-6 * float(values[-1]), 1e-15)
    kept[-1] = True
    sd = np.sqrt(np.maximum(values[kept], 1e-15))
    return axes[:, kept] / sd, (axes[:, kept] * sd).T


def _differences(white: Floats, group: Ints, basis: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance of the likelihood of q, the differences of group means that are columns of `basis`."""
    draws, _, k = white.shape
    mean = np.stack([white[:, group == g].mean(axis=1) for g in range(len(basis))], axis=1)
    q = np.einsum("gb,dgk->dbk", basis, mean).reshape(draws, -1)
    share, axes = np.linalg.eigh(_covariance(q, k))
    share = np.clip(share, 1e-6, MOST_OPEN)
    centre = axes @ ((axes.T @ q.mean(axis=0)) / (1 - share))
    return centre, (axes * (share / (1 - share))) @ axes.T


def _covariance(values: Floats, block: int) -> Floats:
    """Covariance of draws, what lies off the diagonal blocks shrunk as far as it is noise (Schäfer & Strimmer 2005)."""
    found = np.atleast_2d(np.cov(values, rowvar=False))
    at = np.arange(len(found)) // block
    off = at[:, None] != at[None, :]
    noise = (np.outer(np.diag(found), np.diag(found)) + found**2) / (len(values) - 1)
    shrink = min(1.0, float(noise[off].sum() / max(float((found[off] ** 2).sum()), 1e-300)))
    return np.where(off, (1 - shrink) * found, found)


def _within(white: Floats, group: Ints, groups: int) -> tuple[Floats, float]:
    """W by expectation-maximisation with flat means of groups, and the degrees of freedom it rests on."""
    draws, n, k = white.shape
    mean = white.mean(axis=0)
    about = white - mean
    own = np.einsum("dni,dnj->nij", about, about) / (draws - 1) * (n / (n - 1))
    share, axes = np.linalg.eigh(own)
    share = np.clip(share, 1e-6, MOST_OPEN)[:, None, :]
    precision: Floats = (axes / share) @ axes.transpose(0, 2, 1)
    linear = np.einsum("nij,nj->ni", precision, mean)
    unit: Floats = np.eye(k)
    w = unit
    for _ in range(STEPS):
        inverse = np.linalg.inv(w)
        post: Floats = np.linalg.inv(np.asarray(precision - unit + inverse))
        pull: Floats = np.asarray(inverse @ post)
        of_mean = np.linalg.inv(_sums(group, groups, np.asarray(inverse - pull @ inverse)))
        mu = np.einsum("gij,gj->gi", of_mean, _sums(group, groups, np.einsum("nij,nj->ni", pull, linear)))[group]
        keep = unit - post @ inverse
        off = np.einsum("nij,nj->ni", post, linear) - np.einsum("nij,nj->ni", keep, mu)
        seconds = post + keep @ of_mean[group] @ keep.transpose(0, 2, 1) + off[:, :, None] * off[:, None, :]
        w = _at_most((seconds.sum(axis=0) + PRIOR_TARGETS * unit) / (n + PRIOR_TARGETS), (n - 1) / max(n - groups, 1))
    known = np.trace(keep, axis1=1, axis2=2) / k
    return w, PRIOR_TARGETS + 1 + float((known**2).mean()) * (n - groups)


def _at_most(w: Floats, most: float) -> Floats:
    """The most likely W none of whose eigenvalues exceeds `most`."""
    values, axes = np.linalg.eigh(w)
    return np.asarray((axes * np.minimum(values, most)) @ axes.T)


def _pooled(
    likely: Floats,
    spread: Floats,
    within: Floats,
    basis: Floats,
    size: Floats,
    normal: Floats,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Draws of t, and of q given t, where groups are a sample."""
    between = np.kron(basis.T @ (size[:, None] * basis), np.eye(len(within)))
    inside = np.kron(np.eye(basis.shape[1]), within)
    logs, means, roots = [], [], []
    for t in GRID:
        whole = np.linalg.cholesky(spread + t**2 * between + inside)
        half = np.linalg.solve(whole, np.column_stack([likely, spread]))
        logs.append(-float(np.log(np.diag(whole)).sum()) - 0.5 * float(half[:, 0] @ half[:, 0]))
        means.append(likely - half[:, 1:].T @ half[:, 0])
        roots.append(_root(spread - half[:, 1:].T @ half[:, 1:]))
    weight = np.exp(np.array(logs) - max(logs))
    cumulated = np.cumsum(weight / weight.sum())
    each = np.searchsorted(cumulated, (np.arange(DRAWS // 2) + 0.5) / (DRAWS // 2)).clip(0, len(GRID) - 1)
    at = _paired(rng.permutation(each))
    q = np.empty_like(normal)
    for place in np.unique(at):
        q[at == place] = means[place] + normal[at == place] @ roots[place].T
    return GRID[at], q


def _kind(finite: Floats, t: Floats, of_mean: Floats, rng: np.random.Generator) -> Floats:
    """Draws of mu from draws of the finite means, of t, and of W over the size of each group, (DRAWS, G, K, K)."""
    _, groups, k = finite.shape
    noise = _mirrored(rng.standard_normal((DRAWS // 2, groups, k)))
    if np.isinf(t).any():
        flat: Floats = finite + np.einsum("rgij,rgj->rgi", _root(of_mean), noise)
        return flat
    prior = t[:, None, None, None] ** 2 * np.eye(k)
    weight = np.linalg.inv(of_mean + prior)
    of_centre: Floats = np.linalg.inv(weight.sum(axis=1))
    centre = np.einsum("rij,rgjk,rgk->ri", of_centre, weight, finite)
    centre += np.einsum("rij,rj->ri", _root(of_centre), _mirrored(rng.standard_normal((DRAWS // 2, k))))
    gain = prior @ weight
    moved = np.einsum("rgij,rgj->rgi", gain, finite - centre[:, None])
    drawn: Floats = centre[:, None] + moved + np.einsum("rgij,rgj->rgi", _root(gain @ of_mean), noise)
    return drawn


def _sums(group: Ints, groups: int, values: Floats) -> Floats:
    out = np.zeros((groups, *values.shape[1:]))
    np.add.at(out, group, values)
    return out


def _root(matrix: Floats) -> Floats:
    """A square root of a covariance, or of a stack of them, which hardly moves where that hardly moves."""
    k = matrix.shape[-1]
    size = np.trace(matrix, axis1=-2, axis2=-1)[..., None, None] / k
    root: Floats = np.linalg.cholesky(matrix + (1e-10 * size + 1e-14) * np.eye(k))
    return root


def _mirrored(half: Floats) -> Floats:
    """Antithetic draws: their mean is exactly that of what they stand for."""
    return np.concatenate([half, -half])


def _paired(half: Floats) -> Floats:
    return np.concatenate([half, half])
