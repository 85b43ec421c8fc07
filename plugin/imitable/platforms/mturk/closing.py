"""The end of recruiting: nobody new comes, and who has accepted may hand in, unless it has to end now."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.platforms.mturk.hits import expire, made
from imitable.platforms.sittings import end_sittings
from imitable.store import Store

if TYPE_CHECKING:
    from imitable.platforms.mturk.client import Api

_BEFORE = timedelta(minutes=2)
"""So long ago is past by the site's clock, too, wherever it is not quite ours."""


def close_hits(api: Api, folder: Folder, store: Store, *, now: bool) -> str:
    """Let every HIT expire. What was accepted can be handed in for as long as its own time lasts.

    With `now`, end all sittings that are being played: their pages then offer to hand in, and they are paid in full.
    Raises PlatformError.
    """
    hits = made(api, folder)
    for hit in hits.values():
        if hit["Expiration"] > api.now():
            expire(api, hit, api.now() - _BEFORE)
    ended = end_sittings(store, "mturk") if now else 0
    closed = f"{len(hits)} HIT{'s'[: len(hits) != 1]} closed: nobody new comes, and who has accepted may hand in."
    return f"{closed} {ended} sittings that were being played are over, and are paid in full." if now else closed
