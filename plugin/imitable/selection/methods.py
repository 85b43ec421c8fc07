"""Selection methods. An installed package adds its own under the entry point group `imitable.selection`."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

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


@dataclass(frozen=True)
class Look:
    """What a method may ask for besides moments. Each question to `lexical` reads a sample of the corpus again."""

    count: int
    """How many targets are wanted."""
    lexical: Callable[[Sequence[Candidate]], Sequence[float]]
    """How much of each candidate tables of tokens foretell, as an R² of 0 to 1: see `selection.lexical`."""


Method = Callable[..., list[Candidate]]
"""Ranks all units of the sites, best first. Told their moments (by site), the generator for any random choice, and, if
it takes a third argument, a `Look`."""


def kurtosis(sites: Mapping[str, Moments], _rng: np.random.Generator) -> list[Candidate]:
    """By excess kurtosis of the activation over tokens, highest first: units that are rarely active, and then much.

    The standardised fourth moment minus 3 over every token that may be asked about (both signs count), to four
    digits: the same score however many threads added it up.
    """
    found = [
        Candidate(site, unit, float(f"{score:.4g}"))
        for site, moments in sites.items()
        for unit, score in enumerate(moments.kurtosis)
    ]
    return sorted(found, key=lambda one: (-(one.score or 0.0), one.site, one.unit))


def random(sites: Mapping[str, Moments], rng: np.random.Generator) -> list[Candidate]:
    """Uniformly at random over all units of the sites: the comparison that every other method needs."""
    found = [Candidate(site, unit) for site, moments in sites.items() for unit in range(len(moments.mean))]
    return [found[at] for at in rng.permutation(len(found))]


def find_method(name: str) -> Method:
    """A method by its name. Raises CampaignError naming the methods there are, or the packages that quarrel over it."""
    known: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group="imitable.selection"):
        known.setdefault(point.name, []).append(point)
    if name not in known:
        raise CampaignError(
            f"There is no selection method '{name}'. Choose one of {', '.join(sorted(known))} in [[targets]] select."
        )
    if len({point.value for point in known[name]}) > 1:
        owners = " and ".join(sorted(point.dist.name if point.dist else point.value for point in known[name]))
        raise CampaignError(f"The selection method '{name}' comes from {owners} at once. Uninstall one of them.")
    point = known[name][0]
    try:
        method: Method = point.load()
    except (ImportError, AttributeError) as error:
        raise CampaignError(
            f"The selection method '{name}' ({point.value}) cannot be loaded: {error}. "
            "Mend or uninstall the package that provides it."
        ) from error
    return method


def ranked(method: str, sites: Mapping[str, Moments], rng: np.random.Generator, look: Look) -> list[Candidate]:
    """Rank candidates by a method's name, each unit once. Raises CampaignError for a method that ranks what is not."""
    found: dict[tuple[str, int], Candidate] = {}
    choose = find_method(method)
    given: tuple[Any, ...] = (sites, rng, look) if _looks(choose) else (sites, rng)
    for one in choose(*given):
        unit = int(one.unit)
        score = None if one.score is None else float(one.score)
        there = one.site in sites and 0 <= unit < len(sites[one.site].mean)
        if not there or not math.isfinite(score or 0.0):
            raise CampaignError(
                f"The selection method '{method}' ranked unit {unit} of {one.site} with the score {score}, which is no "
                "unit of the sites it was given or no number. Mend the package that provides it."
            )
        found.setdefault((one.site, unit), Candidate(one.site, unit, score))
    return list(found.values())


def _looks(method: Method) -> bool:
    """Whether a method takes a third argument by its place."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = [one for one in inspect.signature(method).parameters.values() if one.kind in kinds]
    return len(taken) > 2 and taken[2].default is inspect.Parameter.empty
