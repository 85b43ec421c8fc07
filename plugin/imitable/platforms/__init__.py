"""Where annotators come from. One seam to the outside: publish, collect, close."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol

from imitable.campaign import Folder
from imitable.errors import NotOffered, PlatformError
from imitable.money.amounts import Money
from imitable.store import Store

__all__ = [
    "Collected",
    "Finding",
    "Platform",
    "Progress",
    "Published",
    "find_platform",
    "known_platforms",
    "nobody_invited",
    "silent",
]

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""`with progress("Sending tasks", total) as advance:` around long work; `advance` is told how much more is done."""


@contextmanager
def silent(_what: str, _total: int) -> Iterator[Callable[[int], object]]:
    """The default: no one is listening."""
    yield lambda _done: None


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
    sittings: int = 0
    """Sittings that are offered there now, those that were offered before among them: money is set aside for them."""
    each: Money | None = None
    """What one of them may cost at most by the platform's own reckoning, where it was asked."""


@contextmanager
def nobody_invited(offered: int | None) -> Iterator[None]:
    """What fails in here has invited nobody beyond those who were `offered` a place before, and says so: NotOffered."""
    try:
        yield
    except PlatformError as error:
        raise NotOffered(str(error), offered=offered) from error


@dataclass(frozen=True)
class Finding:
    """Something in which a platform and our record differ. The record counts; this says what was not taken over."""

    kind: str
    """In one word: `forged`, `edited`, `deleted`, ..."""
    sentence: str
    """What was found, under the annotator's pseudonym, and what counts."""
    annotator_id: str = ""
    """Whose work it is about; empty where that cannot be told."""
    episode_id: str = ""


@dataclass(frozen=True)
class Collected:
    """What a platform said."""

    sittings: int
    """Sittings that have begun, as far as the platform and our record know."""
    findings: tuple[Finding, ...] = ()
    """Every difference that stands, not only the new ones."""


class Platform(Protocol):
    """A way to reach annotators. Installed packages add theirs under the entry point group `imitable.platforms`."""

    def publish(
        self, folder: Folder, store: Store, *, places: int | None, dry_run: bool, progress: Progress = silent
    ) -> Published:
        """Offer `places` sittings (None: as many as the campaign needs). Safe to repeat.

        Raises NotOffered where it is certain that nobody was invited, and another ImitableError where it is not.
        """
        ...

    def collect(self, folder: Folder, store: Store, *, progress: Progress = silent) -> Collected:
        """Pull what the platform knows and compare it with the record, which it never changes. Safe to repeat."""
        ...

    def close(self, folder: Folder, store: Store, *, now: bool = False) -> str:
        """Stop recruiting and let accepted work finish; with `now`, end that too. Returns what was done, in words."""
        ...


def known_platforms() -> dict[str, EntryPoint]:
    """The platforms that are installed, by name."""
    return {point.name: point for point in sorted(entry_points(group="imitable.platforms"), key=lambda one: one.name)}


def find_platform(name: str) -> Platform:
    """A platform by name. Raises PlatformError naming the ones there are."""
    known = known_platforms()
    if name not in known:
        raise PlatformError(f"There is no platform '{name}' here. Choose one of: {', '.join(known)}.")
    platform: Platform = known[name].load()()
    return platform
