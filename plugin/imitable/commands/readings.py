"""What a target's levels show beside its texts, read on exactly the tokens shown, and how much that tells of truths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from imitable.activations import Shard, Stream, Tap, Window, Work
from imitable.commands.asked import Asked
from imitable.commands.gathering import Prepared
from imitable.commands.panels import REST, TOKEN, Surroundings, by_level
from imitable.errors import BuildError
from imitable.rounds import Gauge, MadeTarget, Reading, shown, told
from imitable.targets import TargetId

Floats = npt.NDArray[np.float64]

PLAIN = ("text", "examples")
"""Levels that show nothing of the model but the target."""

_AT_ONCE = 2**14
"""Tokens that are run in one piece."""


@dataclass(frozen=True)
class Levelled:
    """Targets with their gauges and readings, and what a build's report says of them."""

    made: list[MadeTarget]
    report: list[dict[str, object]]
    """One entry a target and level: `target_id`, `level`, `gauges`, `r2` (of its truths from these readings)."""
    lacking: list[tuple[str, str]]
    """Targets, with the reason, that have nothing to show at one of the levels."""


def with_readings(prepared: Prepared, tables: Sequence[Asked], made: Sequence[MadeTarget]) -> Levelled:
    """Add what the campaign's levels show to the targets of one model.

    Raises BuildError where no target has anything to show at some level.
    """
    levels = [level for level in tables[0].folder.config.episode.levels if level not in PLAIN] if tables else []
    if not levels or not made:
        return Levelled(list(made), [], [])
    around = Surroundings(prepared, tables, made)
    panels = {one.target.target_id: by_level(around, at, levels) for at, one in enumerate(made)}
    whole, lacking = [], []
    for one in made:
        empty = [level for level in levels if len(panels[one.target.target_id][level]) == 0]
        if empty:
            lacking.append((one.target.target_id, _why(one, empty[0])))
        else:
            whole.append(one)
    if not whole:
        raise BuildError(
            f"No target can be played at every level: {lacking[0][0]} {lacking[0][1]}. Choose other sites in "
            "[[targets]], or take the level out of [episode] levels."
        )
    items = _Items(around, whole)
    items.run([gauge.unit for panel in panels.values() for each in panel.values() for gauge in each], levels)
    found, report = [], []
    for one in whole:
        gauges, readings = [], []
        truths = np.array([answer.truth for answer in one.answers])
        for level, chosen in panels[one.target.target_id].items():
            values, panel = items.weighed(one, chosen) if level == "weights" else (items.read(one, chosen), chosen)
            gauges += panel
            rows = [tuple(tuple(each) for each in row) for row in (values + 0.0).tolist()]
            readings += [Reading(item.item_id, level, row) for item, row in zip(one.items, rows, strict=True)]
            features = values[:, :, 1:].sum(1) if level == "weights" else values[:, :, 0]
            report.append(
                {
                    "target_id": one.target.target_id,
                    "level": level,
                    "gauges": [gauge.unit or gauge.chosen_by for gauge in panel],
                    "r2": round(told(features, truths), 3),
                }
            )
        found.append(replace(one, gauges=tuple(gauges), readings=tuple(readings)))
    return Levelled(found, report, lacking)


def _why(one: MadeTarget, level: str) -> str:
    kind = f"is a {one.target.kind} of {one.target.site}"
    if level == "upstream":
        return f"{kind} and has no neurons before it, for level upstream"
    if level == "downstream":
        return f"{kind} and has no neurons after it, for level downstream"
    if level == "weights":
        return f"{kind}, and what it reads of the residual stream is not known, for level weights"
    return f"{kind}, and there is nothing to read at level {level}"


