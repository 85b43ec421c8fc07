"""From a campaign to a study that recruits: what is there already is found, compared, and never made twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.errors import NoAnswer, NotOffered, PlatformError
from imitable.money.amounts import read_money
from imitable.platforms import Published, nobody_invited
from imitable.platforms.notes import promises
from imitable.platforms.prolific import cost
from imitable.platforms.prolific.account import account_of
from imitable.platforms.prolific.refusals import Refused
from imitable.platforms.prolific.study import DRAFT, described, differences, find, group_for, settings_of
from imitable.platforms.prolific.subscribing import subscribe
from imitable.store import Store

if TYPE_CHECKING:
    from imitable.platforms.prolific.client import Api, Row

OPENS = {DRAFT: "PUBLISH", "PAUSED": "START"}
"""What lets a study recruit, by its status."""


def publish_study(api: Api, folder: Folder, store: Store, places: int, *, dry_run: bool) -> Published:
    """Make the study, or find it, see to it that it has so many places, and let it recruit; or say what would be done.

    A study keeps its places: more can be added, and none taken away. Raises NotOffered as long as nobody can have come,
    for a draft recruits nobody, and so does one that was stopped until it has more places; PlatformError after that.
    """
    with nobody_invited(None):
        account = account_of(api, folder)
        study = find(api, folder, account)
    there = 0 if study is None or study["status"] == DRAFT else int(study["total_available_places"])
    stopped = study is not None and study["status"] == "COMPLETED"
    before = None if stopped else there  # nobody takes what was left of a study that was stopped
    with nobody_invited(before):
        places = max(places, 0 if study is None else int(study["total_available_places"]))
        if stopped and places <= there:
            raise PlatformError(
                "The study is over, and Prolific opens it again only with more places: imitable publish "
                f"{folder.path} --platform prolific --links {places + 1}"
            )
        group = "" if dry_run else group_for(api, folder, account)
        wanted = described(folder, folder.texts(), places=places, project=account.project, group=group)
        if study is not None and there:
            _refuse_differences(folder, study, wanted)
        each, said = cost.asked(api, folder, store, account, places)
        notes = (*said, *promises(folder, by_hand=False))
        if dry_run:
            again = f"imitable publish {folder.path} --platform prolific"
            return Published(_what(folder, places), (), f"the same without --dry-run: {again}", notes, places, each)
        if study is None or not there:
            study = _drafted(api, study, wanted)
    if there:
        _grown(api, study, there, places, before)
    status = _opened(api, study)
    notes = (*notes, *_about(folder, study, status), *subscribe(api, folder, account))
    step = f"let 'imitable serve {folder.path}' run, and now and then: imitable collect {folder.path}"
    return Published(f"{_what(folder, places)} ({study['id']})", (), step, notes, places, each)


def offline(folder: Folder, places: int, why: str) -> Published:
    """What would be published, as far as it can be said without asking Prolific, and why it was not asked."""
    step = f"once that is set, the same without --dry-run: imitable publish {folder.path} --platform prolific"
    return Published(_what(folder, places), (), step, (why, *promises(folder, by_hand=False)), places)


def _what(folder: Folder, places: int) -> str:
    base = read_money(folder.config.pay.base, folder.config.pay.currency)
    url = settings_of(folder).api_url
    return f"a study for {places} participant{'s'[: places != 1]} on Prolific ({url}), {base} each"


def _refuse_differences(folder: Folder, study: Row, wanted: Row) -> None:
    problems = list(differences(study, wanted))
    if problems:
        raise PlatformError(
            f"The study {study['id']} was published otherwise, and Prolific lets nothing of it change: "
            f"{'; '.join(problems)}. Undo that in {folder.path / 'campaign.toml'}, or run a campaign of its own for it."
        )


def _drafted(api: Api, study: Row | None, wanted: Row) -> Row:
    """The study as a draft, made or brought up to date: it may change in all, and recruits nobody."""
    if study is None:
        made: Row = api.post("/studies/", wanted)
        return made
    api.patch(f"/studies/{study['id']}/", wanted)
    return study


def _grown(api: Api, study: Row, there: int, places: int, before: int | None) -> None:
    """See to it that a published study, which has places `there`, has so many; `before` are those still offered."""
    path = f"/studies/{study['id']}/"
    if places <= there:
        return
    try:
        api.patch(path, {"total_available_places": places})
    except Refused as error:
        if error.final and int(api.get(path)["total_available_places"]) == there:
            raise NotOffered(str(error), offered=before) from error
        raise


def _opened(api: Api, study: Row) -> str:
    """Let a study recruit that does not. Returns its status."""
    path = f"/studies/{study['id']}/"
    status = str(api.get(path)["status"])
    if status not in OPENS:
        return status
    try:
        move(api, str(study["id"]), OPENS[status], unless=status)
    except (Refused, NoAnswer) as error:
        if status == DRAFT and not error.may_be_done:
            raise NotOffered(str(error), offered=0) from error
        raise
    return str(api.get(path)["status"])


def move(api: Api, study_id: str, action: str, *, unless: str) -> None:
    """Tell a study to do something. An answer that was lost does not matter when its status is no longer `unless`."""
    try:
        api.post(f"/studies/{study_id}/transition/", {"action": action})
    except PlatformError:
        if api.get(f"/studies/{study_id}/")["status"] == unless:
            raise


def _about(folder: Folder, study: Row, status: str) -> list[str]:
    """What the runner has to know of a study that was published."""
    from imitable.platforms.reaching import answers

    notes, settings = [], settings_of(folder)
    if status == "SCHEDULED":
        notes.append("The study waits for a time that was set on Prolific.")
    if settings.study_id is None:
        notes.append(
            "Participants of any study are let in until campaign.toml says [platform.prolific] study_id = "
            f'"{study["id"]}".'
        )
    if not settings.secure:
        notes.append(
            "Its addresses are not signed: who knows a participant's ids can pretend to be them. If your workspace has "
            "secure study URLs, set [platform.prolific] secure = true before you publish."
        )
    url = folder.config.serve.public_url or ""
    if not answers(url):
        notes.append(f"Nobody answers at {url}: start 'imitable serve {folder.path}' before participants come.")
    return notes
