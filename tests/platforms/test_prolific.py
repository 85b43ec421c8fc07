"""Prolific, on a stand-in that speaks its API over HTTP: publish, close, and what is said when it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from imitable.campaign import Folder
from imitable.commands.publish import publish
from imitable.errors import MoneyError, NotOffered, PlatformError
from imitable.game.finishing import completion_code
from imitable.money import Money
from imitable.money.budget import standing
from imitable.money.earned import most_bonus
from imitable.platforms import Platform
from imitable.platforms.prolific import Prolific
from imitable.rehearsal.prolific import Fault, StandIn, standing_in
from imitable.store import Store, open_store
from imitable.testing import PlatformContract, invented_campaign
from platform_campaign import PAY, PUBLIC
from prolific_campaign import OnProlific, campaign_on, of_sittings, rewritten, settings, there, token

__all__ = ["there", "token"]


class TestProlificKeepsTheContract(PlatformContract):
    @pytest.fixture(autouse=True)
    def on_a_stand_in(self, token: None) -> Iterator[None]:
        with standing_in() as self.there:
            yield

    def platform(self) -> Platform:
        return Prolific()

    def campaign(self, path: Path) -> tuple[Folder, Store]:
        folder = invented_campaign(path, more=settings(self.there) + PAY)
        return folder, open_store(folder)


def test_a_study_says_what_the_campaign_says(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path, 'secure = true\ndevices = ["desktop"]\nplaces = 7') as here:
        done = here.publish(None)
        study, folder = here.study, here.folder
        assert (study["status"], study["total_available_places"], study["reward"]) == ("ACTIVE", 7, 300)
        assert study["external_study_url"].startswith(
            f"{PUBLIC}/prolific?PROLIFIC_PID={{{{%PROLIFIC_PID%}}}}&STUDY_ID="
        )
        assert study["is_external_study_url_secure"] is True
        assert study["estimated_completion_time"] == folder.config.sitting.minutes
        assert study["device_compatibility"] == ["desktop"]
        assert "language model" in study["description"]
        assert "USD 3.00 for taking part" in study["description"]
        finished, stopped = study["completion_codes"]
        assert finished["code"] == completion_code(folder, stopped=False)
        assert [action["action"] for action in finished["actions"]] == ["MANUALLY_REVIEW", "ADD_TO_PARTICIPANT_GROUP"]
        assert stopped["code"] == completion_code(folder, stopped=True)
        assert stopped["actions"][0]["action"] == "REQUEST_RETURN"
        assert "the part that you did" in stopped["actions"][0]["return_reason"]
        group = finished["actions"][1]["participant_group"]
        assert study["filters"] == [{"filter_id": "participant_group_blocklist", "selected_values": [group]}]
        assert done.sittings == 7
        assert study["id"] in done.what
        assert there.address in done.what
        assert any("Nobody answers" in note for note in done.notes)


def test_a_dry_run_asks_what_it_costs_and_makes_nothing(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        said = here.publish(10, dry_run=True)
        assert there.state()["studies"] == []
        assert any("Prolific charges 42.80 USD for 10 places" in note for note in said.notes)
        assert {one["method"] for one in there.journal()} == {"GET", "POST"}
        assert [one["path"] for one in there.journal() if one["method"] == "POST"] == ["/api/v1/study-cost-calculator/"]


def test_a_dry_run_needs_no_token_and_no_network(
    there: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROLIFIC_TOKEN")
    with campaign_on(there, tmp_path) as here:
        said = here.publish(10, dry_run=True)
        assert said.sittings == 10
        assert "PROLIFIC_TOKEN is not set" in said.notes[0]
        assert there.journal() == []
        with pytest.raises(PlatformError, match=r"PROLIFIC_TOKEN is not set. .* set the environment variable"):
            here.publish(10)


def test_places_grow_and_never_shrink(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        assert here.publish(3).sittings == 3
        assert here.publish(5).sittings == 5
        assert here.publish(2).sittings == 5
        assert here.study["total_available_places"] == 5


LOST: list[tuple[str, Fault]] = [
    (f"{method} {path} {how} {when}", Fault(how, path=path, method=method, when=when, times=1))
    for method, path in (("POST", "/studies/$"), ("POST", "/participant-groups/$"), ("POST", "/studies/.*/transition/"))
    for how in ("drop", "status")
    for when in ("before", "after")
]


@pytest.mark.parametrize("fault", [fault for _, fault in LOST], ids=[name for name, _ in LOST])
def test_whatever_is_lost_on_the_way_the_same_command_again_makes_one_study(
    there: StandIn, tmp_path: Path, fault: Fault
) -> None:
    with campaign_on(there, tmp_path) as here:
        there.fail(fault)
        with suppress(PlatformError):
            here.publish(3)
        there.fail()
        done = here.publish(3)
        assert here.study["status"] == "ACTIVE"
        assert here.publish(3) == done


def test_a_draft_that_its_list_does_not_show_yet_is_not_published_beside_another(
    there: StandIn, tmp_path: Path
) -> None:
    with campaign_on(there, tmp_path) as here:
        there.set(listing_lag=60.0)
        there.fail(Fault("drop", path="/studies/$", method="POST", when="after", times=1))
        with pytest.raises(PlatformError, match=r"It may have done it\. The same command again looks first what is"):
            here.publish(3)
        here.publish(3)
        there.set(listing_lag=0.0)
        here.publish(3)
        assert sorted(one["status"] for one in there.state()["studies"]) == ["ACTIVE", "UNPUBLISHED"]


def test_waiting_is_taken_from_prolific_and_ends(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        there.fail(Fault("throttle", path="/workspaces/$", seconds=0.3, times=2), Fault("status", status=502, times=1))
        assert here.publish(3).sittings == 3
        there.fail(Fault("throttle", path="/workspaces/$", seconds=0.0))
        with pytest.raises(PlatformError, match=r"cannot do it now \(GET /workspaces/: 429 Slow down\). Try again"):
            here.publish(3)


def test_what_prolific_charges_counts_against_the_cap(token: None, tmp_path: Path) -> None:
    with standing_in("--fee", "0.5", "--tax", "0.2") as dear:
        with campaign_on(dear, tmp_path / "a", pay=PAY.replace("4000", "40")) as here:
            with pytest.raises(
                MoneyError, match=r"8 sittings on prolific may cost .* the cap of 40\.00 USD\. Nothing was"
            ):
                publish(here.folder.path, platform="prolific", places=8)
            assert dear.state()["studies"] == []
            each = worst_case_with(here, Decimal("0.6"))
            assert publish(here.folder.path, platform="prolific", places=4000 // each).sittings == 4000 // each
            with here.store.read() as connection:
                assert standing(connection, here.folder).aside.minor == 4000 // each * each
        with campaign_on(dear, tmp_path / "b") as here:
            assert any("fees and tax are 60.0 %" in note for note in here.publish(8).notes)


def worst_case_with(here: OnProlific, share: Decimal) -> int:
    """The most that a sitting costs, in cents, where so much of it comes on top."""
    with here.store.read() as connection:
        return (Money(300, "USD") + most_bonus(connection, here.folder)).share(1 + share).minor


def test_a_wallet_in_another_currency_is_refused(token: None, tmp_path: Path) -> None:
    with (
        standing_in("--currency", "GBP") as pounds,
        campaign_on(pounds, tmp_path) as here,
        pytest.raises(PlatformError, match=r"wallet on Prolific is in GBP, and \[pay\] currency is USD"),
    ):
        here.publish(3)


def test_a_published_study_that_is_not_the_campaigns_any_more_is_refused(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(3)
        here.folder = rewritten(here, 'base = "3.00"', 'base = "3.50"')
        with pytest.raises(
            PlatformError, match=r"lets nothing of it change: it pays 300 cents, and \[pay\] base is 350"
        ):
            here.publish(4)
        assert here.study["total_available_places"] == 3


def test_bad_settings_are_told_with_what_to_do(there: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with campaign_on(there, tmp_path, pay='[pay]\nbase = "0.00"\n') as here:
        with pytest.raises(PlatformError, match=r"takes no study without a reward. Set \[pay\] base"):
            here.publish(3)
        here.folder = rewritten(here, f'api_url = "{there.address}"', 'api_url = "http://prolific.example"')
        with pytest.raises(PlatformError, match=r"would travel unencrypted to http://prolific.example"):
            here.publish(3)
        here.folder = rewritten(here, 'api_url = "http://prolific.example"', 'api_url = "http://127.0.0.1:9"')
        with pytest.raises(PlatformError, match=r"cannot be reached .* Check the network"):
            here.publish(3)
        here.folder = rewritten(here, '"http://127.0.0.1:9"\ncompletion', f'"{there.address}"\ncompletion')
        monkeypatch.setenv("PROLIFIC_TOKEN", "another")
        with pytest.raises(
            PlatformError, match=r"does not accept PROLIFIC_TOKEN .*\(Invalid token\)\. In Prolific, make one"
        ):
            here.publish(3)


def test_closing_lets_those_finish_who_have_begun_and_then_stops(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(3)
        [(_, submission)] = here.arrive()
        here.play(submission, rounds=1)
        assert "The study is paused: nobody new comes, and 1 may finish." in here.close()
        with pytest.raises(PlatformError, match="no place"):
            here.arrive()
        here.finish(submission)
        assert here.close() == "The study is stopped."
        assert here.close() == "The study recruits nobody: it is COMPLETED."
        for dry_run in (True, False):
            with pytest.raises(
                NotOffered, match=r"opens it again only with more places: imitable publish .* --links 4"
            ):
                here.publish(3, dry_run=dry_run)
        assert here.study["status"] == "COMPLETED"
        here.publish(4)
        assert here.study["status"] == "ACTIVE"


def test_closing_now_ends_what_is_being_played_in_full_and_nobody_elses_sitting(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(3)
        (_, playing), (_, left) = here.arrive(2)
        for submission in (playing, left):
            here.play(submission, rounds=1)
        there.give_back(left)
        assert "1 sittings that were being played are over, and are paid in full" in here.close(now=True)
        assert here.study["status"] == "COMPLETED"
        assert {key: row.ended_by for key, row in of_sittings(here).items()} == {playing: "closed", left: None}


def test_who_played_cannot_play_another_study_that_keeps_them_out(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path / "first") as first:
        first.publish(3)
        [(person, submission)] = first.arrive()
        first.finish(submission)
        group = first.study["filters"][0]["selected_values"][0]
    with campaign_on(there, tmp_path / "second", f'not_again = ["{group}"]', key=bytes(range(1, 33))) as second:
        second.publish(3)
        study = next(one for one in there.state()["studies"] if one["id"] in second.publish(3).what)
        with pytest.raises(PlatformError, match="not for this participant"):
            there.reserve(person, study["id"])


def test_the_command_publishes_collects_and_closes(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path):
        pass

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "imitable", *words[:1], str(tmp_path), *words[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Would make a study for 2 participants on Prolific" in run(
        "publish", "--platform", "prolific", "--links", "2", "--dry-run"
    )
    assert there.state()["studies"] == []
    assert "Made a study for 2 participants on Prolific" in run("publish", "--platform", "prolific", "--links", "2")
    assert "prolific: 0 sittings have begun, 0 differences" in run("collect")
    assert "prolific: The study is stopped." in run("close")


def test_an_address_that_redirects_or_is_no_api_is_said_so(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        config: Any = here.folder.config
        wrong = config.platform.prolific.model_copy(update={"api_url": f"{there.address}/stand-in"})
        platform = config.platform.model_copy(update={"prolific": wrong})
        here.folder = replace(here.folder, config=config.model_copy(update={"platform": platform}))
        with pytest.raises(PlatformError, match=r"refused GET /workspaces/ \(404\)"):
            here.publish(3)
        with closing(open_store(here.folder)) as store:
            assert store.build_hash() is not None
