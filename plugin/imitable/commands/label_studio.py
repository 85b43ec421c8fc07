"""`imitable label-studio`: a server for trying out, and the doctor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imitable.commands import leaks
from imitable.commands.folders import built
from imitable.errors import PlatformError
from imitable.platforms.label_studio.checking import Check, fine, note, of_server, wrong
from imitable.platforms.label_studio.checking_project import of_project, project_or_why
from imitable.platforms.label_studio.client import connected
from imitable.platforms.label_studio.nginx import LISTEN, write_nginx_config
from imitable.rehearsal.label_studio import Server, down, up

__all__ = ["Doctor", "Server", "doctor", "down", "up"]

_ROLES = (
    "Label Studio's open source has no roles: every account can read, change, export and delete everything in it. "
    "Invite people whom you know. Strangers who are paid belong on our own page: publish --platform web, or Prolific."
)
_LEAKS_SHOWN = 5


@dataclass(frozen=True)
class Doctor:
    """What `imitable label-studio doctor` saw."""

    url: str
    checks: tuple[Check, ...]

    @property
    def ready(self) -> bool:
        """Nothing is wrong, as far as can be seen."""
        return all(check.word != "wrong" for check in self.checks)


def doctor(directory: Path, *, nginx: Path | None = None, listen: str = LISTEN) -> Doctor:
    """Look at the server that a campaign names, and at its project there. Changes nothing in it.

    With `nginx`, write a configuration of nginx to that file first, with which annotators can do what they need and
    nothing else. Raises PlatformError when there is no server to ask, or it lets us not in.
    """
    with built(directory) as (folder, store):
        settings = folder.config.platform.label_studio
        if settings is None:
            raise PlatformError(
                f"{directory / 'campaign.toml'} has no table [platform.label_studio]. Add it, with the url of your "
                "server."
            )
        if nginx is not None:
            write_nginx_config(folder, nginx, listen=listen)
        with connected(settings.url) as server:
            checks = list(of_server(server, folder))
            project, why = project_or_why(server, store)
            if why is not None:
                checks.append(why)
            if project is not None:
                checks += of_project(server, folder, store, project)
                checks += _of_leaks(*leaks.leaks(server, store, project))
    return Doctor(settings.url, (*checks, note(_ROLES)))


def _of_leaks(looked: int, found: Sequence[str]) -> Iterator[Check]:
    """What was found, and how far that goes."""
    yield from (wrong(what) for what in found[:_LEAKS_SHOWN])
    if len(found) > _LEAKS_SHOWN:
        yield wrong(f"... and {len(found) - _LEAKS_SHOWN} more tasks like these.")
    if not found:
        yield fine(f"Nothing in {looked} tasks tells what has yet to be guessed.")
    limits = ["numbers were looked for with two decimals and more, for 0.3 may be anything"]
    if looked > leaks.DRAFTS:
        limits.append(f"of drafts, those of the first {leaks.DRAFTS} of {looked} tasks were read")
    yield note(f"How far that goes: {'; '.join(limits)}.")
