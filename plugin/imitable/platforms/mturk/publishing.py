"""From a campaign to HITs: what is there already is found, compared, and never made twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.errors import NoAnswer, NotOffered, PlatformError
from imitable.money.amounts import read_money
from imitable.money.fees import MASTERS
from imitable.platforms import Published, nobody_invited
from imitable.platforms.mturk import cost
from imitable.platforms.mturk.assignments import listed, took_part
from imitable.platforms.mturk.hits import (
    CURRENCY,
    Step,
    described,
    differences,
    expire,
    find,
    grown,
    marker,
    question_of,
    reward_of,
    settings_of,
    token,
)
from imitable.platforms.mturk.qualifications import find_own, grant, make_own, requirements
from imitable.platforms.mturk.refusals import Refused
from imitable.platforms.notes import promises
from imitable.platforms.reaching import answers, is_stand_in
from imitable.store import Store

if TYPE_CHECKING:
    from imitable.platforms.mturk.client import Api, Row

Progress = Callable[[int], object]


def publish_hits(
    api: Api, folder: Folder, store: Store, places: int, *, dry_run: bool, advance: Progress = lambda _done: None
) -> Published:
    """See to it that the campaign's HITs are for so many workers in all and open; or say what would be done.

    A HIT keeps its places: more can be added, and none taken away. Raises NotOffered as long as it is certain that
    nobody more can come, and PlatformError after that.
    """
    with nobody_invited(None):
        hits = find(api, folder)
    there = _places(hits)
    with nobody_invited(there):
        sizes = {number: int(hit["MaxAssignments"]) for number, hit in hits.items()}
        steps = grown(sizes, places, settings_of(folder).per_hit)
        sizes |= {step.number: step.size for step in steps}
        places = sum(sizes.values())
        what = _what(folder, len(sizes), places, api.url)
        question = question_of(folder, api.url)
        own = find_own(api, folder) if dry_run else make_own(api, folder)
        wanted = described(folder, folder.texts(), requirements(folder, own))
        _refuse_differences(folder, hits, wanted, question)
        _refuse_lower_fee(folder, hits)
        notes = _notes(api, folder, store, sizes.values())
        if dry_run:
            again = f"imitable publish {folder.path} --platform mturk"
            return Published(what, (), f"the same without --dry-run: {again}", notes, places)
        if hits and steps:  # who played the first may not take the next
            grant(api, folder, took_part(folder, store, listed(api, folder, hits)))
        type_id = str(api.read("CreateHITType", **wanted)["HITTypeId"])
    for step in steps:
        try:
            _take(api, folder, step, hits.get(step.number), type_id, question)
        except (Refused, NoAnswer) as error:
            if not error.may_be_done:
                raise NotOffered(str(error), offered=there) from error
            raise
        there += step.more
        advance(step.more)
    for hit in hits.values():  # what was closed, or has run out, is offered again
        if hit["Expiration"] <= api.now():
            expire(api, hit, api.now() + timedelta(days=settings_of(folder).open_days))
    step_next = f"let 'imitable serve {folder.path}' run, and now and then: imitable collect {folder.path}"
    return Published(what, (), step_next, notes, places)


def offline(folder: Folder, url: str, places: int, why: str) -> Published:
    """What would be published, as far as it can be said without asking the site, and why it was not asked."""
    question_of(folder, url)
    described(folder, folder.texts(), requirements(folder, ""))
    step = f"once that is mended, the same without --dry-run: imitable publish {folder.path} --platform mturk"
    hits = -(-places // settings_of(folder).per_hit)
    return Published(_what(folder, hits, places, url), (), step, (why, *promises(folder, by_hand=False)), places)


def _places(hits: Mapping[int, Row]) -> int:
    return sum(int(hit["MaxAssignments"]) for hit in hits.values())


def _what(folder: Folder, hits: int, places: int, url: str) -> str:
    return f"{hits} HIT{'s'[: hits != 1]} for {places} worker{'s'[: places != 1]} at {url}, {reward_of(folder)} each"


def _refuse_differences(folder: Folder, hits: Mapping[int, Row], wanted: Row, question: str) -> None:
    for hit in hits.values():
        problems = list(differences(hit, wanted, question))
        if problems:
            raise PlatformError(
                f"The HIT {hit['HITId']} was published otherwise: {'; '.join(problems)}. Undo that in "
                f"{folder.path / 'campaign.toml'}, or run a campaign of its own for it."
            )


def _refuse_lower_fee(folder: Folder, hits: Mapping[int, Row]) -> None:
    """Raise PlatformError where a HIT's rewards cost the fee for Masters, and the books would reckon without it."""
    asked = [one for hit in hits.values() for one in hit.get("QualificationRequirements", ())]
    for_masters = any(one["QualificationTypeId"] in MASTERS and one["Comparator"] == "Exists" for one in asked)
    if for_masters and not any(one.type in MASTERS for one in settings_of(folder).qualifications):
        raise PlatformError(
            "There are HITs for Masters, on whose rewards 5 % more is taken. Put that qualification back into "
            "[platform.mturk], so that the books reckon with it."
        )


def _take(api: Api, folder: Folder, step: Step, hit: Row | None, type_id: str, question: str) -> None:
    """Do one step, unless it is done. An answer that was lost does not matter when the HIT is as it should be."""
    if hit is None:
        _make(api, folder, step, type_id, question)
        return
    try:
        api.told(
            "CreateAdditionalAssignmentsForHIT",
            HITId=hit["HITId"],
            NumberOfAdditionalAssignments=step.more,
            UniqueRequestToken=token(folder, "more", hit["HITId"], step.size),
        )
    except (Refused, NoAnswer):
        if int(api.read("GetHIT", HITId=hit["HITId"])["HIT"]["MaxAssignments"]) < step.size:
            raise


def _make(api: Api, folder: Folder, step: Step, type_id: str, question: str) -> None:
    """Make a HIT, once: the site takes the same operation id as the same HIT for a day, and lists it long before."""
    try:
        api.told(
            "CreateHITWithHITType",
            HITTypeId=type_id,
            MaxAssignments=step.size,
            LifetimeInSeconds=86_400 * settings_of(folder).open_days,
            Question=question,
            RequesterAnnotation=f"{marker(folder)}{step.number}",
            UniqueRequestToken=token(folder, "hit", step.number),
        )
    except Refused as error:
        if error.turk_code != "AWS.MechanicalTurk.HitAlreadyExists":
            raise
        named = re.search(r"\b(?=[A-Z]*\d)[A-Z0-9]{12,64}\b", error.said)
        if named is None or api.read("GetHIT", HITId=named[0])["HIT"]["MaxAssignments"] != step.size:
            raise
    except NoAnswer:
        if step.number not in find(api, folder):
            raise


def _notes(api: Api, folder: Folder, store: Store, sizes: Collection[int]) -> tuple[str, ...]:
    """What the runner has to know of HITs for so many workers each."""
    balance = read_money(str(api.read("GetAccountBalance")["AvailableBalance"]), CURRENCY)
    notes = cost.said(folder, store, sizes, balance)
    if is_stand_in(api.url):
        notes.insert(0, f"{api.url} is a stand-in: no real people, no real money.")
    if not settings_of(folder).sites:
        notes.append("No site may show the task in its frame until [platform.mturk] worker_sites names one.")
    url = folder.config.serve.public_url or ""
    if not answers(url):
        notes.append(f"Nobody answers at {url}: start 'imitable serve {folder.path}' before workers come.")
    return (*notes, *promises(folder, by_hand=False))
