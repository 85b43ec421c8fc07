"""The page says what [pay] states, and nothing that it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imitable.campaign import Pay
from imitable.game.paying import bonus_said, earned_said, pay_said
from imitable.game.views import Done, Landing, Round
from imitable.store import in_part
from imitable_templates.texts import texts
from playing import Table

Set = Callable[..., Table]

PAY = '[pay]\ncurrency = "EUR"\nbase = "3.0"\nbonus_per_point = "0.05"'


@pytest.mark.parametrize(
    ("base", "bonus", "said", "unsaid"),
    [
        ("3", "0.05", ["USD 3.00 for taking part", "Plus a bonus of USD 0.05", "never below zero"], []),
        ("3", "0", ["USD 3.00 for taking part"], ["bonus", "Par "]),
        ("0", "0.05", ["A bonus of USD 0.05"], ["taking part"]),
    ],
)
def test_base_and_bonus_are_said_where_there_are_any(base: str, bonus: str, said: list[str], unsaid: list[str]) -> None:
    words = pay_said(Pay(base=base, bonus_per_point=bonus), texts(), platform="web")
    assert all(part in words for part in [*said, "Whoever invited you pays you."])
    assert not any(part in words for part in unsaid)
    assert bool(bonus_said(Pay(bonus_per_point=bonus), texts())) == (bonus != "0")


def test_whom_a_platform_sent_is_told_that_the_platform_pays() -> None:
    words = pay_said(Pay(base="3"), texts(), platform="prolific")
    assert words.endswith("You are paid through the site where you found this task.")


def test_without_pay_nothing_is_promised() -> None:
    assert pay_said(Pay(), texts(), platform="web") == bonus_said(Pay(), texts()) == ""
    assert earned_said(Pay(), texts(), platform="web", part=False) == ""


def test_a_personal_link_says_the_pay_and_the_first_round_without_answers_the_bonus(table: Set) -> None:
    here = table(practice=1, held_out=2, episodes=1, more=PAY)
    landing = here.game.landing(here.links[0].code)
    assert isinstance(landing, Landing)
    assert "EUR 3.00" in landing.pay
    asked = [view for view in here.play(here.sit()) if isinstance(view, Round)]
    rule = "Your bonus is decided here: EUR 0.05 for each point above par."
    assert [view.bonus for view in asked] == ["", rule, ""]


def test_who_comes_by_the_open_link_is_promised_nothing(table: Set) -> None:
    here = table(practice=1, held_out=1, episodes=1, web="open = true", more=PAY)
    landing = here.game.landing("")
    assert isinstance(landing, Landing)
    assert landing.pay == ""
    assert not any(view.bonus for view in here.play(here.sit()) if isinstance(view, Round))


BONUS = "Your bonus, EUR 0.05 for each point above par in the rounds without answers, is worked out afterwards."
NEXT = "Whoever invited you pays you; you need do nothing more for it."


def test_the_last_page_says_again_what_is_paid_and_by_whom(table: Set) -> None:
    here = table(practice=1, held_out=1, episodes=1, more=PAY)
    done = here.play(here.sit())[-1]
    assert isinstance(done, Done)
    assert done.pay == f"You are paid EUR 3.00 for taking part. {BONUS} {NEXT}"
    assert here.game.landing(here.links[0].code) == done


def test_who_stops_early_is_told_that_the_part_done_is_paid(table: Set) -> None:
    here = table(practice=1, held_out=1, episodes=1, more=PAY)
    stopped = here.game.stop(here.sit())
    assert isinstance(stopped, Done)
    assert stopped.pay == f"Of the EUR 3.00 for the whole sitting, you are paid the part that you did. {BONUS} {NEXT}"


def test_of_an_open_campaign_only_those_with_a_link_of_their_own_are_told_of_pay_at_the_end(table: Set) -> None:
    here = table(practice=1, held_out=1, episodes=1, web="open = true", more=PAY)
    anyone, invited = here.game.stop(here.game.start("", agreed=True)), here.game.stop(here.sit())
    assert isinstance(anyone, Done)
    assert isinstance(invited, Done)
    assert (anyone.pay, NEXT in invited.pay) == ("", True)


def test_on_a_platform_the_last_page_names_the_site_that_pays() -> None:
    said = earned_said(Pay(base="3"), texts(), platform="prolific", part=False)
    assert said == "You are paid USD 3.00 for taking part. It is paid through the site where you found this task."


def test_where_a_task_is_paid_whole_no_part_is_promised() -> None:
    assert pay_said(Pay(base="3"), texts(), platform="mturk").startswith("USD 3.00 for taking part. You are paid")
    said = [
        earned_said(Pay(base="3"), texts(), platform="mturk", part=in_part("mturk", "stopped", rounds))
        for rounds in (1, 0)
    ]
    assert said[0].startswith("You are paid USD 3.00 for")
    assert "the part that you did" in said[1], "nothing is owed to who stopped at once"


@pytest.mark.parametrize("platform", ["web", "prolific", "mturk"])
def test_who_was_cut_short_before_the_first_round_is_not_promised_the_whole(platform: str) -> None:
    assert in_part(platform, "closed", 0)
    assert in_part(platform, "closed", 1) == (platform == "web")
