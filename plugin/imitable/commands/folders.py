"""Opening a campaign that has been built: what most commands begin with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imitable.campaign import Folder, open_folder
from imitable.errors import BuildError
from imitable.store import Store, build_hash_of, open_store


@contextmanager
def built(directory: Path, *, as_configured: bool = False) -> Iterator[tuple[Folder, Store]]:
    """The folder and the open store of a built campaign. Raises BuildError when it has not been built.

    With `as_configured`, also when campaign.toml no longer describes the build: what is served is what was asked for.
    """
    folder = open_folder(directory)
    store = open_store(folder)
    try:
        loaded = store.build_hash()
        if loaded is None:
            raise BuildError(f"{directory} has not been built yet. Run: imitable build {directory}")
        if as_configured:
            folder.consent_text()  # a text that cannot be read is said now, and not to the first annotator
        if as_configured and loaded != build_hash_of(folder):
            raise BuildError(
                f"{directory}/campaign.toml has changed since the campaign was built. Run: imitable build {directory}"
            )
        yield folder, store
    finally:
        store.close()
