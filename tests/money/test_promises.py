"""What a sitting was promised when it was opened is what it is owed, whatever [pay] says later."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imitable.campaign import Folder, open_folder
from imitable.game import Game
from imitable.game.views import Done, Landing
from imitable.money.ledger import Line, decide, statement
from imitable.store import open_store
from imitable.testing import invented_campaign
from playing import Table

PAY = '[pay]\nbase = "3.00"\nbonus_per_point = "0.50"\n'
NOW = datetime(2026, 11, 23, 13, tzinfo=UTC)


def changed(folder: Folder, **values: str) -> Folder:
    """The folder, after [pay] was changed."""
    path = folder.path / "campaign.toml"
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if line.partition(" ")[0] not in values]
    at = kept.index("[pay]") + 1
    kept[at:at] = [f'{name} = "{value}"' for name, value in values.items()]
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return open_folder(folder.path)


def owed(table: Table, folder: Folder) -> dict[tuple[str, str], Line]:
    decide(table.store, folder, now=NOW)
    with table.store.read() as connection:
        return {(line.annotator_id, line.kind): line for line in statement(connection)}


def best(table: Table, token: str) -> None:
    """Guess what the truth is in half of the rounds, so that there may be a bonus."""
    table.play(token, guess="0")


@pytest.mark.usefixtures("either_store")
def test_what_was_promised_at_the_beginning_is_owed_however_pay_is_changed_later(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", more=PAY)
    with closing(open_store(folder)) as store:
        table = Table(folder, store, links=3)
        over = table.sit(0)
        best(table, over)
        playing = table.sit(1)
        later = changed(folder, base="1.00", bonus_per_point="0.10")
        table.folder, table.game = later, Game(later, store, clock=table.clock)
        landing = table.game.landing(table.links[1].code)
        assert isinstance(landing, Landing)
        assert "USD 3.00" in landing.pay
        best(table, playing)
        done = table.game.landing(table.links[1].code)
        assert isinstance(done, Done)
        assert "USD 3.00" in done.pay
        assert "USD 0.50" in done.pay
        fresh = table.sit(2)
        best(table, fresh)
        lines = owed(table, later)
        who = [folder.annotator_id("web", f"link-{number}") for number in range(3)]
        assert [lines[one, "base"].amount.minor for one in who] == [300, 300, 100]
        for one, each in zip(who, (50, 50, 10), strict=True):
            above = float(lines[one, "bonus"].facts["points_above_par"])
            assert lines[one, "bonus"].amount.minor == max(0, int(above * each + 0.5))
            assert lines[one, "bonus"].facts["per_point"] == f"0.{each}"
        assert any(lines[one, "bonus"].amount.minor for one in who), "nobody had a bonus: nothing was compared"
        assert owed(table, changed(later, base="9.00")) == lines


def test_who_came_by_the_open_link_is_owed_what_they_were_promised_nothing(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", web="open = true", more=PAY)
    with closing(open_store(folder)) as store:
        table = Table(folder, store, links=1)
        best(table, table.sit(0))
        anyone = table.game.start("", agreed=True)
        table.game.stop(anyone)
        assert {key[0] for key in owed(table, folder)} == {folder.annotator_id("web", "link-0")}
