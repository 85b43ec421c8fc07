"""`imitable close`: no new work is begun."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from imitable.commands.closed import note_closed
from imitable.commands.folders import built
from imitable.commands.offered import offered_on
from imitable.commands.publish import BUSY
from imitable.errors import MoneyError
from imitable.money.budget import free_the_rest
from imitable.platforms import find_platform
from imitable.store import in_turn


def close(directory: Path, *, now: bool = False) -> dict[str, str]:
    """Stop recruiting wherever the campaign was published; with `now`, end what has begun, too.

    Returns what was done, by platform. What was set aside for places that nobody can fill any more is free again, where
    the platform tells. Safe to repeat. Raises PlatformError, and MoneyError while somebody publishes.
    """
    said = {}
    with built(directory) as (folder, store), in_turn(store, folder, "publish", busy=MoneyError(BUSY)):
        for name in offered_on(folder, store):
            platform = find_platform(name)
            said[name] = platform.close(folder, store, now=now)
            if hasattr(platform, "over") and platform.over(folder):
                free = free_the_rest(store, folder, name, now=datetime.now(UTC))
                said[name] += f" {free} that were set aside for it are free." if free.minor else ""
            with store.write() as connection:
                note_closed(connection, name, now=datetime.now(UTC))
    return said
