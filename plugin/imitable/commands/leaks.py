"""Whether anything in Label Studio tells what an annotator has yet to guess. For the runner: it opens sealed truths."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from imitable.game.label_studio import names
from imitable.platforms.label_studio.client import Server
from imitable.platforms.label_studio.results import slid
from imitable.store import Store, tables

DRAFTS = 500
"""Tasks whose drafts are looked through: they are asked for one by one, for lists show nobody's but the caller's."""

_PLACES = range(2, 18)
"""Digits after the point with which a number is looked for. One is too common to tell anything: 0.3 of what?"""
_TABLE = 3
"""Digits after the point that numbers have which we show ourselves, in the table of level `weights`."""
_TELLING = 3
"""Digits that a number must have to be told from others."""
_NUMBER = re.compile(r"-?[0-9]+\.[0-9]+(?:e-?[0-9]+)?")


@dataclass
class _Sealed:
    """What nobody may read of one task yet."""

    pages: set[str] = field(default_factory=set)
    """Places in a task's data that its rounds have."""
    trials: set[int] = field(default_factory=set)
    """Rounds that are not answered, or never show their answer."""
    numbers: set[str] = field(default_factory=set)
    """Their truths and activations, as they may be written."""


def leaks(server: Server, store: Store, project: int) -> tuple[int, list[str]]:
    """How many of our tasks were looked through, and what was found in words, each with what to do.

    Looks at data, notes, predictions, annotations and drafts, as any account can read them.
    """
    sealed, looked, found = _sealed(store), 0, []
    for row in server.tasks(project, include="id,data,meta,predictions,annotations", whole=True):
        mine = sealed.get(str(row["id"]))
        if mine is None or row.get("unreadable"):
            continue
        looked += 1
        if looked <= DRAFTS:
            row["drafts"] = server.wire.get(f"/api/tasks/{row['id']}/drafts").json()
        found += [f"Task {row['id']} {what}" for what in _in_task(row, mine)]
    return looked, found


def _in_task(row: dict[str, Any], sealed: _Sealed) -> Iterator[str]:
    data, predictions = row["data"], row.get("predictions") or []
    ours = {names.KEY, names.ANNOTATOR, names.INTRO, names.EXAMPLES, names.TEXT, *sealed.pages}
    if strange := sorted(data.keys() - ours):
        yield f"has data that imitable did not put there: {', '.join(strange)}. Delete the task, and publish again."
    if predictions:
        yield "has predictions, which everybody can read. Delete them: Data Manager, Delete Predictions."
    answers = [*(row.get("annotations") or []), *(row.get("drafts") or [])]
    told = [trial for trial in sorted(sealed.trials) if any(_slid(one, trial) is not None for one in answers)]
    if told:
        rounds = ", ".join(map(str, told))
        yield f"shows an answer to round {rounds}, which nobody was given. See who wrote it: what was committed counts."
    text = json.dumps([[data[name] for name in data if name != names.KEY], row.get("meta"), predictions])
    if sealed.numbers.intersection(_NUMBER.findall(text)):
        yield "holds the very number that its annotator has yet to guess. Delete the task, and publish again."


def _slid(answer: dict[str, Any], trial: int) -> float | None:
    return slid(answer.get("result"), names.truth(trial))


def _sealed(store: Store) -> dict[str, _Sealed]:
    """What is sealed, by the task's number in Label Studio."""
    rounds, tasks = tables.rounds.c, tables.tasks.c
    query = (
        select(
            tasks.external_id,
            rounds.trial,
            rounds.phase,
            tables.episodes.c.level,
            tables.guesses.c.guess,
            tables.truths.c.truth,
            tables.truths.c.activation,
        )
        .select_from(tables.tasks)
        .join(tables.episodes, tables.episodes.c.episode_id == tasks.episode_id)
        .join(tables.rounds, rounds.episode_id == tasks.episode_id)
        .join(tables.truths, tables.truths.c.item_id == rounds.item_id)
        .outerjoin(tables.guesses, tables.OF_ROUND)
        .where(tasks.platform == names.PLATFORM, tasks.external_id.is_not(None))
    )
    found: dict[str, _Sealed] = defaultdict(_Sealed)
    with store.read() as connection:
        for row in connection.execute(query):
            mine = found[row.external_id]
            mine.pages |= {names.text(row.trial), names.question(row.trial)}
            if row.guess is None or row.phase == "held_out":
                mine.trials.add(row.trial)
                if row.phase != "check":
                    shown = _TABLE if row.level == "weights" else 0
                    mine.numbers |= _written(row.truth, shown) | _written(row.activation, shown)
    return dict(found)


def _written(number: float, shown: int) -> set[str]:
    """A number in every length that tells it from others; a whole number and its like in none.

    `shown`: digits after the point that other numbers in the task have.
    """
    every = {repr(number), *(f"{number:.{places}f}" for places in _PLACES)}
    long = {text for text in every if len(text.strip("-0.").replace(".", "")) >= _TELLING}
    return {text for text in long if len(text.partition(".")[2]) > shown}
