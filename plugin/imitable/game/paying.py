"""What is paid, in an annotator's words. Nothing is computed here: only what [pay] states is said."""

from __future__ import annotations

from decimal import Decimal

from imitable.campaign import Pay


def pay_said(pay: Pay) -> str:
    """What a sitting earns, in a few sentences; empty when [pay] states nothing."""
    base, bonus = Decimal(pay.base) > 0, Decimal(pay.bonus_per_point) > 0
    said = []
    if base:
        said.append(f"{_amount(pay, pay.base)} for taking part; if you stop early, for the part done.")
    if bonus:
        said.append(
            f"{'Plus a' if base else 'A'} bonus of {_amount(pay, pay.bonus_per_point)} for each point above par in the "
            "rounds without answers, never below zero. Par is what the best single number would earn if it were "
            "guessed every time. Practice points are not paid."
        )
    if said:
        said.append("Whoever invited you pays you.")
    return " ".join(said)


def bonus_said(pay: Pay) -> str:
    """The rule of the bonus in one sentence, for where it is decided; empty without a bonus."""
    if not Decimal(pay.bonus_per_point):
        return ""
    return f"Your bonus is decided here: {_amount(pay, pay.bonus_per_point)} for each point above par."


def _amount(pay: Pay, amount: str) -> str:
    return f"{pay.currency} {Decimal(amount):.2f}"
