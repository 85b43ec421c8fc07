"""`imitable collect`: what the platforms know, beside what we do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imitable.commands.folders import built
from imitable.commands.offered import offered_on
from imitable.platforms import Collected, Progress, find_platform, silent
from imitable.platforms.listing import write_list

COLLECTED = "collected.csv"


@dataclass(frozen=True)
class FileCollected:
    """What an export that was made by hand brought."""

    taken: int
    """Guesses that are new."""
    known: int
    """Guesses that stood already."""
    not_taken: int
    path: Path
    """DIR/not-taken.csv, with a line for each annotation that changed nothing, and why."""


def collect_file(directory: Path, export: Path) -> FileCollected:
    """Take the guesses of what `publish --files` wrote: a JSON export of Label Studio, or an MTurk-style results CSV.

    Safe to repeat. Raises PlatformError for a file that is neither, and then nothing is taken.
    """
    from imitable.platforms.by_hand import WHY, uploaded
    from imitable.platforms.label_studio.exported import take_in_export
    from imitable.platforms.mturk.results import take_in_results

    with built(directory) as (folder, store):
        csv = export.suffix.lower() == ".csv" and (uploaded(store, "mturk") or not uploaded(store, "label-studio"))
        take_in = take_in_results if csv else take_in_export
        done = take_in(folder, store, export)
    rows = [(str(one.place), one.annotation, WHY[one.why]) for one in done.not_taken]
    path = write_list(directory / "not-taken.csv", ("task", "annotation", "reason"), rows)
    return FileCollected(done.taken, done.known, len(rows), path)


@dataclass(frozen=True)
class AllCollected:
    """What every platform said, and the file with all that differs."""

    platforms: dict[str, Collected]
    path: Path


def collect(directory: Path, *, progress: Progress = silent) -> AllCollected:
    """Ask every platform that the campaign was published on, and write DIR/collected.csv, whole or not at all.

    Safe to repeat. Raises PlatformError when it was published on none, and when one of them cannot be asked.
    """
    with built(directory) as (folder, store):
        said = {
            name: find_platform(name).collect(folder, store, progress=progress) for name in offered_on(folder, store)
        }
    rows = [
        (name, one.kind, one.annotator_id, one.episode_id, one.sentence)
        for name, collected in said.items()
        for one in collected.findings
    ]
    header = ("platform", "kind", "annotator_id", "episode_id", "sentence")
    return AllCollected(said, write_list(directory / COLLECTED, header, rows))
