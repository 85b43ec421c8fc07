"""Quick statements give what SQLAlchemy gives for the same statement, and fail as others do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import bindparam, func, literal_column, select

from imitable.errors import StoreError
from imitable.store import Quick, Store, open_store, tables
from imitable.testing import invented_campaign
from playing import Table


@pytest.fixture
def played(tmp_path: Path, either_store: str) -> Iterator[Store]:
    """A store in which somebody has played a little."""
    folder = invented_campaign(tmp_path / "campaign", practice=2, held_out=1, episodes=1)
    here = Table(folder, open_store(folder), 1)
    here.play(here.sit())
    yield here.store
    here.store.close()


@pytest.mark.parametrize("table", ["sittings", "episodes", "rounds", "guesses", "items", "truths", "shades", "answers"])
def test_rows_come_back_as_sqlalchemy_gives_them(played: Store, table: str) -> None:
    every = select(tables.metadata.tables[table])
    with played.read() as connection:
        expected = [tuple(row) for row in connection.execute(every).all()]
        assert expected
        found = Quick(every).all(connection, {})
    assert [tuple(row) for row in found] == expected
    assert [[type(value) for value in row] for row in found] == [[type(value) for value in row] for row in expected]
    assert found[0]._fields == tuple(every.selected_columns.keys())


def test_parameters_are_those_of_the_statement_and_those_that_are_given(played: Store) -> None:
    at_least = Quick(
        select(func.count().label("n")).where(tables.rounds.c.trial >= bindparam("trial"), bindparam("one", 1) == 1)
    )
    with played.read() as connection:
        assert [at_least.first(connection, {"trial": trial}).n for trial in (1, 2, 4)] == [3, 2, 0]


def test_what_the_driver_refuses_is_a_store_error(played: Store) -> None:
    with pytest.raises(StoreError, match="did not answer"), played.read() as connection:
        Quick(select(literal_column("nonsense").label("n"))).first(connection, {})
    assert played.played() == 1
