"""The end of recruiting: nobody new comes, and who has begun may finish, unless it has to end now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.platforms.prolific.account import account_of
from imitable.platforms.prolific.payable import UNDER_WAY
from imitable.platforms.prolific.publishing import move
from imitable.platforms.prolific.study import DRAFT, find
from imitable.platforms.sittings import end_sittings
from imitable.store import Store

if TYPE_CHECKING:
    from imitable.platforms.prolific.client import Api, Row


def is_over(api: Api, folder: Folder) -> bool:
    """Whether the study recruits nobody, and nobody is playing any more. Raises PlatformError."""
    study = find(api, folder, account_of(api, folder))
    return study is None or (study["status"] in (DRAFT, "COMPLETED") and not _playing(api, study))


def _playing(api: Api, study: Row) -> list[str]:
    """The submissions of a study that are being played."""
    rows = api.rows("/submissions/", study=str(study["id"]))
    return [str(row["id"]) for row in rows if row["status"] in UNDER_WAY]


def close_study(api: Api, folder: Folder, store: Store, *, now: bool) -> str:
    """Pause the study while somebody is playing, and stop it once nobody is; with `now`, stop it and end what began.

    Pausing keeps new participants out and lets those who have begun finish, as Prolific documents it. Stopping frees
    the money of the places that are left. Raises PlatformError.
    """
    study = find(api, folder, account_of(api, folder))
    if study is None:
        raise PlatformError(
            f"There is no study of this campaign on Prolific. Make it with: imitable publish {folder.path} --platform "
            "prolific"
        )
    study_id, status, playing = str(study["id"]), str(study["status"]), _playing(api, study)
    over = end_sittings(store, "prolific", playing) if now else 0
    if status == DRAFT:
        return "The study is a draft, and recruits nobody."
    if status in ("ACTIVE", "PAUSED") and (now or not playing):
        move(api, study_id, "STOP", unless=status)
        ended = f" {over} sittings that were being played are over, and are paid in full." if now else ""
        return f"The study is stopped.{ended}"
    if status == "ACTIVE":
        move(api, study_id, "PAUSE", unless=status)
    if status in ("ACTIVE", "PAUSED"):
        return (
            f"The study is paused: nobody new comes, and {len(playing)} may finish. The same command again stops it "
            "once they have."
        )
    return f"The study recruits nobody: it is {status}."
