"""Several people's work in one transaction: for each as if they were alone, and told only what is on the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError

from building import campaign
from imitable.campaign import open_folder
from imitable.errors import StoreError
from imitable.store import Store, insert_once, open_store, tables

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path, either_store: str) -> Iterator[Store]:
    opened = open_store(open_folder(campaign(tmp_path / "campaign", texts=None)))
    yield opened
    opened.close()


def links(store: Store) -> list[str]:
    with store.read() as connection:
        return sorted(connection.execute(select(tables.links.c.code_hash)).scalars())


def adding(store: Store, name: str, *, then: Exception | None = None) -> Callable[[], str]:
    """Work that adds a link and says how many there are; or adds it and raises."""

    def work() -> str:
        with store.write() as connection:
            row = {"code_hash": name, "platform": "web", "platform_id": name, "created_at": NOON}
            assert insert_once(connection, tables.links, row)
            if then is not None:
                raise then
        return f"{name} of {len(links(store))}"

    return work


def test_each_is_told_what_it_did_and_sees_those_before_it(store: Store) -> None:
    assert store.together([adding(store, name) for name in "abc"]) == ["a of 1", "b of 2", "c of 3"]
    assert links(store) == ["a", "b", "c"]
    assert store.together([]) == []


def test_what_raises_is_undone_and_the_others_stand(store: Store) -> None:
    refused = KeyError("no")
    works = [adding(store, "a"), adding(store, "b", then=refused), adding(store, "c", then=ValueError("odd"))]
    told = store.together([*works, adding(store, "d")])
    assert told[:2] == ["a of 1", refused]
    assert isinstance(told[2], ValueError)
    assert told[3] == "d of 2"
    assert links(store) == ["a", "d"]


def test_one_who_breaks_the_transaction_takes_nobody_along(store: Store) -> None:
    def broken() -> str:
        with store.write() as connection:
            connection.execute(text("SELECT nonsense"))
        return "never"

    told = store.together([adding(store, "a"), broken, adding(store, "b")])
    assert (told[0], told[2]) == ("a of 1", "b of 2")
    assert isinstance(told[1], StoreError)
    assert links(store) == ["a", "b"]


def test_nobody_is_told_of_success_when_the_commit_fails_and_only_who_made_it_fail_is_refused(store: Store) -> None:
    with store.write() as connection:
        where = "links (code_hash) DEFERRABLE INITIALLY DEFERRED"
        connection.execute(text(f"CREATE TABLE later (link VARCHAR(64) REFERENCES {where})"))

    def to_nowhere() -> str:
        with store.write() as connection:
            connection.execute(text("INSERT INTO later VALUES ('no such link')"))  # is looked at when it is committed
        return "never"

    told = store.together([adding(store, "a"), to_nowhere, adding(store, "b")])
    assert (told[0], told[2]) == ("a of 1", "b of 2")
    assert isinstance(told[1], IntegrityError)
    assert links(store) == ["a", "b"]


@pytest.mark.parametrize("either_store", ["sqlite"], indirect=True)  # it alone can be told that its disk is small
def test_one_who_fills_the_disk_takes_nobody_along(store: Store) -> None:
    with store.read() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    event.listen(store.engine, "connect", lambda made, _: made.execute(f"PRAGMA max_page_count={pages + 20}"))
    store.engine.dispose()
    told = store.together([adding(store, "a"), adding(store, "b" * 1_000_000), adding(store, "c")])
    assert (told[0], told[2]) == ("a of 1", "c of 2")
    assert isinstance(told[1], StoreError)
    assert links(store) == ["a", "c"]


def test_those_who_gather_share_one_commit(store: Store) -> None:
    commits = []
    event.listen(store.engine, "commit", lambda _connection: commits.append(1))
    store.together([adding(store, str(number)) for number in range(20)])
    assert len(commits) == 1
