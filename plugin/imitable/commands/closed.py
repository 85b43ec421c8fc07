"""Where recruiting was stopped: a decision of the runner's, kept with the others, until it begins again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from imitable.money.ledger import decided
from imitable.store.money_tables import decisions

_CLOSED, _OPEN = "close", "open again"


def note_closed(connection: Connection, platform: str, *, now: datetime) -> None:
    """Recruiting there was stopped."""
    if platform not in closed_on(connection):
        decided(connection, _CLOSED, platform, "", now=now)


def note_open(connection: Connection, platform: str, *, now: datetime) -> None:
    """The campaign was published there, perhaps for the first time."""
    if platform in closed_on(connection):
        decided(connection, _OPEN, platform, "", now=now)


def closed_on(connection: Connection) -> dict[str, datetime]:
    """The platforms on which recruiting is stopped now, and since when."""
    of_these = decisions.c.kind.in_((_CLOSED, _OPEN))
    last = {row.about: row for row in connection.execute(select(decisions).where(of_these).order_by("decision_id"))}
    return {platform: row.decided_at for platform, row in last.items() if row.kind == _CLOSED}
