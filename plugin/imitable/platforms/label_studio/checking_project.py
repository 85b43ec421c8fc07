"""What is not as it should be in a campaign's project on Label Studio, before people play there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import func, select

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.label_studio import names
from imitable.platforms.label_studio.accounts import read_accounts
from imitable.platforms.label_studio.checking import Check, fine, note, wrong
from imitable.platforms.label_studio.client import Server
from imitable.platforms.label_studio.project import SWITCHES, find_project
from imitable.store import Store, tables


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
            "Items are shared (proxied = true"
            + (f"; {shared} are played by more than one annotator" if shared else "")
            + f"). See to it that annotators reach {settings.url} through the proxy of --nginx only: from here that "
            "cannot be seen."
        )
    elif shared:
        yield wrong(
            f"{shared} items are played by more than one annotator, and everybody can read what was revealed to the "
            "first. Put the proxy of --nginx in front of Label Studio, and set proxied = true."
        )
    else:
        yield fine("No item is played by more than one annotator.")


def _some(emails: Sequence[str]) -> str:
    return ", ".join(emails[:5]) + (f" and {len(emails) - 5} more" if len(emails) > 5 else "")


def project_or_why(server: Server, store: Store) -> tuple[int | None, Check | None]:
    """The campaign's project; or None, and why."""
    try:
        found = find_project(server, store)
    except PlatformError as error:
        return None, wrong(str(error))
    return found, None if found is not None else note("Nothing is published there yet. Ask again once it is.")
