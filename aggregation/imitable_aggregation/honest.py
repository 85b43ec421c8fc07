"""How people play who play in earnest: the likelihood of each annotator's guesses under what everybody else shows.

A guess g on a target with truth z, mean m of the truths shown before, and the target's mean truth z̄ follows

    g − z̄ = b + s (z − z̄) + r (m − z̄) + noise        (m − z̄ is 0 before any feedback)
    (b, s, r) = target + annotator + episode           each normal, the targets' about their common mean
    noise ~ N(0, v_target · w_annotator)               1/w ~ Gamma(ν/2, ν/2)

in tenths of the display scale; a target at another level of information is another target. Effects of episode and
annotator are integrated out in closed form, w by quadrature. Everything else is estimated from everybody by
expectation-maximisation (Laird & Ware, Random-effects models for longitudinal data, 1982; ν as in Lange, Little &
Taylor, Robust statistical modeling using the t distribution, 1989), each annotator counting for as much as he is taken
to be in earnest, and drawn towards what is usual where little was played.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln

from .regressions import BEFORE, Regressions
from .symmetric import Floats, dot, inverse, inverted, packed, sandwich, spread_out, summed, times, trace, unpacked

USUAL_MEAN = np.array([0.0, 0.4, 0.3])
"""Bias, slope on the truth and slope on the mean so far, where nothing was played."""
USUAL_TARGET = np.diag([0.5, 0.06, 0.06])
USUAL_ANNOTATOR = np.diag([0.5, 0.03, 0.03])
USUAL_EPISODE = np.diag([0.5, 0.03, 0.03])
"""Covariances that are usual in our rehearsals: weak priors."""
USUAL_NOISE = 2.5
"""Noise variance of a guess, tenths of the scale squared."""
PRIOR_UNITS = 4.0
"""Units (targets, annotators, episodes) that the prior of a covariance counts for."""
PRIOR_ROUNDS = 20.0
"""Rounds that the common noise counts for in a target's."""
LEAST_NOISE = 0.01
"""Least noise variance: guesses are shown to a tenth."""
EXTREMES = (0.05, 20.0)
"""Least and largest multiplier w of the noise variance."""
NODES, NODE_WEIGHTS = np.polynomial.hermite.hermgauss(5)
"""Gauss-Hermite quadrature over log w, about its posterior mode."""
FREEDOMS = np.array([2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0, 20.0, 30.0])
USUAL_FREEDOM = 5.0
"""ν that is usual, worth `PRIOR_PEOPLE` annotators: people's noise differs by a factor of two or three."""
PRIOR_PEOPLE = 20.0


@dataclass(frozen=True)
class Population:
    """What is usual. T targets (at a level), A annotators."""

    mean: Floats
    """(3, T): bias, slope on the truth and slope on the mean so far, of every target."""
    common: Floats
    """(3,): their mean."""
    noise: Floats
    """(T,): noise variance."""
    target: Floats
    """(3, 3): covariance of (b, s, r) between targets."""
    annotator: Floats
    """(3, 3): between annotators."""
    episode: Floats
    """(3, 3): between an annotator's episodes, over the targets' own."""
    freedom: float
    """ν: large where everybody's noise is alike."""
    multiplier: Floats
    """(A,): w of every annotator, given these."""


@dataclass(frozen=True)
class Played:
    """Every annotator under a population."""

    likelihood: Floats
    """(A,): log marginal likelihood of his guesses."""
    effect: Floats
    """(3, A): posterior mean of what he adds to the usual (b, s, r)."""
    covariance: Floats
    """(6, A): its posterior covariance."""
    log_noise: Floats
    """(A,): posterior mean of log w."""


