"""Webhooks of a stand-in: events told to subscribers at least once, signed, and in no promised order."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import TYPE_CHECKING

from imitable.rehearsal.faults import Fields
from imitable.rehearsal.prolific.signing import signature
from imitable.rehearsal.prolific.world import Subscription, World, bad_request, not_found

if TYPE_CHECKING:
    import httpx

EVENT_TYPES = ("study.status.change", "submission.status.change")
TRIES = 3
_PAUSE = 0.5
"""Seconds between two tries."""


def tell(world: World, event_type: str, resource_id: str, **more: object) -> None:
    """Note an event for whoever subscribed to its type."""
    told = {"resource_id": resource_id, "event_type": event_type, **more}
    world.events += [
        {"id": str(uuid.uuid4()), "to": one.target_url, "body": told}
        for one in world.subscriptions.values()
        if one.enabled and one.event_type == event_type
    ]


def subscribe(world: World, fields: Fields) -> Subscription:
    """`POST /hooks/subscriptions/`. The documents ask for https; here loopback will do, too."""
    if not world.hook_secret:
        raise bad_request("Create a secret first.")
    if fields.get("event_type") not in EVENT_TYPES:
        raise bad_request({"event_type": ["There is no such type."]})
    made = Subscription(world.fresh("hook"), fields["event_type"], fields["target_url"], world.fresh("proof"))
    world.subscriptions[made.id] = made
    return made


def confirm(world: World, subscription_id: str, fields: Fields) -> Subscription:
    """`POST /hooks/subscriptions/{id}/`, with what `X-Hook-Secret` said."""
    one = world.subscriptions.get(subscription_id)
    if one is None:
        raise not_found("subscription")
    if fields.get("secret") != one.proof:
        raise bad_request("That is not the secret of this subscription.")
    one.enabled = True
    return one


def shown(world: World, one: Subscription) -> Fields:
    """A subscription as it is listed."""
    told = {"id": one.id, "event_type": one.event_type, "target_url": one.target_url}
    return {**told, "is_enabled": one.enabled, "workspace_id": world.workspace}


async def deliver(world: World, client: httpx.AsyncClient) -> None:
    """Send what is there to be sent; events that are held back are sent in reverse order once enough are there."""
    held = world.settings.hooks_held
    if not world.events or len(world.events) < held:
        return
    events, world.events = world.events, []
    for event in reversed(events) if held else events:
        for _ in range(world.settings.hook_copies):
            await _send(client, event, world.hook_secret)


async def _send(client: httpx.AsyncClient, event: Fields, secret: str) -> None:
    import httpx

    body = json.dumps(event["body"]).encode()
    for tried in range(TRIES):
        stamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-Prolific-Request-Timestamp": stamp,
            "X-Prolific-Request-Signature": signature(secret, stamp, body),
            "X-Event-ID": event["id"],
        }
        try:
            answer = await client.post(event["to"], content=body, headers=headers)
            if answer.is_success:
                return
        except httpx.HTTPError:
            pass  # nobody listens: it is told again
        if tried + 1 < TRIES:
            await asyncio.sleep(_PAUSE)
