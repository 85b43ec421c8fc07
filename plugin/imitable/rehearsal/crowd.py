"""A crowd of simulated annotators that plays personal links over HTTP, all at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import numpy as np

from imitable.game.player import Played, play_sitting
from imitable.game.simulated import Profile, SimulatedAnnotator


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
    """Play one link with each profile, all at once, and wait for all. `tick` is told of every confirmed guess."""
    streams = np.random.default_rng(seed).spawn(len(profiles))
    trusted = httpx.create_ssl_context(trust_env=False)  # one for all: to make it takes longer than to play a round

    async def play(link: str, profile: Profile, stream: np.random.Generator) -> Played:
        async with httpx.AsyncClient(timeout=30.0, trust_env=False, verify=trusted) as client:
            return await play_sitting(client, link, SimulatedAnnotator(profile, stream), tick=tick)

    async def play_all() -> list[Played]:
        return await asyncio.gather(*map(play, links, profiles, streams))

    began = time.monotonic()
    played = asyncio.run(play_all())
    return CrowdPlayed(tuple(played), time.monotonic() - began)
