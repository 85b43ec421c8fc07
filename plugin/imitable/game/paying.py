"""What is paid, in an annotator's words. Nothing is computed here: only what [pay] states is said."""

from __future__ import annotations

from decimal import Decimal

from imitable.campaign import Pay
from imitable.campaign.running import WHOLE_ONLY
from imitable_templates.texts import Texts

PAYING = ("prolific", "mturk")
"""Platforms that hand over the money themselves."""


def pay_said(pay: Pay, words: Texts, *, platform: str) -> str:
    """What a sitting earns and who pays it, in a few sentences; empty when [pay] states nothing."""
    base, bonus = Decimal(pay.base) > 0, Decimal(pay.bonus_per_point) > 0
    said = []
    if base:
        key = "pay.base_whole" if platform in WHOLE_ONLY else "pay.base"
        said.append(words.plain(key, amount=_amount(pay.base, pay, words)))
    if bonus:
        key = "pay.bonus_too" if base else "pay.bonus"
        said.append(words.plain(key, amount=_amount(pay.bonus_per_point, pay, words)))
    if said:
        said.append(words.plain("pay.by_platform" if platform in PAYING else "pay.by_whom"))
    return " ".join(said)


def bonus_said(pay: Pay, words: Texts) -> str:
    """The rule of the bonus in one sentence, for where it is decided; empty without a bonus."""
    if not Decimal(pay.bonus_per_point):
        return ""
    return words.plain("pay.bonus_now", amount=_amount(pay.bonus_per_point, pay, words))


def earned_said(pay: Pay, words: Texts, *, platform: str, part: bool) -> str:
    """What a sitting that is over earns, the whole or its `part`, and who pays it; empty when [pay] states nothing."""
    said = []
    if Decimal(pay.base) > 0:
        said.append(words.plain("pay.earned_part" if part else "pay.earned", amount=_amount(pay.base, pay, words)))
    if Decimal(pay.bonus_per_point) > 0:
        said.append(words.plain("pay.earned_bonus", amount=_amount(pay.bonus_per_point, pay, words)))
    if said:
        said.append(words.plain("pay.paid_next_platform" if platform in PAYING else "pay.paid_next"))
    return " ".join(said)


def _amount(amount: str, pay: Pay, words: Texts) -> str:
    figure = f"{Decimal(amount):.2f}".replace(".", words.plain("number.decimal"))
    return words.plain("pay.amount", currency=pay.currency, amount=figure)
