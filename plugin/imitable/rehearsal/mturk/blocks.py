"""Workers whom the requester wants no work from."""

from __future__ import annotations

from imitable.rehearsal.faults import Fields
from imitable.rehearsal.mturk.paging import page
from imitable.rehearsal.mturk.world import World


def create(world: World, fields: Fields) -> Fields:
    """CreateWorkerBlock."""
    world.blocks[world.worker(fields["WorkerId"]).id] = fields["Reason"]
    return {}


def delete(world: World, fields: Fields) -> Fields:
    """DeleteWorkerBlock: it is no error if there was none."""
    world.blocks.pop(fields["WorkerId"], None)
    return {}


def list_all(world: World, fields: Fields) -> Fields:
    """ListWorkerBlocks."""
    rows = [{"WorkerId": worker, "Reason": reason} for worker, reason in world.blocks.items()]
    return page(world, "WorkerBlocks", rows, fields)
