"""From a link to a sitting, and from a session's token back to it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.engine import Row

from imitable.campaign import Folder
from imitable.errors import GameError
from imitable.game.hosts import Entry
from imitable.store import Store, insert_once, keep_rule, tables


@dataclass(frozen=True)
class Link:
    """A personal way into the game."""

    platform: str
    platform_id: str
    """Who the platform says it is for: `link-0007`."""
    code: str
    """32 hex digits that nobody can guess; only its hash is stored."""


def make_links(store: Store, folder: Folder, *, platform: str, names: Sequence[str], now: datetime) -> list[Link]:
    """Make the links of these names, or the same ones again: codes come from the campaign key."""
    made = [Link(platform, name, folder.derive("link", platform, name, size=32)) for name in names]
    with store.write() as connection:
        known = set(connection.execute(select(tables.links.c.code_hash)).scalars())
        fresh = [
            {
                "code_hash": _hash(link.code),
                "platform": link.platform,
                "platform_id": link.platform_id,
                "created_at": now,
            }
            for link in made
            if _hash(link.code) not in known
        ]
        if fresh:
            connection.execute(insert(tables.links), fresh)
    return made


def find_link(connection: Connection, code: str) -> Row[*tuple[Any, ...]] | None:
    """The link of a code: (platform, platform_id), or None."""
    found = select(tables.links.c.platform, tables.links.c.platform_id).where(tables.links.c.code_hash == _hash(code))
    return connection.execute(found).first()


def sitting_id_of(folder: Folder, platform: str, assignment: str) -> str:
    """Id of the sitting of one platform assignment."""
    return "s_" + folder.derive("sitting", platform, assignment)


def open_sitting(
    connection: Connection,
    folder: Folder,
    entry: Entry,
    *,
    consent_version: str,
    now: datetime,
    tutorial_step: int = 0,
) -> tuple[str, bool]:
    """Begin the sitting of an assignment, or find the one that was begun. Returns its id, and True if it is new.

    What [pay] promises at that moment is what it will be owed.

    Raises GameError when the assignment was begun by another person, for ids in an address are unsigned, and when its
    platform gives a person several and they have had theirs.
    """
    sitting_id = sitting_id_of(folder, entry.platform, entry.assignment)
    annotator_id = folder.annotator_id(entry.platform, entry.platform_id)
    identity = {
        "annotator_id": annotator_id,
        "platform": entry.platform,
        "platform_id": entry.platform_id,
        "created_at": now,
    }
    sitting = {
        "sitting_id": sitting_id,
        "annotator_id": annotator_id,
        "platform": entry.platform,
        "assignment": entry.assignment,
        "submission": entry.submission,
        "study": entry.study,
        "return_to": entry.return_to,
        "proven": entry.proven,
        "consent_version": consent_version,
        "started_at": now,
        "tutorial_step": tutorial_step,
    }
    owner = connection.execute(
        select(tables.sittings.c.annotator_id).where(tables.sittings.c.sitting_id == sitting_id)
    ).scalar()
    if owner is not None and owner != annotator_id:
        raise GameError("refused.not_your_task")
    if owner is not None:
        return sitting_id, False
    refuse_repeat(connection, entry, annotator_id)
    insert_once(connection, tables.identities, identity)
    sitting["pay_rule"] = keep_rule(connection, folder.config.pay, now=now)
    return sitting_id, insert_once(connection, tables.sittings, sitting)


def refuse_repeat(connection: Connection, entry: Entry, annotator_id: str) -> None:
    """Raise GameError for who has ended a sitting and comes with another assignment, where a platform allows that.

    MTurk-style sites keep a worker from taking one HIT twice, and not from taking two HITs of one campaign.
    """
    sittings = tables.sittings.c
    mine = (sittings.annotator_id == annotator_id) & (sittings.assignment != entry.assignment)
    before = select(sittings.sitting_id).where(mine, sittings.ended_at.is_not(None))
    if entry.platform == "mturk" and connection.execute(before.limit(1)).first() is not None:
        raise GameError("refused.once_only")


def token_of(folder: Folder, sitting_id: str, since: datetime | None = None) -> str:
    """The session's bearer token: the sitting's id and a proof that we gave it out. Nothing has to be stored.

    With `since`, it is the token of someone who came back then without a proof of who they are: the sitting goes on,
    and what was answered before is not shown again.
    """
    session = sitting_id if since is None else f"{sitting_id}.{round(since.timestamp() * 1e6)}"
    return f"{session}.{folder.derive('session', session, size=32)}"


def session_of(folder: Folder, token: str) -> tuple[str, datetime | None]:
    """The sitting that a token stands for, and since when it may look back (None: to the beginning).

    Raises GameError for any token that we did not give out.
    """
    session, _, proof = token.rpartition(".")
    if not hmac.compare_digest(proof.encode(), folder.derive("session", session, size=32).encode()):
        raise GameError("refused.unknown_session")
    sitting_id, _, since = session.partition(".")
    return sitting_id, datetime.fromtimestamp(int(since) / 1e6, UTC) if since else None


def consent_version(text: str) -> str:
    """A short name for the exact consent text that was agreed to; empty when there was none."""
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
