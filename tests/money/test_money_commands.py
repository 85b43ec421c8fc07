"""What a runner sees of money: the statement, paying by hand, more that is owed, forgetting, and the ledger."""

from __future__ import annotations

import csv
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select, update

from imitable.campaign import Folder
from imitable.errors import MoneyError
from imitable.money.amounts import read_money
from imitable.money.fairness import fairness
from imitable.money.ledger import statement
from imitable.store import money_tables, open_store, tables
from imitable.testing import invented_campaign
from imitable_aggregation import scoring
from playing import Table

PAY = '[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\nfloor_per_hour = "12.00"\ncap = "40.00"\n'


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
    command = [sys.executable, "-m", "imitable", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def played(tmp_path: Path) -> tuple[Folder, list[int]]:
    """One sitting that came to its end, and one that was stopped after three of ten rounds; their bonuses in cents."""
    folder = invented_campaign(tmp_path / "campaign", more=PAY)
    with closing(open_store(folder)) as store:
        table = Table(folder, store, links=3)
        table.play(table.sit(0), guess="4")
        token = table.sit(1)
        for _ in range(3):
            asked = table.game.view(token)
            table.game.guess(token, asked.round_id, "4")  # type: ignore[union-attr]
        table.game.stop(token)
        bonuses = [_bonus(table, folder.annotator_id("web", f"link-{number}")) for number in range(2)]
    return folder, bonuses


def _bonus(table: Table, annotator_id: str) -> int:
    """The bonus as DATA.md has it, computed here from the tables."""
    rows = table.rows(
        select(tables.truths.c.truth, tables.targets.c.l_ref)
        .join(tables.rounds, tables.rounds.c.item_id == tables.truths.c.item_id)
        .join(tables.guesses, tables.OF_ROUND)
        .join(tables.episodes, tables.episodes.c.episode_id == tables.rounds.c.episode_id)
        .join(tables.targets, tables.targets.c.target_id == tables.episodes.c.target_id)
        .where(tables.episodes.c.annotator_id == annotator_id, tables.rounds.c.phase == "held_out")
    )
    above = sum((10 - abs(4 - truth)) - (10 - l_ref) for truth, l_ref in rows)
    return scoring.bonus(above, per_point=Decimal("0.05"))


def _lines(folder: Folder) -> dict[tuple[str, str], dict[str, str]]:
    done = run("ledger", folder.path)
    assert done.returncode == 0, done.stderr
    with (folder.path / "ledger.csv").open(encoding="utf-8") as file:
        return {(row["annotator_id"], row["kind"]): row for row in csv.DictReader(file)}


def test_a_sitting_earns_its_base_or_its_share_and_its_bonus(played: tuple[Folder, list[int]]) -> None:
    folder, bonuses = played
    first, second = (folder.annotator_id("web", f"link-{number}") for number in range(2))
    lines = _lines(folder)
    assert {key: int(row["amount_minor"]) for key, row in lines.items()} == {
        (first, "base"): 300,
        (first, "bonus"): bonuses[0],
        (second, "partial"): 90,
        (second, "bonus"): 0,
    }
    assert lines[second, "bonus"]["stand"] == "nothing"
    assert "link-0" not in (folder.path / "ledger.csv").read_text(encoding="utf-8")


def test_nothing_is_paid_without_the_total_and_everything_once_with_it(played: tuple[Folder, list[int]]) -> None:
    folder, bonuses = played
    due = f"{(390 + bonuses[0]) / 100:.2f}"
    shown = run("pay", folder.path)
    assert shown.returncode == 0, shown.stderr
    assert f"due: {due} USD to 2 annotators" in shown.stdout
    assert "paid so far 0.00 USD" in shown.stdout
    refused = run("pay", folder.path, "--execute", "--confirm", "1.00")
    assert refused.returncode == 1
    assert f"The total is {due} USD, and '1.00' was confirmed. Nothing was sent." in refused.stderr
    assert {row["attempts"] for row in _lines(folder).values()} == {"0"}
    done = run("pay", folder.path, "--execute", "--confirm", due)
    assert done.returncode == 0, done.stderr
    again = run("pay", folder.path, "--execute", "--confirm", due)
    assert again.returncode == 1
    assert "Nothing is due." in again.stderr
    assert f"paid so far {due} USD" in run("pay", folder.path).stdout
    assert {row["attempts"] for row in _lines(folder).values() if row["amount_minor"] != "0"} == {"1"}


def test_lines_of_books_from_before_the_rule_stood_beside_them_are_shown(played: tuple[Folder, list[int]]) -> None:
    folder, _ = played
    run("ledger", folder.path)
    with closing(open_store(folder)) as store, store.write() as connection:
        obligations = money_tables.obligations
        for row in connection.execute(select(obligations)).all():
            older = {name: fact for name, fact in row.facts.items() if name not in ("base", "per_point")}
            this = obligations.c.obligation_id == row.obligation_id
            connection.execute(update(obligations).where(this).values(facts=older, amount=row.amount or 5))
    shown = run("pay", folder.path)
    assert shown.returncode == 0, shown.stderr
    assert "ended_by stopped, rounds 3, of 10" in " ".join(shown.stdout.split())
    assert "held_out 4, points_above_par" in " ".join(shown.stdout.split())


def test_more_is_owed_by_a_written_decision_only(played: tuple[Folder, list[int]]) -> None:
    folder, _ = played
    second = folder.annotator_id("web", "link-1")
    sitting = _lines(folder)[second, "partial"]["sitting_id"]
    assert run("top-up", folder.path, sitting, "2.10").returncode == 1
    assert run("top-up", folder.path, sitting, "2.105", "--why", "x").returncode == 1
    done = run("top-up", folder.path, sitting, "2.10", "--why", "our server was down")
    assert "top_up:1" in done.stdout
    assert _lines(folder)[second, "top_up:1"]["amount_minor"] == "210"


def test_who_is_forgotten_cannot_be_found_and_their_money_rows_stay(played: tuple[Folder, list[int]]) -> None:
    folder, bonuses = played
    first = folder.annotator_id("web", "link-0")
    run("ledger", folder.path)
    early = run("forget", folder.path, first)
    assert early.returncode == 1
    assert "still owed" in early.stderr
    run("pay", folder.path, "--execute", "--confirm", f"{(390 + bonuses[0]) / 100:.2f}")
    before = _lines(folder)
    done = run("forget", folder.path, first)
    assert done.returncode == 0, done.stderr
    assert _lines(folder) == before
    written = b"".join(path.read_bytes() for path in folder.path.glob("campaign.db*"))
    with closing(open_store(folder)) as store, store.read() as connection:
        dumped = [str(row) for table in tables.metadata.sorted_tables for row in connection.execute(select(table))]
    assert not [row for row in dumped if "link-0" in row or "trees" in row]
    assert written  # the database is there


def test_nobody_is_forgotten_who_is_owed_what_was_not_written_down_yet_or_who_still_plays(
    played: tuple[Folder, list[int]],
) -> None:
    folder, _ = played
    early = run("forget", folder.path, folder.annotator_id("web", "link-0"))  # before any 'imitable pay'
    assert early.returncode == 1
    assert "still owed 3.00 USD" in early.stderr
    with closing(open_store(folder)) as store:
        Table(folder, store, links=3).sit(2)
    playing = run("forget", folder.path, folder.annotator_id("web", "link-2"))
    assert playing.returncode == 1
    assert "has not ended" in playing.stderr


@pytest.mark.parametrize("amount", ["1e30", "1e999999", "1_0", "21474836.48", "NaN"])
def test_an_amount_that_no_book_can_hold_is_refused(amount: str) -> None:
    with pytest.raises(MoneyError, match=r"such as 3\.00"):
        read_money(amount, "USD")


def test_an_hour_counts_pauses_for_two_minutes_and_says_who_is_under_the_floor(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", more=PAY, episodes=1)
    with closing(open_store(folder)) as store:
        table = Table(folder, store, links=2)
        for link, pause in ((0, 0), (1, 3600)):
            token = table.sit(link)
            table.clock.move(seconds=pause)  # at the first text
            for _ in range(5):
                asked = table.game.view(token)
                table.clock.move(seconds=60)
                table.game.guess(token, asked.round_id, "4")  # type: ignore[union-attr]
            questions = table.game.view(token)
            table.game.answer(token, questions.episode_id, fun="4", interest="2", explanation="")  # type: ignore[union-attr]
        run("ledger", folder.path)
        with store.read() as connection:
            fair = fairness(connection, folder)
            owed = sorted(line.amount.minor for line in statement(connection) if line.kind == "base")
    assert fair is not None
    assert owed == [300, 300]
    assert fair.sittings == 2
    assert fair.active_minutes == pytest.approx((5 + 6) / 2)  # the hour and its minute count for two
    assert fair.elapsed_minutes == pytest.approx((5 + 65) / 2)
    assert fair.low is fair.high is None
    assert fair.per_hour.minor >= round((300 / 5 + 300 / 6) / 2 * 60)
    assert fair.under == 0
    assert fair.fair
