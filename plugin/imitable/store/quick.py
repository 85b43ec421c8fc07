"""The few statements that every guess needs, handed to the driver as they are.

SQLAlchemy writes them, once for each kind of database, and converts what goes in and comes out; on the way to the
driver it would take several times what SQLite takes to run them.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, Float

_Convert = Callable[[Any], Any] | None


@dataclass(frozen=True)
class _Written:
    """A statement for one kind of database."""

    text: str
    given: Sequence[tuple[str, _Convert]]
    """Names of the parameters in their order, and what converts them."""
    constants: Mapping[str, Any]
    """Parameters that the statement brings with it."""
    by_name: bool
    """True where the driver takes parameters by name."""
    converts: Sequence[tuple[int, Callable[[Any], Any]]]
    """Columns that are converted, by their place."""
    row: Callable[[Sequence[Any]], Any]


class Quick:
    """A statement of SQLAlchemy Core with `bindparam`s. It raises the driver's own errors, which `Store` translates."""

    def __init__(self, statement: Any, on: Mapping[str, Any] | None = None) -> None:
        self._statement = statement
        self._on = on or {}
        """Statements to take instead, by the name of a dialect."""
        self._written: dict[str, _Written] = {}

    def first(self, connection: Connection, given: Mapping[str, Any]) -> Any:
        """The first row, with its columns as attributes, or None."""
        written, found = self._run(connection, given)
        row = found.fetchone()
        return None if row is None else _converted(written, row)

    def all(self, connection: Connection, given: Mapping[str, Any]) -> list[Any]:
        """Every row."""
        written, found = self._run(connection, given)
        return [_converted(written, row) for row in found.fetchall()]

    def run(self, connection: Connection, given: Mapping[str, Any]) -> None:
        """Run what gives no rows."""
        self._run(connection, given)

    def _run(self, connection: Connection, given: Mapping[str, Any]) -> tuple[_Written, Any]:
        dialect = connection.dialect
        written = self._written.get(dialect.name)
        if written is None:
            written = self._written[dialect.name] = _write(self._on.get(dialect.name, self._statement), dialect)
        if not connection.in_transaction():
            connection.begin()  # the driver's own begins by itself
        every = {**written.constants, **given}
        values = {name: every[name] if convert is None else convert(every[name]) for name, convert in written.given}
        driver: Any = connection.connection.driver_connection
        if written.by_name:
            return written, driver.execute(written.text, values)
        return written, driver.execute(written.text, [values[name] for name, _ in written.given])


def _converted(written: _Written, row: Sequence[Any]) -> Any:
    if not written.converts:
        return written.row(row)
    values = list(row)
    for at, convert in written.converts:
        values[at] = convert(values[at])
    return written.row(values)


def _write(statement: Any, dialect: Dialect) -> _Written:
    compiled = statement.compile(dialect=dialect)
    names = list(compiled.positiontup) if compiled.positional else list(compiled.binds)
    columns = list(statement.exported_columns)
    results = [
        None if isinstance(column.type, Float) else column.type.dialect_impl(dialect).result_processor(dialect, None)
        for column in columns
    ]
    row: Any = namedtuple("Row", " ".join(column.key for column in columns))  # type: ignore[misc]  # known by now
    return _Written(
        text=str(compiled),
        given=[(name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names],
        constants={name: bind.value for name, bind in compiled.binds.items() if bind.value is not None},
        by_name=not compiled.positional,
        converts=[(at, convert) for at, convert in enumerate(results) if convert is not None],
        row=row._make,
    )
