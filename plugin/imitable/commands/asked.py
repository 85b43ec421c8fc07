"""One [[targets]] table of one model: its sites, what it wishes for, and how its units are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imitable.activations import Site, Work, find_sites
from imitable.campaign import Folder, Targets
from imitable.commands.gathering import Prepared, least_items
from imitable.commands.progress import Progress
from imitable.rounds import Wish
from imitable.selection import Candidate
from imitable.targets import TargetId

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Unit:
    """One candidate, and its id with polarity `pos`, until the side is chosen."""

    candidate: Candidate
    identity: TargetId

    def column(self, read: dict[str, Floats], work: Work) -> Floats:
        """This unit's activations, of those that `work` read."""
        site = self.candidate.site
        column: Floats = read[site][:, (work.units or {})[site].index(self.candidate.unit)]
        return column


@dataclass(frozen=True)
class Asked:
    """What one [[targets]] table asks of one model."""

    folder: Folder
    prepared: Prepared
    table: Targets
    number: int
    """0-based place of the table in campaign.toml."""
    sites: dict[str, Site]
    wish: Wish
    progress: Progress

    def unit(self, candidate: Candidate) -> Unit:
        """A candidate with its id."""
        return Unit(candidate, TargetId(self.prepared.loaded.model_id, candidate.site, candidate.unit))

    def reading(self, units: Sequence[Unit]) -> Work:
        """Reads these units at every token, in the scanning dtype."""
        chosen: dict[str, list[int]] = {}
        for unit in units:
            chosen.setdefault(unit.candidate.site, []).append(unit.candidate.unit)
        return Work(
            tuple(self.sites[name] for name in chosen),
            {name: tuple(each) for name, each in chosen.items()},
            self.prepared.dtype,
        )

    def scanning(self) -> Work:
        """Takes the moments of all units of all sites."""
        return Work(tuple(self.sites.values()), None, self.prepared.dtype)


def asked(folder: Folder, prepared: Prepared, table: Targets, number: int, progress: Progress) -> Asked:
    """Find the sites of a table. Raises CampaignError and ModelError as `find_sites` does."""
    sites = find_sites(prepared.loaded, prepared.anatomy, table, base=folder.path)
    least = least_items(folder)
    wish = Wish(
        polarity=table.played,
        pool=folder.config.episode.pool,
        least=(least["practice"], least["held_out"]),
        selected_by=table.select.method if table.select else "units",
    )
    return Asked(folder, prepared, table, number, {site.name: site for site in sites}, wish, progress)


def request_of(work: Work) -> tuple[Any, ...]:
    """Everything that the results of `work` depend on, besides the model and the shards."""
    return [(site.name, site.file_hash) for site in work.sites], work.units, work.dtype
