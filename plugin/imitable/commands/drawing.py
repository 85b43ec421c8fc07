"""From one [[targets]] table to targets: units are tried, best first, until there are enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imitable.activations import Shard
from imitable.commands.answering import answer
from imitable.commands.asked import Asked, Floats, Unit, request_of
from imitable.commands.choosing import UNITS_AT_ONCE, Sample, candidates
from imitable.commands.gathering import generator_for
from imitable.commands.work import Arrays, Stage
from imitable.rounds import (
    Draft,
    MadeTarget,
    Seen,
    Side,
    TooFlat,
    draft_target,
    make_target,
    of_unit,
    see,
    upper_quantile,
)


@dataclass(frozen=True)
class LeftOut:
    """A unit that could not become a target."""

    target_id: str
    reason: str


def draw_targets(asked: Asked) -> tuple[int, list[MadeTarget], list[LeftOut]]:
    """How many targets the table asks for, those made, and the units left out.

    Each further pass over the corpus reads twice as many units.
    """
    wanted, units = candidates(asked)
    made: list[MadeTarget] = []
    left_out: list[LeftOut] = []
    size = wanted + wanted // 4
    while units and len(made) < wanted:
        at_once = min(size, UNITS_AT_ONCE)
        batch, units = units[:at_once], units[at_once:]
        size *= 2
        for result in _made(asked, batch):
            if isinstance(result, LeftOut):
                left_out.append(result)
            elif len(made) < wanted:
                made.append(result)
            else:
                break
    return wanted, made, left_out


def _made(asked: Asked, units: list[Unit]) -> Iterator[MadeTarget | LeftOut]:
    """Every unit as a target, or why it is none, in order."""
    sample = Sample(asked, units)
    found: dict[Unit, Side | Draft | TooFlat] = {**sample.sides()}
    found |= _drafts(asked, {unit: side for unit, side in found.items() if isinstance(side, Side)}, sample)
    answers = answer(asked, {unit: draft for unit, draft in found.items() if isinstance(draft, Draft)})
    for unit in units:
        draft = found[unit]
        try:
            if isinstance(draft, TooFlat):
                raise draft
            if isinstance(draft, Draft):
                yield make_target(draft, answers=answers[unit], wish=asked.wish, derive=asked.folder.derive)
        except TooFlat as reason:
            yield LeftOut(str(unit.identity), str(reason))


def _drafts(asked: Asked, sides: Mapping[Unit, Side], sample: Sample) -> dict[Unit, Draft | TooFlat]:
    """Go over the whole corpus once and draw every unit's items and examples."""
    kept = {unit: asked.wish.nothing_yet() for unit in sides}
    tails = dict.fromkeys(sides, np.zeros(0, np.int64))
    places = 0
    splits = np.array(asked.prepared.splits)
    for number, seen in enumerate(_seen(asked, sides, sample) if sides else ()):
        places += int(seen.places[0])
        of_split = {split: splits[seen.document] == split for split in asked.wish.nothing_yet()}
        for at, unit in enumerate(sides):
            tails[unit] = seen.tail[at] + (tails[unit] if len(tails[unit]) else 0)
            for split, documents in of_split.items():
                new = of_unit(seen, at, shard=number, documents=documents)
                kept[unit][split] = kept[unit][split].taking(new)
    found: dict[Unit, Draft | TooFlat] = {}
    for unit, side in sides.items():
        try:
            found[unit] = draft_target(
                unit.identity,
                side=side,
                kept=kept[unit],
                upper=side.bound if sample.whole else upper_quantile(tails[unit], places, bound=side.bound),
                wish=asked.wish,
                score=unit.candidate.score,
                file_hash=asked.sites[unit.candidate.site].file_hash or asked.prepared.loaded.sha256,
                rng=generator_for(asked.folder, "pool", unit.identity),
            )
        except TooFlat as reason:
            found[unit] = reason
    return found


def _seen(asked: Asked, sides: Mapping[Unit, Side], sample: Sample) -> Iterator[Seen]:
    """What every shard holds of the units. A sample that is the whole corpus has been read already."""
    prepared = asked.prepared

    def look(number: int, shard: Shard, read: dict[str, Floats]) -> Arrays:
        columns: npt.NDArray[np.float32] = np.stack([unit.column(read, work) for unit in sides], axis=1)
        rngs = [generator_for(asked.folder, "places", unit.identity, number) for unit in sides]
        return see(shard, columns, list(sides.values()), rngs).arrays()

    if sample.whole:
        work = sample.work
        for number, shard in enumerate(prepared.shards):
            yield Seen(**look(number, shard, sample.read[number]))
        return
    work = asked.reading(list(sides))
    stage = Stage(prepared.work, "draw", *request_of(work), [(side.polarity, side.bound) for side in sides.values()])
    with asked.progress("Drawing items", prepared.tokens) as advance:
        for arrays in stage.results(prepared.workers, work, prepared.shards, look, tick=advance):
            yield Seen(**arrays)
