"""What a target's levels show beside its texts, read on exactly the tokens shown, and how much that tells of truths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from imitable.activations import Coordinates, Shard, Site, Tap, Window, Work
from imitable.commands.asked import Asked
from imitable.commands.gathering import Prepared
from imitable.commands.panels import Surroundings, gauges_of
from imitable.errors import BuildError
from imitable.rounds import REST, TOKEN, Gauge, MadeTarget, Reading, shown, told
from imitable.targets import TargetId

Floats = npt.NDArray[np.float64]

_AT_ONCE = 2**14
"""Tokens that are run in one piece."""

_COPY = 0.9999
"""Correlation from which on two units are one."""


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

    Raises BuildError where no target has anything to show at some level, and where a unit would be shown that is a copy
    of a target.
    """
    levels = tables[0].folder.config.episode.beyond if tables else []
    if not levels or not made:
        return Levelled(list(made), [], [])
    around = Surroundings(prepared, tables, made)
    panels = {
        one.target.target_id: {level: gauges_of(around, at, level) for level in levels} for at, one in enumerate(made)
    }
    whole, lacking = [], []
    for one in made:
        empty = next((level for level, panel in panels[one.target.target_id].items() if not panel), None)
        if empty is None:
            whole.append(one)
        else:
            lacking.append((one.target.target_id, _why(one, empty)))
    if not whole:
        raise BuildError(
            f"No target can be played at every level: {lacking[0][0]} {lacking[0][1]}. Choose other sites in "
            "[[targets]], or take the level out of [episode] levels."
        )
    shown_units = {gauge.unit for panel in panels.values() for each in panel.values() for gauge in each if gauge.unit}
    items = _Items(around, whole, sorted(shown_units), stream="weights" in levels)
    items.refuse_copies()
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


@dataclass(frozen=True)
class Told:
    """How much of the truths a level's readings tell: R², each item foretold from all others."""

    level: str
    targets: int
    median: float
    largest: float
    target_id: str
    """Where it is largest."""


def told_by_level(report: Sequence[Mapping[str, Any]]) -> list[Told]:
    """From the `readings` of a build's report, one entry a level."""
    by_level: dict[str, list[Mapping[str, Any]]] = {}
    for one in report:
        by_level.setdefault(one["level"], []).append(one)
    found = []
    for level, each in by_level.items():
        most = max(each, key=lambda one: float(one["r2"]))
        found.append(Told(level, len(each), median(one["r2"] for one in each), most["r2"], most["target_id"]))
    return found


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
    """The texts of some targets' items, run once, and what was read at their focus tokens."""

    def __init__(self, around: Surroundings, made: Sequence[MadeTarget], units: Sequence[str], *, stream: bool) -> None:
        """Reads `units`, by id; with `stream`, also what the targets read of the residual stream."""
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
        wanted = [TargetId.parse(unit) for unit in units]
        chosen: dict[str, tuple[int, ...]] = {}
        for unit in wanted:
            chosen[unit.site] = (*chosen.get(unit.site, ()), unit.index)
        sites = {name: around.sites[name] for name in chosen}
        taps = self._taps() if stream else {}
        for site in taps.values():
            sites[site.name], chosen[site.name] = site, tuple(range(site.width))
        read = self._read(windows, Work(tuple(sites.values()), chosen, "float32"))
        self._caught = {tap: read[site.name] for tap, site in taps.items()}
        self._columns = {str(unit): read[unit.site][:, chosen[unit.site].index(unit.index)] for unit in wanted}

    def _taps(self) -> dict[Tap, Site]:
        """The places of the residual stream that tables of weights are made of, as sites of its numbers."""
        hidden = self.around.prepared.anatomy.hidden
        joins = [self.around.joins(one.target) for one in self.made]
        taps = dict.fromkeys([self.first, *(each.norm.tap for each in joins if each is not None)])
        return {tap: Site(f"{tap.side} of {tap.module}", 0, tap, hidden, hidden, Coordinates()) for tap in taps}

    def _read(self, windows: Sequence[Window], work: Work) -> dict[str, npt.NDArray[np.float32]]:
        """By site: activations at the focus tokens, (rows, units)."""
        shards: list[Shard] = []
        held: list[Window] = []
        for window in windows:
            held.append(window)
            if sum(len(each.token_ids) for each in held) >= _AT_ONCE:
                shards.append(Shard.of(held))
                held = []
        shards += [Shard.of(held)] if held else []
        parts: dict[str, list[npt.NDArray[np.float32]]] = {site.name: [] for site in work.sites}
        prepared, progress = self.around.prepared, self.around.tables[0].progress
        with progress("Reading what levels show", sum(len(shard.tokens) for shard in shards)) as advance:
            for shard, read in zip(shards, prepared.workers.map(work, shards), strict=True):
                for name, each in read.items():
                    parts[name].append(each[shard.focusable])
                advance(len(shard.tokens))
        return {name: np.concatenate(each) for name, each in parts.items()}

    def of(self, one: MadeTarget) -> list[int]:
        """The row of every item's focus token."""
        return [self.rows[item.token_ids, item.position] for item in one.items]

    def refuse_copies(self) -> None:
        """Raise BuildError where a unit that is shown goes with a target as only a copy of it does."""
        for one in self.made:
            truths = np.array([answer.activation for answer in one.answers])
            for unit in self._columns:
                read = self._activations(one, [unit])[:, 0]
                spread = read.std() * truths.std()
                if spread > 0 and abs(((read - read.mean()) * (truths - truths.mean())).mean()) > _COPY * spread:
                    raise BuildError(
                        f"{unit} would be shown beside texts, and it is a copy of the target {one.target.target_id}, "
                        "whose truths it would tell. Leave that target out of campaign.toml, or what shows the copy: "
                        "[readings] probes or units, or a level of [episode] levels."
                    )

    def read(self, one: MadeTarget, panel: Sequence[Gauge]) -> Floats:
        """(items, gauges, 1): what the gauges show, as it is shown."""
        return shown(self._activations(one, [gauge.unit for gauge in panel]))[:, :, None]

    def weighed(self, one: MadeTarget, panel: Sequence[Gauge]) -> tuple[Floats, list[Gauge]]:
        """(items, gauges, 1 + parts): activations and what each adds to what the target reads; weights to match.

        Everything is scaled so that the largest activation of a unit, and the largest sum of a part, show as 10. What
        is played on its negative side is turned around (of a gated unit the second part), so that more is more.
        """
        joins = self.around.joins(one.target)
        assert joins is not None  # noqa: S101  # its panel is not empty
        units = [gauge.unit for gauge in panel if gauge.unit]
        at = self.of(one)
        x, token = self._caught[joins.norm.tap][at].astype(np.float64), self._caught[self.first][at].astype(np.float64)
        reads, size = joins.reads[:, one.target.unit].astype(np.float64), joins.norm.size(x)[:, None]
        whole = x @ reads.T / size + joins.bias[:, one.target.unit]  # (items, parts)
        scale = 10 / np.maximum(np.abs(whole).max(0), 1e-12)
        if one.target.polarity == "neg":
            scale[-1] = -scale[-1]
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
        found = np.zeros((len(one.items), len(units)))
        rows = self.of(one)
        for column, unit in enumerate(units):
            found[:, column] = self._columns[unit][rows]
        return found
