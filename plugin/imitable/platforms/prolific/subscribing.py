"""Asking Prolific to call us when something changes, so that nobody has to look all the time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.signed_hooks import EVENT_TYPES, PATH, SignedHooks
from imitable.platforms.reaching import is_loopback

if TYPE_CHECKING:
    from imitable.platforms.prolific.account import Account
    from imitable.platforms.prolific.client import Api

SECRET = "PROLIFIC_HOOK_SECRET"  # noqa: S105  # the name of a variable


def secret() -> str:
    """What Prolific signs its calls with; empty where it is not set."""
    return os.environ.get(SECRET, "").strip()


def signed_hooks() -> SignedHooks:
    """What tells Prolific's calls from others. Raises PlatformError without the workspace's secret."""
    if not secret():
        raise PlatformError(
            f"[platform.prolific] hooks is true, and {SECRET} is not set. Ask Prolific for your workspace's secret as "
            "docs/prolific.md says, and set it, or leave out hooks."
        )
    return SignedHooks(secret())


def subscribe(api: Api, folder: Folder, account: Account) -> list[str]:
    """See to it that Prolific calls us, where the campaign wants that: notes for the runner. Safe to repeat.

    What goes wrong is such a note: the study recruits all the same, and `imitable collect` finds what a call would have
    told.
    """
    settings, home = folder.config.platform.prolific, folder.config.serve.public_url
    if settings is None or not settings.hooks or home is None:
        return []
    if not secret():
        return [f"Prolific does not call: {SECRET} is not set. Get it as docs/prolific.md says, and publish again."]
    target = f"{home.rstrip('/')}{PATH}"
    if not target.startswith("https://") and not is_loopback(target):
        return [f"Prolific does not call: it calls https:// addresses only, and [serve] public_url is {home}."]
    try:
        known = api.get("/hooks/subscriptions/", workspace_id=account.workspace)["results"]
        there = {str(one["event_type"]) for one in known if one["target_url"] == target and one["is_enabled"]}
        for event in EVENT_TYPES:
            if event not in there:
                _confirmed(api, {"workspace_id": account.workspace, "event_type": event, "target_url": target})
    except PlatformError as error:
        return [f"Prolific does not call when something changes, and 'imitable collect' has to be run: {error}"]
    return []


def _confirmed(api: Api, wanted: dict[str, str]) -> None:
    """Subscribe to one kind of event, and confirm it by what the answer's header says, as Prolific documents it."""
    made, headers = api.post_told("/hooks/subscriptions/", wanted)
    proof = headers.get("x-hook-secret", "")
    if not proof:
        raise PlatformError("Prolific did not say how to confirm its calls. Look at the subscriptions there.")
    api.post(f"/hooks/subscriptions/{made['id']}/", {"secret": proof})
