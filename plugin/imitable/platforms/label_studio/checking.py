"""What is not as it should be on a Label Studio server, before people play there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from imitable.campaign import Folder
from imitable.game.label_studio import names
from imitable.platforms.label_studio.client import Server
from imitable.platforms.label_studio.refusals import Refused

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
