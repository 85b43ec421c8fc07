"""Bringing a database's tables up to date."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from imitable.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(engine: Engine) -> None:
    """Make the tables this version's. Raises StoreError for a database that a newer version made."""
    with engine.connect() as connection:
        if _up_to_date(connection):
            return
    from alembic import command  # takes a good part of what a command needs to begin
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.connect() as connection:
        # One process migrates, the others wait and then find nothing to do.
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(7045421)"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(
                f"The database {shown(engine)} was made by a newer version of imitable ({error}). Upgrade imitable."
            ) from error
        connection.commit()


def shown(engine: Engine) -> str:
    """A database's address, without its password."""
    return engine.url.render_as_string(hide_password=True)


def _up_to_date(connection: Connection) -> bool:
    """Whether the last migration, by the numbers that their files begin with, is the one that the database is at."""
    last = max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    try:
        return bool(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == last)
    except DBAPIError:  # a new database; whatever else it is, it will be said when the tables are made
        return False
