"""Which other units a target's levels show: chosen by the model's weights, and by what is active together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imitable.activations import (
    Joins,
    Site,
    Together,
    Wiring,
    Work,
    correlations,
    find_sites,
    neuron_site,
    strength,
)
from imitable.campaign import Targets
from imitable.commands.asked import Asked
from imitable.commands.choosing import sampled
from imitable.commands.gathering import Prepared
from imitable.errors import CampaignError
from imitable.rounds import REST, TOKEN, Gauge, MadeTarget, PlayedTarget, in_turn, strongest
from imitable.targets import TargetId, read_decoder

Doubles = npt.NDArray[np.float64]

SAMPLE_TOKENS = 2**15
"""Tokens that correlations are taken over, at most: their standard error is below 0.01 then."""

_FEW = 9
"""A site with fewer units than this has no neighbours of its own: the neurons of its block stand for them."""

_CONSULTED = 12
"""Units that level `consult` offers where campaign.toml names none."""


@dataclass
class Surroundings:
    """What is known of one model around its targets."""

    prepared: Prepared
    tables: Sequence[Asked]
    made: Sequence[MadeTarget]
    sites: dict[str, Site] = field(init=False)
    """Sites of the targets, all neurons, and the probes that are read."""
    neurons: list[Site] = field(init=False)
    """Of every block that has any."""
    probes: list[Site] = field(init=False)
    """Those of [readings] probes."""
    wiring: Wiring = field(init=False)
    played: frozenset[tuple[str, int]] = field(init=False)
    """Units that are targets, by whatever name of their site. None of them is ever read beside another: that would tell
    its truths."""

    def __post_init__(self) -> None:
        anatomy = self.prepared.anatomy
        self.neurons = [neuron_site(anatomy, block.layer) for block in anatomy.blocks if block.mlp is not None]
        self.sites = {site.name: site for site in self.neurons}
        for table in self.tables:
            self.sites |= table.sites
        config = self.tables[0].folder.config
        self.probes = [self._probe(file) for file in config.readings.probes]
        self.wiring = Wiring(self.prepared.loaded, anatomy)
        place = {name: (site.tap, site.file_hash) for name, site in self.sites.items()}  # a file may have several names
        targets = {(place[one.target.site], one.target.unit) for one in self.made}
        self.played = frozenset((name, unit) for name, at in place.items() for where, unit in targets if where == at)
        self._joins: dict[str, Joins | None] = {}
        self._correlated: tuple[dict[str, Doubles], dict[str, Doubles]] | None = None

    def _probe(self, file: str) -> Site:
        folder = self.tables[0].folder
        table = Targets(kind="probe", file=file)
        [site] = find_sites(self.prepared.loaded, self.prepared.anatomy, table, base=folder.path)
        if self.sites.setdefault(site.name, site).file_hash != site.file_hash:
            raise CampaignError(f"[readings] probes and [[targets]] mean two files by {site.name}. Rename one of them.")
        return site

    def joins(self, target: PlayedTarget) -> Joins | None:
        """How the units of a target's site are joined to the stream; None where that is not known."""
        if target.site not in self._joins:
            table = next(one for one in self.tables if target.site in one.sites)
            decoder = None
            if target.kind == "latent":
                decoder = read_decoder(table.folder.path / Path(table.table.file or "").expanduser())
            self._joins[target.site] = self.wiring.of(self.sites[target.site], decoder)
        return self._joins[target.site]

    def correlated(self) -> tuple[dict[str, Doubles], dict[str, Doubles]]:
        """By site: the correlation of every target, in order, with all units (targets, width); units' deviations."""
        if self._correlated is None:
            units: dict[str, tuple[int, ...]] = {}
            for one in self.made:
                units[one.target.site] = (*units.get(one.target.site, ()), one.target.unit)
            chosen = Work(tuple(self.sites[name] for name in units), units, self.prepared.dtype)
            others = {site.name: site for site in (*self.neurons, *chosen.sites)}
            found, deviations = correlations(self._summed(Together(chosen, tuple(others.values()))))
            rows = [(name, unit) for name, each in units.items() for unit in each]
            order = [rows.index((one.target.site, one.target.unit)) for one in self.made]
            self._correlated = {name: each[order] for name, each in found.items()}, deviations
        return self._correlated

    def _summed(self, work: Together) -> Iterator[dict[str, Doubles]]:
        """The sums of a sample's shards, one after the other."""
        shards = sampled(self.tables[0], "together", SAMPLE_TOKENS)
        total = sum(len(shard.tokens) for shard in shards)
        with self.tables[0].progress("Finding what is active together", total) as advance:
            for shard, sums in zip(shards, self.prepared.workers.map(work, shards), strict=True):
                yield sums
                advance(len(shard.tokens))


def gauges_of(around: Surroundings, at: int, level: str) -> list[Gauge]:
    """What a level shows beside the texts of one target, the `at`th. Empty where there is nothing to show."""
    one, settings = around.made[at].target, around.tables[0].folder.config.readings
    if level == "probes":
        return _probes(around, one)
    if level == "consult":
        return _consulted(around, at)
    if level == "weights":
        return _weights(around, at, most=settings.show - 2)
    chosen = in_turn(_ranked(around, at, level, most=settings.show), most=settings.show)
    return [
        Gauge(one.target_id, level, place, _id(around, unit), why, round(size, 6), ())
        for place, (unit, why, size) in enumerate(chosen)
    ]


