"""Personal links to our own web page: for people you invite yourself."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game import Link, make_links
from imitable.platforms import Collected, Progress, Published, silent
from imitable.platforms.listing import write_list
from imitable.platforms.notes import promises
from imitable.platforms.sittings import end_sittings
from imitable.store import Store, tables

DEFAULT_URL = "http://127.0.0.1:8000"


class WebLinks:
    """`--platform web`: links.csv with N personal, unguessable links; an open address only if the campaign says so."""

    def __init__(self, platform: str = "web") -> None:
        self.platform = platform
        """`web`, or `simulated` for links that programs play; written beside every guess."""

    def publish(
        self, folder: Folder, store: Store, *, places: int | None, dry_run: bool, progress: Progress = silent
    ) -> Published:
        """Write DIR/links.csv with `places` links in all. The same call again writes the same links."""
        count = places if places is not None else sittings_needed(folder, store)
        if count < 1:
            raise PlatformError("There is nothing to publish: the number of links must be 1 or more.")
        base = folder.config.serve.public_url or DEFAULT_URL
        address = base.rstrip("/")
        what = f"{count} personal link{'s' if count > 1 else ''} to {address}"
        if folder.config.platform.web.open:
            what += ", and the open address itself"
        path = folder.path / "links.csv"
        if dry_run:
            return Published(what, (), f"without --dry-run the same command writes {path}", _notes(folder), count)
        names = [f"link-{number:04d}" for number in range(1, count + 1)]
        links = make_links(store, folder, platform=self.platform, names=names, now=datetime.now(UTC))
        others = self._others(folder, store, names)
        write_links(folder, address, [*others, *links])
        kept = (f"{path.name} keeps the {len(others)} made before, too.",) if others else ()
        step = f"imitable serve {folder.path}, then send each person one link of {path.name}"
        return Published(what, (path,), step, (*kept, *_notes(folder)), max(count, len(links) + len(others)))

    def collect(self, folder: Folder, store: Store, *, progress: Progress = silent) -> Collected:
        """Our own page needs no pulling: its record is the store."""
        of_ours = tables.sittings.c.platform == self.platform
        with store.read() as connection:
            return Collected(len(connection.execute(select(tables.sittings.c.sitting_id).where(of_ours)).all()))

    def close(self, folder: Folder, store: Store, *, now: bool = False) -> str:
        """Nothing recruits by itself here; with `now`, what has begun is over, and is paid for what was played."""
        if now:
            ended = end_sittings(store, self.platform)
            return (
                f"{ended} sittings that had begun are over, and earn their share. Links that nobody has opened would "
                "still begin one: stop 'imitable serve'."
            )
        return (
            "Nothing recruits by itself on the web: hand out no more links, and stop 'imitable serve' when people have "
            "finished"
        )

    def _others(self, folder: Folder, store: Store, names: list[str]) -> list[Link]:
        """Links made earlier, so that publishing fewer, or for another platform, forgets none."""
        with store.read() as connection:
            known = connection.execute(
                select(tables.links.c.platform, tables.links.c.platform_id).order_by("platform", "platform_id")
            ).all()
        old = [row for row in known if row.platform != self.platform or row.platform_id not in names]
        return [
            Link(row.platform, row.platform_id, folder.derive("link", row.platform, row.platform_id, size=32))
            for row in old
        ]


def _notes(folder: Folder) -> tuple[str, ...]:
    notes = []
    if not folder.config.serve.public_url:
        notes.append(
            "These links open on this machine only: to invite others, set [serve] public_url in campaign.toml and "
            "publish again."
        )
    return (*notes, *promises(folder))


def sittings_needed(folder: Folder, store: Store) -> int:
    """Sittings that give every target and level its annotators, if everyone finishes."""
    config = folder.config
    with store.read() as connection:
        targets = len(connection.execute(select(tables.targets.c.target_id)).all())
    episodes = targets * len(config.episode.levels) * config.platform.web.annotators_per_target
    return -(-episodes // min(config.sitting.episodes, max(1, targets)))


def write_links(folder: Folder, address: str, links: list[Link]) -> None:
    """Write DIR/links.csv: who holds a link is let in."""
    ordered = sorted(links, key=lambda link: (link.platform, link.platform_id))
    rows = [(link.platform, link.platform_id, f"{address}/j/{link.code}") for link in ordered]
    write_list(folder.path / "links.csv", ("platform", "name", "url"), rows)
