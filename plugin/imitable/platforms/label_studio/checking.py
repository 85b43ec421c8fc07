"""What is not as it should be on a Label Studio server and in a campaign's project, before people play there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import func, select

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.label_studio import names
from imitable.platforms.label_studio.accounts import read_accounts
from imitable.platforms.label_studio.client import Server
from imitable.platforms.label_studio.project import SWITCHES
from imitable.platforms.label_studio.refusals import Refused
from imitable.store import Store, tables

TESTED = ("1.23.2",)
"""Versions that imitable is tested with."""

_HERE = "http://127.0.0.1:1/imitable"
"""An address that a careful server refuses. Nothing is ever made with it: it is sent with a mistake beside it."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    word: Literal["fine", "wrong", "note"]
    """`note`: to be known, and nothing that a command can mend."""
    said: str
    """What was seen, and for what is wrong what to do."""


def fine(said: str) -> Check:
    """Nothing to do."""
    return Check("fine", said)


def wrong(said: str) -> Check:
    """To be mended before people play."""
    return Check("wrong", said)


def note(said: str) -> Check:
    """To be known."""
    return Check("note", said)


def of_server(server: Server, folder: Folder) -> Iterator[Check]:
    """The server as a whole. Makes nothing in it. Raises PlatformError when it does not answer."""
    release = str(server.wire.get("/api/version").json().get("release"))
    if release in TESTED:
        yield fine(f"Label Studio {release}, which imitable is tested with.")
    else:
        yield wrong(
            f"Label Studio {release}, and imitable is tested with {', '.join(TESTED)}: the page may not work. Install "
            "that version, or play a whole task yourself before others do."
        )
    if server.wire.get("/api/jwt/settings").json().get("legacy_api_tokens_enabled"):
        yield wrong(
            "Legacy tokens are on: Label Studio gives the project owner's to every ML backend, and every account may "
            "add one. Turn them off under Organization, Access Token Settings."
        )
    else:
        yield fine("Legacy tokens are off.")
    yield _calling_home(server.wire.get("/projects/").text)
    yield _signing_up(server)
    yield from _own_network(server, folder)


def _calling_home(page: str) -> Check:
    reports = re.search(r"collect_analytics:\s*true", page) is not None
    errors = re.search(r"sentry_dsn:\s*[\"']", page) is not None
    if reports or errors:
        what = " and ".join(word for word, on in (("analytics", reports), ("error reports", errors)) if on)
        return wrong(
            f"The annotators' browsers send {what} to the makers of Label Studio. Start it with "
            "COLLECT_ANALYTICS=false, SENTRY_DSN= and FRONTEND_SENTRY_DSN= (empty)."
        )
    return fine(
        "Browsers send no analytics and no error reports. What the server itself sends cannot be seen from here."
    )


def _signing_up(server: Server) -> Check:
    import httpx

    path = "/user/signup/"
    with httpx.Client(base_url=server.url, timeout=30.0) as stranger:
        stranger.get(path)
        nobody = {"email": "", "password": "", "csrfmiddlewaretoken": stranger.cookies.get("csrftoken", "")}
        answer = stranger.post(path, data=nobody, headers={"Referer": f"{server.url}{path}"})
    if answer.status_code == httpx.codes.OK:
        return wrong(
            "Anybody may make an account, and then read everything. Start Label Studio with "
            "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK=true."
        )
    return fine("Accounts are made by invitation only.")


def _own_network(server: Server, folder: Folder) -> Iterator[Check]:
    """Whether the server calls addresses of private networks, and whether ours is one."""
    settings = folder.config.platform.label_studio
    if settings is None or settings.mode == "plain":
        return
    kind, remedy = {
        "interactive": ("ml", "ML_BLOCK_LOCAL_IP=false"),
        "webhook": ("webhooks", "SSRF_PROTECTION_ENABLED=false"),
    }[settings.mode]
    ours = names.backend_address(folder)
    if refused := _refuses(server, kind, ours):
        yield wrong(
            f"Label Studio calls no address such as {ours} ({refused}). Give the game a public address, [platform."
            f"label_studio] backend_url, or start Label Studio with {remedy}."
        )
    elif not _refuses(server, kind, _HERE):
        yield note(
            "Label Studio calls addresses of its own network, whoever asks it to: every account may let it look around "
            f"there. If {ours} does not need that, leave {remedy} out."
        )


def _refuses(server: Server, kind: str, url: str) -> str:
    """Why the server would not call an address; empty if it would. What is sent is never made: it names no project."""
    try:
        server.wire.post(f"/api/{kind}", json={"url": url, "auth_method": "none", "actions": ["none"], "project": 0})
    except Refused as error:
        if error.status == 403:
            return "it refuses addresses of its own network"
    return ""