def _ranked(around: Surroundings, at: int, level: str, *, most: int) -> dict[str, list[tuple[tuple[str, int], float]]]:
    """The two lists that a level takes from, each strongest first. By weight alone where weights are known."""
    target, joined = around.made[at].target, around.joins(around.made[at].target)
    correlated, _ = around.correlated()
    site = around.sites[target.site]
    if level == "neighbours":
        near = around.sites[target.site] if site.width >= _FEW else _neurons_at(around, site.layer)
        sites, names = [near] if near else [], ("direction", "co-activation")
    elif level == "upstream":
        last = joined.after if joined else site.layer
        sites, names = [each for each in around.neurons if each.layer < last], ("weight", "correlation")
    else:
        first = joined.before if joined else site.layer + 1
        sites, names = [each for each in around.neurons if each.layer >= first], ("weight", "correlation")
    by_weight = {each.name: found for each in sites if (found := _joined(around, target, each, level)) is not None}
    together = {each.name: correlated[each.name][at] for each in sites}
    return {
        name: strongest(each, without=around.played, most=2 * most)
        for name, each in zip(names, (by_weight, together), strict=True)
    }


def _joined(around: Surroundings, target: PlayedTarget, site: Site, level: str) -> Doubles | None:
    """How strongly a target is joined to each unit of a site (width,): cosine of what both write, or connection."""
    joins = around.joins(target)
    if joins is None:
        return None
    if level == "upstream":
        neurons = around.wiring.neurons(site.layer)
        if neurons is None or neurons.writes is None:
            return None
        return _doubles(strength(joins.reads[:, [target.unit]], neurons.writes)[0])
    if joins.writes is None:
        return None
    mine = joins.writes[[target.unit]]
    if level == "downstream":
        neurons = around.wiring.neurons(site.layer)
        return None if neurons is None else _doubles(strength(neurons.reads, mine)[:, 0])
    others = joins.writes if site.name == target.site else _writes(around, site)
    if others is None:
        return None
    lengths = np.linalg.norm(others, axis=1) * np.linalg.norm(mine)
    return _doubles(others @ mine[0] / np.where(lengths > 0, lengths, 1))


def _doubles(values: npt.NDArray[np.floating]) -> Doubles:
    return values.astype(np.float64)


def _writes(around: Surroundings, site: Site) -> npt.NDArray[np.float32] | None:
    neurons = around.wiring.neurons(site.layer)
    return None if neurons is None else neurons.writes


def _neurons_at(around: Surroundings, layer: int) -> Site | None:
    return next((each for each in around.neurons if each.layer == layer), None)


def _weights(around: Surroundings, at: int, *, most: int) -> list[Gauge]:
    """The token itself, the neurons that add most to what the target reads, and the rest."""
    target, joins = around.made[at].target, around.joins(around.made[at].target)
    if joins is None:
        return []
    _, deviations = around.correlated()
    upstream = {
        site.name: each * deviations[site.name]
        for site in around.neurons
        if site.layer < joins.after and (each := _joined(around, target, site, "upstream")) is not None
    }
    found = [Gauge(target.target_id, "weights", 0, "", TOKEN, 0.0, ())]
    for (name, unit), _size in strongest(upstream, without=around.played, most=most):
        neurons = around.wiring.neurons(around.sites[name].layer)
        assert neurons is not None  # noqa: S101  # `_joined` found its weights
        assert neurons.writes is not None  # noqa: S101
        connection = tuple((joins.reads[:, target.unit] @ neurons.writes[unit]).astype(float).tolist())
        largest = max(connection, key=abs)
        found.append(
            Gauge(target.target_id, "weights", len(found), _id(around, (name, unit)), "weight", largest, connection)
        )
    return [*found, Gauge(target.target_id, "weights", len(found), "", REST, 0.0, ())]


def _probes(around: Surroundings, target: PlayedTarget) -> list[Gauge]:
    folder = around.tables[0].folder
    units = [(site.name, unit) for site in around.probes for unit in range(site.width)]
    found = [
        Gauge(target.target_id, "probes", place, _id(around, unit), "probe", 0.0, ())
        for place, unit in enumerate(unit for unit in units if unit not in around.played)
    ]
    if len(found) > folder.config.readings.show:
        raise CampaignError(
            f"[readings] probes name {len(found)} probes that are not targets, and {folder.config.readings.show} can "
            "be shown at one time. Name fewer."
        )
    return found


def _consulted(around: Surroundings, at: int) -> list[Gauge]:
    """The units that a player may ask for: those that campaign.toml declares, or those that the other levels show."""
    target, named = around.made[at].target, around.tables[0].folder.config.readings.units
    if not named:
        lists = {
            f"{level} {how}": pairs
            for level in ("neighbours", "upstream", "downstream")
            for how, pairs in _ranked(around, at, level, most=_CONSULTED).items()
        }
        chosen = in_turn(lists, most=_CONSULTED)
        return [
            Gauge(target.target_id, "consult", place, _id(around, unit), why.split()[0], round(size, 6), ())
            for place, (unit, why, size) in enumerate(chosen)
        ]
    found: list[Gauge] = []
    for text in named:
        name, _, index = text.rpartition("/")
        site = around.sites.get(name)
        if site is None or not re.fullmatch("[0-9]{1,9}", index) or int(index) >= site.width:
            raise CampaignError(
                f"[readings] units names '{text}', which {around.prepared.loaded.model_id} has not. Write SITE/INDEX, "
                'such as "mlp.3/117".'
            )
        if (name, int(index)) not in around.played:
            unit = _id(around, (name, int(index)))
            found.append(Gauge(target.target_id, "consult", len(found), unit, "declared", 0.0, ()))
    return found


def _id(around: Surroundings, unit: tuple[str, int]) -> str:
    return str(TargetId(around.prepared.loaded.model_id, *unit))
