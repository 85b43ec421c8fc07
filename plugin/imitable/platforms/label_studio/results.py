"""Reading the results of an annotation, which anybody with an account may have written: nothing in them is trusted."""

from __future__ import annotations

import math
from typing import Any

from imitable.game.label_studio import names


def control(result: Any, name: str) -> dict[str, Any]:
    """What stands in a control; empty where nothing does."""
    for one in result if isinstance(result, list) else []:
        if isinstance(one, dict) and one.get("from_name") == name and isinstance(one.get("value"), dict):
            value: dict[str, Any] = one["value"]
            return value
    return {}


def typed(result: Any, name: str) -> str:
    """The text in a box."""
    texts = control(result, name).get("text")
    last = texts[-1] if isinstance(texts, list) and texts else texts
    return last.replace("\0", "").strip() if isinstance(last, str) else ""


def rated(result: Any, name: str) -> int | None:
    """A rating of 1 to 5."""
    choices = control(result, name).get("choices")
    chosen = choices[0] if isinstance(choices, list) and choices else None
    return int(chosen) if chosen in ("1", "2", "3", "4", "5") else None


def guesses(result: Any, trial: int) -> dict[int, float | None]:
    """The numbers in the boxes for guesses by round; None for what is no number. `trial` 0: of a whole episode."""
    found = {}
    for one in result if isinstance(result, list) else []:
        name = str(one.get("from_name")) if isinstance(one, dict) else ""
        at = names.trial_of(name) if trial == 0 else trial if name == names.GUESS else None
        if at is not None:
            found[at] = _number(typed(result, name) or control(result, name).get("number"))
    return found


def slid(result: Any, name: str) -> float | None:
    """The number at which a slider stands."""
    return _number(control(result, name).get("number"))


def _number(value: Any) -> float | None:
    try:
        number = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
