"""What a sitting was promised when it was opened is what it is owed, whatever [pay] says later."""

from __future__ import annotations

import csv
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imitable.campaign import Folder, open_folder
from imitable.commands.accounts import top_up
from imitable.commands.close import close
from imitable.commands.export import export
from imitable.commands.pay import ledger, pay, show
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


def test_closing_links_now_ends_what_has_begun_and_pays_for_the_part_that_was_played(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", more=PAY)
    with closing(open_store(folder)) as store:
        table = Table(folder, store, links=4)
        best(table, table.sit(0))
        token = table.sit(1)
        for _ in range(3):
            asked = table.game.view(token)
            table.game.guess(token, asked.round_id, "4")  # type: ignore[union-attr]
        table.sit(2)  # came, and answered nothing
        assert "hand out no more links" in close(folder.path)["web"]
        assert table.game.view(token).kind != "done"
        assert close(folder.path, now=True)["web"].startswith("2 sittings that had begun are over")
        assert close(folder.path, now=True)["web"].startswith("0 sittings")
        done = table.game.view(token)
        assert isinstance(done, Done)
        assert "you are paid the part that you did" in done.pay
        whole, part, nothing = (folder.annotator_id("web", f"link-{number}") for number in range(3))
        lines = owed(table, folder)
        assert lines[whole, "base"].amount.minor == 300
        assert lines[part, "partial"].amount.minor == 90  # three of ten rounds
        assert not [line for line in lines.values() if line.annotator_id == nothing and line.amount.minor]


def test_what_was_decided_and_paid_changes_by_a_top_up_and_by_nothing_else(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", more=PAY)
    with closing(open_store(folder)) as store:
        table = Table(folder, store, links=2)
        for number in range(2):
            best(table, table.sit(number))
        close(folder.path, now=True)
        pay(folder.path, platform=None, confirm=lambda part: part.total.decimal)
        ledger(folder.path)
        before = _table(folder.path / "ledger.csv")
        export(folder.path, out=tmp_path / "first")
        later = changed(folder, base="9.00", bonus_per_point="2.00")
        table.game.landing(table.links[0].code)
        export(folder.path, out=tmp_path / "second")
        played = [_table(tmp_path / one / "guesses.csv") for one in ("first", "second")]
        assert played[0] == played[1]
        assert played[0]
        ledger(folder.path)
        assert _table(folder.path / "ledger.csv") == before
        assert show(folder.path).parts[0].due == ()
        sitting = before[0]["sitting_id"]
        top_up(folder.path, sitting, "1.50", why="our server was down")
        ledger(folder.path)
        after = _table(folder.path / "ledger.csv")
        [new] = [row for row in after if row not in before]
        assert [row for row in after if row in before] == before
        assert (new["sitting_id"], new["kind"][:7], new["amount_minor"]) == (sitting, "top_up:", "150")
        assert [line.kind for line in show(later.path).parts[0].due] == [new["kind"]]


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
