"""Selection methods. An installed package adds its own under the entry point group `imitable.selection`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points

import numpy as np

from imitable.activations import Moments
from imitable.errors import CampaignError


@dataclass(frozen=True)
class Candidate:
    """A unit that may become a target, with the score that a method gave it."""

    site: str
    unit: int
    score: float | None = None
    """The method's own score (excess kurtosis for `kurtosis`); None where a method has none."""


Method = Callable[[Mapping[str, Moments], np.random.Generator], list[Candidate]]
"""Ranks all units of the sites, best first. Told their moments, and the generator for any random choice."""


def kurtosis(sites: Mapping[str, Moments], _rng: np.random.Generator) -> list[Candidate]:
    """By excess kurtosis of the activation over tokens, highest first: units that are rarely active, and then much.

    The standardised fourth moment minus 3 over every token that may be asked about (both signs count).
    """
    found = [
        Candidate(site, unit, float(score))
        for site, moments in sites.items()
        for unit, score in enumerate(moments.kurtosis)
    ]
    return sorted(found, key=lambda one: (-(one.score or 0.0), one.site, one.unit))


def random(sites: Mapping[str, Moments], rng: np.random.Generator) -> list[Candidate]:
    """Uniformly at random over all units of the sites: the comparison that every other method needs."""
    found = [Candidate(site, unit) for site, moments in sites.items() for unit in range(len(moments.mean))]
    return [found[at] for at in rng.permutation(len(found))]


def ranked(method: str, sites: Mapping[str, Moments], rng: np.random.Generator) -> list[Candidate]:
    """Rank candidates by a method's name. Raises CampaignError naming the methods there are."""
    known = {point.name: point for point in entry_points(group="imitable.selection")}
    if method not in known:
        raise CampaignError(
            f"There is no selection method '{method}'. Choose one of {', '.join(sorted(known))} in [[targets]] select."
        )
    chosen: Method = known[method].load()
    return chosen(sites, rng)
