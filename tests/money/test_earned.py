"""What sittings earn that did not end as usual."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imitable.game.content import read_content
from imitable.game.importing import Given, take_in
from imitable.game.label_studio.names import task_key
from imitable.game.reserving import reserved
from imitable.game.showing import end_sitting
from imitable.money.ledger import decide, statement
from imitable.platforms.label_studio.files import write_files
from imitable.store import open_store
from imitable.testing import invented_campaign

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("why", ["closed", "finished"])
def test_who_never_came_is_owed_nothing_and_who_was_cut_short_by_us_the_whole_base(tmp_path: Path, why: str) -> None:
    folder = invented_campaign(tmp_path / "campaign", more='[pay]\nbase = "3.00"\n')
    with closing(open_store(folder)) as store:
        write_files(folder, store, tmp_path / "files", places=2)
        content = read_content(store, folder.texts())
        with store.read() as connection:
            made = reserved(connection, platform="label-studio")
        with store.write() as connection:
            given = Given(task_key(folder, made[0].episode_id, 1), None, "4", NOW)
            assert take_in(connection, folder, content, given) == "taken"
            for sitting in {one.sitting_id for one in made}:
                end_sitting(connection, sitting, why=why, now=NOW)
        decide(store, folder, now=NOW)
        with store.read() as connection:
            lines = statement(connection)
    assert {(line.sitting_id, line.kind, line.amount.minor) for line in lines} == {
        (made[0].sitting_id, "base", 300),
        (made[0].sitting_id, "bonus", 0),
    }
