"""A second book beside the database: what is sent is noted in the campaign's folder as well, before it goes.

A database that was put back to an older state knows nothing of payments that were made since, and the platform's list
may not show them yet, or there may be none. The note of an operation that is about to be sent for the first time tells.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from datetime import datetime

from imitable.campaign import Folder
from imitable.errors import MoneyError

SENT = "sent.log"
"""A line a payment in the campaign's folder: when, and its operation id. Nothing is ever taken out of it."""


def note(folder: Folder, operations: Sequence[str], *, now: datetime) -> None:
    """Note operations that are about to be sent; on the disk when this returns. Raises OSError."""
    lines = "".join(f"\n{now.isoformat()} {operation}" for operation in operations)  # a line that was torn stays alone
    data = lines.encode("ascii")
    file = os.open(folder.path / SENT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if os.write(file, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    finally:
        os.close(file)


def refuse_older_books(folder: Folder, attempts: Mapping[str, int]) -> None:
    """Raise MoneyError where more attempts are noted than the books have, which are given by their operations' stem."""
    path = folder.path / SENT
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise MoneyError(f"{path} cannot be read ({error}). Nothing was sent. Put it back.") from error
    newer = set()
    for line in lines:
        stem, _, number = line.rpartition(" ")[2].rpartition("-")
        if stem in attempts and number.isdecimal() and int(number) > attempts[stem]:
            newer.add(stem)
    if newer:
        raise MoneyError(
            f"The database is older than its payments: {len(newer)} that it knows nothing of were sent, by {path} "
            f"(the first is {min(newer)}). Nothing was sent now. Put the newer database back. If it is lost, or these "
            "payments were never made, wait an hour and move that file away: what a platform lists is then booked, and "
            "not sent again; what you paid by hand you have to compare yourself."
        )