def usual(data: Regressions) -> Population:
    """Where estimation sets out."""
    return Population(
        mean=np.tile(USUAL_MEAN[:, None], (1, data.sums.cells)),
        common=USUAL_MEAN,
        noise=np.full(data.sums.cells, USUAL_NOISE),
        target=USUAL_TARGET,
        annotator=USUAL_ANNOTATOR,
        episode=USUAL_EPISODE,
        freedom=USUAL_FREEDOM,
        multiplier=np.ones(data.sums.annotators),
    )


def improved(data: Regressions, now: Population, weight: Floats) -> Population:
    """One step of expectation-maximisation; `weight` (A,), 0 to 1, is how far each annotator counts as in earnest."""
    rows = data.sums
    who, what = rows.annotator, rows.cell
    w = weight[who]
    xy, yy = data.about(now.mean)
    precision = 1.0 / (now.noise[what] * now.multiplier[who])
    own = inverted(now.episode)
    about, _ = inverse(data.xx * precision + packed(own))
    part = times(about, xy * precision)
    effect, cov = _annotators(data, now, own, about, part)
    carried = own @ effect
    deviation = part + times(about, carried[:, who])
    passed_on = sandwich(spread_out(own, rows.annotators), cov)
    deviation_cov = about + sandwich(about, passed_on[:, who])
    # what is left of the guesses about each episode's own line
    left = yy - 2 * dot(deviation, xy) + dot(deviation, times(data.xx, deviation)) + trace(data.xx, deviation_cov)
    left = np.maximum(left, 0.0)
    n, squares = rows.by_annotator(rows.n), rows.by_annotator(left / now.noise[what])
    multiplier = np.clip((now.freedom + squares) / (now.freedom + n), *EXTREMES)
    clean = left * w / multiplier[who]
    rounds = rows.by_cell(
        rows.n * w / multiplier[who]
    )  # not rows.n · w: settles at once (Liu, Rubin & Wu, PX-EM, 1998)
    overall = (clean.sum() + PRIOR_ROUNDS * USUAL_NOISE) / (rounds.sum() + PRIOR_ROUNDS)
    noise = (rows.by_cell(clean) + PRIOR_ROUNDS * overall) / (rounds + PRIOR_ROUNDS)
    # each target's own line, once annotators are taken off
    between = inverted(now.target)
    information = _passed(own, rows.by_cell(w), summed(what, rows.cells, about * w))
    target_cov, _ = inverse(information + packed(between))
    off = summed(what, rows.cells, (own @ deviation - carried[:, who]) * w)
    off += between @ (now.common[:, None] - now.mean)
    mean = now.mean + times(target_cov, off)
    common = (mean.sum(axis=1) + PRIOR_UNITS * USUAL_MEAN) / (rows.cells + PRIOR_UNITS)
    # covariances; an episode's own part and its annotator's are correlated a posteriori
    size = np.bincount(who, minlength=rows.annotators)
    crossed = (unpacked(weight * summed(who, rows.annotators, about)) @ own @ unpacked(cov)).sum(axis=0)
    own_part = deviation - effect[:, who]
    apart = _second(own_part, deviation_cov, w) + unpacked(np.einsum("ca,a->c", cov, weight * size))
    apart = apart - crossed - crossed.T
    return Population(
        mean=mean,
        common=common,
        noise=np.maximum(noise, LEAST_NOISE),
        target=_covariance(mean - common[:, None], target_cov, np.ones(rows.cells), USUAL_TARGET),
        annotator=_covariance(effect, cov, weight, USUAL_ANNOTATOR),
        episode=(apart + PRIOR_UNITS * USUAL_EPISODE) / (w.sum() + PRIOR_UNITS),
        freedom=_freedom(now.freedom, n, squares, weight),
        multiplier=multiplier,
    )


