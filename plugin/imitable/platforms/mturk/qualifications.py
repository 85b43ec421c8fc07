"""Who may take the task: the runner's screening, and a qualification of our own that keeps out who took part already.

The site keeps a worker from taking one HIT twice, and not from taking two HITs of one campaign. So whoever was seen to
take part is given the campaign's own qualification, which all its HITs ask not to have; and the game turns away whoever
comes again before that. Its value is the share of the sitting that was played, in percent: another campaign can ask for
it, or for none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.campaign.mturk import Qualification
from imitable.errors import PlatformError
from imitable.platforms.mturk.hits import settings_of
from imitable.platforms.mturk.refusals import Refused

if TYPE_CHECKING:
    from imitable.platforms.mturk.client import Api, Row

SYSTEM = {
    "approved_percent": "000000000000000000L0",
    "approved": "00000000000000000040",
    "country": "00000000000000000071",
    "adult": "00000000000000000060",
}
"""The protocol's own types, by our names."""

HIDDEN = "DiscoverPreviewAndAccept"


def requirements(folder: Folder, own: str) -> list[Row]:
    """What a HIT asks of workers; `own` is the id of the campaign's qualification."""
    settings = settings_of(folder)
    out = [own, *settings.not_again]
    return [
        *({"QualificationTypeId": one, "Comparator": "DoesNotExist", "ActionsGuarded": HIDDEN} for one in out if one),
        *map(_requirement, settings.qualifications),
    ]


def _requirement(one: Qualification) -> Row:
    row: Row = {
        "QualificationTypeId": SYSTEM.get(one.type, one.type),
        "Comparator": one.comparator,
        "ActionsGuarded": one.guards,
    }
    if one.values:
        row["IntegerValues"] = list(one.values)
    if one.countries:
        row["LocaleValues"] = [_place(name) for name in one.countries]
    return row


def _place(name: str) -> Row:
    country, _, part = name.partition("-")
    return {"Country": country, "Subdivision": part} if part else {"Country": country}


def name_of(folder: Folder) -> str:
    """What the campaign's qualification is called; the site takes a name once."""
    return f"Took part in {folder.config.campaign.name} (imitable {folder.derive('mturk qualification')})"


def find_own(api: Api, folder: Folder) -> str:
    """The id of the campaign's qualification, empty where there is none."""
    name = name_of(folder)
    ours = {"MustBeRequestable": False, "MustBeOwnedByCaller": True}
    listed = api.rows("ListQualificationTypes", "QualificationTypes", **ours)
    return next((str(row["QualificationTypeId"]) for row in listed if row["Name"] == name), "")


def make_own(api: Api, folder: Folder) -> str:
    """The id of the campaign's qualification, made where there is none. A worker who asks for it is not given it."""
    known = find_own(api, folder)
    if known:
        return known
    try:
        made = api.told(
            "CreateQualificationType",
            Name=name_of(folder),
            Description="Given to those who took part, so that nobody takes part twice. It says nothing about anybody.",
            QualificationTypeStatus="Active",
        )
    except Refused:
        known = find_own(api, folder)  # the name may have been taken by a request of ours whose answer was lost
        if not known:
            raise
        return known
    return str(made["QualificationType"]["QualificationTypeId"])


def grant(api: Api, folder: Folder, took_part: Mapping[str, int]) -> int:
    """Give the campaign's qualification to workers, with their share of the sitting in percent: how many are new.

    Nobody is written to, unless [platform.mturk] notify is set. Safe to repeat.
    """
    if not took_part:
        return 0
    own = find_own(api, folder)
    if not own:
        raise PlatformError(
            "The campaign's qualification is not there, so that workers could take part twice. Make it again with: "
            f"imitable publish {folder.path} --platform mturk"
        )
    listed = api.rows("ListWorkersWithQualificationType", "Qualifications", QualificationTypeId=own, Status="Granted")
    known = {str(row["WorkerId"]): row.get("IntegerValue") for row in listed}
    new = {worker: percent for worker, percent in took_part.items() if known.get(worker) != percent}
    for worker, percent in sorted(new.items()):
        api.told(
            "AssociateQualificationWithWorker",
            QualificationTypeId=own,
            WorkerId=worker,
            IntegerValue=percent,
            SendNotification=settings_of(folder).notify,
        )
    return len(new)
