"""Reading the results of an annotation, which anybody with an account may have written: nothing in them is trusted."""

from __future__ import annotations

import math
from typing import Any

from imitable.game.label_studio import names

_LONGEST = 86_400.0
"""Seconds of a lead time that are believed."""


def controls(result: Any) -> dict[str, dict[str, Any]]:
    """What stands in each control, by its name; the first where several are of one name."""
    found: dict[str, dict[str, Any]] = {}
    for one in result if isinstance(result, list) else []:
        if isinstance(one, dict) and isinstance(one.get("from_name"), str) and isinstance(one.get("value"), dict):
            found.setdefault(one["from_name"], one["value"])
    return found


def control(result: Any, name: str) -> dict[str, Any]:
    """What stands in a control; empty where nothing does."""
    return controls(result).get(name, {})


def typed(value: dict[str, Any]) -> str:
    """The text in a box."""
    texts = value.get("text")
    last = texts[-1] if isinstance(texts, list) and texts else texts
    return last.replace("\0", "").strip() if isinstance(last, str) else ""


def rated(value: dict[str, Any]) -> int | None:
    """A rating of 1 to 5."""
    choices = value.get("choices")
    chosen = choices[0] if isinstance(choices, list) and choices else None
    return int(chosen) if chosen in ("1", "2", "3", "4", "5") else None


def guesses(values: dict[str, dict[str, Any]], trial: int) -> dict[int, float | None]:
    """The numbers in the boxes for guesses by round; None for what is no number. `trial` 0: of a whole episode."""
    found = {}
    for name, value in values.items():
        at = names.trial_of(name) if trial == 0 else trial if name == names.GUESS else None
        if at is not None:
            found[at] = number(typed(value) or value.get("number"))
    return found


def slid(result: Any, name: str) -> float | None:
    """The number at which a slider stands."""
    return number(control(result, name).get("number"))


def seconds(lead_time: Any) -> float:
    """A lead time, 0 to a day: it is the page's own word, and may be anything. Raises ValueError for no number."""
    try:
        return max(0.0, min(float(lead_time or 0.0), _LONGEST))
    except (TypeError, OverflowError) as error:
        raise ValueError("lead_time") from error


def number(value: Any) -> float | None:
    """A number as it was typed or slid; None for what is none."""
    try:
        read = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None
