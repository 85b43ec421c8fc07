"""A stand-in as an ASGI app: everything wired together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette

from imitable.rehearsal.faults import Faulty
from imitable.rehearsal.prolific import hooks
from imitable.rehearsal.prolific.api import Api
from imitable.rehearsal.prolific.front import ApiFront
from imitable.rehearsal.prolific.sides import Sides
from imitable.rehearsal.prolific.signing import Signer
from imitable.rehearsal.prolific.world import Settings, World

_HOOKS_EVERY = 0.05
"""Seconds between two looks at what is to be told to subscribers."""


def stand_in(settings: Settings, *, cents: int, seed: int) -> Faulty:
    """An account with so many cents in its wallet. `seed` decides by chance whom faults strike."""
    world, signer = World(settings), Signer()
    world.deposited = cents

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        telling = asyncio.create_task(_tell(world))
        yield
        telling.cancel()

    def faulty() -> Faulty:
        return made

    routes = [*Api(world, signer).routes(), *Sides(world, signer, faulty).routes()]
    made = Faulty(Starlette(routes=routes, lifespan=lifespan), ApiFront(), seed)
    return made


async def _tell(world: World) -> None:
    trusted = httpx.create_ssl_context(trust_env=False)
    async with httpx.AsyncClient(timeout=10.0, trust_env=False, verify=trusted) as client:
        while True:
            await hooks.deliver(world, client)
            await asyncio.sleep(_HOOKS_EVERY)
