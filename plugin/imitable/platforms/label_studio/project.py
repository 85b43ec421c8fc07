"""The campaign's project on the server, and the backend in it: found by a line of its description, made, mended."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import select

from imitable.campaign import Folder
from imitable.errors import MissingExtra, PlatformError
from imitable.game.label_studio import names
from imitable.platforms.label_studio.client import Server, only
from imitable.platforms.label_studio.refusals import Refused
from imitable.platforms.label_studio.sending import external_ids, key_of
from imitable.store import Store, in_turn, tables

SWITCHES: dict[str, Any] = {
    "maximum_annotations": 1,
    "show_skip_button": False,
    "enable_empty_annotation": False,
    "show_annotation_history": False,
    "show_collab_predictions": False,  # else a page that is opened asks for predictions, and keeps them
    "evaluate_predictions_automatically": False,
    "reveal_preannotations_interactively": False,
}
_TITLE = 50
"""Characters that a project's title may have."""


def check_config(config: str) -> None:
    """Raise PlatformError when a labelling configuration is not valid. Asks no server."""
    try:
        from label_studio_sdk.label_interface import LabelInterface  # type: ignore[attr-defined]
    except ImportError as error:
        raise MissingExtra("label-studio", wanted_for="Label Studio") from error
    try:
        LabelInterface(config).validate()  # type: ignore[no-untyped-call]
    except Exception as error:  # the SDK raises classes of its own that share no root
        raise PlatformError(
            f"Label Studio's SDK does not take the labelling page of this campaign ({error}). Nothing was made. Look "
            "for what is unusual in the texts of [study] texts."
        ) from error


def find_project(server: Server, store: Store) -> int | None:
    """The id of the campaign's project, or None. Raises PlatformError when it can no longer be told."""
    known, mark = _known(store), _mark(store)
    project = None if known is None else _project(server, known)
    if known is not None and project is not None:
        if mark in (project["description"] or ""):
            return known
        if _holds_ours(server, store, known):
            raise PlatformError(
                f"Project {known} at {server.url} holds this campaign, and its description no longer says so. Put the "
                f"line '{mark}' back into the description; or delete that project, and a new one is made."
            )
    return min((one["id"] for one in _projects(server) if mark in (one["description"] or "")), default=None)


def make_project(server: Server, folder: Folder, store: Store, config: str) -> int:
    """Find the campaign's project or make it, and set everything in it that we rely on."""
    found = find_project(server, store)
    if found is None:
        title = f"imitable: {folder.config.campaign.name}"[:_TITLE]
        described = f"Made by imitable, which finds it by this line:\n{_mark(store)}"
        made = server.sdk.projects.create(title=title, description=described, label_config=config, **SWITCHES)
        found = int(made.id or 0)
    now = server.wire.get(f"/api/projects/{found}/").json()
    wanted = {"label_config": config, **SWITCHES}
    wrong = {name: value for name, value in wanted.items() if now.get(name) != value}
    if wrong:
        server.wire.patch(f"/api/projects/{found}/", json=wrong)
    return found


def connect(server: Server, folder: Folder, project: int, mode: str) -> list[str]:
    """Let the server reach us as the mode wants it. Returns addresses of others that are told what annotators do."""
    if mode == "interactive":
        return _connect_backend(server, folder, project)
    return _connect_webhook(server, folder, project) if mode == "webhook" else []


def _connect_webhook(server: Server, folder: Folder, project: int) -> list[str]:
    """Make, or mend, the webhook that tells us of annotations: a hint, for every account can read its headers."""
    wanted = {
        "url": f"{names.backend_address(folder)}/webhook",
        "send_payload": True,
        "send_for_all_actions": False,
        "actions": ["ANNOTATION_CREATED", "ANNOTATION_UPDATED"],
        "headers": {"Authorization": f"Bearer {names.hint_secret(folder)}"},
        "is_active": True,
    }
    there = server.wire.get("/api/webhooks/", params={"project": project}).json()
    ours = [one for one in there if one["url"] == wanted["url"]]
    if not ours:
        server.wire.post("/api/webhooks/", json={"project": project, **wanted})
    elif any(ours[0].get(name) != value for name, value in wanted.items()):
        server.wire.patch(f"/api/webhooks/{ours[0]['id']}/", json=wanted)
    for one in ours[1:]:
        server.wire.delete(f"/api/webhooks/{one['id']}/")
    return [one["url"] for one in there if one not in ours]


def _connect_backend(server: Server, folder: Folder, project: int) -> list[str]:
    """Make, or mend, the one backend that answers guesses. Returns the addresses of backends that are not ours."""
    title = f"imitable {folder.config.campaign.name}"
    wanted = {
        "url": names.backend_address(folder),
        "title": title,
        "is_interactive": True,
        "auth_method": "BASIC_AUTH",
        "basic_auth_user": names.USER,
    }
    there = server.wire.get("/api/ml", params={"project": project}).json()
    ours = sorted(
        (one for one in there if one["title"] == title or one["url"] == wanted["url"]), key=lambda one: one["id"]
    )
    secret = {"basic_auth_pass": names.password(folder)}
    if not ours:
        server.wire.post("/api/ml", json={"project": project, **wanted, **secret})
    elif any(ours[0].get(name) != value for name, value in wanted.items()) or not ours[0].get("basic_auth_pass_is_set"):
        server.wire.patch(f"/api/ml/{ours[0]['id']}", json={"project": project, **wanted, **secret})
    for one in ours[1:]:
        server.wire.delete(f"/api/ml/{one['id']}")
    return [one["url"] for one in there if one not in ours]


def _mark(store: Store) -> str:
    return f"imitable {store.campaign_id}"


def _known(store: Store) -> int | None:
    """The project of the tasks that we have a record of."""
    found = select(tables.tasks.c.project).where(tables.tasks.c.platform == names.PLATFORM).limit(1)
    with store.read() as connection:
        project = connection.execute(found).scalar()
    return None if project is None else int(project)


def _holds_ours(server: Server, store: Store, project: int) -> bool:
    """Whether a task of ours is where we left it: else this is a project of another server, with the same number."""
    for key, number in external_ids(store).items():
        with_number = [only("id", "equal", "Number", number)]
        rows = server.tasks(project, include="id,data", filters=with_number)
        return any(key_of(row) == key for row in rows)
    return False


def _projects(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = 1
    while page:
        answer = server.wire.get(
            "/api/projects/", params={"include": "id,description", "page_size": 100, "page": page}
        ).json()
        found += answer["results"]
        page = page + 1 if answer["next"] else 0
    return found


def _project(server: Server, number: int) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = server.wire.get(f"/api/projects/{number}/").json()
    except Refused as error:
        if error.gone:
            return None
        raise
    return found


def alone(store: Store, folder: Folder) -> AbstractContextManager[None]:
    """One command at a time goes through what a campaign has on a platform. Raises PlatformError for another."""
    busy = f"Another command is publishing, collecting or closing {folder.path}. Wait for it, or stop it."
    return in_turn(store, folder, names.PLATFORM, busy=PlatformError(busy))
