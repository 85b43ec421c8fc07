"""The time of a rehearsal: one process moves it, the game reads it, and everybody acts in the order of their moments.

A campaign of days is played in minutes, and every stored time is what it would be: people are asked for one at a time,
by who comes next, and the game's clock stands at that person's moment while it answers.
"""

from __future__ import annotations

import asyncio
import heapq
import mmap
import struct
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

_FORM = struct.Struct("=d")


class Clock:
    """A moment in a file of eight bytes. Only `imitable.rehearsal.door` reads one: `imitable serve` knows of none."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_FORM.pack(datetime.now(UTC).timestamp()))
        with path.open("r+b") as file:
            self._held = mmap.mmap(file.fileno(), _FORM.size)

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(_FORM.unpack(self._held[:])[0], UTC)

    def set(self, moment: datetime) -> None:
        """Move it, for every process that reads it."""
        self._held[:] = _FORM.pack(moment.timestamp())


class Timeline:
    """People who act one at a time, each at a moment of their own."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.now = clock()
        self._next: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = count()
        self._group: asyncio.TaskGroup

    async def wait(self, seconds: float) -> None:
        """Let time pass for whoever calls: others act meanwhile."""
        mine = self._queue(seconds)
        self._let_go()
        await mine

    def begin(self, life: Coroutine[Any, Any, None]) -> None:
        """Add somebody, whose part begins now."""
        self._group.create_task(self._live(life, self._queue(0.0)))

    async def run(self, first: Coroutine[Any, Any, None]) -> None:
        """Let `first` act, and everybody whom it lets in, to the end. What one raises ends it all."""
        try:
            async with asyncio.TaskGroup() as self._group:
                self.begin(first)
                self._let_go()
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    def _queue(self, seconds: float) -> asyncio.Future[None]:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._next, (self.now + timedelta(seconds=seconds), next(self._order), mine))
        return mine

    def _let_go(self) -> None:
        """The next one's moment has come."""
        if self._next:
            self.now, _, mine = heapq.heappop(self._next)
            self.clock.set(self.now)
            mine.set_result(None)

    async def _live(self, life: Coroutine[Any, Any, None], turn: asyncio.Future[None]) -> None:
        try:
            await turn
            await life
        finally:
            life.close()
        self._let_go()
