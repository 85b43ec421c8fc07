"""Where a campaign was published."""

from __future__ import annotations

from sqlalchemy import select, union

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.platforms import known_platforms
from imitable.store import Store, tables
from imitable.store.money_tables import reservations


def offered_on(folder: Folder, store: Store) -> list[str]:
    """The platforms that hold something of this campaign. Raises PlatformError when there is none."""
    holding = (tables.links, tables.tasks, tables.sittings, reservations)
    with store.read() as connection:
        found = set(connection.execute(union(*(select(table.c.platform) for table in holding))).scalars())
    offered = sorted(found & set(known_platforms()))
    if not offered:
        raise PlatformError(
            f"{folder.path} was not published yet. Run: imitable publish {folder.path} --platform web, or another of "
            f"{', '.join(known_platforms())}"
        )
    return offered
