"""`imitable inspect`: the runner reads targets, items, truths and examples by eye, before money is spent."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path

from imitable.errors import BuildError, CampaignError, MissingExtra, PlatformError
from imitable.store import read_report

HOST = "127.0.0.1"
"""The only address: the pages hold every truth of the campaign."""


def inspect(directory: Path, *, target: str | None = None, port: int = 0, ready: Callable[[str], object]) -> None:
    """Serve DIR/build to this machine's browser until interrupted.

    `ready` is told the address, which holds a fresh secret token, once the port is open; with `target`, that of its
    page. Port 0 takes a free one. Raises BuildError without a build, CampaignError for a target that is not in it.
    """
    try:
        import uvicorn

        from imitable.commands.inspecting import Records, inspector
        from imitable.commands.inspecting.door import link_to
    except ImportError as error:
        raise MissingExtra("serve", wanted_for="Inspecting a build in the browser") from error

    folder = directory / "build"
    report = read_report(folder)
    if report is None:
        raise BuildError(f"{directory} has not been built yet. Run: imitable build {directory}")
    records = Records(folder)
    if target is not None and target not in records.targets:
        raise CampaignError(_unknown(target, list(records.targets), directory))
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        raise PlatformError(
            f"Port {port} on {HOST} cannot be opened ({error.strerror}). Choose another with --port, or leave it out."
        ) from error
    with listening:
        token = secrets.token_urlsafe(24)
        app = inspector(records, report, token)
        ready(f"http://{HOST}:{listening.getsockname()[1]}/{token}/{link_to(target) if target is not None else ''}")
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
        )
        uvicorn.Server(config).run(sockets=[listening])


def _unknown(target: str, known: Iterable[str], directory: Path) -> str:
    """What to say of a target that is not there: those that hold the words asked for, else those spelled alike."""
    names = list(known)
    close = [name for name in names if target and target.casefold() in name.casefold()][:3]
    close = close or get_close_matches(target, names, n=3, cutoff=0.4)
    meant = f" Did you mean {', or '.join(close)}?" if close else ""
    return (
        f"{directory} has no target '{target}'.{meant} Copy an id from the list of all {len(names)}: "
        f"imitable inspect {directory}"
    )
