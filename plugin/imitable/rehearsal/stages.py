"""Where a rehearsal plays: one stage a platform, with the platform's other side in the hands of whoever rehearses."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from imitable.campaign import Campaign
from imitable.errors import PlatformError
from imitable.game.player import Played
from imitable.rehearsal.people import Habit

WALLET = 1_000_000_000
"""Cents that a stand-in's account has: more than any campaign's cap."""


@dataclass(frozen=True)
class Visit:
    """One person at the door."""

    address: str
    """What it opens."""
    submission: str = ""
    """The platform's name for its work; empty where there is none."""


@dataclass(frozen=True)
class Sent:
    """A payment that reached somebody, by the platform's own books, in minor units."""

    submission: str
    kind: str
    """`reward` or `bonus`."""
    amount: int
    fee: int


class Stage(Protocol):
    """A platform's stand-in, as a rehearsal uses it."""

    title: str
    """What it is called in the output."""
    per_hour: float
    """People who come in an hour: assumed."""
    environment: Mapping[str, str]
    """What commands need to reach it."""
    tables: Mapping[str, Mapping[str, object]]
    """[platform] of the copy."""
    notes: tuple[str, ...]
    """What has to be done before it is published for real, or was not rehearsed, in sentences."""

    def opened(self, campaign: Path) -> None:
        """Told when something was published."""
        ...

    def arrive(self, now: datetime) -> Visit | None:
        """Somebody takes a place; None where there is none (at the moment)."""
        ...

    def waiting(self, now: datetime) -> bool:
        """Whether a place may still come free by itself."""
        ...

    def over(self, visit: Visit, habit: Habit, played: Played | None, now: datetime) -> None:
        """Somebody is done, and does with the last page what its habit is; None: it was turned away."""
        ...

    def sent(self) -> list[Sent] | None:
        """What it paid; None where nothing is paid through it."""
        ...


class Links:
    """Personal links, handed out one after the other, and paid by hand."""

    title = "personal links"
    per_hour = 12.0
    environment: Mapping[str, str] = {}

    def __init__(self, config: Campaign) -> None:
        self.tables: Mapping[str, Mapping[str, object]] = {"web": config.platform.web.model_dump()}
        public = config.serve.public_url
        self.notes: tuple[str, ...] = () if public else ("Set [serve] public_url, or the links open here only.",)
        self._left: list[str] = []
        self._given: set[str] = set()

    def opened(self, campaign: Path) -> None:
        """Take up the links that were written."""
        with (campaign / "links.csv").open(encoding="utf-8", newline="") as file:
            links = [row["url"] for row in csv.DictReader(file) if row["platform"] == "web"]
        self._left = [link for link in links if link not in self._given]

    def arrive(self, now: datetime) -> Visit | None:
        """Open the next link."""
        if not self._left:
            return None
        self._given.add(self._left[0])
        return Visit(self._left.pop(0))

    def waiting(self, now: datetime) -> bool:
        """A link is for one person."""
        return False

    def over(self, visit: Visit, habit: Habit, played: Played | None, now: datetime) -> None:
        """Nothing is handed in."""

    def sent(self) -> list[Sent] | None:
        """The runner hands it over."""
        return None


def _links(config: Campaign, _log: Path) -> AbstractContextManager[Stage]:
    return nullcontext(Links(config))


def _prolific(config: Campaign, log: Path) -> AbstractContextManager[Stage]:
    from imitable.rehearsal.prolific.stage import on_stage

    return on_stage(config, log)


def _mturk(config: Campaign, log: Path) -> AbstractContextManager[Stage]:
    from imitable.rehearsal.mturk.stage import on_stage

    return on_stage(config, log)


STAGES: Mapping[str, Callable[[Campaign, Path], AbstractContextManager[Stage]]] = {
    "mturk": _mturk,
    "prolific": _prolific,
    "web": _links,
}
"""By platform."""


def stage_of(platform: str, config: Campaign, log: Path) -> AbstractContextManager[Stage]:
    """The stage of a platform; its processes note in `log` whom they connect to. Raises PlatformError."""
    if platform not in STAGES:
        raise PlatformError(f"'{platform}' cannot be rehearsed. Choose one of: {', '.join(sorted(STAGES))}.")
    return STAGES[platform](config, log)
