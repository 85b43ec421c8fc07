"""What strangers send, read within bounds."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from imitable.errors import GameError
from imitable.game.limits import TooSlow

READING = 15.0
"""Seconds that a body has to arrive in."""


async def body_of(request: Request, *, most: int) -> bytes:
    """The body of a request. Raises GameError for one of more than `most` bytes, and for one that does not arrive."""
    body = bytearray()
    try:
        async with asyncio.timeout(READING):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise GameError("refused.too_long")
    except TimeoutError:
        raise TooSlow("refused.too_slow") from None
    except ClientDisconnect as error:
        raise GameError("refused.unreadable") from error
    return bytes(body)
