"""Where annotators come from. One seam to the outside: publish, collect, close."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.store import Store

__all__ = ["Platform", "Published", "find_platform"]


@dataclass(frozen=True)
class Published:
    """What a publication made, or (dry run) would make."""

    what: str
    """In words: "60 personal links"."""
    files: tuple[Path, ...]
    next_step: str
    """What the runner does now."""
    notes: tuple[str, ...] = ()
    """What the runner must know besides, each with what to do about it."""


class Platform(Protocol):
    """A way to reach annotators. Installed packages add theirs under the entry point group `imitable.platforms`."""

    def publish(self, folder: Folder, store: Store, *, places: int | None, dry_run: bool) -> Published:
        """Offer `places` sittings (None: as many as the campaign needs). Safe to repeat."""
        ...

    def collect(self, folder: Folder, store: Store) -> int:
        """Pull what the platform knows; returns the number of sittings heard of. Safe to repeat."""
        ...

    def close(self, folder: Folder, store: Store) -> None:
        """Stop recruiting and let accepted work finish."""
        ...


def find_platform(name: str) -> Platform:
    """A platform by name. Raises PlatformError naming the ones there are."""
    known = {point.name: point for point in entry_points(group="imitable.platforms")}
    if name not in known:
        raise PlatformError(f"There is no platform '{name}' here. Choose one of: {', '.join(sorted(known))}.")
    platform: Platform = known[name].load()()
    return platform
