"""People of a rehearsal act one at a time, in the order of their moments, and what one raises ends it for all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from imitable.errors import PlatformError
from imitable.rehearsal.clock import Clock, Timeline


def test_people_act_in_the_order_of_their_moments(tmp_path: Path) -> None:
    async def show() -> None:
        timeline = Timeline(Clock(tmp_path / "clock"))
        began = timeline.now

        async def life(name: str, *, every: float) -> None:
            for _ in range(2):
                await timeline.wait(every)
                seen.append((name, (timeline.now - began).total_seconds()))

        async def come() -> None:
            timeline.begin(life("first", every=4.0))
            await timeline.wait(1.0)
            timeline.begin(life("second", every=2.0))
            await timeline.wait(100.0)
            seen.append(("last", (timeline.now - began).total_seconds()))

        await asyncio.wait_for(timeline.run(come()), 10)
        assert timeline.clock() == timeline.now

    seen: list[tuple[str, float]] = []
    asyncio.run(show())
    assert seen == [("second", 3.0), ("first", 4.0), ("second", 5.0), ("first", 8.0), ("last", 101.0)]


def test_what_somebody_raises_who_came_later_ends_it_for_all(tmp_path: Path) -> None:
    ended: list[str] = []

    async def show() -> None:
        timeline = Timeline(Clock(tmp_path / "clock"))

        async def fail() -> None:
            await timeline.wait(5.0)
            raise PlatformError("the site refuses it")

        async def come() -> None:
            timeline.begin(fail())
            try:
                await timeline.wait(100.0)
            finally:
                ended.append("come")

        running = asyncio.create_task(timeline.run(come()))
        done, _ = await asyncio.wait({running}, timeout=10)
        assert done, "everybody waits for ever"
        await running

    with pytest.raises(PlatformError, match="the site refuses it"):
        asyncio.run(show())
    assert ended == ["come"]