def played(data: Regressions, now: Population) -> Played:
    """Marginal likelihood and effects of every annotator."""
    rows = data.sums
    who, what = rows.annotator, rows.cell
    xy, yy = data.about(now.mean)
    own = inverted(now.episode)
    fixed = rows.n * np.log(2 * np.pi * now.noise[what]) - (rows.n - rows.told) * np.log(BEFORE)
    fixed = rows.by_annotator(fixed + np.linalg.slogdet(now.episode)[1]) + np.linalg.slogdet(now.annotator)[1]
    rounds = rows.by_annotator(rows.n)
    half = 0.5 * now.freedom
    reach = np.sqrt(2.0 / (now.freedom + rounds))
    steps = np.sqrt(2.0) * NODES[:, None] * reach + np.log(now.multiplier)
    log = half * np.log(half) - gammaln(half) - half * (steps + np.exp(-steps))
    log += np.log(np.sqrt(2.0) * reach) + (np.log(NODE_WEIGHTS) + NODES**2)[:, None]
    effects, covs = np.empty((len(NODES), 3, rows.annotators)), np.empty((len(NODES), 6, rows.annotators))
    for at, step in enumerate(steps):
        precision = np.exp(-step)[who] / now.noise[what]
        about, determinant = inverse(data.xx * precision + packed(own))
        scaled = xy * precision
        part = times(about, scaled)
        effects[at], covs[at] = _annotators(data, now, own, about, part)
        pull = own @ summed(who, rows.annotators, part)
        deviance = rows.by_annotator(yy * precision - dot(part, scaled) + np.log(determinant))
        deviance += rounds * step - np.log(inverse(covs[at])[1]) - dot(pull, effects[at])
        log[at] -= 0.5 * (fixed + deviance)
    total = np.logaddexp.reduce(log, axis=0)
    share = np.exp(log - total)
    return Played(
        likelihood=total,
        effect=np.einsum("ga,gka->ka", share, effects),
        covariance=np.einsum("ga,gka->ka", share, covs),
        log_noise=np.einsum("ga,ga->a", share, steps),
    )


def _annotators(data: Regressions, now: Population, own: Floats, about: Floats, part: Floats) -> tuple[Floats, Floats]:
    """Posterior of the annotators' effects, (3, A) and (6, A), episodes integrated out."""
    who, count = data.sums.annotator, data.sums.annotators
    size = np.bincount(who, minlength=count).astype(np.float64)
    cov, _ = inverse(_passed(own, size, summed(who, count, about)) + packed(inverted(now.annotator)))
    return times(cov, own @ summed(who, count, part)), cov


def _passed(own: Floats, count: Floats, about: Floats) -> Floats:
    """What episodes tell of what is common to them, their own effects integrated out: sum of L − L B⁻¹ L."""
    return count * packed(own) - sandwich(spread_out(own, about.shape[1]), about)


def _covariance(mean: Floats, cov: Floats, weight: Floats, prior: Floats) -> Floats:
    result: Floats = (_second(mean, cov, weight) + PRIOR_UNITS * prior) / (weight.sum() + PRIOR_UNITS)
    return result


def _second(mean: Floats, cov: Floats, weight: Floats) -> Floats:
    """Weighted sum of expected squares, (3, 3). Not by BLAS, whose sums depend on the number of threads."""
    return np.asarray(np.einsum("ie,je,e->ij", mean, mean, weight) + unpacked(np.einsum("ce,e->c", cov, weight)))


def _freedom(now: float, n: Floats, squares: Floats, weight: Floats) -> float:
    """The ν that suits the noise multipliers best, of a grid."""
    expected = (now + n) / (now + squares)
    log = np.log(expected) - (1.0 + 1.0 / (3.0 * (now + n))) / (now + n)  # digamma to three digits
    usual_log = digamma(0.5 * USUAL_FREEDOM) - np.log(0.5 * USUAL_FREEDOM)
    total = float(weight.sum()) + PRIOR_PEOPLE
    mean = (float((weight * (log - expected)).sum()) + PRIOR_PEOPLE * (usual_log - 1.0)) / total
    half = 0.5 * FREEDOMS
    return float(FREEDOMS[np.argmax(half * np.log(half) - gammaln(half) + half * mean)])
