"""The worst case is set aside before anybody is invited, and a floor is kept by a pilot."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from imitable.campaign import Campaign, Folder, open_folder
from imitable.commands.accounts import top_up
from imitable.commands.offered import published_on
from imitable.commands.publish import publish, publish_files
from imitable.errors import MoneyError, NotOffered
from imitable.game import Link
from imitable.money.amounts import Money
from imitable.money.budget import set_aside, standing
from imitable.money.earned import most_bonus
from imitable.money.fees import fee_on, mturk_reward
from imitable.money.ledger import decide, statement
from imitable.platforms.by_hand import uploaded
from imitable.rehearsal.mturk import wallet as taken
from imitable.store import money_tables, open_store, tables
from imitable.testing import invented_campaign
from playing import Table


def _campaign(path: Path, *, cap: str, base: str = "3.00") -> Folder:
    more = f'[pay]\nbase = "{base}"\nbonus_per_point = "0.05"\nfloor_per_hour = "12.00"\ncap = "{cap}"\n'
    return invented_campaign(path, more=more)


def _each(folder: Folder) -> int:
    """The worst case of one sitting in cents, as DATA.md has it: links take no fee."""
    with closing(open_store(folder)) as store, store.read() as connection:
        l_ref = max(connection.execute(select(tables.targets.c.l_ref)).scalars())
        most = most_bonus(connection, folder)
    exact = Decimal("0.05") * Decimal(2 * 2 * l_ref) * 100  # held-out rounds of the sitting
    assert abs(most.minor - exact) <= Decimal("0.5")
    return 300 + most.minor


def test_what_does_not_fit_the_cap_is_refused_with_what_does(tmp_path: Path) -> None:
    folder = _campaign(tmp_path / "campaign", cap="10.00")
    fits = 1000 // _each(folder)
    with pytest.raises(MoneyError, match=rf"more than the cap of 10\.00 USD\. Nothing was offered\. Offer {fits} at"):
        publish(folder.path, places=fits + 1)
    assert not (folder.path / "links.csv").exists()
    with pytest.raises(MoneyError, match="Nothing was offered"):
        publish(folder.path, places=fits + 1, dry_run=True)
    done = publish(folder.path, places=fits)
    assert done.sittings == fits
    assert publish(folder.path, places=fits).files == done.files
    with closing(open_store(folder)) as store, store.read() as connection:
        assert standing(connection, folder).aside.minor == fits * _each(folder)
        assert len(connection.execute(select(money_tables.reservations)).all()) == 1


def test_after_pay_was_lowered_what_fits_is_told_by_what_was_promised_before(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", more='[pay]\nbase = "10.00"\ncap = "100.00"\n')
    publish(folder.path, places=5)
    config = folder.path / "campaign.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("10.00", "5.00", 1), encoding="utf-8")
    with pytest.raises(MoneyError, match=r"may cost 10\.00 USD each, .* Offer 10 at most"):
        publish(folder.path, places=20)
    folder = open_folder(folder.path)
    with closing(open_store(folder)) as store:
        aside = set_aside(store, folder, "web", 10, now=datetime.now(UTC))
    assert (aside.places, aside.amount.minor, aside.standing.bound.minor) == (5, 5000, 10_000)


@pytest.mark.parametrize("platform", ["label-studio", "mturk"])
def test_files_that_do_not_fit_the_cap_leave_the_campaign_as_it_was(tmp_path: Path, platform: str) -> None:
    folder, out = _campaign(tmp_path / "campaign", cap="10.00"), tmp_path / "files"
    with pytest.raises(MoneyError, match="Nothing was offered"):
        publish_files(folder.path, out, platform=platform, places=20)
    assert not out.exists()
    with closing(open_store(folder)) as store:
        assert uploaded(store, platform) == set()
        with store.read() as connection:
            assert published_on(connection) == set()
            assert standing(connection, folder).bound.minor == 0
    assert publish_files(folder.path, out, platform=platform, places=1).sittings == 1


@given(st.integers(1, 100_000), st.integers(1, 40), st.booleans())
def test_the_fee_on_a_reward_is_what_the_stand_in_takes_of_hits_of_that_shape(
    cents: int, size: int, masters: bool
) -> None:
    wanted = [{"type": taken.MASTERS[0]}] if masters else []
    config = Campaign(
        campaign={"name": "invented"},
        model={"path": "builtin:stories260K"},
        corpus={"path": "builtin:tinystories"},
        targets=[{"sites": ["mlp.0"], "units": [0]}],
        platform={"mturk": {"per_hit": size, "qualifications": wanted}},
    )
    reward = Money(cents, "USD")
    charged = taken.fee(cents, large=size >= 10, masters=masters)
    assert mturk_reward(config, size).on(reward).minor == fee_on(config, "mturk", reward, "base").minor == charged
    assert fee_on(config, "mturk", reward, "bonus").minor == taken.fee(cents)


def test_files_that_cannot_be_written_set_nothing_aside(tmp_path: Path) -> None:
    folder = _campaign(tmp_path / "campaign", cap="10.00")
    (tmp_path / "taken").write_text("no folder", encoding="utf-8")
    with pytest.raises(NotOffered, match=r"set aside for it are free again\. .*cannot be written"):
        publish_files(folder.path, tmp_path / "taken" / "files", platform="label-studio", places=1)
    with closing(open_store(folder)) as store, store.read() as connection:
        assert standing(connection, folder).bound.minor == 0


def test_from_eighty_percent_of_the_cap_the_runner_is_warned(tmp_path: Path) -> None:
    folder = _campaign(tmp_path / "campaign", cap="40.00")
    each = _each(folder)
    assert not any("of the cap" in note for note in publish(folder.path, places=int(0.7 * 4000 / each)).notes)
    assert any("of the cap" in note for note in publish(folder.path, places=int(0.95 * 4000 / each)).notes)


def test_a_dry_run_sets_nothing_aside(tmp_path: Path) -> None:
    folder = _campaign(tmp_path / "campaign", cap="40.00")
    publish(folder.path, places=3, dry_run=True)
    with closing(open_store(folder)) as store, store.read() as connection:
        assert standing(connection, folder).bound.minor == 0


def test_who_earned_nothing_fills_no_place(tmp_path: Path) -> None:
    folder = _campaign(tmp_path / "campaign", cap="40.00")
    publish(folder.path, places=4)
    with closing(open_store(folder)) as store:
        with store.read() as connection:
            before = standing(connection, folder).bound
        table = Table(folder, store, links=0)
        name = "link-0001"
        table.links = [Link("web", name, folder.derive("link", "web", name, size=32))]
        table.game.stop(table.sit(0))  # at the first text: a part of nothing, and no bonus
        decide(store, folder, now=datetime.now(UTC))
        with store.read() as connection:
            assert standing(connection, folder).bound == before


def test_a_top_up_that_breaks_the_cap_is_refused(tmp_path: Path) -> None:
    folder = _campaign(tmp_path / "campaign", cap="10.00")
    with closing(open_store(folder)) as store:
        table = Table(folder, store, links=1)
        table.play(table.sit(0), guess="4")
        decide(store, folder, now=datetime.now(UTC))
        with store.read() as connection:
            (sitting,) = {line.sitting_id for line in statement(connection)}
    with pytest.raises(MoneyError, match="Nothing was recorded"):
        top_up(folder.path, sitting, "8.00", why="generous")
    assert top_up(folder.path, sitting, "1.00", why="generous") == "top_up:1"
