"""The end of recruiting: nobody new comes, and who has accepted may hand in, unless it has to end now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.platforms.mturk.hits import find
from imitable.platforms.mturk.refusals import NoAnswer, Refused
from imitable.platforms.sittings import end_sittings
from imitable.store import Store

if TYPE_CHECKING:
    from imitable.platforms.mturk.client import Api

LONG_AGO = datetime(2015, 1, 1, tzinfo=UTC)
"""By the protocol, a moment in the past ends a HIT at once."""


def close_hits(api: Api, folder: Folder, store: Store, *, now: bool) -> str:
    """Let every HIT expire. What was accepted can be handed in for as long as its own time lasts.

    With `now`, end all sittings that are being played: their pages then offer to hand in, and they are paid in full.
    Raises PlatformError.
    """
    hits = find(api, folder)
    if not hits:
        raise PlatformError(
            f"There is no HIT of this campaign at {api.url}. Make them with: imitable publish {folder.path} "
            "--platform mturk"
        )
    for hit in hits.values():
        if hit["Expiration"] <= api.now():
            continue
        try:
            api.told("UpdateExpirationForHIT", HITId=hit["HITId"], ExpireAt=LONG_AGO)
        except (Refused, NoAnswer):
            if api.read("GetHIT", HITId=hit["HITId"])["HIT"]["Expiration"] > api.now():
                raise
    ended = end_sittings(store, "mturk") if now else 0
    closed = f"{len(hits)} HIT{'s'[: len(hits) != 1]} closed: nobody new comes, and who has accepted may hand in."
    return f"{closed} {ended} sittings that were being played are over, and are paid in full." if now else closed
