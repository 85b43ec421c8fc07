"""`imitable publish`: offer the campaign to annotators on a platform."""

from __future__ import annotations

from pathlib import Path

from imitable.commands.folders import built
from imitable.platforms import Progress, Published, find_platform, silent


def publish(
    directory: Path,
    *,
    platform: str = "web",
    places: int | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Published:
    """Publish a built campaign. Safe to repeat. Raises ImitableError subclasses."""
    chosen = find_platform(platform)
    with built(directory, as_configured=True) as (folder, store):
        return chosen.publish(folder, store, places=places, dry_run=dry_run, progress=progress)


def publish_files(directory: Path, out: Path, *, places: int | None = None) -> Published:
    """Write Label Studio tasks to import by hand, of one round each and without answers, into the new folder `out`.

    Raises ImitableError subclasses, and then `out` is not there.
    """
    from imitable.platforms.label_studio.files import write_files

    with built(directory, as_configured=True) as (folder, store):
        return write_files(folder, store, out, places=places)
