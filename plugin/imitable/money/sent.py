"""A second book beside the database: what is sent is noted in the campaign's folder as well, before it goes.

A database that was put back to an older state knows nothing of payments that were made since, and the platform's list
may not show them yet, or there may be none. The note of an operation that is about to be sent for the first time tells.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from imitable.campaign import Folder
from imitable.errors import MoneyError

SENT = "sent.log"
"""A line a payment in the campaign's folder: when, and its operation id. Nothing is ever taken out of it."""


def note(folder: Folder, operations: Sequence[str], *, now: datetime) -> None:
    """Note operations that are about to be sent; on the disk when this returns. Raises OSError."""
    lines = "".join(f"\n{now.isoformat()} {operation}" for operation in operations)  # a line that was torn stays alone
    file = os.open(folder.path / SENT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, lines.encode("ascii"))
        os.fsync(file)
    finally:
        os.close(file)


def refuse_what_was_sent(folder: Folder, operations: Sequence[str]) -> None:
    """Raise MoneyError for operations that the books take for new, and that were sent before."""
    try:
        noted = set((folder.path / SENT).read_text(encoding="ascii").split())
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise MoneyError(f"{folder.path / SENT} cannot be read ({error}). Nothing was sent. Put it back.") from error
    known = [operation for operation in operations if operation in noted]
    if known:
        raise MoneyError(
            f"{len(known)} payments that are due by these books were sent before: {folder.path / SENT} has them, the "
            f"first is {known[0]}. The database is older than they are. Nothing was sent. Put the newer database back. "
            "If it is lost, or these payments were never made, move that file away: what a platform lists is then "
            "booked, and not sent again; what you paid by hand you have to compare yourself."
        )
