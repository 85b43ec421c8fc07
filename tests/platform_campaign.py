"""An invented campaign that is published on a stand-in: what its runner does with it, on any platform."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from sqlalchemy import select

from imitable.campaign import Folder
from imitable.game.views import Done
from imitable.platforms import Collected, Platform, Published
from imitable.rehearsal.controls import Controls
from imitable.store import Store
from playing import play_entry

PUBLIC = "http://127.0.0.1:9"
"""Where the game would be: nobody listens there."""

PAY = '[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\ncap = "4000.00"\n'

There = TypeVar("There", bound=Controls)


class OnPlatform(Generic[There]):
    """A campaign, its store, and the stand-in that it is published on."""

    name: str
    platform: Platform

    def __init__(self, there: There, folder: Folder, store: Store) -> None:
        self.there = there
        self.folder = folder
        self.store = store

    def publish(self, places: int | None = 3, *, dry_run: bool = False) -> Published:
        return self.platform.publish(self.folder, self.store, places=places, dry_run=dry_run)

    def collect(self) -> Collected:
        return self.platform.collect(self.folder, self.store)

    def found(self) -> list[tuple[str, str]]:
        """Kind and pseudonym of everything that differs."""
        return [(one.kind, one.annotator_id) for one in self.collect().findings]

    def close(self, *, now: bool = False) -> str:
        return self.platform.close(self.folder, self.store, now=now)

    def play(self, query: Any, **options: Any) -> Done | None:
        """Play the sitting to which a query leads; see `playing.play_entry`."""
        return play_entry(self.folder, self.store, self.name, query, **options)

    def pseudonym(self, person: str) -> str:
        return self.folder.annotator_id(self.name, person)

    def rows(self, table: Any) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(select(table)).all())
