"""Publications that somebody uploads by hand, and what comes back as a file: no server is asked about them."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.content import read_content
from imitable.game.importing import Given, take_in
from imitable.game.label_studio import names
from imitable.game.reserving import Reserved
from imitable.platforms.sittings import offered
from imitable.store import Store, insert_once, tables

BY_HAND = "files"
"""What stands for platform and project of tasks that somebody uploads by hand."""

WHY: dict[str, str] = {
    "other": "another number was taken in before, and stands",
    "unknown": "its task was not made by this campaign",
    "not_theirs": "it was given, or changed, by somebody else than its annotator",
    "no_number": "it holds no number on the target's scale",
    "over": "its annotator's sitting had ended, and what it earned was decided",
    "skipped": "it was skipped",
    "second": "the same task was answered before",
    "unreadable": "it is not written as the platform exports it",
    "again": "the same worker has played one of its targets in another row",
}
"""What is wrong with an answer that was not taken in."""


@dataclass(frozen=True)
class NotTaken:
    """An answer of the file that changed nothing."""

    place: int
    """Of its task in the file, from 1."""
    annotation: str
    """The platform's own number or id of it."""
    why: str
    """A key of `WHY`."""


@dataclass(frozen=True)
class TakenIn:
    """What reading a file did."""

    taken: int
    """Guesses that are new."""
    known: int
    """Guesses that stood already."""
    not_taken: tuple[NotTaken, ...]


Found = tuple[int, str, "Given | str"]
"""An answer of a file: the place of its task, its own id, and the guess, or a key of `WHY` where it is none."""


def take_all(folder: Folder, store: Store, found: Callable[[Connection], Iterator[Found]]) -> TakenIn:
    """Commit guesses: all of them or, when something fails, none. `found` reads them within the transaction."""
    content = read_content(store, folder.texts())
    count: Counter[str] = Counter()
    not_taken: list[NotTaken] = []
    with store.write() as connection:
        for place, answer, given in found(connection):
            outcome = given if isinstance(given, str) else take_in(connection, folder, content, given)
            if outcome in ("taken", "same"):
                count[outcome] += 1
            else:
                not_taken.append(NotTaken(place, answer, outcome))
    return TakenIn(count["taken"], count["same"], tuple(not_taken))


def note_tasks(store: Store, folder: Folder, made: Sequence[Reserved]) -> None:
    """Record that every round of these episodes is a task that somebody uploads by hand."""
    now = datetime.now(UTC)
    with store.write() as connection:
        for one in made:
            for asked in one.rounds:
                row = {
                    "task_key": names.task_key(folder, one.episode_id, asked.trial),
                    "episode_id": one.episode_id,
                    "trial": asked.trial,
                    "platform": BY_HAND,
                    "project": BY_HAND,
                    "published_at": now,
                }
                insert_once(connection, tables.tasks, row)


def uploaded(store: Store, platform: str) -> set[str]:
    """Sittings of a platform that somebody uploads by hand."""
    return offered(store, platform, tasks=BY_HAND)


def refuse_present(out: Path) -> None:
    """Raise PlatformError for a folder that is there already."""
    if out.exists():
        raise PlatformError(f"{out} is there already. Name a folder with --files that is not, or remove that one.")


def write_parts(out: Path, parts: Mapping[str, str]) -> tuple[Path, ...]:
    """Write the files of a publication by name: all of them appear at once, or nothing. Raises PlatformError."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            for name, text in parts.items():
                (made / name).write_text(text, encoding="utf-8", newline="")
            made.chmod(0o755)
            made.rename(out)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise PlatformError(f"{out} cannot be written ({error}). Mend that, or choose another folder.") from error
    return tuple(out / name for name in parts)
