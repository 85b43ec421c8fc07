"""Attention checks: rounds that look like any other, in whose text stands what to answer. In no target's pool."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from imitable.game.views import Stimulus
from imitable.store import insert_once, tables
from imitable_templates.texts import Texts


@dataclass(frozen=True)
class Check:
    """One text that asks for a number of its own."""

    stimulus: Stimulus
    answer: float
    """The number that its text asks for, on any scale."""


ANSWERS = (3.0, 9.0, 7.0, 2.0, 8.0)
"""What the texts of the catalogue ask for, in their order."""


def checks(words: Texts) -> tuple[Check, ...]:
    """The checks in the language of these texts, where the marked piece stands between bars."""
    texts = [words.plain(f"checks.check_{number + 1}") for number in range(len(ANSWERS))]
    return tuple(Check(Stimulus(*text.split("|")), answer) for text, answer in zip(texts, ANSWERS, strict=True))


def check_items(target_id: str) -> list[str]:
    """Ids of a target's checks. Each target has its own: an item belongs to one target."""
    whose = hashlib.sha256(target_id.encode()).hexdigest()[:16]
    return [f"{tables.CHECK_ITEM}{number}-{whose}" for number in range(len(ANSWERS))]


def check_of(item_id: str, among: Sequence[Check]) -> Check | None:
    """The check that an item is, or None for an item of a pool."""
    if not item_id.startswith(tables.CHECK_ITEM):
        return None
    return among[int(item_id.split("-")[1])]


def keep_check(connection: Connection, target_id: str, item_id: str, among: Sequence[Check]) -> None:
    """Put a check into the store, once, so that it is planned, answered and exported as every item is."""
    check = check_of(item_id, among)
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
