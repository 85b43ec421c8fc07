"""`imitable collect`: what the platforms know, beside what we do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imitable.commands.folders import built
from imitable.commands.offered import offered_on
from imitable.platforms import Collected, Progress, find_platform, silent
from imitable.platforms.listing import write_list


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
    return AllCollected(said, write_list(directory / "collected.csv", header, rows))
