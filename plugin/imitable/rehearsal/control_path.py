"""What every stand-in has under /stand-in, on the server's side: its clock, settings, faults and journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from imitable.rehearsal.faults import Fault, Faulty, Fields

Control = tuple[str, str, Callable[[Fields], Any]]
"""Verb, path below /stand-in, and what is done with a request's fields."""


class World(Protocol):
    """What a stand-in knows, as far as all have it."""

    ahead: timedelta
    settings: Any
    """A dataclass that does not change."""

    def now(self) -> datetime:
        """By its clock."""
        ...


def controls(
    world: World, faulty: Callable[[], Faulty], pass_time: Callable[[], None], *, secret: str
) -> list[Control]:
    """The controls of a stand-in, in which `pass_time` lets happen what happens by itself; see `told` for `secret`."""

    def now(_fields: Fields) -> Fields:
        return {"now": world.now().isoformat()}

    def move(fields: Fields) -> Fields:
        world.ahead += timedelta(seconds=fields["seconds"])
        pass_time()
        return now(fields)

    def change(fields: Fields) -> Fields:
        world.settings = replace(world.settings, **fields)
        return told(world, secret)

    def fail(fields: Fields) -> Fields:
        faulty().faults = [Fault(**one) for one in fields["faults"]]
        return {"faults": len(faulty().faults)}

    return [
        ("GET", "/clock", now),
        ("POST", "/clock", move),
        ("POST", "/settings", change),
        ("POST", "/faults", fail),
        ("GET", "/journal", lambda _fields: faulty().journal),
    ]


def told(world: World, secret: str) -> Fields:
    """A stand-in's settings, but for the one that is a secret."""
    return {**asdict(world.settings), secret: "..."}
