"""`imitable close`: no new work is begun."""

from __future__ import annotations

from pathlib import Path

from imitable.commands.folders import built
from imitable.commands.offered import offered_on
from imitable.commands.publish import BUSY
from imitable.money.turns import in_turn
from imitable.platforms import find_platform


def close(directory: Path, *, now: bool = False) -> dict[str, str]:
    """Stop recruiting wherever the campaign was published; with `now`, end what has begun, too.

    Returns what was done, by platform. Safe to repeat. Raises PlatformError, and MoneyError while somebody publishes.
    """
    with built(directory) as (folder, store), in_turn(store, folder, "publish", busy=BUSY):
        return {name: find_platform(name).close(folder, store, now=now) for name in offered_on(folder, store)}