class _Items:
    """The texts of some targets' items, each run once, and what was read at their focus tokens."""

    def __init__(self, around: Surroundings, made: Sequence[MadeTarget]) -> None:
        self.around, self.made = around, made
        self.first = Tap(around.prepared.anatomy.blocks[0].path, "input")
        """Where a token is what it is by itself."""
        places: dict[tuple[int, ...], set[int]] = {}
        for one in made:
            for item in one.items:
                places.setdefault(item.token_ids, set()).add(item.position)
        windows = [Window("", tokens, (), tuple(sorted(at)), 0) for tokens, at in places.items()]
        self.rows = {
            (window.token_ids, position): row
            for row, (window, position) in enumerate((window, at) for window in windows for at in window.focusable)
        }
        self.shards: list[Shard] = []
        held: list[Window] = []
        for window in windows:
            held.append(window)
            if sum(len(each.token_ids) for each in held) >= _AT_ONCE:
                self.shards.append(Shard.of(held))
                held = []
        self.shards += [Shard.of(held)] if held else []
        self._columns: dict[str, npt.NDArray[np.float32]] = {}
        self._caught: dict[Tap, npt.NDArray[np.float32]] = {}

    def of(self, one: MadeTarget) -> list[int]:
        """The row of every item's focus token."""
        return [self.rows[item.token_ids, item.position] for item in one.items]

    def read(self, one: MadeTarget, panel: Sequence[Gauge]) -> Floats:
        """(items, gauges, 1): what the gauges show, as it is shown."""
        return shown(self._activations(one, [gauge.unit for gauge in panel]))[:, :, None]

    def weighed(self, one: MadeTarget, panel: Sequence[Gauge]) -> tuple[Floats, list[Gauge]]:
        """(items, gauges, 1 + parts): activations and what each adds to what the target reads; weights to match.

        Everything is scaled so that the largest activation of a unit, and the largest sum of a part, show as 10. The
        second part of a gated unit that is played on its negative side is turned around, so that more is more.
        """
        found = self.around.joins(one.target)
        assert found is not None  # noqa: S101  # its panel is not empty
        joins, row = found
        units = [gauge.unit for gauge in panel if gauge.unit]
        at = self.of(one)
        x, token = self._caught[joins.norm.tap][at], self._caught[self.first][at].astype(np.float64)
        reads, size = joins.reads[:, row].astype(np.float64), joins.norm.size(x.astype(np.float64))[:, None]
        whole = x @ reads.T / size + joins.bias[:, row]  # (items, parts)
        turn = np.ones(len(reads))
        if len(reads) == 2 and one.target.polarity == "neg":
            turn[1] = -1
        scale = turn * 10 / np.maximum(np.abs(whole).max(0), 1e-12)
        activations = self._activations(one, units) / size
        grow = 10 / np.maximum(np.abs(activations).max(0), 1e-12)
        values = np.zeros((len(at), len(panel), 1 + len(reads)))
        gauges = list(panel)
        for place, gauge in enumerate(panel):
            if gauge.chosen_by == TOKEN:
                values[:, place, 1:] = np.round(token @ reads.T / size * scale, 2)
            elif gauge.unit:
                column = units.index(gauge.unit)
                weights = np.round(np.array(gauge.weights) * scale / grow[column], 3)
                values[:, place, 0] = np.round(activations[:, column] * grow[column], 1)
                values[:, place, 1:] = np.round(values[:, place, :1] * weights, 2)
                gauges[place] = replace(gauge, weights=tuple(weights.tolist()))
        rest = next(place for place, gauge in enumerate(panel) if gauge.chosen_by == REST)
        values[:, rest, 1:] = np.round(whole * scale - values[:, :, 1:].sum(1), 2)
        return values, gauges

    def _activations(self, one: MadeTarget, units: Sequence[str]) -> Floats:
        if not units:
            return np.zeros((len(one.items), 0))
        return np.stack([self._columns[unit] for unit in units], axis=1)[self.of(one)].astype(np.float64)

    def run(self, units: Sequence[str], levels: Sequence[str]) -> None:
        """Run every text, and keep these units at the focus tokens; for level `weights`, the residual stream too."""
        wanted = [TargetId.parse(unit) for unit in dict.fromkeys(units) if unit]
        chosen: dict[str, tuple[int, ...]] = {}
        for unit in wanted:
            chosen[unit.site] = (*chosen.get(unit.site, ()), unit.index)
        joins = [self.around.joins(one.target) for one in self.made] if "weights" in levels else []
        taps = tuple(dict.fromkeys([self.first, *(each[0].norm.tap for each in joins if each)] if joins else []))
        work = Work(tuple(self.around.sites[name] for name in chosen), chosen, "float32")
        workers, progress = self.around.prepared.workers, self.around.tables[0].progress
        parts: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in chosen}
        caught: dict[Tap, list[npt.NDArray[np.float32]]] = {tap: [] for tap in taps}
        with progress("Reading what levels show", sum(len(shard.tokens) for shard in self.shards)) as advance:
            streams = workers.map(Stream(taps), self.shards) if taps else iter([{}] * len(self.shards))
            for shard, read, stream in zip(self.shards, workers.map(work, self.shards), streams, strict=True):
                for name, each in read.items():
                    parts[name].append(each[shard.focusable])
                for tap, passed in stream.items():
                    caught[tap].append(passed)
                advance(len(shard.tokens))
        self._caught = {tap: np.concatenate(each) for tap, each in caught.items()}
        columns = {name: np.concatenate(each) for name, each in parts.items()}
        for unit in wanted:
            self._columns[str(unit)] = columns[unit.site][:, chosen[unit.site].index(unit.index)]
