"""The studies of a stand-in: drafts, what may change when, and the way from a draft to the end.

UNPUBLISHED --PUBLISH--> ACTIVE --PAUSE--> PAUSED --START--> ACTIVE
ACTIVE, PAUSED --STOP--> COMPLETED --more places--> ACTIVE

Stricter than the documents: fields that a study does not have, and a second PUBLISH, are refused. PUBLISH is at once,
where Prolific passes through PUBLISHING. A study whose places are all taken, and that nobody is playing, is shown as
AWAITING REVIEW.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from imitable.rehearsal.faults import Fields
from imitable.rehearsal.prolific import wallet
from imitable.rehearsal.prolific.hooks import tell
from imitable.rehearsal.prolific.world import Study, World, bad_request

REQUIRED = (
    "name",
    "description",
    "external_study_url",
    "prolific_id_option",
    "completion_codes",
    "total_available_places",
    "estimated_completion_time",
    "reward",
)
OPTIONAL = (
    "internal_name",
    "device_compatibility",
    "peripheral_requirements",
    "filters",
    "project",
    "maximum_allowed_time",
    "submissions_config",
    "study_labels",
    "is_external_study_url_secure",
    "metadata",
)
ACTIONS = {
    "AUTOMATICALLY_APPROVE": (),
    "MANUALLY_REVIEW": (),
    "ADD_TO_PARTICIPANT_GROUP": ("participant_group",),
    "REMOVE_FROM_PARTICIPANT_GROUP": ("participant_group",),
    "REQUEST_RETURN": ("return_reason",),
}
"""What a completion code can bring about, with the fields that it needs. Those that only some workspaces have (fixed
payments for screening out, payments of a share of the reward) are not here."""

BLOCKED = "participant_group_blocklist"
"""The filter that keeps members of groups out. The documents name it in words; its id is known from others' code."""

CHANGEABLE = ("internal_name", "total_available_places", "submissions_config")
"""What can change once a study is published."""

TRANSITIONS = {
    "PUBLISH": (("UNPUBLISHED",), "ACTIVE"),
    "PAUSE": (("ACTIVE",), "PAUSED"),
    "START": (("PAUSED",), "ACTIVE"),
    "STOP": (("ACTIVE", "PAUSED"), "COMPLETED"),
}


def create(world: World, fields: Fields) -> Study:
    """Make a draft."""
    missing = [name for name in REQUIRED if not fields.get(name)]
    if missing:
        raise bad_request({name: ["This field is required."] for name in missing})
    study = Study(world.fresh("study"), _checked(world, fields), world.now())
    world.studies[study.id] = study
    return study


def change(world: World, study: Study, fields: Fields) -> None:
    """Change a draft; of a published study only its places, upwards, and what its own people see."""
    if study.status == "UNPUBLISHED":
        study.described = _checked(world, {**study.described, **fields})
        return
    fixed = [name for name in fields if name not in CHANGEABLE]
    if fixed:
        raise bad_request({name: ["This cannot change once the study is published."] for name in fixed})
    places = fields.get("total_available_places", study.places)
    if places < study.places:
        raise bad_request({"total_available_places": ["Places can only be increased."]})
    more = wallet.cost(world, study.reward, places - study.places)
    if wallet.balance(world)["available_balance"] < more:
        raise bad_request("There is not enough money in the workspace for so many places.")
    reopened = places > study.places and study.status == "COMPLETED"
    study.described = _checked(world, {**study.described, **fields})
    if reopened:
        _become(world, study, "ACTIVE")


def transition(world: World, study: Study, action: str) -> None:
    """Publish, pause, start or stop."""
    if action not in TRANSITIONS:
        raise bad_request({"action": [f"'{action}' is not one of {', '.join(TRANSITIONS)}."]})
    allowed, becomes = TRANSITIONS[action]
    if study.status not in allowed:
        raise bad_request(f"A study that is {study.status} cannot be told to {action}.")
    if action == "PUBLISH":
        needed = wallet.cost(world, study.reward, study.places)
        if wallet.balance(world)["available_balance"] < needed:
            raise bad_request("There is not enough money in the workspace to publish this study.")
        study.published = world.now()
    _become(world, study, becomes)


def shown(world: World, study: Study) -> Fields:
    """A study as `GET /studies/{id}/` has it."""
    ours = world.of_study(study)
    taken = sum(one.status not in ("RETURNED", "TIMED-OUT", "REJECTED") for one in ours)
    playing = any(one.status in ("RESERVED", "ACTIVE") for one in ours)
    full = study.status == "ACTIVE" and taken >= study.places and not playing
    return {
        **study.described,
        "id": study.id,
        "status": "AWAITING REVIEW" if full else study.status,
        "date_created": study.created.isoformat(),
        "published_at": study.published.isoformat() if study.published else None,
        "places_taken": taken,
        "number_of_submissions": len(ours),
        "total_cost": wallet.cost(world, study.reward, study.places),
        "presentment_currency_code": world.settings.currency,
    }


def _become(world: World, study: Study, status: str) -> None:
    study.status = status
    tell(world, "study.status.change", study.id, status=status, metadata={})


def _checked(world: World, fields: Fields) -> Fields:
    problems: dict[str, list[str]] = {
        name: ["A study has no such field."] for name in fields if name not in (*REQUIRED, *OPTIONAL)
    }
    for name in ("total_available_places", "estimated_completion_time", "reward"):
        if not isinstance(fields[name], int) or fields[name] < 1:
            problems[name] = ["This must be a whole number above zero."]
    if urlsplit(fields["external_study_url"]).scheme not in ("http", "https"):
        problems["external_study_url"] = ["This is no web address."]
    if fields["prolific_id_option"] not in ("question", "url_parameters", "not_required"):
        problems["prolific_id_option"] = ["This is not one of the options."]
    if fields.get("is_external_study_url_secure") and not world.settings.secure_links:
        problems["is_external_study_url_secure"] = ["This workspace cannot have secure study URLs."]
    if fields.get("project", world.project) != world.project:
        problems["project"] = ["There is no such project."]
    groups = [
        name for one in fields.get("filters", ()) if one["filter_id"] == BLOCKED for name in one["selected_values"]
    ]
    codes = [_code_problem(world, code) for code in fields["completion_codes"]]
    names = [code.get("code") for code in fields["completion_codes"]]
    if any(codes) or len(set(names)) < len(names):
        problems["completion_codes"] = [problem for problem in codes if problem] or ["A code comes twice."]
    if any(group not in world.groups for group in groups):
        problems["filters"] = ["There is no such participant group."]
    if problems:
        raise bad_request(problems)
    return dict(fields)


def _code_problem(world: World, code: dict[str, Any]) -> str:
    """What is wrong with a completion code; empty where nothing is."""
    if not code.get("code") or not code.get("code_type") or "actions" not in code:
        return "A code needs a code, a code_type and actions."
    kinds = [action.get("action") for action in code["actions"]]
    if {"AUTOMATICALLY_APPROVE", "MANUALLY_REVIEW"} <= set(kinds):
        return "A submission cannot be approved both automatically and manually."
    for action, kind in zip(code["actions"], kinds, strict=True):
        if kind not in ACTIONS or any(not action.get(name) for name in ACTIONS[kind]):
            return f"The action {kind} is not known, or lacks a field."
        if action.get("participant_group", None) not in (None, *world.groups):
            return "There is no such participant group."
    return ""
