"""Playing a sitting over HTTP, as a browser would: for simulated annotators and for tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from imitable.game.simulated import SimulatedAnnotator

PATIENCE = 30.0
"""Seconds that a player keeps trying to reach a server that does not answer."""


Think = Callable[[Mapping[str, Any]], Awaitable[object]]
"""Waited for before a page is answered: how long a person looks at it."""


async def at_once(_view: Mapping[str, Any]) -> None:
    """Programs need no time."""


@dataclass
class Played:
    """What a player remembers of its sitting."""

    name: str
    guesses: list[tuple[str, float]] = field(default_factory=list)
    """(round_id, guess) in the order in which the server confirmed them."""
    finished: bool = False
    """True when the sitting came to its end, or was stopped, and False when the player left."""
    finish: str = ""
    """Where the last page leads, for a platform that is told of the end; empty without one."""
    handed_in: dict[str, str] = field(default_factory=dict)
    """The fields that its form sends there."""


async def play_sitting(
    client: httpx.AsyncClient,
    link: str,
    annotator: SimulatedAnnotator,
    *,
    stop_after: int | None = None,
    leave_after: int | None = None,
    think: Think = at_once,
    tick: Callable[[int], object] = lambda _guesses: None,
) -> Played:
    """Play the sitting behind a personal link to its end. Raises httpx errors when the server stays away."""
    address = urlsplit(link)
    root = f"{address.scheme}://{address.netloc}{address.path.rpartition('/j/')[0]}"
    code = address.path.rpartition("/")[2]
    return await _play(
        client, root, code, annotator, stop_after=stop_after, leave_after=leave_after, think=think, tick=tick
    )


async def play_arrival(
    client: httpx.AsyncClient,
    link: str,
    annotator: SimulatedAnnotator,
    *,
    stop_after: int | None = None,
    leave_after: int | None = None,
    think: Think = at_once,
    tick: Callable[[int], object] = lambda _guesses: None,
) -> Played:
    """Play the sitting to which a platform's address leads.

    With `stop_after`, stop after so many guesses; with `leave_after`, close the page without a word then. Raises httpx
    errors when the server stays away.
    """
    address = urlsplit(link)
    root = f"{address.scheme}://{address.netloc}{address.path.rpartition('/')[0]}"
    landing = await _ask(client, "GET", link)
    if landing["kind"] != "landing":
        raise RuntimeError(f"the game answered with {landing['kind']!r}: {landing.get('message', '')}")
    code = str(landing["code"])
    return await _play(
        client, root, code, annotator, stop_after=stop_after, leave_after=leave_after, think=think, tick=tick
    )


async def _play(
    client: httpx.AsyncClient,
    root: str,
    code: str,
    annotator: SimulatedAnnotator,
    *,
    stop_after: int | None,
    leave_after: int | None,
    think: Think,
    tick: Callable[[int], object],
) -> Played:
    played = Played(annotator.profile.name)

    async def post(form: str, **fields: str) -> dict[str, Any]:
        return await _ask(client, "POST", f"{root}/{form}", fields)

    await think({"kind": "landing"})
    view = await post("start", code=code, agree="yes")
    token = str(view["token"])
    while True:
        if view["kind"] != "done" and len(played.guesses) == leave_after:
            return played
        if view["kind"] != "done" and len(played.guesses) == stop_after:
            view = await post("stop", token=token)
        await think(view)
        match view["kind"]:
            case "round" if view["tutorial"]:
                guess = annotator.guess(view)
                view = await post("tutorial", token=token, step=view["round_id"], guess=f"{guess:g}")
            case "round":
                if view["first_of_target"] and view["progress"]["episode"] > 1 and annotator.leaves():
                    return played
                while (place := annotator.looks_up(view)) is not None:
                    view = await post("look", token=token, round_id=view["round_id"], place=str(place))
                if view["kind"] != "round":  # the sitting was ended meanwhile
                    continue
                guess, asked = annotator.guess(view), view["round_id"]
                view = await post("guess", token=token, round_id=asked, guess=f"{guess:g}")
                played.guesses.append((asked, guess))
                tick(1)
            case "reveal":
                annotator.learn(view)
                view = await post("play", token=token)
            case "questions":
                fun = str(int(annotator.rng.integers(1, 6)))
                view = await post("answers", token=token, episode_id=view["episode_id"], fun=fun, interest=fun)
            case "done":
                played.finished = True
                finish = view.get("finish") or {}
                played.finish, played.handed_in = finish.get("url", ""), dict(finish.get("fields") or ())
                return played
            case other:
                raise RuntimeError(f"the game answered with {other!r}: {view.get('message', '')}")


async def _ask(
    client: httpx.AsyncClient, method: str, url: str, fields: dict[str, str] | None = None
) -> dict[str, Any]:
    """Ask for a page; while the server is away or busy, try again: a repeated guess is harmless."""
    until, pause = time.monotonic() + PATIENCE, 0.05
    while True:
        try:
            reply = await client.request(method, url, data=fields, headers={"Accept": "application/json"})
            if (reply.status_code < 500 and reply.status_code != 429) or time.monotonic() > until:
                answer: dict[str, Any] = reply.json()
                return answer
        except httpx.TransportError:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(pause)
        pause = min(1.0, pause * 2)
