"""A campaign being played: people come one after the other, each acts at a moment of its own, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np

from imitable.game.player import Played, play_arrival, play_sitting
from imitable.game.simulated import SimulatedAnnotator
from imitable.rehearsal import loopback
from imitable.rehearsal.clock import Clock, Timeline
from imitable.rehearsal.controls import started
from imitable.rehearsal.people import Person, Usual
from imitable.rehearsal.stages import Stage, Visit

COMERS = 10
"""People who usually come before it is believed that there is nothing to play for anybody."""


@dataclass(frozen=True)
class Took:
    """What one person did."""

    person: Person
    visit: Visit
    played: Played | None
    """None for who was turned away."""
    said: str
    """What the game told who was turned away."""
    began: datetime
    ended: datetime


def door(campaign: Path, clock: Path, *, port: int, log: Path, said: Path) -> AbstractContextManager[str]:
    """The game's server in a process of its own, by the clock in a file; what it warns of goes to the file `said`."""
    command = loopback.command(log, "imitable.rehearsal.door", campaign, clock, port)
    return started(command, loopback.environment({}), errors=said)


def play(
    stage: Stage,
    clock: Clock,
    people: Iterable[Person],
    usual: Usual,
    *,
    needed: Callable[[], bool],
    patience: timedelta,
    rng: np.random.Generator,
    tick: Callable[[int], object] = lambda _guesses: None,
) -> list[Took]:
    """Let people come as long as they are `needed`, there are any, and a place is left or may come free.

    It ends, too, when nobody has had anything to play for as long as `patience`, and as `COMERS` take to come on top.
    Returns what each did, as they ended. Raises httpx errors when the game stays away.
    """
    return asyncio.run(_play(stage, clock, people, usual, needed, patience, rng, tick))


async def _play(
    stage: Stage,
    clock: Clock,
    people: Iterable[Person],
    usual: Usual,
    needed: Callable[[], bool],
    patience: timedelta,
    rng: np.random.Generator,
    tick: Callable[[int], object],
) -> list[Took]:
    timeline = Timeline(clock)
    took: list[Took] = []
    inside, played_at = 0, timeline.now
    patience += timedelta(hours=COMERS / stage.per_hour)

    async def come() -> None:
        nonlocal inside
        waiting = iter(people)
        person = next(waiting, None)
        while person is not None and needed() and timeline.now - played_at < patience:
            await timeline.wait(float(rng.exponential(3600 / stage.per_hour)))
            visit = stage.arrive(timeline.now)
            if visit is not None:
                inside += 1
                timeline.begin(take_part(person, visit, rng.spawn(1)[0]))
                person = next(waiting, None)
            elif not inside and not stage.waiting(timeline.now):
                return
        while inside or stage.waiting(timeline.now):  # what nobody hands in times out
            await timeline.wait(3600 / stage.per_hour)

    async def take_part(person: Person, visit: Visit, stream: np.random.Generator) -> None:
        nonlocal inside, played_at
        began = timeline.now
        paces, own = stream.spawn(2)
        annotator = SimulatedAnnotator(replace(person.profile, quits=0.0), own)

        async def think(view: Mapping[str, Any]) -> None:
            nonlocal played_at
            if view["kind"] == "round" and not view["tutorial"]:
                played_at = timeline.now
            await timeline.wait(usual.seconds(view, person, paces))

        ends: dict[str, Any] = {"leave_after" if person.habit == "leaves" else "stop_after": person.ends_after}
        playing = play_sitting if "/j/" in urlsplit(visit.address).path else play_arrival
        try:
            played = await playing(client, visit.address, annotator, think=think, tick=tick, **ends)
            said = ""
        except RuntimeError as error:
            played, said = None, str(error)
        whole = played is not None and played.finished and len(played.guesses) < (person.ends_after or 0)
        stage.over(visit, "hands in" if whole else person.habit, played, timeline.now)  # whole: few targets were left
        took.append(Took(person, visit, played, said, began, timeline.now))
        inside -= 1

    trusted = httpx.create_ssl_context(trust_env=False)
    async with httpx.AsyncClient(timeout=30.0, trust_env=False, verify=trusted) as client:
        await timeline.run(come())
    return took
