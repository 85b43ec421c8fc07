"""The page says what [pay] states, and nothing that it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imitable.campaign import Pay
from imitable.game.paying import bonus_said, pay_said
from imitable.game.views import Landing, Round
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
    words = pay_said(Pay(base=base, bonus_per_point=bonus), texts())
    assert all(part in words for part in [*said, "Whoever invited you pays you."])
    assert not any(part in words for part in unsaid)
    assert bool(bonus_said(Pay(bonus_per_point=bonus), texts())) == (bonus != "0")


def test_without_pay_nothing_is_promised() -> None:
    assert pay_said(Pay(), texts()) == bonus_said(Pay(), texts()) == ""


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
