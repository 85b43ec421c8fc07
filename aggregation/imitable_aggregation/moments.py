"""How much skill varies between people, between items and by chance, from pairs of guesses on one target.

A guess of annotator a on item i of a target is taken as  target + a + i + noise.  Half the mean squared difference of
two guesses on the same target then estimates, without bias and without knowing the target's mean,

    another annotator and another item:   V_annotator + V_item + V_noise
    the same annotator, another item:     V_item + V_noise
    another annotator, the same item:     V_annotator + V_noise

and the differences of the three give the components (a U-statistic form of two-way analysis of variance; compare
Cameron, Gelbach & Miller 2011 on two-way clustering). They are pooled over targets, so that a target with one or two
episodes does not look certain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

ASSUMED_ANNOTATOR = 0.10
"""Variance between people (sd 0.32 of skill) where no target was played by two of them; from our rehearsals."""
ASSUMED_NOISE = 0.60
"""Variance of one guess's skill where nothing can be compared; from our rehearsals."""


@dataclass(frozen=True)
class Components:
    """Variances of the skill of a guess about its target's level."""

    annotator: float
    """Between people, on the same target."""
    item: float
    """Between items of a target, shared by all who see them."""
    noise: float
    """What is left for one guess."""
    freedom: int
    """Annotators beyond the first, summed over targets."""
    assumed: bool
    """Whether a component had to be assumed, because nothing in the data tells it."""

    @property
    def widening(self) -> float:
        """Factor on variances for having estimated them: that of a t distribution."""
        return self.freedom / (self.freedom - 2) if self.freedom > 3 else 3.0


@dataclass(frozen=True)
class Level:
    """The level of every target at one point of the learning curve."""

    mean: Floats
    """Mean skill, every annotator counting the same; nan where a target has no guess there."""
    variance: Floats
    """Its sampling variance, over people and items; inf where a target has no guess there."""
    components: Components


def level(skill: Floats, target: Codes, annotator: Codes, item: Codes, *, n: int) -> Level:
    """Mean and sampling variance of each of `n` targets, from guesses with the codes of what made them."""
    cell_a, of_a = cells(target, annotator)
    cell_i, of_i = cells(target, item)
    cell_ai, of_ai = cells(cell_a, cell_i)
    of_ai = of_a[of_ai]
    people = np.bincount(of_a, minlength=n)
    weight = 1.0 / (people[target] * np.bincount(cell_a)[cell_a])
    mean = np.bincount(target, weight * skill, minlength=n)
    centred = skill - mean[target]
    all_pairs = _pairs(centred, target, np.arange(n), n)
    same_a = _pairs(centred, cell_a, of_a, n)
    same_i = _pairs(centred, cell_i, of_i, n)
    same_both = _pairs(centred, cell_ai, of_ai, n)
    components = _components(
        people, crossed=all_pairs - same_a - same_i + same_both, person=same_a - same_both, item=same_i - same_both
    )
    by_a = np.bincount(of_a, np.bincount(cell_a, weight) ** 2, minlength=n)
    by_i = np.bincount(of_i, np.bincount(cell_i, weight) ** 2, minlength=n)
    by_guess = np.bincount(target, weight**2, minlength=n)
    variance = components.annotator * by_a + components.item * by_i + components.noise * by_guess
    empty = people == 0
    return Level(
        mean=np.where(empty, np.nan, mean),
        variance=np.where(empty, np.inf, components.widening * variance),
        components=components,
    )


def cells(outer: Codes, inner: Codes) -> tuple[Codes, Codes]:
    """Number the pairs (outer, inner) that occur, and say to which outer each belongs."""
    if not len(outer):
        return outer, outer
    width = int(inner.max()) + 1
    values, code = np.unique(outer * width + inner, return_inverse=True)
    return code.astype(np.int64), values // width


def _pairs(centred: Floats, cell: Codes, of: Codes, n: int) -> Floats:
    """Sum of squared differences and number of pairs within the cells, for each target: shape (2, n)."""
    size = np.bincount(cell, minlength=len(of)).astype(np.float64)
    total = np.bincount(cell, centred, minlength=len(of))
    square = np.bincount(cell, centred**2, minlength=len(of))
    return np.stack(
        [
            np.bincount(of, size * square - total**2, minlength=n),
            np.bincount(of, size * (size - 1) / 2, minlength=n),
        ]
    )


def _half_mean(pairs: Floats) -> Floats:
    return np.asarray(pairs[0] / (2 * np.maximum(pairs[1], 1)), dtype=np.float64)


def _components(people: npt.NDArray[np.intp], *, crossed: Floats, person: Floats, item: Floats) -> Components:
    crossed_, person_, item_ = _half_mean(crossed), _half_mean(person), _half_mean(item)
    freedom = np.maximum(people - 1, 0).astype(np.float64)
    has = crossed[1] > 0.5
    if not (has & (freedom > 0)).any():
        known = person[1] > 0.5
        noise = float(np.average(person_[known], weights=person[1][known])) if known.any() else ASSUMED_NOISE
        return Components(ASSUMED_ANNOTATOR, 0.0, max(noise, 0.0), 0, True)
    total = max(float(np.average(crossed_[has], weights=freedom[has])), 0.0)
    both_a, both_i = has & (person[1] > 0.5), has & (item[1] > 0.5)
    between_people = between_items = 0.0
    if both_a.any():
        between_people = float(np.average((crossed_ - person_)[both_a], weights=freedom[both_a]))
    if both_i.any():
        between_items = float(np.average((crossed_ - item_)[both_i], weights=item[1][both_i]))
    between_people = float(np.clip(between_people, 0.0, total))
    between_items = float(np.clip(between_items, 0.0, total - between_people))
    noise = total - between_people - between_items
    return Components(between_people, between_items, noise, int(freedom.sum()), False)
