"""What is paid, in an annotator's words. Nothing is computed here: only what [pay] states is said."""

from __future__ import annotations

from decimal import Decimal

from imitable.campaign import Pay
from imitable_templates.texts import Texts


def pay_said(pay: Pay, words: Texts) -> str:
    """What a sitting earns, in a few sentences; empty when [pay] states nothing."""
    base, bonus = Decimal(pay.base) > 0, Decimal(pay.bonus_per_point) > 0
    said = []
    if base:
        said.append(words.plain("pay.base", amount=_amount(pay.base, pay, words)))
    if bonus:
        key = "pay.bonus_too" if base else "pay.bonus"
        said.append(words.plain(key, amount=_amount(pay.bonus_per_point, pay, words)))
    if said:
        said.append(words.plain("pay.by_whom"))
    return " ".join(said)


def bonus_said(pay: Pay, words: Texts) -> str:
    """The rule of the bonus in one sentence, for where it is decided; empty without a bonus."""
    if not Decimal(pay.bonus_per_point):
        return ""
    return words.plain("pay.bonus_now", amount=_amount(pay.bonus_per_point, pay, words))


def _amount(amount: str, pay: Pay, words: Texts) -> str:
    figure = f"{Decimal(amount):.2f}".replace(".", words.plain("number.decimal"))
    return words.plain("pay.amount", currency=pay.currency, amount=figure)
