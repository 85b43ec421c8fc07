"""Opening a campaign that has been built: what most commands begin with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imitable.campaign import Folder, open_folder
from imitable.errors import BuildError
from imitable.store import Store, open_store


@contextmanager
def built(directory: Path) -> Iterator[tuple[Folder, Store]]:
    """The folder and the open store of a built campaign. Raises BuildError when it has not been built."""
    folder = open_folder(directory)
    store = open_store(folder)
    try:
        if store.build_hash() is None:
            raise BuildError(f"{directory} has not been built yet. Run: imitable build {directory}")
        yield folder, store
    finally:
        store.close()
