"""What Label Studio asks when something was typed. A hostile annotator may have written all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imitable.errors import GameError
from imitable.game.label_studio import names

MOST_TASKS = 10_000
"""In one body; Label Studio asks about a hundred at a time."""


@dataclass(frozen=True)
class Call:
    """One press of Enter on a task's page."""

    key: str
    """The task's own key, as its data says; empty for what is none."""
    annotator: str
    """The e-mail of whom the task is for, as its data says."""
    callers: frozenset[str]
    """E-mails on the drafts that came along. Label Studio sends the caller's own, whoever else has some."""
    typed: Mapping[str, str]
    """What stands in the page's boxes, by their names: the latest of each."""

    @property
    def counted_as(self) -> str:
        """Whose calls are counted together: one caller's of one task. Nobody can use up what another may ask."""
        return " ".join((self.key, *sorted(self.callers))).strip()

    @property
    def latest(self) -> str | None:
        """The box that was filled last, as far as that can be told: the one furthest down the page."""
        boxes = {box: name for name in self.typed if (box := names.box_of(name))}
        return boxes[max(boxes)] if boxes else names.BEGIN if names.BEGIN in self.typed else None


def read_call(body: bytes) -> tuple[int, Call | None]:
    """The number of tasks in a body of /predict, and the call; None where nobody typed, so that nothing is answered.

    Label Studio asks for predictions of whole batches too (`context` is null), and when a page is opened (no results).
    Raises GameError for a body that it would not send.
    """
    try:
        asked = json.loads(body)
        tasks = asked["tasks"]
        if not isinstance(tasks, list) or len(tasks) > MOST_TASKS or not all(isinstance(task, dict) for task in tasks):
            raise TypeError("tasks")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise GameError("refused.unreadable") from error
    results = _at(asked, "params", "context", "result")
    if len(tasks) != 1 or not isinstance(results, list):
        return len(tasks), None
    typed = {str(_at(one, "from_name")): text for one in results if (text := _typed(one)) is not None}
    drafts = tasks[0].get("drafts")
    callers = [_at(draft, "user") for draft in drafts] if isinstance(drafts, list) else []
    key = _text(_at(tasks[0], "data", names.KEY))
    call = Call(
        key=key if names.TASK_KEY.fullmatch(key) else "",
        annotator=_text(_at(tasks[0], "data", names.ANNOTATOR)).lower(),
        callers=frozenset(_text(caller).lower() for caller in callers),
        typed=typed,
    )
    return 1, call if call.latest else None


def hinted_task(body: bytes) -> int | None:
    """The number of the task of which a webhook tells; None where it tells of none. Raises GameError for no JSON."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise GameError("refused.unreadable") from error
    number = _at(told, "task", "id")
    return number if isinstance(number, int) and 0 < number < 1 << 62 else None


def _typed(result: Any) -> str | None:
    """What stands in a box: Label Studio keeps a list of entries."""
    entries = _at(result, "value", "text")
    last = entries[-1] if isinstance(entries, list) and entries else entries
    return last if isinstance(last, str) and _at(result, "type") == "textarea" else None


def _at(value: Any, *path: str) -> Any:
    """What lies at a path of keys, or None."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
