"""Making a database's tables, or bringing them up to date."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from imitable.errors import StoreError
from imitable.store.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(engine: Engine) -> None:
    """Make the tables this version's. Raises StoreError for a database that a newer version made."""
    with engine.connect() as connection:
        if _version(connection) == _last():
            return
    with engine.connect() as connection:
        # One process makes the tables or migrates, the others wait and then find nothing to do.
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(7045421)"))
        if set(inspect(connection).get_table_names()).isdisjoint({"alembic_version", *metadata.tables}):
            _make(connection)
        else:
            upgrade(connection)
        connection.commit()


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the migrations that are missing up to one. Raises StoreError for a database that a newer version made."""
    from alembic import command  # takes a good part of what a command needs to begin
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError as error:
        raise StoreError(
            f"The database {shown(connection.engine)} was made by a newer version of imitable ({error}). "
            "Upgrade imitable."
        ) from error


def shown(engine: Engine) -> str:
    """A database's address, without its password."""
    return engine.url.render_as_string(hide_password=True)


def _make(connection: Connection) -> None:
    """All tables at once, as the migrations one after the other would make them."""
    metadata.create_all(connection, checkfirst=False)
    key = "CONSTRAINT alembic_version_pkc PRIMARY KEY"
    connection.execute(text(f"CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL {key})"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:last)"), {"last": _last()})


def _last() -> str:
    """The last migration, by the numbers that their files begin with."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _version(connection: Connection) -> str | None:
    """The migration that a database is at, if it is at one."""
    try:
        found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except DBAPIError:  # a new database; whatever else it is, it will be said when the tables are made
        return None
    return found
