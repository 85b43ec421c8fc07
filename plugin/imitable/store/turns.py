"""One process at a time where two would get into each other's way: paying, publishing, going through tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from imitable.campaign import Folder
from imitable.errors import ImitableError
from imitable.store.engine import Store


@contextmanager
def in_turn(store: Store, folder: Folder, what: str, *, busy: ImitableError) -> Iterator[None]:
    """Hold the right to do this for this campaign. Raises `busy` when another process has it.

    On PostgreSQL it is the database's own lock, so that it holds between machines; with SQLite a file beside it. Both
    end with the process.
    """
    if store.one_writer:
        with (folder.path / f"{what}.lock").open("w") as file:
            try:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except ImportError:  # not on this system
                pass
            except OSError as error:
                raise busy from error
            yield
        return
    number = int(folder.derive(f"{what} lock", size=15), 16)
    with store.engine.connect() as connection:
        if not connection.execute(select(func.pg_try_advisory_lock(number))).scalar_one():
            raise busy
        connection.commit()
        try:
            yield
        finally:
            with suppress(DBAPIError):  # where the server was restarted, the lock is gone with it
                connection.execute(select(func.pg_advisory_unlock(number)))
                connection.commit()
