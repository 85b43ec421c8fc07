"""Which units a table tries, and on which side each is played."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from imitable.activations import Moments, Shard, joined, merged
from imitable.commands.asked import Asked, Floats, Unit, request_of
from imitable.commands.gathering import generator_for
from imitable.commands.work import Arrays, Stage
from imitable.errors import CampaignError
from imitable.rounds import Side, TooFlat, calibrate
from imitable.selection import Candidate, Look, Tables, ranked

SAMPLE_TOKENS = 2**18
"""Tokens on which units are calibrated, at most; a corpus that is no larger is read once."""

UNITS_AT_ONCE = 128
"""Units that a sample is read of at one time, at most: 128 MiB of activations."""

_PIECES = 16


def candidates(asked: Asked) -> tuple[int, list[Unit]]:
    """How many targets are wanted, and the units to try, best first."""
    if asked.table.select is not None:
        rng = generator_for(asked.folder, "selection", asked.prepared.loaded.model_id, asked.number)
        look = Look(asked.table.select.count, lambda wanted: _lexical(asked, wanted))
        chosen = ranked(asked.table.select.method, _moments(asked), rng, look)
        return asked.table.select.count, [asked.unit(one) for one in chosen]
    units = []
    for site in asked.sites.values():
        for unit in range(site.width) if asked.table.units is None else dict.fromkeys(asked.table.units):
            if unit >= site.width:
                raise CampaignError(
                    f"{asked.prepared.loaded.model_id}, {site.name} has units 0 to {site.width - 1}, and not {unit}. "
                    "Correct [[targets]] units."
                )
            units.append(asked.unit(Candidate(site.name, unit)))
    return len(units), units


def _moments(asked: Asked) -> dict[str, Moments]:
    """Moments of every unit of the table's sites over the whole corpus."""
    work, prepared = asked.scanning(), asked.prepared
    stage = Stage(prepared.work, "scan", *request_of(work))
    found = {name: Moments.none(site.width) for name, site in asked.sites.items()}
    with asked.progress("Scanning activations", prepared.tokens) as advance:
        for arrays in stage.results(prepared.workers, work, prepared.shards, _as_arrays, tick=advance):
            for name, site in asked.sites.items():
                count, mean, *powers, low, high = arrays[name]
                part = Moments(int(count[0]), mean, np.stack(powers), low, high)
                found[name] = merged([found[name], part], site.width)
    return found


def _as_arrays(_number: int, _shard: Shard, result: dict[str, Any]) -> Arrays:
    """Moments by site as arrays of rows: count, mean, three powers, minimum, maximum."""
    return {
        name: np.stack([np.full(len(each.mean), each.count), each.mean, *each.powers, each.minimum, each.maximum])
        for name, each in result.items()
    }


def sampled(asked: Asked, purpose: str, tokens: int) -> list[Shard]:
    """Windows of about so many tokens in all, drawn at random, in a few shards; a corpus that is no larger, whole."""
    prepared = asked.prepared
    if prepared.tokens <= tokens:
        return list(prepared.shards)
    share = tokens / prepared.tokens
    parts = []
    for number, shard in enumerate(prepared.shards):
        rng = generator_for(asked.folder, purpose, prepared.loaded.model_id, number)
        parts.append(shard.only(rng.random(len(shard)) < share))
    size = -(-len(parts) // _PIECES)
    return [joined(parts[start : start + size]) for start in range(0, len(parts), size)]


def _lexical(asked: Asked, wanted: Sequence[Candidate]) -> list[float]:
    """How much of each candidate tables of tokens foretell: learned on the documents that are not held out, and tried
    on those that are. The sample of the corpus is read once for every `UNITS_AT_ONCE` candidates."""
    splits = np.array(asked.prepared.splits)
    found: list[float] = []
    tables: Tables | None = None
    for start in range(0, len(wanted), UNITS_AT_ONCE):
        units = [asked.unit(one) for one in wanted[start : start + UNITS_AT_ONCE]]
        sample = Sample(asked, units)
        places = [np.flatnonzero(shard.focusable) for shard in sample.shards]  # never the first token of a text
        if tables is None:
            parts = list(zip(sample.shards, places, strict=True))
            tables = Tables(
                np.concatenate([shard.tokens[at] for shard, at in parts]),
                np.concatenate([shard.tokens[at - 1] for shard, at in parts]),
                np.concatenate([splits[shard.document[shard.window_at(at)]] for shard, at in parts]) == "held_out",
            )
        for unit in units:
            columns = [unit.column(read, sample.work)[at] for read, at in zip(sample.read, places, strict=True)]
            found.append(tables.foretell(np.concatenate(columns)))
    return found


class Sample:
    """Some units on a sample of the corpus' windows; on all of them, where the corpus is small."""

    def __init__(self, asked: Asked, units: list[Unit]) -> None:
        self._asked, self._units = asked, units
        self.whole = asked.prepared.tokens <= SAMPLE_TOKENS
        """Whether the sample is the whole corpus, shard by shard."""
        self.work = asked.reading(units)

    @cached_property
    def shards(self) -> list[Shard]:
        """The windows of the sample."""
        return sampled(self._asked, "sample", SAMPLE_TOKENS)

    @cached_property
    def read(self) -> list[dict[str, Floats]]:
        """Activations by site, one entry a shard of the sample."""
        found = []
        total = sum(len(shard.tokens) for shard in self.shards)
        with self._asked.progress("Reading activations", total) as advance:
            results = self._asked.prepared.workers.map(self.work, self.shards)
            for shard, read in zip(self.shards, results, strict=True):
                found.append(read)
                advance(len(shard.tokens))
        return found

    def sides(self) -> dict[Unit, Side | TooFlat]:
        """How each unit is played, or why it cannot be."""
        tokens = np.concatenate([shard.tokens[shard.focusable] for shard in self.shards])
        found: dict[Unit, Side | TooFlat] = {}
        for unit in self._units:
            parts = zip(self.shards, self.read, strict=True)
            raw = np.concatenate([unit.column(read, self.work)[shard.focusable] for shard, read in parts])
            try:
                found[unit] = calibrate(raw, tokens, self._asked.wish.polarity)
            except TooFlat as reason:
                found[unit] = reason
        return found
