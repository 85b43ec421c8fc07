"""Simulated participants: they take a place on the stand-in, are sent to the game, play, and hand in, or do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np

from imitable.game.player import Played, play_arrival
from imitable.game.simulated import Profile, SimulatedAnnotator
from imitable.rehearsal.prolific.process import StandIn

Habit = Literal["hands in", "stops", "forgets", "leaves", "another code"]
"""`hands in`: plays to the end, and hands in with the code. `stops`: stops after a few rounds, hands in with the code
for that, and returns the submission as asked. `forgets`: plays to the end, and never hands in. `leaves`: plays one
target, and returns the submission. `another code`: plays to the end, and mistypes the code."""

FEW = 2
"""Rounds after which those stop who stop."""


@dataclass(frozen=True)
class TookPart:
    """What a participant did."""

    participant: str
    submission: str
    habit: Habit
    played: Played


def take_part(
    there: StandIn,
    study: str,
    profiles: Sequence[Profile],
    habits: Sequence[Habit],
    *,
    seed: int,
    tick: Callable[[int], object] = lambda _guesses: None,
) -> list[TookPart]:
    """Let as many new participants as there are profiles take part in a study, all at once, and wait for all.

    Raises PlatformError where the stand-in has no place for them, and httpx errors when the game stays away.
    """
    streams = np.random.default_rng(seed).spawn(len(profiles))
    people = there.participants(len(profiles))
    trusted = httpx.create_ssl_context(trust_env=False)

    async def one(participant: str, profile: Profile, habit: Habit, stream: np.random.Generator) -> TookPart:
        submission = there.reserve(participant, study)
        address = there.start(submission)
        annotator = SimulatedAnnotator(replace(profile, quits=float(habit == "leaves")), stream)
        few = FEW if habit == "stops" else None
        async with httpx.AsyncClient(timeout=30.0, trust_env=False, verify=trusted) as client:
            played = await play_arrival(client, address, annotator, stop_after=few, tick=tick)
        code = parse_qs(urlsplit(played.finish).query).get("cc", [""])[0]
        if habit in ("hands in", "stops", "another code"):
            there.complete(submission, "MISTYPED" if habit == "another code" else code)
        if habit in ("stops", "leaves"):
            there.give_back(submission)
        return TookPart(participant, submission, habit, played)

    async def everybody() -> list[TookPart]:
        return await asyncio.gather(*map(one, people, profiles, habits, streams))

    return asyncio.run(everybody())
