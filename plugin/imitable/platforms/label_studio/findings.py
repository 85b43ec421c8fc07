"""In what Label Studio and our record differ. The record counts: what is found is said, and nothing is taken over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Text, cast, func, select

from imitable.campaign import Folder
from imitable.game.commit import Answered, answered
from imitable.game.label_studio import names
from imitable.platforms import Finding
from imitable.platforms.label_studio import results
from imitable.platforms.label_studio.collecting import There
from imitable.store import Store, tables

Record = Any
"""A row of the store."""


def compare(folder: Folder, store: Store, there: There) -> list[Finding]:
    """Everything that differs now, in the order of annotators and episodes; who was forgotten is left out."""
    with store.read() as connection:
        said: dict[str, list[Record]] = defaultdict(list)
        for row in connection.execute(_HEARD):
            said[row.task_key].append(row)
        found = []
        for task in connection.execute(_TASKS).all():
            about = sorted(said[task.task_key], key=lambda row: (row.updated_at, row.annotation_id))
            if not about and task.completed_at is None and task.task_key not in there.gone:
                continue
            committed = {one.trial: one for one in answered(connection, task.episode_id)}
            found += [
                Finding(kind, sentence, task.annotator_id, task.episode_id)
                for kind, sentence in _of_task(folder, task, about, committed, gone=task.task_key in there.gone)
            ]
    return [*found, *_of_project(there)]


_HEARD = select(
    *(tables.heard.c[name] for name in ("annotation_id", "task_key", "completed_by", "updated_by", "updated_at")),
    *(tables.heard.c[name] for name in ("gone_at", "cancelled", "result")),
    (cast(tables.heard.c.result, Text) != cast(tables.heard.c.first_result, Text)).label("changed"),
).where(tables.heard.c.platform == names.PLATFORM)
_every = tables.rounds.alias("every")
_TASKS = (
    select(
        tables.tasks.c.task_key,
        tables.tasks.c.trial,
        tables.tasks.c.external_id,
        tables.episodes.c.episode_id,
        tables.episodes.c.annotator_id,
        tables.episodes.c.completed_at,
        tables.identities.c.platform_id,
        select(func.count())
        .select_from(_every)
        .where(_every.c.episode_id == tables.episodes.c.episode_id)
        .scalar_subquery()
        .label("rounds"),
    )
    .join(tables.episodes, tables.episodes.c.episode_id == tables.tasks.c.episode_id)
    .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
    .where(tables.tasks.c.platform == names.PLATFORM, ~tables.ERASED)
    .order_by(tables.episodes.c.annotator_id, tables.episodes.c.episode_id, tables.tasks.c.trial)
)


def _of_task(
    folder: Folder, task: Record, about: Sequence[Record], committed: dict[int, Answered], *, gone: bool
) -> Iterator[tuple[str, str]]:
    whose = f"task {task.external_id} of {task.annotator_id}"
    if gone:
        yield (
            "missing",
            f"The {whose} was removed from the project. What was committed counts; publishing makes it again.",
        )
    own = []
    for row in about:
        which = f"Annotation {row.annotation_id} in the {whose}"
        if row.completed_by != task.platform_id:
            other = folder.annotator_id(names.PLATFORM, row.completed_by)
            yield "forged", f"{which} is said to be by {other}. Nothing in it counts."
        elif row.updated_by not in (None, task.platform_id):
            other = folder.annotator_id(names.PLATFORM, row.updated_by)
            yield "forged", f"{which} was written, or written in, by {other}. What was committed counts."
        elif row.gone_at is not None:
            yield "deleted", f"{which} was deleted. What was committed counts."
        elif row.cancelled:
            yield "cancelled", f"{which} is one of a skipped task. What was committed counts."
        else:
            own.append(row)
            yield from _of_annotation(which, task, row, committed)
    if len(own) > 1:
        numbers = ", ".join(row.annotation_id for row in own)
        yield "duplicated", f"The {whose} has {len(own)} annotations ({numbers}). What was committed counts, once."
    if not about and task.completed_at is not None and not gone:
        yield (
            "unsubmitted",
            f"The {whose} was played to its end and not submitted. The guesses count; the answers to the three "
            "questions are missing.",
        )


def _of_annotation(which: str, task: Record, row: Record, committed: dict[int, Answered]) -> Iterator[tuple[str, str]]:
    values, changes = results.controls(row.result), []
    says = results.guesses(values, task.trial)
    for trial, guess in sorted(says.items()):
        one = committed.get(trial)
        if one is None:
            changes.append(f"a guess in round {trial}, where none was committed")
        elif guess != one.guess:
            changes.append(f"{_shown(guess)} in round {trial}, where {one.guess:g} was committed")
    for one in committed.values() if task.trial == 0 else ():
        shown = results.number(values.get(names.truth(one.trial), {}).get("number"))
        if one.truth is not None and shown not in (None, round(one.truth, 1)):
            changes.append(f"{shown:g} as the answer of round {one.trial}, which was {one.truth:.1f}")
    if changes:
        yield "edited", f"{which} says {'; '.join(changes)}. What was committed counts."
    elif row.changed:
        yield (
            "edited",
            f"{which} was changed after it was first submitted. What was committed, and answered first, counts.",
        )
    if task.trial == 0 and len(committed) < task.rounds:
        yield (
            "unfinished",
            f"{which} was submitted after {len(committed)} of {task.rounds} rounds. The annotator may open it again "
            "and play on.",
        )


def _shown(guess: float | None) -> str:
    return "what is no number" if guess is None else f"{guess:g}"


def _of_project(there: There) -> Iterator[Finding]:
    for number in there.strange:
        yield Finding("strange", f"Task {number} in the project was not made by imitable. Nothing in it counts.")
    for number in there.unreadable:
        yield Finding(
            "unreadable",
            f"Annotation {number} holds broken text: Label Studio fails wherever it would show it, and nobody can open "
            f"its task. What was committed counts; delete it through the API (DELETE /api/annotations/{number}/).",
        )
