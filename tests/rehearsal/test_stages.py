"""What people of a rehearsal do on the stand-ins: who had nothing to play has nothing to hand in."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import mturk_campaign
import prolific_campaign
from imitable.campaign import Campaign
from imitable.commands.publish import publish
from imitable.errors import PlatformError
from imitable.game.player import Played
from imitable.rehearsal.clock import Clock
from imitable.rehearsal.copying import copy_campaign
from imitable.rehearsal.mturk import standing_in as an_mturk_style_site
from imitable.rehearsal.mturk.stage import Workers
from imitable.rehearsal.mturk.wallet import MASTERS
from imitable.rehearsal.people import Habit, Usual, draw_people
from imitable.rehearsal.playing import play
from imitable.rehearsal.prolific import standing_in as a_prolific
from imitable.rehearsal.prolific.stage import Participants
from imitable.rehearsal.stages import Links, Stage, Visit
from imitable.testing import invented_campaign
from mturk_campaign import credentials
from platform_campaign import PUBLIC
from prolific_campaign import token

__all__ = ["credentials", "token"]

HABITS: tuple[Habit, ...] = ("hands in", "another code", "stops", "forgets", "leaves")


def nothing_to_play(stage: Stage, campaign: Path, habit: Habit) -> str:
    """Somebody comes, is thanked on a page without a form, and does what its habit is: its work's name there."""
    stage.opened(campaign)
    clock = Clock(campaign.parent / f"clock {habit}")
    visit = stage.arrive(clock())
    assert visit is not None
    stage.over(visit, habit, Played("who came late", finished=True), clock())
    return visit.submission


def test_a_worker_who_had_nothing_to_play_returns_the_assignment(credentials: None, tmp_path: Path) -> None:
    with an_mturk_style_site() as there, mturk_campaign.campaign_on(there, tmp_path / "campaign") as here:
        here.publish(1)
        stage = Workers(there, here.folder.config)
        for habit in HABITS:
            name = nothing_to_play(stage, here.folder.path, habit)
            assert {one["id"]: one["status"] for one in there.state()["assignments"]}[name] == "Returned", habit


def test_a_participant_who_had_nothing_to_play_returns_the_place(token: None, tmp_path: Path) -> None:
    with a_prolific() as there, prolific_campaign.campaign_on(there, tmp_path / "campaign") as here:
        here.publish(1)
        stage = Participants(there, here.folder.config)
        for habit in HABITS:
            name = nothing_to_play(stage, here.folder.path, habit)
            assert there.state()["submissions"][name]["status"] == "RETURNED", habit


def test_a_worker_takes_the_place_that_is_left_and_one_whom_the_site_refuses_is_no_empty_site(
    credentials: None, tmp_path: Path
) -> None:
    with (
        an_mturk_style_site() as there,
        mturk_campaign.campaign_on(there, tmp_path / "campaign", "per_hit = 1") as here,
    ):
        here.publish(3)
        stage = Workers(there, here.folder.config)
        stage.opened(here.folder.path)
        visits = [stage.arrive(there.now()) for _ in range(4)]
        assert visits[3] is None
        assert len({one.submission for one in visits[:3] if one is not None}) == 3
    more = '[[platform.mturk.qualifications]]\ntype = "country"\ncomparator = "In"\ncountries = ["DE"]'
    with an_mturk_style_site() as there, mturk_campaign.campaign_on(there, tmp_path / "picky", more) as here:
        here.publish(1)
        stage = Workers(there, here.folder.config)
        stage.opened(here.folder.path)
        with pytest.raises(PlatformError, match="qualifications"):
            stage.arrive(there.now())


def test_hits_for_masters_are_rehearsed_as_such_for_they_cost_more(credentials: None, tmp_path: Path) -> None:
    qualifications = "[[platform.mturk.qualifications]]\ntype = "
    more = f'{qualifications}"{MASTERS[0]}"\n{qualifications}"adult"\n'
    with an_mturk_style_site() as there, mturk_campaign.campaign_on(there, tmp_path / "campaign", more) as here:
        stage = Workers(there, here.folder.config)
        assert "Not rehearsed, for it is of the site: [platform.mturk] qualifications." in stage.notes  # adults alone
        copy_campaign(here.folder, tmp_path / "copy", public_url=PUBLIC, platform=stage.tables, seed=0)
        publish(tmp_path / "copy", platform="mturk", places=1)
        visit = stage.arrive(there.now())
        assert visit is not None
        there.submit(visit.submission, {"receipt": "x"})
        there.move(hours=24 * 8)  # and the site approves by itself
        assert [(one.amount, one.fee) for one in stage.sent() or ()] == [(300, 75)]


class TakenForADay(Links):
    """Every link is with somebody for a day, and may come free."""

    def __init__(self, config: Campaign, until: datetime) -> None:
        super().__init__(config)
        self.until, self.asked = until, 0

    def arrive(self, now: datetime) -> Visit | None:
        self.asked += 1
        return None

    def waiting(self, now: datetime) -> bool:
        return now < self.until


def test_several_people_may_come_before_there_is_nothing_to_play_however_short_the_patience(tmp_path: Path) -> None:
    config, clock, rng = invented_campaign(tmp_path / "c").config, Clock(tmp_path / "clock"), np.random.default_rng(0)
    stage = TakenForADay(config, clock() + timedelta(days=1))
    people, usual = draw_people(3, config, rng), Usual.of(config, 5)
    took = play(stage, clock, people, usual, needed=lambda: True, patience=timedelta(minutes=2), rng=rng)
    assert took == []
    assert 5 <= stage.asked <= 20, "not the first alone, and not a day long"
