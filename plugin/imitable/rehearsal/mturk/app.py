"""A stand-in as an ASGI app: everything wired together."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Route

from imitable.rehearsal.faults import Faulty
from imitable.rehearsal.mturk.api import Api, ApiFront
from imitable.rehearsal.mturk.model import Model
from imitable.rehearsal.mturk.sides import Sides
from imitable.rehearsal.mturk.worker_site import WorkerSite
from imitable.rehearsal.mturk.world import Settings, World


def stand_in(settings: Settings, model: Model, *, cents: int, seed: int) -> Faulty:
    """An account with so many cents. `seed` decides by chance whom faults strike."""
    world = World(settings, cents)

    def faulty() -> Faulty:
        return made

    api = Route("/", Api(world, model).serve, methods=["POST"])
    routes = [api, *Sides(world, faulty).routes(), *WorkerSite(world, model).routes()]
    made = Faulty(Starlette(routes=routes), ApiFront(world), seed)
    return made
