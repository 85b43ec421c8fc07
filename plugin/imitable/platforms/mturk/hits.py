"""The campaign's HITs: how they are described, how they are found again, and how they grow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.campaign.mturk import MTurk as Settings
from imitable.errors import NoAnswer, PlatformError
from imitable.game.paying import pay_said
from imitable.money import Money
from imitable.money.amounts import read_money
from imitable.money.fees import FEW
from imitable.platforms.mturk.questions import external_question, url_of
from imitable.platforms.mturk.refusals import Refused
from imitable.platforms.reaching import is_loopback
from imitable_templates.texts import Texts

if TYPE_CHECKING:
    from imitable.platforms.mturk.client import Api, Row

CURRENCY = "USD"
"""The protocol's only one."""


@dataclass(frozen=True)
class Step:
    """Something that a publication does: a new HIT, or more workers for one that is there."""

    number: int
    """Of the HIT among ours, from 1."""
    size: int
    """Workers that it is for afterwards."""
    more: int
    """Workers that come with this step."""


def grown(sizes: Mapping[int, int], places: int, per_hit: int) -> list[Step]:
    """What is to be done so that HITs of these sizes, by number, are for so many workers in all.

    A HIT for nine or fewer is never enlarged to ten or more, which the protocol forbids; nothing shrinks.
    """
    steps, missing = [], places - sum(sizes.values())
    for number, size in sorted(sizes.items()):
        most = min(per_hit, FEW) if size <= FEW else per_hit
        more = min(missing, most - size)
        if more > 0:
            steps.append(Step(number, size + more, more))
            missing -= more
    number = max(sizes, default=0)
    while missing > 0:
        number += 1
        more = min(per_hit, missing)
        steps.append(Step(number, more, more))
        missing -= more
    return steps


def settings_of(folder: Folder) -> Settings:
    """[platform.mturk]. Raises PlatformError where there is none."""
    settings = folder.config.platform.mturk
    if settings is None:
        raise PlatformError(
            f"{folder.path / 'campaign.toml'} has no table [platform.mturk]. Add it, with endpoint_url = the address "
            "of a site that speaks the protocol of Mechanical Turk. Amazon's own closed on 2026-09-30."
        )
    return settings


def marker(folder: Folder) -> str:
    """What the annotation of each of our HITs begins with; its number follows. By this they are found again."""
    return f"imitable {folder.derive('mturk hits')} "


def token(folder: Folder, *what: object) -> str:
    """The operation id of something that is made once, the same whenever it is asked for: 37 characters."""
    return f"make-{folder.derive('mturk make', *what, size=32)}"


def reward_of(folder: Folder) -> Money:
    """What a HIT pays. Raises PlatformError for another currency than the protocol's, and for nothing."""
    pay = folder.config.pay
    if pay.currency != CURRENCY:
        raise PlatformError(f"MTurk-style sites pay in {CURRENCY}, and [pay] currency is {pay.currency}. Set it so.")
    reward = read_money(pay.base, pay.currency)
    if reward.minor < 1:
        raise PlatformError("A HIT must have a reward. Set [pay] base to what a sitting earns.")
    return reward


def described(folder: Folder, words: Texts, requirements: Sequence[Row]) -> Row:
    """The HIT type as the campaign wants it. Raises PlatformError."""
    config, settings = folder.config, settings_of(folder)
    minutes = settings.assignment_minutes or max(60, 4 * config.sitting.minutes)
    return {
        "Title": settings.title or words.plain("landing.title"),
        "Description": settings.description or _description(folder, words),
        "Keywords": ", ".join(settings.keywords),
        "Reward": reward_of(folder).decimal,
        "AssignmentDurationInSeconds": 60 * minutes,
        "AutoApprovalDelayInSeconds": 86_400 * settings.approve_after_days,
        "QualificationRequirements": list(requirements),
    }


def _description(folder: Folder, words: Texts) -> str:
    """What workers read in the list of tasks: words of the first page."""
    config = folder.config
    time = words.plain(
        "landing.time_text",
        minutes=words.plain("landing.minutes", count=config.sitting.minutes),
        neurons=words.plain("landing.neurons", count=config.sitting.episodes),
        rounds=words.plain("landing.rounds", count=config.episode.rounds),
    )
    return " ".join((words.plain("landing.lead"), time, pay_said(config.pay, words, platform="mturk")))


def question_of(folder: Folder, url: str) -> str:
    """The question of every HIT, for a site whose API is at `url`.

    Raises PlatformError without an address that workers can reach by https, which browsers ask for in a frame.
    """
    base = folder.config.serve.public_url
    if not base:
        raise PlatformError(
            "Workers cannot reach this machine. Set [serve] public_url in campaign.toml to the address at which "
            "'imitable serve' is reached from outside."
        )
    if not base.startswith("https://") and not is_loopback(url):
        raise PlatformError(f"The site shows only pages of https:// in its frames. Set [serve] public_url, now {base}.")
    return external_question(f"{base.rstrip('/')}/mturk", height=settings_of(folder).frame_height)


def find(api: Api, folder: Folder) -> dict[int, Row]:
    """The campaign's HITs as the site lists them, by number. Raises PlatformError where two have one number."""
    mark = re.escape(marker(folder))
    found: dict[int, Row] = {}
    for row in api.rows("ListHITs", "HITs"):
        ours = re.fullmatch(rf"{mark}(\d+)", row.get("RequesterAnnotation") or "")
        if ours is None or row.get("HITStatus") == "Disposed":
            continue
        number = int(ours[1])
        if found.setdefault(number, row)["HITId"] != row["HITId"]:
            raise PlatformError(
                f"Two HITs there are this campaign's number {number}: {found[number]['HITId']} and {row['HITId']}. End "
                "and delete one of them there."
            )
    return found


def made(api: Api, folder: Folder) -> dict[int, Row]:
    """The campaign's HITs as `find` has them. Raises PlatformError also where there is none."""
    hits = find(api, folder)
    if not hits:
        raise PlatformError(
            f"There is no HIT of this campaign at {api.url}. Make them with: imitable publish {folder.path} "
            "--platform mturk"
        )
    return hits


def expire(api: Api, hit: Row, at: datetime) -> None:
    """Let a HIT be offered until then; a moment in the past ends it at once.

    The site refuses the same second twice in a day, which does not matter where it is so already; else the second
    before serves as well.
    """
    try:
        api.told("UpdateExpirationForHIT", HITId=hit["HITId"], ExpireAt=at)
    except (Refused, NoAnswer) as error:
        now = api.now()
        if (api.read("GetHIT", HITId=hit["HITId"])["HIT"]["Expiration"] > now) == (at > now):
            return
        if not (isinstance(error, Refused) and error.final):
            raise
        api.told("UpdateExpirationForHIT", HITId=hit["HITId"], ExpireAt=at - timedelta(seconds=1))


def differences(hit: Row, wanted: Row, question: str) -> Iterator[str]:
    """In what a HIT that was made is not the campaign's, in words."""
    names = {
        "Title": "title",
        "Description": "description",
        "Reward": "reward",
        "AssignmentDurationInSeconds": "time for an assignment",
        "AutoApprovalDelayInSeconds": "time until it is approved by itself",
    }
    for key, name in names.items():
        theirs, ours = str(hit.get(key, "")), str(wanted[key])
        if theirs != ours:
            yield f"its {name} is {theirs or 'not told'}, and by campaign.toml {ours}"
    if url_of(str(hit.get("Question", ""))) != url_of(question):
        yield f"it leads to {url_of(str(hit.get('Question', ''))) or 'another page'}, and not to {url_of(question)}"
