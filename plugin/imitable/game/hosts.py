"""Who stands at the door, and who sent them: personal links, Prolific's addresses, MTurk-style frames.

Ids in an address are unsigned unless Prolific's own signature is asked for: whoever knows another's ids can pretend to
be that person. Such an entry may begin a sitting and go on with it, and is never shown what was answered before.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from imitable.campaign import Folder, origin
from imitable.errors import GameError
from imitable.game.signed_links import SignedLinks

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TICKET = "t."
_TICKET_HOURS = 12
"""A landing page may stand open so long before its button stops working."""

_PREVIEW = "ASSIGNMENT_ID_NOT_AVAILABLE"
"""What MTurk puts in the place of an assignment that was not accepted yet."""

_PROLIFIC_IDS = "PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
"""What Prolific fills in for each participant."""

Query = Mapping[str, str]
"""The fields of an address."""


@dataclass(frozen=True)
class Entry:
    """One person's way in."""

    platform: str
    platform_id: str
    """Who the platform says it is."""
    assignment: str
    """Key of the sitting within its platform: one assignment taken by one person."""
    submission: str = ""
    """The platform's own id of that assignment, which it is told when the work is done; empty for links."""
    study: str = ""
    """The platform's id of what was offered: a Prolific study, a HIT."""
    return_to: str = ""
    """Origin of the site to which the work is submitted; empty where there is none."""
    proven: bool = False
    """True when nobody else can pretend to be this person: a link that cannot be guessed, or a signed address."""


def prolific_address(base: str) -> str:
    """The address that a Prolific study leads to, where the game is at `base`."""
    return f"{base.rstrip('/')}/prolific?{_PROLIFIC_IDS}"


def prolific_entry(folder: Folder, query: Query, links: SignedLinks | None) -> Entry:
    """Who came by the address of a Prolific study. Raises GameError, to be shown as it is.

    With `links`, only an address that Prolific signed for this study is let in.
    """
    config = folder.config.platform.prolific
    if config is None:
        raise GameError("refused.not_on_prolific")
    person, study, session = (
        _id(query, name, "refused.no_id_prolific") for name in ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
    )
    if config.study_id and study != config.study_id:
        raise GameError("refused.another_study")
    if links is not None:
        links.check(query.get("prolific_token", ""), person=person, study=study, session=session)
    return Entry("prolific", person, session, session, study, proven=links is not None)


def mturk_entry(folder: Folder, query: Query) -> Entry | None:
    """Who came in an MTurk-style frame, or None for somebody who only looks and has not accepted the task.

    Raises GameError for ids that are missing, and for a site that is not among [platform.mturk] worker_sites.
    """
    config = folder.config.platform.mturk
    if config is None:
        raise GameError("refused.not_on_mturk")
    if query.get("assignmentId", _PREVIEW) == _PREVIEW:
        return None
    person, hit, assignment = (
        _id(query, name, "refused.no_id_mturk") for name in ("workerId", "hitId", "assignmentId")
    )
    site = origin(query.get("turkSubmitTo", ""))
    if site not in config.sites:
        raise GameError("refused.unknown_site")
    # An assignment that one worker returns may be given to another: both are part of the key.
    return Entry("mturk", person, f"{assignment} {person}", assignment, hit, site)


def ticket_of(folder: Folder, entry: Entry, now: datetime) -> str:
    """What a landing page hands back on its button: the entry as it was checked, sealed with the campaign's key."""
    until = (now + timedelta(hours=_TICKET_HOURS)).timestamp()
    said = base64.urlsafe_b64encode(json.dumps({**asdict(entry), "until": until}).encode()).decode().rstrip("=")
    return f"{_TICKET}{said}.{folder.derive('ticket', said, size=32)}"


def entry_of(folder: Folder, code: str, now: datetime) -> Entry | None:
    """The entry of a ticket, or None when this code is not one. Raises GameError for a forged or an old one."""
    if not code.startswith(_TICKET):
        return None
    said, _, proof = code.removeprefix(_TICKET).rpartition(".")
    if not hmac.compare_digest(proof.encode(), folder.derive("ticket", said, size=32).encode()):
        raise GameError("refused.unknown_entry")
    fields = json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))
    if fields.pop("until") < now.timestamp():
        raise GameError("refused.old_entry")
    return replace(Entry("", "", ""), **fields)


def _id(query: Query, name: str, unknown: str) -> str:
    value = query.get(name, "")
    if not _ID.fullmatch(value):
        raise GameError(unknown, name=name)
    return value
