"""Episodes that are planned before anybody plays, for platforms that keep tasks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select

from imitable.campaign import Folder
from imitable.campaign.running import Pool
from imitable.errors import PlatformError
from imitable.game.content import read_content
from imitable.game.reserving import Reserved, reserve, reserved
from imitable.store import open_store, tables
from imitable.testing import invented_campaign
from playing import make_sides

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def campaign(tmp_path: Path) -> Folder:
    """Three targets, of which each holds four episodes that share no item."""
    wanted = "[platform.label_studio]\nannotators_per_target = 8\n"
    return invented_campaign(tmp_path / "campaign", targets=3, episodes=3, more=wanted)


def _reserve(folder: Folder, *names: str, share_items: bool = False, **more: bool) -> list[Reserved]:
    with closing(open_store(folder)) as store:
        return reserve(
            store,
            folder,
            read_content(store, folder.texts()),
            platform="label-studio",
            names=names,
            share_items=share_items,
            now=NOW,
            **more,
        )


def test_no_item_of_a_target_is_given_to_two_annotators(campaign: Folder) -> None:
    made = _reserve(campaign, "ann", "bob", "cem", "dia")
    assert len(made) == 12
    items = [(one.target_id, asked.item_id) for one in made for asked in one.rounds]
    assert len(set(items)) == len(items) == 60


def test_what_one_side_of_a_unit_asks_the_other_asks_nobody_else(campaign: Folder) -> None:
    with closing(open_store(campaign)) as store:
        make_sides(store)
        content = read_content(store, campaign.texts())
    made = _reserve(campaign, "ann", "bob", "cem", "dia")
    assert {one.target_id for one in made} == set(content.targets)
    asked = [content.asked(each.item_id) for one in made for each in one.rounds]
    assert len(set(asked)) == len(asked) == 40
    units = [(one.name, content.targets[one.target_id].unit) for one in made]
    assert len(set(units)) == len(units) == 8
    with pytest.raises(PlatformError, match="The pools are too small for 5 annotators"):
        _reserve(campaign, "ann", "bob", "cem", "dia", "eve")


def test_the_same_call_again_gives_the_same_episodes(campaign: Folder) -> None:
    first = _reserve(campaign, "ann", "bob")
    assert _reserve(campaign, "ann", "bob") == first
    more = _reserve(campaign, "ann", "bob", "cem")
    assert [one for one in more if one.name != "cem"] == first
    assert len(more) == len(first) + 3


def test_a_dry_run_keeps_nothing(campaign: Folder) -> None:
    would = _reserve(campaign, "ann", "bob", dry_run=True)
    assert len(would) == 6
    with closing(open_store(campaign)) as store, store.read() as connection:
        assert reserved(connection, platform="label-studio") == []
        assert connection.execute(select(tables.identities)).all() == []


def test_pools_that_are_too_small_are_refused_with_the_size_that_would_do(campaign: Folder) -> None:
    names = [f"a{number}" for number in range(8)]  # they want 8 episodes of each target, which holds 4
    with pytest.raises(PlatformError, match=r"pool = \{ practice = 24, held_out = 16 \}") as refused:
        _reserve(campaign, *names)
    assert "Nothing was made" in str(refused.value)
    with closing(open_store(campaign)) as store, store.read() as connection:
        assert reserved(connection, platform="label-studio") == []


def test_pools_that_the_texts_did_not_fill_want_more_texts(campaign: Folder) -> None:
    pool = Pool(practice=24, held_out=16)
    episode = campaign.config.episode.model_copy(update={"pool": pool})
    asked = replace(campaign, config=campaign.config.model_copy(update={"episode": episode}))
    with pytest.raises(PlatformError, match=r"found fewer items than \[episode\] pool asks for: give it more texts"):
        _reserve(asked, *(f"a{number}" for number in range(8)))


def test_items_may_be_shared_where_a_proxy_hides_them(campaign: Folder) -> None:
    assert len(_reserve(campaign, *(f"a{number}" for number in range(8)), share_items=True)) == 24


def test_who_plans_at_the_same_moment_gives_no_item_twice(tmp_path: Path, either_store: str) -> None:
    wanted = "[platform.label_studio]\nannotators_per_target = 8\n"
    folder = invented_campaign(tmp_path / "campaign", targets=3, episodes=3, more=wanted)
    together = Barrier(4)

    def plan(name: str) -> None:
        together.wait(timeout=60)
        _reserve(folder, name)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(plan, ("ann", "bob", "cem", "dia")))
    with closing(open_store(folder)) as store, store.read() as connection:
        made = reserved(connection, platform="label-studio")
    items = [(one.target_id, asked.item_id) for one in made for asked in one.rounds]
    assert len(set(items)) == len(items) == 60


def test_items_that_were_shared_and_wait_for_a_guess_are_not_played_where_all_can_read(campaign: Folder) -> None:
    names = [f"a{number}" for number in range(8)]
    before = _reserve(campaign, *names, share_items=True)
    with pytest.raises(PlatformError, match=r"Set proxied and mode back"):
        _reserve(campaign, *names)
    assert _reserve(campaign, *names, share_items=True) == before
    with closing(open_store(campaign)) as store, store.write() as connection:
        connection.execute(tables.sittings.update().values(ended_at=NOW, ended_by="closed"))  # nobody plays any more
    assert _reserve(campaign, *names) == before


def test_plans_that_were_never_sent_make_room_for_others(tmp_path: Path, either_store: str) -> None:
    wanted = "[platform.label_studio]\nannotators_per_target = 2\n"
    folder = invented_campaign(tmp_path / "campaign", targets=3, episodes=3, more=wanted)
    ann, *_ = _reserve(folder, "ann", "bob")
    with closing(open_store(folder)) as store, store.write() as connection:
        task = {"task_key": "t_1", "episode_id": ann.episode_id, "trial": 0, "platform": "label-studio"}
        connection.execute(tables.tasks.insert().values(task | {"project": "1", "published_at": NOW}))
    assert _reserve(folder, "cem") == []
    assert len(_reserve(folder, "cem", instead=True, dry_run=True)) == 3
    assert len(_reserve(folder, "cem", instead=True)) == 3
    with closing(open_store(folder)) as store, store.read() as connection:
        made = reserved(connection, platform="label-studio")
    assert {one.name for one in made} == {"ann", "cem"}  # of ann a task stands somewhere, so all of hers stays
    assert len(made) == 6
