"""Attention checks: rounds that look like any other, in whose text stands what to answer. In no target's pool."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from imitable.game.views import Stimulus
from imitable.store import insert_once, tables


@dataclass(frozen=True)
class Check:
    """One text that asks for a number of its own."""

    stimulus: Stimulus
    answer: float
    """The number that its text asks for, on any scale."""


CHECKS = (
    Check(
        Stimulus("This text is here to see that you are reading. Whatever you think, answer", " three", " here."), 3.0
    ),
    Check(Stimulus("Please show that you read every text: for this one, the answer is", " nine", ", no more."), 9.0),
    Check(Stimulus("Some texts only ask for a number. This is such a text, and it asks for", " seven", "."), 7.0),
    Check(Stimulus("Who reads this text to its end knows what to answer: it is", " two", ", just this once."), 2.0),
    Check(Stimulus("There is nothing to guess at in this text. Put the scale to", " eight", " and go on."), 8.0),
)


def check_items(target_id: str) -> list[str]:
    """Ids of a target's checks. Each target has its own: an item belongs to one target."""
    whose = hashlib.sha256(target_id.encode()).hexdigest()[:16]
    return [f"{tables.CHECK_ITEM}{number}-{whose}" for number in range(len(CHECKS))]


def check_of(item_id: str) -> Check | None:
    """The check that an item is, or None for an item of a pool."""
    if not item_id.startswith(tables.CHECK_ITEM):
        return None
    return CHECKS[int(item_id.split("-")[1])]


def keep_check(connection: Connection, target_id: str, item_id: str) -> None:
    """Put a check into the store, once, so that it is planned, answered and exported as every item is."""
    check = check_of(item_id)
    assert check is not None  # noqa: S101  # the plan drew it from check_items
    before, focus, after = check.stimulus.before, check.stimulus.focus, check.stimulus.after
    item: dict[str, Any] = {
        "item_id": item_id,
        "target_id": target_id,
        "split": "check",
        "text": before + focus + after,
        "focus_start": len(before),
        "focus_end": len(before + focus),
        "active": False,
        "weight": 1.0,
    }
    if insert_once(connection, tables.items, item):
        insert_once(connection, tables.truths, {"item_id": item_id, "truth": check.answer, "activation": check.answer})
