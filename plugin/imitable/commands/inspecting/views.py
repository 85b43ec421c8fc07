"""What the inspector's two pages show, as values: the templates only lay it out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import NamedTuple

from imitable.commands.inspecting.heat import Drawing, draw
from imitable.commands.inspecting.records import Records, Tally
from imitable.rounds import AnswerKey, Item, MadeTarget, PlayedTarget
from imitable_aggregation import scoring

BINS = 20
"""Of a histogram of truths."""
LARGEST_PAGE = 30_000
"""Tokens on one page; the items after that stand on the next."""
SPLITS = {"practice": "practice", "held_out": "held-out"}
"""The splits that have items, and what they are called."""


@dataclass(frozen=True)
class Histogram:
    """Counts of truths in equal bins over the whole display scale."""

    low: float
    counts: tuple[int, ...]
    said: str
    """The same in words."""


def histogram(truths: Sequence[float], low: float) -> Histogram:
    """Count truths on the scale from `low` to 10."""
    counts = [0] * BINS
    for truth in truths:
        at = math.floor((truth - low) / (scoring.TOP - low) * BINS)
        counts[min(max(at, 0), BINS - 1)] += 1
    if not truths:
        return Histogram(low, tuple(counts), "no truths")
    near = sum(abs(truth) < 0.05 for truth in truths)
    said = (
        f"{len(truths)} truths from {min(truths):.1f} to {max(truths):.1f}, half of them at or below "
        f"{median(truths):.1f}, {near} of them 0.0"
    ).replace("-", "−")
    return Histogram(low, tuple(counts), said)


@dataclass(frozen=True)
class Row:
    """One target in the overview."""

    target: PlayedTarget
    tally: Tally
    bars: Histogram


class Column(NamedTuple):
    """A way to sort the overview."""

    title: str
    note: str
    by: Callable[[Row], str | float | None]
    falling: bool = True
    """The order of the first click."""


COLUMNS = {
    "target": Column("Target", "MODEL/SITE/INDEX, with its polarity", lambda row: row.target.target_id, False),
    "truths": Column("Truths", "histogram; sorted by their mean", lambda row: _mean(row.tally.truths)),
    "kind": Column("Kind", "what is imitated, where", lambda row: f"{row.target.kind} {row.target.site}", False),
    "polarity": Column("Side", "which side of the activation is played", lambda row: row.target.polarity, False),
    "method": Column("Chosen by", "selection methods, or units", lambda row: row.target.selected_by, False),
    "score": Column("Score", "the selection method's own score", lambda row: row.target.score),
    "l_ref": Column("l_ref", "loss of the best constant guess on held-out items", lambda row: row.target.l_ref),
    "s": Column("s", "activation at the scale's bend", lambda row: row.target.scale_s),
    "m": Column("m", "activation at the scale's end", lambda row: row.target.scale_m),
    "practice": Column("Practice", "items for practice rounds", lambda row: row.tally.splits.get("practice", 0)),
    "held_out": Column("Held-out", "items for held-out rounds", lambda row: row.tally.splits.get("held_out", 0)),
    "active": Column("Active", "share of items from active strata", lambda row: row.tally.active),
    "natural": Column("In corpus", "the same share, by the items' weights", lambda row: row.tally.natural),
}
"""The overview's columns, by the name that stands in its links."""


def _mean(numbers: Sequence[float]) -> float:
    return fmean(numbers) if numbers else 0.0


def overview(records: Records, *, sort: str = "", falling: bool = True, find: str = "") -> list[Row]:
    """The targets whose id, method or kind holds `find`; in the order of the build, or sorted by one column."""
    rows = []
    for target_id, target in records.targets.items():
        tally = records.tallies[target_id]
        if find.casefold() in f"{target_id} {target.selected_by} {target.kind}".casefold():
            rows.append(Row(target, tally, histogram(tally.truths, scoring.lowest(target.polarity))))
    if sort not in COLUMNS:
        return rows
    by = COLUMNS[sort].by
    known = [row for row in rows if by(row) is not None]
    known.sort(key=by, reverse=falling)  # type: ignore[arg-type]  # None is out
    return known + [row for row in rows if by(row) is None]


@dataclass(frozen=True)
class Shown:
    """One item with its answer."""

    item: Item
    answer: AnswerKey
    drawing: Drawing
    differs: bool
    """The stored truth or activation is not what the stored values say: such a build must not be played."""


@dataclass(frozen=True)
class Group:
    """The items of one stratum, strongest first."""

    stratum: str
    items: tuple[Shown, ...]
    of: int
    """Items of the stratum over all pages."""
    low: float
    high: float
    """Smallest and largest truth of the stratum."""


@dataclass(frozen=True)
class Page:
    """The items that are on one page of a target, under its filters."""

    groups: tuple[Group, ...]
    count: int
    """Items under the filters, over all pages."""
    number: int
    """This page, from 1."""
    pages: int
    splits: dict[str, int]
    """Items by split, under the filter by stratum."""
    strata: dict[str, int]
    """Items by stratum, under the filter by split; strongest first."""


def page_of(made: MadeTarget, *, split: str = "", stratum: str = "", number: int = 1) -> Page:
    """Group a target's items by stratum, groups by mean truth and items by truth, both falling; draw one page."""
    pairs = list(zip(made.items, made.answers, strict=True))
    truths: dict[str, list[float]] = defaultdict(list)
    for item, answer in pairs:
        truths[item.stratum].append(answer.truth)
    order = sorted(truths, key=lambda name: (-fmean(truths[name]), name))
    wanted = [pair for pair in pairs if split in ("", pair[0].split) and stratum in ("", pair[0].stratum)]
    wanted.sort(key=lambda pair: (order.index(pair[0].stratum), -pair[1].truth, pair[0].item_id))
    at_most = max(1, LARGEST_PAGE // max((len(item.offsets) for item in made.items), default=1))
    pages = max(1, math.ceil(len(wanted) / at_most))
    number = min(max(number, 1), pages)
    here = wanted[(number - 1) * at_most : number * at_most]
    groups = []
    for name in order:
        everyone = [answer.truth for item, answer in wanted if item.stratum == name]
        shown = tuple(_shown(item, answer, made.target) for item, answer in here if item.stratum == name)
        if shown:
            groups.append(Group(name, shown, len(everyone), min(everyone), max(everyone)))
    return Page(
        groups=tuple(groups),
        count=len(wanted),
        number=number,
        pages=pages,
        splits=_counts([item.split for item, _ in pairs if stratum in ("", item.stratum)], list(SPLITS)),
        strata=_counts([item.stratum for item, _ in pairs if split in ("", item.split)], order),
    )


def _counts(names: Sequence[str], order: Sequence[str]) -> dict[str, int]:
    return {name: names.count(name) for name in order}


def on_scale(target: PlayedTarget, raw: Sequence[float]) -> list[float]:
    """Raw activations on the target's display scale."""
    y = scoring.played(raw, target.polarity)
    shown: list[float] = scoring.display(y, s=target.scale_s, m=target.scale_m, polarity=target.polarity).tolist()
    return shown


def _shown(item: Item, answer: AnswerKey, target: PlayedTarget) -> Shown:
    values = on_scale(target, answer.values)
    differs = (
        not math.isclose(values[item.position], answer.truth, abs_tol=1e-6)
        or not math.isclose(answer.values[item.position], answer.activation, rel_tol=1e-6, abs_tol=1e-12)
    )  # fmt: skip
    return Shown(item, answer, draw(item.text, item.offsets, values, item.position, answer.values), differs)
