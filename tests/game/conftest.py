"""Tables to play at, on either database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imitable.store import Store, open_store
from imitable.testing import invented_campaign
from playing import Table


@pytest.fixture
def table(tmp_path: Path, either_store: str) -> Iterator[Callable[..., Table]]:
    """Set a table on either database: `table(targets=3, links=2, ...)`."""
    stores: list[Store] = []

    def build(*, links: int = 3, **settings: Any) -> Table:
        folder = invented_campaign(tmp_path / f"campaign{len(stores)}", **settings)
        stores.append(open_store(folder))
        return Table(folder, stores[-1], links)

    yield build
    for store in stores:
        store.close()
