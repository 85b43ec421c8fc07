"""`imitable assign`: let a sitting's later episodes go where a plan says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, insert, select

from imitable.commands.folders import built
from imitable.commands.places import places
from imitable.errors import TablesError
from imitable.store import tables


@dataclass(frozen=True)
class AssignedPlan:
    """What `imitable assign` loaded."""

    targets: int
    """Targets that are named."""
    of: int
    """Targets of the campaign."""
    share: float
    """Of a sitting's later episodes that goes to them, 0 to 1, while all have places left."""
    full: list[str]
    """Named targets whose places are all taken at every level named, on every platform: they get no episode."""
    replaced: bool
    """Whether an earlier plan was there."""


def clear(directory: Path) -> bool:
    """Remove the plan that was loaded, if any; a running server obeys at once. Says whether there was one."""
    with built(directory) as (_, store), store.write() as connection:
        connection.execute(select(tables.campaigns.c.build_hash).with_for_update())
        return connection.execute(delete(tables.planned)).rowcount > 0


def assign(directory: Path, plan: Path) -> AssignedPlan:
    """Load a plan (`imitable plan --out`) into a campaign, in place of an earlier one; a running server obeys at once.

    The first target of a sitting stays uniform, and places per target and level still bind. Raises TablesError naming
    file, line and field, and then changes nothing.
    """
    from imitable_aggregation.errors import TableError
    from imitable_aggregation.plan_files import read_plan

    with built(directory) as (folder, store):
        levels = folder.config.episode.levels
        with store.write() as connection:
            connection.execute(select(tables.campaigns.c.build_hash).with_for_update())  # nobody is assigned meanwhile
            targets = set(connection.execute(select(tables.targets.c.target_id)).scalars())
            try:
                rows = read_plan(plan, targets=targets, levels=levels)
            except TableError as error:
                raise TablesError(str(error)) from error
            replaced = connection.execute(delete(tables.planned)).rowcount > 0
            connection.execute(
                insert(tables.planned),
                [{"target_id": r.target_id, "level": r.level, "probability": r.probability} for r in rows],
            )
            offered = places(connection, folder)
        has_place = {
            row.target_id for row in rows if not offered or any(one.left(row.target_id, row.level) for one in offered)
        }
        named = {row.target_id for row in rows}
        return AssignedPlan(
            targets=len(named),
            of=len(targets),
            share=min(1.0, sum(row.probability for row in rows)),
            full=sorted(named - has_place),
            replaced=replaced,
        )
