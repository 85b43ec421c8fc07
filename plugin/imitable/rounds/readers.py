"""Automatic players that go by what a level shows beside a text, alone or on top of a table of tokens.

Examples have no readings: all that these players know of readings is the practice rounds that they were shown.
"""

from __future__ import annotations

import numpy as np

from imitable.rounds.players import Floats, Ints, Lesson, Player, Texts, bigram, foretell, pair_means

CONSULT, WEIGHTS = "consult", "weights"
"""The level at which a player chooses what he sees, and the one that shows a sum."""
FEWEST = 3
"""Rounds that a unit must have been seen in before anything is made of how it goes with the answers."""
RIDGE = tuple(10.0**power for power in range(-2, 6))
"""Penalties; the largest leave nothing of readings that tell nothing."""


def read_off(level: str, values: Floats) -> Floats:
    """What a reader goes by, (n, features), of a level's readings (n, gauges, 1 or 1 + parts).

    The activations; at `weights` the sums, as the page shows them, and of two sums also their product where the first
    is above zero, since the page says that this is what counts.
    """
    sums: Floats = values[:, :, 1:].sum(1) if level == WEIGHTS else values[:, :, 0]
    if level != WEIGHTS or sums.shape[1] == 1:
        return sums
    return np.column_stack([sums, np.maximum(sums[:, 0], 0) * sums[:, 1] / 10])


def look_up(readings: Floats, answers: Floats, *, looks: int) -> tuple[Floats, Ints]:
    """Practice readings (rounds, units) of which `looks` may be looked up in each round; which to ask for after them.

    What was not looked up is nan.
    """
    seen = np.full(readings.shape, np.nan)
    for row in range(len(readings)):
        asked = to_look_up(seen[:row], answers[:row], looks=looks)
        seen[row, asked] = readings[row, asked]
    return seen, to_look_up(seen, answers, looks=looks)


def to_look_up(seen: Floats, answers: Floats, *, looks: int) -> Ints:
    """Which units to ask for next, of those that are offered, after what was `seen` of them (rounds, units).

    Of all units none would come to be known well: twice as many as may be looked up in a round are tried, evenly
    spaced over those offered. Of these, the ones are asked for of which most can still be hoped: the size of the
    correlation with the answers so far (0 before three rounds), plus 1/√(rounds in which the unit was seen).
    """
    units = seen.shape[1]
    tried = np.unique(np.linspace(0, units, min(units, 2 * looks), endpoint=False).astype(np.int64))
    times = np.isfinite(seen[:, tried]).sum(0)
    hope = np.abs(correlations(seen[:, tried], answers)) + 1 / np.sqrt(np.maximum(times, 1e-6))
    found: Ints = np.sort(tried[np.argsort(-hope, kind="stable")[:looks]])
    return found


def correlations(readings: Floats, answers: Floats) -> Floats:
    """(features,): correlation of each feature with the answers, over the rounds in which it was seen.

    0 where it was seen in fewer than three rounds, and where either of the two did not vary.
    """
    known = np.isfinite(readings)
    count = np.maximum(known.sum(0), 1)
    x = np.where(known, readings, 0.0)
    x = np.where(known, x - x.sum(0) / count, 0.0)
    y = np.where(known, answers[:, None], 0.0)
    y = np.where(known, y - y.sum(0) / count, 0.0)
    size = np.sqrt((x**2).sum(0) * (y**2).sum(0))
    enough = (known.sum(0) >= FEWEST) & (size > 1e-9)
    return np.where(enough, (x * y).sum(0) / np.where(enough, size, 1.0), 0.0)


def readings(lesson: Lesson, asked: Texts) -> Floats:
    """Ridge regression of the answers on the level's readings, standardised; the penalty foretells best what was shown.

    A reading that was not looked up counts as usual.
    """
    rows = _with_readings(lesson)
    answers = lesson.answers[rows]
    usual = float(answers.mean()) if len(rows) else lesson.usual
    return usual + _regress(lesson, rows, answers - usual, asked)


def bigram_readings(lesson: Lesson, asked: Texts) -> Floats:
    """The table of pairs of tokens, and on top of it a ridge regression, on the readings, of what it leaves over.

    What it leaves of a practice round is learned from all other texts.
    """
    rows = _with_readings(lesson)
    left = lesson.answers[rows] - pair_means(lesson, lesson.texts.only(rows), without=rows)
    return bigram(lesson, asked) + _regress(lesson, rows, left, asked)


READERS: dict[str, Player] = {"readings": readings, "bigram_readings": bigram_readings}
"""By the name that `baseline_<player>` has; they play at levels that have readings."""


def _with_readings(lesson: Lesson) -> Ints:
    """The texts that were shown with readings."""
    assert lesson.texts.readings is not None  # noqa: S101  # who asks has read them
    return np.flatnonzero(np.isfinite(lesson.texts.readings).any(1))


def _regress(lesson: Lesson, rows: Ints, wanted: Floats, asked: Texts) -> Floats:
    """Foretell `wanted` (rows,), which is 0 where nothing is known, at the texts asked about."""
    assert lesson.texts.readings is not None  # noqa: S101
    assert asked.readings is not None  # noqa: S101
    if len(rows) < FEWEST:
        return np.zeros(len(asked.position))
    shown = lesson.texts.readings[rows]
    known = np.isfinite(shown)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, shown, 0.0).sum(0) / count
    spread = np.sqrt(np.where(known, (np.where(known, shown, 0.0) - mean) ** 2, 0.0).sum(0) / count)
    x = np.nan_to_num((np.concatenate([shown, asked.readings]) - mean) / np.where(spread > 1e-9, spread, np.inf))
    return foretell(x @ x[: len(rows)].T / x.shape[1], wanted, RIDGE)