def of_project(server: Server, folder: Folder, store: Store, project: int) -> Iterator[Check]:
    """The campaign's project: its switches, who hears of what is done in it, and who may look into it."""
    now = server.wire.get(f"/api/projects/{project}/").json()
    turned = sorted(name for name, value in SWITCHES.items() if now.get(name) != value)
    again = f"Run: imitable publish {folder.path} --platform {names.PLATFORM}"
    if turned:
        yield wrong(f"Project {project} has other settings than imitable made: {', '.join(turned)}. {again}")
    else:
        yield fine(f"Project {project} has the settings that imitable made.")
    yield from _reached(server, folder, project, again)
    yield from _listeners(server, folder, project)
    yield from _members(server, folder, store)
    yield from _sharing(folder, store)


def _reached(server: Server, folder: Folder, project: int, again: str) -> Iterator[Check]:
    """To list the backends, Label Studio asks each of them how it is."""
    settings, ours = folder.config.platform.label_studio, names.backend_address(folder)
    if settings is None or settings.mode != "interactive":
        return
    found = [one for one in server.wire.get("/api/ml", params={"project": project}).json() if one["url"] == ours]
    if not found:
        yield wrong(f"The project does not ask {ours} for answers, so no guess would get one. {again}")
    elif found[0]["state"] == "CO":
        yield fine(f"Label Studio reaches the game at {ours}.")
    else:
        yield wrong(
            f"Label Studio does not reach the game at {ours} ({found[0]['readable_state']}). Let 'imitable serve "
            f"{folder.path}' run; where it listens is [platform.label_studio] backend_url."
        )


def _listeners(server: Server, folder: Folder, project: int) -> Iterator[Check]:
    door = names.backend_address(folder)
    backends = [one["url"] for one in server.wire.get("/api/ml", params={"project": project}).json()]
    hooks = [one["url"] for one in server.wire.get("/api/webhooks/").json() if one["project"] in (None, project)]
    strange = sorted({url for url in backends if url != door} | {url for url in hooks if url != f"{door}/webhook"})
    if strange:
        yield wrong(
            f"Not ours, and told what annotators do: {', '.join(strange)}. Remove what you do not know, under Settings "
            "of the project: Model and Webhooks."
        )
    else:
        yield fine("Nobody but the game is told what annotators do.")


def _members(server: Server, folder: Folder, store: Store) -> Iterator[Check]:
    known = select(tables.identities.c.platform_id).where(tables.identities.c.platform == names.PLATFORM)
    with store.read() as connection:
        players = set(connection.execute(known).scalars())
    settings = folder.config.platform.label_studio
    if settings is not None and settings.accounts:
        players |= {one.email for one in read_accounts(folder.path / settings.accounts)}
    others = sorted(set(server.emails().values()) - players - {server.me()})
    if others:
        yield note(
            f"Not of this campaign, and able to read and delete everything in it: {_some(others)}. Remove whom you do "
            "not know, under Organization."
        )


def _sharing(folder: Folder, store: Store) -> Iterator[Check]:
    """Whether an item stands in the plans of two annotators although all may read what was revealed to one."""
    rounds, settings = tables.rounds.c, folder.config.platform.label_studio
    twice = (
        select(rounds.item_id)
        .join(tables.episodes, tables.episodes.c.episode_id == rounds.episode_id)
        .join(tables.identities, tables.identities.c.annotator_id == tables.episodes.c.annotator_id)
        .where(tables.identities.c.platform == names.PLATFORM, rounds.phase != "check")
        .group_by(rounds.item_id)
        .having(func.count(tables.episodes.c.annotator_id.distinct()) > 1)
    )
    with store.read() as connection:
        shared = len(connection.execute(twice).all())
    if settings is not None and settings.proxied:
        yield note(
            f"{shared} items are played by more than one annotator. See to it that annotators reach {settings.url} "
            "through the proxy of --nginx only: from here that cannot be seen."
        )
    elif shared:
        yield wrong(
            f"{shared} items are played by more than one annotator, and everybody can read what was revealed to the "
            "first. Put the proxy of --nginx in front of Label Studio, and set proxied = true."
        )
    else:
        yield fine("No item is played by more than one annotator.")


def _some(emails: Sequence[Any]) -> str:
    return ", ".join(emails[:5]) + (f" and {len(emails) - 5} more" if len(emails) > 5 else "")


def project_or_why(server: Server, store: Store) -> tuple[int | None, Check | None]:
    """The campaign's project; or None, and why."""
    from imitable.platforms.label_studio.project import find_project

    try:
        found = find_project(server, store)
    except PlatformError as error:
        return None, wrong(str(error))
    return found, None if found is not None else note("Nothing is published there yet. Ask again once it is.")
