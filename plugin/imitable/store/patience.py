"""A database that does not answer is given up after some seconds, so that no thread of a server waits for ever."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from sqlalchemy import Engine, event


def give_up_after(engine: Engine, seconds: float) -> None:
    """Let every connection of an engine, from now on, fail instead of waiting longer than this for any one thing.

    SQLite: for the lock of another process. PostgreSQL: for a connection, a lock, a statement. A server that is
    stopped itself, or a network that swallows everything, is noticed a second later here.
    """
    milliseconds = round(seconds * 1000)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: object) -> None:
            connection.execute(f"PRAGMA busy_timeout={milliseconds}")
    else:
        impatient = _impatient(seconds + 1)

        @event.listens_for(engine, "do_connect")
        def _connect(_dialect: Any, _record: object, given: list[Any], named: dict[str, Any]) -> Any:
            connection = impatient.connect(*given, **named | {"connect_timeout": max(2, round(seconds))})
            connection.execute(_LIMITS, (f"{milliseconds}", f"{milliseconds}", f"{6 * milliseconds}"))
            connection.commit()
            return connection

    engine.dispose()  # connections made before do not know of it


_LIMITS = """
SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false),
       set_config('idle_in_transaction_session_timeout', %s, false)
"""
"""The last one ends transactions of a server process of ours that was stopped, and holds a sitting's lock."""


def _impatient(seconds: float) -> Any:
    """psycopg's connection, closed once the server has not answered for so long; libpq has no such limit."""
    import psycopg

    class Impatient(psycopg.Connection[Any]):
        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            return super().wait(self._until(gen, time.monotonic() + seconds), *args, **kwargs)

        def _until(self, gen: Generator[Any, Any, Any], end: float) -> Generator[Any, Any, Any]:
            """The same waiting, which psycopg resumes ten times a second, until it has lasted too long."""
            try:
                wanted = next(gen)
                while True:
                    ready = yield wanted
                    if time.monotonic() > end:
                        self.close()
                        raise psycopg.OperationalError(f"no answer within {seconds:g} s")
                    wanted = gen.send(ready)
            except StopIteration as done:
                return done.value

    return Impatient
