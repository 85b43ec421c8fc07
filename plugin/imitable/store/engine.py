"""Opening the campaign's database: SQLite (WAL) in its folder, or PostgreSQL by URL; same code, same migrations."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from imitable.campaign import Folder
from imitable.errors import MissingExtra, StoreError
from imitable.store import tables
from imitable.store.migrating import migrate, shown
from imitable.store.patience import give_up_after
from imitable.store.quick import Quick

_PATIENCE = 15
"""Seconds that a PostgreSQL server has to take up the connection."""

_BUSY = 30.0
"""Seconds that a command waits for others who write to an SQLite database."""


_Answer = TypeVar("_Answer")


class Store:
    """The record of one campaign: what is paid on, ranked on, and restarted from."""

    def __init__(self, engine: Engine, folder: Folder) -> None:
        self.engine = engine
        self.campaign_id = "c_" + folder.derive("campaign", folder.config.campaign.name)
        self._patience = _BUSY
        self._lock = threading.Lock()
        self._shared = threading.local()
        """`connection`: the transaction of `together` that this thread is in, if it is in one."""

    @property
    def one_writer(self) -> bool:
        """True where writers follow each other anyway (SQLite), so that it pays to commit several together."""
        return self.engine.dialect.name == "sqlite"

    def hurry(self, seconds: float = 4.0) -> None:
        """From now on people wait for the answer: give up what takes longer, with a StoreError, instead of waiting on.

        Commands do without: an export may take an hour.
        """
        self._patience = seconds
        give_up_after(self.engine, seconds)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes. On SQLite it holds the one write lock from its first statement."""
        shared: Connection | None = getattr(self._shared, "connection", None)
        if shared is not None:
            with _said(self.engine), _savepoint(shared):
                yield shared
            return
        with self._queue(), _said(self.engine), self.engine.connect() as connection:
            if self.one_writer:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            try:
                connection.commit()
            except BaseException:
                connection.invalidate()  # what failed to commit is still open in it
                raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, all of it as of one moment."""
        shared: Connection | None = getattr(self._shared, "connection", None)
        if shared is not None:
            with _said(self.engine):
                yield shared
            return
        with _said(self.engine), self.engine.connect() as connection:
            if self.one_writer:
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection
            connection.rollback()

    def together(self, works: Sequence[Callable[[], _Answer]]) -> list[_Answer | Exception]:
        """Do several people's work in one transaction: what each returned or raised, once all of it is on the disk.

        Each sees what those before it did, and what it did itself is undone when it raises, as if it were alone. If
        the transaction itself fails, each is done again, alone: it may fail only for those who cannot be helped. A
        database that keeps them waiting for too long fails for all who are left.
        """
        until = time.monotonic() + self._patience
        failed: object = None
        if len(works) > 1:
            try:
                with self.write() as connection:
                    self._shared.connection = connection
                    try:
                        return [_outcome(work, unless=StoreError) for work in works]
                    finally:
                        self._shared.connection = None
            except Exception as error:
                failed = error
        outcomes: list[_Answer | Exception] = []
        for work in works:
            waited_in_vain = isinstance(failed, StoreError) and time.monotonic() > until
            outcomes.append(StoreError(str(failed)) if waited_in_vain else _outcome(work))
            failed = outcomes[-1]
        return outcomes

    @contextmanager
    def _queue(self) -> Iterator[None]:
        """SQLite has one writer: threads of this process queue here, instead of polling its lock."""
        if not self.one_writer:
            yield
            return
        if not self._lock.acquire(timeout=self._patience):
            raise StoreError(f"Too many wait to write to {shown(self.engine)}. Nothing was lost; try again.")
        try:
            yield
        finally:
            self._lock.release()

    def check(self) -> None:
        """Raise StoreError unless something can be written now. Changes nothing."""
        with self.write() as connection:
            connection.execute(select(tables.campaigns.c.campaign_id))
            if self.one_writer:
                connection.exec_driver_sql("PRAGMA user_version = 0")  # a page to the disk: only so a full one is seen

    def build_hash(self) -> str | None:
        """Hash of the build that is loaded, or None. Raises StoreError when the database is another campaign's."""
        with self.read() as connection:
            row = connection.execute(select(tables.campaigns)).first()
        if row is None:
            return None
        if row.campaign_id != self.campaign_id:
            raise StoreError(
                f"This database already holds the campaign '{row.name}', of another name or made with another key. "
                "Give each campaign its own database: change [store] url or IMITABLE_STORE_URL. A campaign whose "
                "[campaign] name or secret.key was changed needs the old one back."
            )
        return str(row.build_hash)

    def played(self) -> int:
        """Number of episodes that have begun."""
        with self.read() as connection:
            return int(connection.execute(select(func.count()).select_from(tables.episodes)).scalar_one())

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _outcome(work: Callable[[], _Answer], *, unless: type[Exception] | tuple[()] = ()) -> _Answer | Exception:
    try:
        return work()
    except unless:
        raise
    except Exception as error:
        return error


@contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    """Undo what is done in it if it raises. Raises StoreError when the transaction around it is gone.

    The driver is told directly: this is done for every guess.
    """
    driver: Any = connection.connection.driver_connection
    driver.execute("SAVEPOINT work")
    try:
        yield
    except BaseException as error:
        try:
            driver.execute("ROLLBACK TO work")
            driver.execute("RELEASE work")
        except Exception as gone:  # SQLite ends a transaction itself when the disk is full
            raise StoreError(f"The transaction is gone ({gone}). Nothing was lost; try again.") from error
        raise
    driver.execute("RELEASE work")


def insert_once(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert a row unless its key is taken: the first write wins. Returns True when this one was written."""
    return _insert_once(table).first(connection, {**dict.fromkeys(table.columns.keys()), **row}) is not None


@cache
def _insert_once(table: Table) -> Quick:
    key = next(iter(table.primary_key))
    ours, theirs = (kind.insert(table).on_conflict_do_nothing().returning(key) for kind in (sqlite, postgresql))
    return Quick(ours, on={"postgresql": theirs})


def open_store(folder: Folder, *, url: str | None = None) -> Store:
    """Open the campaign's database and bring its tables up to date. `url` is for another than the one configured.

    Raises StoreError for a database that cannot be reached, is newer than this version, or is another campaign's.
    """
    url = url or os.environ.get("IMITABLE_STORE_URL") or folder.config.store.url
    engine = _engine(url, folder.path)
    store = Store(engine, folder)
    try:
        migrate(engine)
        store.build_hash()
    except SQLAlchemyError as error:
        store.close()
        raise StoreError(
            f"The database {shown(engine)} cannot be used: {_first_line(error)}. "
            "Check [store] url (or IMITABLE_STORE_URL) and that the server is running."
        ) from error
    except BaseException:
        store.close()
        raise
    return store


def _engine(url: str, folder: Path) -> Engine:
    if url == "sqlite":
        path = folder / "campaign.db"
        try:
            path.touch(mode=0o600)  # it holds the truths
        except OSError as error:
            raise StoreError(f"{path} cannot be written ({error}). Make the campaign's folder writable.") from error
        engine = create_engine(
            f"sqlite:///{path}", hide_parameters=True, connect_args={"timeout": _BUSY, "check_same_thread": False}
        )
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    if not url.startswith(("postgresql://", "postgresql+psycopg://")):
        raise StoreError("The store's url is neither 'sqlite' nor postgresql://... Correct [store] url.")
    try:
        import psycopg  # noqa: F401  # looked for here, so that its absence is said in our words
    except ImportError as error:
        raise MissingExtra("serve", wanted_for="A PostgreSQL store") from error
    address = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        return create_engine(
            address,
            pool_size=10,
            max_overflow=20,
            pool_timeout=5,
            pool_pre_ping=True,
            pool_use_lifo=True,  # a few connections are used much, and know their statements
            hide_parameters=True,  # errors reach logs, and parameters hold platforms' ids
            connect_args={"connect_timeout": _PATIENCE},
        )
    except (ArgumentError, ValueError):  # their words may hold the password
        raise StoreError(
            "The store's url is not postgresql://user:password@host:port/database; characters like @ and / in a "
            "password are written %40 and %2F. Correct [store] url or IMITABLE_STORE_URL."
        ) from None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say so, not where the driver guesses
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def _said(engine: Engine) -> Iterator[None]:
    """Translate the driver's errors, and a vain wait for a connection; integrity errors are the caller's business."""
    try:
        yield
    except (DBAPIError, PoolTimeout, engine.dialect.loaded_dbapi.Error) as error:  # the last from a Quick statement
        if type(error).__name__ == "IntegrityError":
            raise
        raise StoreError(
            f"The database {shown(engine)} did not answer: {_first_line(error)}. Nothing was lost; try again."
        ) from error


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().split("\n")[0].rstrip(".")
