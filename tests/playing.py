"""A game on an invented campaign, with a clock that tests move; and the sitting of whom a platform sends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from imitable.campaign import Folder
from imitable.game import Game, make_links
from imitable.game.views import Done, Questions, Reveal, Round, View
from imitable.store import Store, tables


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        """Move it forward."""
        self.now += timedelta(**by)


class Table:
    """A campaign being played: its folder, store, clock, game and links."""

    def __init__(self, folder: Folder, store: Store, links: int) -> None:
        self.folder = folder
        self.store = store
        self.clock = Clock()
        self.game = Game(folder, store, clock=self.clock)
        names = [f"link-{number}" for number in range(links)]
        self.links = make_links(store, folder, platform="web", names=names, now=self.clock())

    def sit(self, link: int = 0) -> str:
        """Start the sitting of a link and finish its warm-up; returns the token."""
        token = self.game.start(self.links[link].code, agreed=True)
        view = self.game.view(token)
        while isinstance(view, Round) and view.tutorial:
            self.game.tutorial(token, view.round_id, "5")
            view = self.game.view(token)
        return token

    def play(self, token: str, guess: str = "5") -> list[View]:
        """Play on to the end of the sitting, with one guess for all; returns every view."""
        seen: list[View] = [self.game.view(token)]
        while seen[-1].kind != "done":
            match seen[-1]:
                case Round() as asked:
                    seen.append(self.game.guess(token, asked.round_id, guess))
                case Reveal():
                    seen.append(self.game.view(token))
                case Questions() as asked:
                    seen.append(self.game.answer(token, asked.episode_id, fun="4", interest="2", explanation="trees"))
        return seen

    def rows(self, query: Any) -> list[Any]:
        """What a query finds in the store."""
        with self.store.read() as connection:
            return list(connection.execute(query).all())

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything in the store, by table: what must not have changed."""
        with self.store.read() as connection:
            return {
                table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
                for table in tables.metadata.sorted_tables
            }


def make_sides(store: Store) -> None:
    """Make the second of an invented campaign's targets the other side of the first: it asks about the same texts."""
    targets, items = tables.targets.c, tables.items.c
    with store.write() as connection:
        one, other = connection.execute(select(targets.target_id).order_by(targets.unit).limit(2)).scalars()
        connection.execute(update(tables.targets).where(targets.target_id == other).values(unit=0, polarity="neg"))
        of = {
            name: connection.execute(select(tables.items).where(items.target_id == name).order_by(items.split)).all()
            for name in (one, other)
        }
        for mine, its in zip(of[one], of[other], strict=True):
            same = {"text": mine.text, "focus_start": mine.focus_start, "focus_end": mine.focus_end}
            connection.execute(update(tables.items).where(items.item_id == its.item_id).values(same))


def play_entry(
    folder: Folder,
    store: Store,
    platform: str,
    query: Mapping[str, str],
    *,
    rounds: int | None = None,
    stop: bool = False,
) -> Done | None:
    """Play the sitting of whom a platform sends, to its end or so many rounds; with `stop`, stop there."""
    game = Game(folder, store)
    landing = game.arrival(game.entry(platform, query))
    assert landing.kind == "landing"
    token = game.start(landing.code, agreed=True)  # type: ignore[union-attr]
    view = game.view(token)
    while not isinstance(view, Done):
        match view:
            case Round() if view.tutorial:
                view = game.tutorial(token, view.round_id, "5")
            case Round():
                if rounds == 0:
                    view = game.stop(token) if stop else view
                    return view if isinstance(view, Done) else None
                rounds = None if rounds is None else rounds - 1
                view = game.guess(token, view.round_id, "5")
            case Reveal():
                view = game.view(token)
            case Questions():
                view = game.answer(token, view.episode_id, fun="4", interest="2", explanation="")
    return view
