"""What annotators were promised: [pay] as it stood when their sitting was opened, which is what is owed to them."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from sqlalchemy import Connection, select

from imitable.campaign import Pay
from imitable.campaign.running import WHOLE_ONLY
from imitable.store.engine import insert_once
from imitable.store.tables import pay_rules


def rule_id(pay: Pay) -> str:
    """A short name for the promise that [pay] makes: currency, base and bonus, to the letter."""
    said = json.dumps([pay.currency, pay.base, pay.bonus_per_point])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def keep_rule(connection: Connection, pay: Pay, *, now: datetime) -> str:
    """Write down what [pay] promises, once, and return its name."""
    name = rule_id(pay)
    row = {"pay_rule": name, "currency": pay.currency, "base": pay.base, "bonus_per_point": pay.bonus_per_point}
    insert_once(connection, pay_rules, {**row, "since": now})
    return name


def promised(connection: Connection, pay: Pay, name: str | None) -> Pay:
    """[pay] with the promise of this name in it. Sittings of older databases name none: they get what stands now."""
    if name is None or name == rule_id(pay):
        return pay
    row = connection.execute(select(pay_rules).where(pay_rules.c.pay_rule == name)).one()
    kept = {"currency": row.currency, "base": row.base, "bonus_per_point": row.bonus_per_point}
    return pay.model_copy(update=kept)


def in_part(platform: str, ended_by: str, rounds: int) -> bool:
    """Whether a sitting that ended so, after so many rounds, earns its share of them, and not the whole.

    So do those that were stopped, and those of links that we closed: there nobody can tell who was playing at that
    moment from who had left long before. A platform that pays no parts pays the whole from the first round on; before
    it, nobody earns anything.
    """
    if not rounds:
        return True
    cut = ended_by == "stopped" or (ended_by == "closed" and platform == "web")
    return cut and platform not in WHOLE_ONLY
