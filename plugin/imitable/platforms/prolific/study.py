"""The study on Prolific: how it is described, how it is found again, and in what it differs from the campaign."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imitable.campaign import Folder
from imitable.campaign.running import Prolific as Settings
from imitable.errors import PlatformError
from imitable.game.finishing import completion_code
from imitable.game.hosts import prolific_address
from imitable.game.paying import earned_said, pay_said
from imitable.money.amounts import read_money
from imitable_templates.texts import Texts

if TYPE_CHECKING:
    from imitable.platforms.prolific.account import Account
    from imitable.platforms.prolific.client import Api, Row

DRAFT = "UNPUBLISHED"
BLOCKED = "participant_group_blocklist"
"""Prolific's filter that keeps the members of groups out."""


def settings_of(folder: Folder) -> Settings:
    """[platform.prolific]. Raises PlatformError where there is none."""
    settings = folder.config.platform.prolific
    if settings is None:
        raise PlatformError(
            f"{folder.path / 'campaign.toml'} has no table [platform.prolific]. Add it, with places = how many "
            "participants you want."
        )
    return settings


def marker(folder: Folder) -> str:
    """What the study's internal name ends with: by this it is found again."""
    return f"[imitable {folder.derive('prolific study')}]"


def described(folder: Folder, words: Texts, *, places: int, project: str, group: str) -> Row:
    """The study as the campaign wants it.

    Raises PlatformError without an address that participants can reach, and without a reward, which Prolific wants.
    """
    config, settings = folder.config, settings_of(folder)
    reward = read_money(config.pay.base, config.pay.currency)
    if reward.minor < 1:
        raise PlatformError("Prolific takes no study without a reward. Set [pay] base to what a sitting earns.")
    if not config.serve.public_url:
        raise PlatformError(
            "Participants cannot reach this machine. Set [serve] public_url in campaign.toml to the address at which "
            "'imitable serve' is reached from outside."
        )
    out = [group, *settings.not_again]
    joins = {"action": "ADD_TO_PARTICIPANT_GROUP", "participant_group": group}
    returns = {"action": "REQUEST_RETURN", "return_reason": _why_return(folder, words)}
    return {
        "name": settings.title or words.plain("landing.title"),
        "internal_name": f"{config.campaign.name} {marker(folder)}",
        "description": settings.description or _description(folder, words),
        "external_study_url": prolific_address(config.serve.public_url),
        "prolific_id_option": "url_parameters",
        "is_external_study_url_secure": settings.secure,
        "completion_codes": [
            {
                "code": completion_code(folder, stopped=False),
                "code_type": "COMPLETED",
                "actions": [{"action": "MANUALLY_REVIEW"}, joins],
            },
            {"code": completion_code(folder, stopped=True), "code_type": "OTHER", "actions": [returns, joins]},
        ],
        "total_available_places": places,
        "estimated_completion_time": config.sitting.minutes,
        "reward": reward.minor,
        "device_compatibility": list(settings.devices),
        "filters": [{"filter_id": BLOCKED, "selected_values": out}],
        "submissions_config": {"max_submissions_per_participant": 1},
        "project": project,
    }


def _description(folder: Folder, words: Texts) -> str:
    """What participants read before they begin, from the words of the first page; Prolific shows simple HTML."""
    config = folder.config
    time = words.plain(
        "landing.time_text",
        minutes=words.plain("landing.minutes", count=config.sitting.minutes),
        neurons=words.plain("landing.neurons", count=config.sitting.episodes),
        rounds=words.plain("landing.rounds", count=config.episode.rounds),
    )
    said = (words.plain("landing.lead"), time, pay_said(config.pay, words, platform="prolific"))
    return "".join(f"<p>{escape(one, quote=False)}</p>" for one in said if one)


def _why_return(folder: Folder, words: Texts) -> str:
    """What somebody who stopped early reads when Prolific asks for the submission back."""
    return earned_said(folder.config.pay, words, platform="prolific", part=True) or words.plain("page.stop")


def find(api: Api, folder: Folder, account: Account) -> Row | None:
    """The campaign's study: the one of [platform.prolific] study_id, or the one that is marked as ours; None without.

    Raises PlatformError where several of ours were published, of which a person must end all but one.
    """
    settings = settings_of(folder)
    if settings.study_id is not None:
        found: Row = api.get(f"/studies/{settings.study_id}/")
        return found
    rows = [
        row
        for row in api.rows(f"/projects/{account.project}/studies/")
        if str(row.get("internal_name") or "").endswith(marker(folder))
    ]
    live = [row for row in rows if row.get("status") != DRAFT]
    if len(live) > 1:
        ids = ", ".join(str(row["id"]) for row in live)
        raise PlatformError(
            f"There are {len(live)} published studies of this campaign on Prolific ({ids}). Stop all but one there, "
            "and set [platform.prolific] study_id to its id."
        )
    chosen = live or sorted(rows, key=lambda row: (str(row.get("date_created")), str(row["id"])))
    if not chosen:
        return None
    study: Row = api.get(f"/studies/{chosen[0]['id']}/")
    return study


def group_for(api: Api, folder: Folder, account: Account) -> str:
    """The participant group of everybody who played this campaign, made where there is none: the id."""
    name = f"{folder.config.campaign.name} {marker(folder)}"
    known = api.get("/participant-groups/", workspace_id=account.workspace)["results"]
    ours = sorted(str(row["id"]) for row in known if row["name"] == name and not row.get("is_deleted"))
    if ours:
        return ours[0]
    return str(api.post("/participant-groups/", {"name": name, "workspace_id": account.workspace})["id"])


def differences(study: Row, wanted: Row) -> Iterator[str]:
    """In what a published study is not the campaign's, in words; what does not matter is left out."""
    if int(study["reward"]) != wanted["reward"]:
        yield f"it pays {study['reward']} cents, and [pay] base is {wanted['reward']}"
    codes = {str(one["code"]) for one in study.get("completion_codes") or ()}
    missing = [one["code"] for one in wanted["completion_codes"] if one["code"] not in codes]
    if missing:
        yield f"it does not know the code {' or '.join(missing)}"
    theirs, ours = (urlsplit(str(one["external_study_url"])) for one in (study, wanted))
    if (theirs.netloc, theirs.path) != (ours.netloc, ours.path):
        yield f"it leads to {theirs.netloc}{theirs.path}, and the game is at {ours.netloc}{ours.path}"
    if wanted["is_external_study_url_secure"] and not study.get("is_external_study_url_secure"):
        yield "its addresses are not signed, and [platform.prolific] secure is true"
