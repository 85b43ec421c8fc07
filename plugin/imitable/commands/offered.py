"""Where a campaign was published."""

from __future__ import annotations

from sqlalchemy import Connection, select, union

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.platforms import known_platforms
from imitable.store import Store, tables
from imitable.store.money_tables import reservations


def published_on(connection: Connection) -> set[str]:
    """The platforms that hold something of this campaign."""
    holding = (tables.links, tables.tasks, tables.sittings, reservations)
    found = connection.execute(union(*(select(table.c.platform) for table in holding))).scalars()
    return set(found) & known_platforms().keys()


def offered_on(folder: Folder, store: Store) -> list[str]:
    """The platforms that hold something of this campaign. Raises PlatformError when there is none."""
    with store.read() as connection:
        offered = sorted(published_on(connection))
    if not offered:
        raise PlatformError(
            f"{folder.path} was not published yet. Run: imitable publish {folder.path} --platform web, or another of "
            f"{', '.join(known_platforms())}"
        )
    return offered
