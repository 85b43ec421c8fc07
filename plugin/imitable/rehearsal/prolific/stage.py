"""A rehearsal on the stand-in for Prolific: participants take places there, and hand in, return or forget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from imitable.campaign import Campaign
from imitable.campaign.running import Prolific
from imitable.errors import PlatformError
from imitable.game.player import Played
from imitable.rehearsal.people import Habit
from imitable.rehearsal.prolific.process import TOKEN, StandIn, standing_in
from imitable.rehearsal.stages import WALLET, Sent, Stage, Visit

_OF_THE_ACCOUNT = ("project", "not_again", "study_id", "keys_url")
"""Settings that name something of the runner's own account."""


class Participants:
    """The other side of a study."""

    title = "a stand-in for Prolific"
    per_hour = 30.0

    def __init__(self, there: StandIn, config: Campaign) -> None:
        self.there = there
        self.environment: Mapping[str, str] = {"PROLIFIC_TOKEN": TOKEN}
        told = (config.platform.prolific or Prolific()).model_dump(exclude_none=True, exclude=set(_OF_THE_ACCOUNT))
        told |= {"api_url": there.address, "completion_url": f"{there.address}/submissions/complete"}
        self.tables: Mapping[str, Mapping[str, object]] = {"prolific": told}
        self.notes = tuple(_to_do(config))
        self._study = ""
        self._next: str | None = None

    def opened(self, campaign: Path) -> None:
        """Find the study."""
        self._study = str(self.there.state()["studies"][0]["id"])

    def arrive(self, now: datetime) -> Visit | None:
        """A participant takes a place, and is sent to the game."""
        self.there.move_to(now)
        self._next = self._next or self.there.participants(1)[0]
        try:
            submission = self.there.reserve(self._next, self._study)
        except PlatformError:
            return None
        self._next = None
        return Visit(self.there.start(submission), submission)

    def waiting(self, now: datetime) -> bool:
        """Whether somebody may yet return a place or let it time out."""
        self.there.move_to(now)
        return any(one["status"] in ("RESERVED", "ACTIVE") for one in self.there.state()["submissions"].values())

    def over(self, visit: Visit, habit: Habit, played: Played | None, now: datetime) -> None:
        """Hand in with the code of the last page, or another, or not at all.

        Without a code, there is nothing to hand in: who was turned away, left, or had nothing to play, returns.
        """
        self.there.move_to(now)
        if self.there.state()["submissions"][visit.submission]["status"] != "ACTIVE":
            return  # it took too long, and timed out
        if played is None or not played.finish:
            self.there.give_back(visit.submission)
            return
        [code] = parse_qs(urlsplit(played.finish).query)["cc"]
        if habit != "forgets":
            self.there.complete(visit.submission, "MISTYPED" if habit == "another code" else code)
        if habit == "stops":
            self.there.give_back(visit.submission)

    def sent(self) -> list[Sent] | None:
        """Rewards and bonuses, with the fee and tax on each."""
        return [
            Sent(one["submission"], one["kind"], int(one["amount"]), int(one["fee"]) + int(one["tax"]))
            for one in self.there.state()["payments"]
        ]


def _to_do(config: Campaign) -> Iterator[str]:
    settings = config.platform.prolific
    if settings is None:
        yield f"Add [platform.prolific] to campaign.toml; its defaults were rehearsed ({Prolific().places} places)."
    if not config.serve.public_url:
        yield "Set [serve] public_url to the address at which participants reach 'imitable serve'."
    yield "Export PROLIFIC_TOKEN, and put money into the wallet; a stand-in cannot tell what Prolific itself does."
    named = [name for name in _OF_THE_ACCOUNT if settings is not None and getattr(settings, name)]
    if named:
        yield f"Not rehearsed, for it is of your account: [platform.prolific] {', '.join(named)}."


@contextmanager
def on_stage(config: Campaign, log: Path) -> Iterator[Stage]:
    """A stand-in for this campaign alone, for as long as this lasts."""
    currency = config.pay.currency if config.pay.currency in ("USD", "GBP") else "USD"
    with standing_in("--cents", str(WALLET), "--currency", currency, log=log) as there:
        there.set(bonus_delay=0.0)
        yield Participants(there, config)
