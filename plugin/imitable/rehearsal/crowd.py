"""A crowd of simulated annotators that plays personal links over HTTP, all at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import numpy as np

from imitable.game.player import Played, play_sitting
from imitable.game.simulated import Profile, SimulatedAnnotator

MOST_AT_ONCE = 64
"""Sittings played at the same time."""


@dataclass(frozen=True)
class CrowdPlayed:
    """What a crowd did."""

    played: tuple[Played, ...]
    """In the order of the links."""
    seconds: float

    @property
    def guesses(self) -> int:
        """Guesses that the server confirmed."""
        return sum(len(one.guesses) for one in self.played)


def play_links(
    links: Sequence[str],
    profiles: Sequence[Profile],
    *,
    seed: int,
    tick: Callable[[int], object] = lambda _guesses: None,
) -> CrowdPlayed:
    """Play one link with each profile, in parallel, and wait for all. `tick` is told of every confirmed guess."""
    streams = np.random.default_rng(seed).spawn(len(profiles))

    def play(link: str, profile: Profile, stream: np.random.Generator) -> Played:
        with httpx.Client(timeout=30.0, trust_env=False) as client:
            return play_sitting(client, link, SimulatedAnnotator(profile, stream), tick=tick)

    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=min(len(links), MOST_AT_ONCE)) as crowd:
        played = tuple(crowd.map(play, links, profiles, streams))
    return CrowdPlayed(played, time.monotonic() - began)
