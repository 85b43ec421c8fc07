"""The campaign's database: what makes its tables, whose it is, and what it says when it cannot be had."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, insert, inspect, select, text

from building import campaign
from imitable.campaign import Folder, open_folder
from imitable.errors import StoreError
from imitable.store import Store, insert_once, open_store, tables
from imitable.store.migrating import migrate, upgrade

NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return open_folder(campaign(tmp_path / "campaign", texts=None))


@pytest.fixture
def store(folder: Folder, either_store: str) -> Iterator[Store]:
    opened = open_store(folder)
    yield opened
    opened.close()


def begin(store: Store, name: str = "quick") -> None:
    row = {"campaign_id": store.campaign_id, "name": name, "build_hash": "0" * 64, "built_at": NOON}
    with store.write() as connection:
        connection.execute(insert(tables.campaigns), [row])


def migrated_from(first: str, url: str) -> Engine:
    """A database that the migrations made, up to `first` at once and from there as `open_store` does it."""
    engine = create_engine(url)
    with engine.connect() as connection:
        upgrade(connection, first)
        connection.commit()
    migrate(engine)
    return engine


def described(engine: Engine) -> dict[str, object]:
    """All that a database says of its tables, but for the order of columns: an added one is the last."""
    at = inspect(engine)
    return {
        table: {
            "columns": sorted(
                (each["name"], str(each["type"]), each["nullable"], each["default"]) for each in at.get_columns(table)
            ),
            "key": at.get_pk_constraint(table),
            "others": [
                sorted(found(table), key=lambda each: str(each["name"]))
                for found in (at.get_foreign_keys, at.get_unique_constraints, at.get_check_constraints, at.get_indexes)
            ],
        }
        for table in at.get_table_names()
    }


@pytest.mark.parametrize("first", ["0001", "0006", "0010"])
def test_a_new_database_has_exactly_the_tables_that_the_migrations_make_of_an_old_one(
    store: Store, first: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if store.engine.dialect.name == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.db'}"
    else:
        url = request.getfixturevalue("postgresql")().replace("postgresql:", "postgresql+psycopg:")
    old = migrated_from(first, url)
    assert described(store.engine) == described(old)
    with old.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    old.dispose()


def test_opening_again_changes_nothing(store: Store, folder: Folder) -> None:
    begin(store)
    again = open_store(folder)
    assert again.build_hash() == "0" * 64
    assert again.played() == 0
    again.close()


def test_times_come_back_in_utc_to_the_microsecond(store: Store) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-7)))
    with store.write() as connection:
        for number, moment in enumerate((NOON, elsewhere)):
            row = {"code_hash": f"{number}", "platform": "web", "platform_id": f"{number}", "created_at": moment}
            assert insert_once(connection, tables.links, row)
    with store.read() as connection:
        found = connection.execute(select(tables.links.c.created_at)).scalars().all()
    assert found == [NOON, NOON]
    assert {each.tzinfo for each in found} == {UTC}


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    row = {"code_hash": "1", "platform": "web", "platform_id": "1", "created_at": NOON.replace(tzinfo=None)}
    with pytest.raises(Exception, match="aware UTC times"), store.write() as connection:
        connection.execute(insert(tables.links), [row])


def test_the_first_write_of_a_key_stands(store: Store) -> None:
    first = {"code_hash": "1", "platform": "web", "platform_id": "a", "created_at": NOON}
    with store.write() as connection:
        assert insert_once(connection, tables.links, first) is True
        assert insert_once(connection, tables.links, first | {"platform_id": "b"}) is False
    with store.read() as connection:
        assert connection.execute(select(tables.links.c.platform_id)).scalars().all() == ["a"]


def test_what_fails_midway_is_not_written(store: Store) -> None:
    row = {"code_hash": "1", "platform": "web", "platform_id": "a", "created_at": NOON}

    def write_and_stumble() -> None:
        with store.write() as connection:
            connection.execute(insert(tables.links), [row])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stumble()
    with store.read() as connection:
        assert connection.execute(select(tables.links)).all() == []


def test_the_database_of_another_campaign_is_refused(store: Store, folder: Folder, tmp_path: Path) -> None:
    begin(store, name="first")
    other = campaign(tmp_path / "other", texts=None, key=bytes(range(1, 33)))
    if store.engine.dialect.name == "sqlite":
        store.close()
        (folder.path / "campaign.db").rename(other / "campaign.db")
    with pytest.raises(StoreError, match=r"already holds the campaign 'first'.*Give each campaign its own database"):
        open_store(open_folder(other))


def test_a_database_of_a_newer_version_says_so(store: Store, folder: Folder) -> None:
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"made by a newer version of imitable .*Upgrade imitable\.$"):
        open_store(folder)


OPEN = """
import sys
from pathlib import Path
from imitable.campaign import open_folder
from imitable.store import open_store

folder = open_folder(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
store = open_store(folder)
print(store.played())
store.close()
"""


def test_processes_that_open_a_fresh_database_at_once_all_succeed(tmp_path: Path, either_store: str) -> None:
    path = campaign(tmp_path / "campaign", texts=None)
    opening = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in opening:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in opening:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=120)[0] for process in opening] == ["0\n"] * 3
    assert [process.returncode for process in opening] == [0] * 3


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_no_one_else_can_read_the_sqlite_files(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMITABLE_STORE_URL", raising=False)
    before = os.umask(0)
    try:
        store = open_store(folder)
        begin(store)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.path.glob("campaign.db*")}
        store.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("campaign.db", "campaign.db-shm", "campaign.db-wal"), 0o600)


def test_a_file_that_is_no_database_is_an_error_in_our_words(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMITABLE_STORE_URL", raising=False)
    (folder.path / "campaign.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"campaign\.db cannot be used: file is not a database\. Check \[store\] url"):
        open_store(folder)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "postgresql://me:hush@127.0.0.1:1/db",
            r"postgresql\+psycopg://me:\*\*\*@127\.0\.0\.1:1/db cannot be used: .*",
        ),
        ("postgresql://me:hush@127.0.0.1:port/db", "The store's url is not postgresql://user:password@"),
        ("mysql://me:hush@127.0.0.1/db", "neither 'sqlite' nor postgresql://"),
    ],
)
def test_a_server_that_cannot_be_had_is_said_without_its_password(
    url: str, said: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMITABLE_STORE_URL", url)
    with pytest.raises(StoreError, match=said) as caught:
        open_store(folder)
    assert "hush" not in str(caught.value)
    assert "[store] url" in str(caught.value)
