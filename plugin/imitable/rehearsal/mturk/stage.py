"""A rehearsal on the stand-in for Mechanical Turk: workers accept HITs there, and hand in, return or forget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from imitable.campaign import Campaign
from imitable.campaign.mturk import MTurk, Qualification
from imitable.errors import MissingExtra
from imitable.game.player import Played
from imitable.rehearsal.mturk.process import KEY, SECRET, StandIn, standing_in
from imitable.rehearsal.mturk.wallet import MASTERS
from imitable.rehearsal.people import Habit
from imitable.rehearsal.stages import WALLET, Sent, Stage, Visit

_OF_THE_SITE = ("qualifications", "not_again")
"""Settings that name something of the site's own. HITs for Masters are rehearsed, for they cost more."""


class Workers:
    """The other side of HITs."""

    title = "a stand-in for an MTurk-style site"
    per_hour = 30.0

    def __init__(self, there: StandIn, config: Campaign) -> None:
        self.there = there
        self.environment: Mapping[str, str] = {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        told = (config.platform.mturk or MTurk()).model_dump(exclude_none=True, exclude=set(_OF_THE_SITE))
        masters = [one for one in _wanted(config) if _for_masters(one)]
        told |= {
            "endpoint_url": there.address,
            "worker_sites": [],
            "qualifications": [one.model_dump() for one in masters],
        }
        self.tables: Mapping[str, Mapping[str, object]] = {"mturk": told}
        self.notes = tuple(_to_do(config))
        self._masters = bool(masters)
        self._next: str | None = None

    def opened(self, campaign: Path) -> None:
        """The site itself says which HITs there are."""

    def arrive(self, now: datetime) -> Visit | None:
        """A worker takes a place in the first HIT that has one, and is shown the game."""
        self.there.move_to(now)
        self._next = self._next or self.there.workers(1, masters=self._masters)[0]
        hit = next((one["HITId"] for one in self.there.state()["hits"] if one["HITStatus"] == "Assignable"), None)
        if hit is None:
            return None
        assignment, address = self.there.accept(self._next, hit)
        self._next = None
        return Visit(address, assignment)

    def waiting(self, now: datetime) -> bool:
        """Whether somebody may yet return an assignment or abandon it."""
        self.there.move_to(now)
        return any(one["status"] == "Accepted" for one in self.there.state()["assignments"])

    def over(self, visit: Visit, habit: Habit, played: Played | None, now: datetime) -> None:
        """Send the last page's form, return the assignment, or forget it. There is no code to mistype.

        Without a form, there is nothing to send: who was turned away, left, or had nothing to play, returns.
        """
        self.there.move_to(now)
        status = {one["id"]: one["status"] for one in self.there.state()["assignments"]}[visit.submission]
        if status != "Accepted":
            return  # it took too long, and was abandoned
        if played is None or not played.handed_in:
            self.there.give_back(visit.submission)
        elif habit != "forgets":
            self.there.submit(visit.submission, played.handed_in)

    def sent(self) -> list[Sent] | None:
        """Rewards and bonuses, with the fee on each."""
        return [
            Sent(one["assignment"], one["kind"], int(one["amount"]), int(one["fee"]))
            for one in self.there.state()["payments"]
        ]


def _wanted(config: Campaign) -> list[Qualification]:
    return [] if config.platform.mturk is None else config.platform.mturk.qualifications


def _for_masters(one: Qualification) -> bool:
    return one.type in MASTERS and one.comparator == "Exists"


def _to_do(config: Campaign) -> Iterator[str]:
    settings = config.platform.mturk
    if settings is None:
        yield f"Add [platform.mturk] to campaign.toml; its defaults were rehearsed ({MTurk().places} places)."
    if settings is None or settings.endpoint_url is None:
        yield "Amazon's own site closed on 2026-09-30: set endpoint_url to a site that speaks its protocol."
    if not config.serve.public_url:
        yield "Set [serve] public_url to the address at which workers reach 'imitable serve'."
    others = {
        "qualifications": any(not _for_masters(one) for one in _wanted(config)),
        "not_again": settings is not None and bool(settings.not_again),
    }
    named = [name for name, there in others.items() if there]
    if named:
        yield f"Not rehearsed, for it is of the site: [platform.mturk] {', '.join(named)}."


@contextmanager
def on_stage(config: Campaign, log: Path) -> Iterator[Stage]:
    """A stand-in for this campaign alone, for as long as this lasts. Raises MissingExtra."""
    if find_spec("boto3") is None:
        raise MissingExtra("aws", wanted_for="A rehearsal of MTurk-style tasks")
    with standing_in("--cents", str(WALLET), log=log) as there:
        yield Workers(there, config)
