"""Joint draws of what is reported, from the system's own unknowns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .coding import Coding
from .mixed import Design, Draws, Floats, root
from .variance import Estimated

AT_ONCE = 100
"""Draws solved together, at most."""


@dataclass(frozen=True)
class Posterior:
    """First columns are means, the others draws."""

    levels: Floats
    """(T, K, 1 + draws): each target's levels, of the average annotator who played, on fresh items."""
    people: Floats
    """(A, 1 + draws): each annotator at the last knot, on the average target."""
    effects: dict[str, Floats]
    """(draws,) by level of information: what it adds at the last knot."""


def posterior(
    design: Design,
    found: Estimated,
    shared: Floats,
    uneven: Floats,
    coding: Coding,
    draws: int,
    rng: np.random.Generator,
) -> Posterior:
    """Draw from the posterior.

    The estimator weighs all guesses alike; its draws scatter as each target's guesses do (`uneven`, (T,), relative
    variances), so that intervals are wider where people guess wildly: a sandwich. `shared`, (T, K, K), is what the
    items that were met add to a target, and is drawn away, so that levels are those on fresh items.
    """
    covariance = found.parameters.target
    keep = covariance @ np.linalg.inv(covariance + shared)
    rest = root(keep @ shared)  # the same as covariance - keep @ covariance, which rounding may leave below 0
    wider = np.sqrt(uneven)[design.target][:, None, None]
    parts: list[tuple[Floats, Floats, Floats]] = []
    mean: Draws | None = None
    sizes = (len(design.target), design.targets, design.annotators)
    at_once = design.columns(AT_ONCE, least=4)
    for begin in range(0, draws, at_once):
        count = min(at_once, draws - begin)
        of_guesses, of_targets, of_annotators = (rng.standard_normal((n, design.knots, count)) for n in sizes)
        drawn = found.system.solve((wider * of_guesses, of_targets, of_annotators), mean=mean is None)
        if mean is None:
            mean, drawn = _split(drawn)
            parts.append(_reported(mean, keep, coding))
        theta, alpha, beta = drawn.theta + mean.theta, drawn.alpha + mean.alpha, drawn.beta + mean.beta
        levels, people, effects = _reported(Draws(theta, alpha, beta), keep, coding)
        afresh = rest @ rng.standard_normal((design.targets, design.knots, count))
        parts.append((levels + afresh, people + afresh[:, -1].mean(axis=0), effects))
    levels, people, effects = (np.concatenate([part[at] for part in parts], axis=-1) for at in range(3))
    return Posterior(levels, people, {name: effects[at, 1:] for at, name in enumerate(coding.levels)})


def _split(drawn: Draws) -> tuple[Draws, Draws]:
    """The mean, and the draws about it."""
    both = (drawn.theta, drawn.alpha, drawn.beta)
    return Draws(*(each[:, :, :1] for each in both)), Draws(*(each[:, :, 1:] for each in both))


def _reported(whole: Draws, keep: Floats, coding: Coding) -> tuple[Floats, Floats, Floats]:
    theta = keep @ whole.theta
    base = np.tensordot(coding.at, whole.beta, axes=(0, 0))
    own = coding.own @ whole.beta[:, -1] + whole.alpha[:, -1]
    return (
        theta + base + whole.alpha.mean(axis=0),
        own + base[-1] + theta[:, -1].mean(axis=0),
        (coding.effects @ whole.beta[:, -1]),
    )
