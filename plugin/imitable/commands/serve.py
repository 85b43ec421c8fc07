"""`imitable serve`: the game on a real port."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from imitable.campaign import Folder
from imitable.commands.folders import built
from imitable.commands.unchanged import changed_inputs
from imitable.errors import BuildError, MissingExtra, PlatformError
from imitable.store import read_build, read_report


def serve(
    directory: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    log: str | None = None,
    ready: Callable[[Folder, str], object] | None = None,
) -> None:
    """Serve a built campaign until interrupted; requests in flight are finished first.

    `ready` is told the folder and the address once the port is open. Port 0 takes a free one. `log` is a file for
    requests as lines of JSON, `-` for the terminal. Raises BuildError when what the campaign was built from has
    changed.
    """
    try:
        from imitable.game.listening import configured, listen
        from imitable.game.request_log import keep_log
        from imitable.game.web import web_app
    except ImportError as error:
        raise MissingExtra("serve", wanted_for="Serving the game") from error
    from imitable.game import Game

    with built(directory, as_configured=True) as (folder, store):
        _refuse_what_changed(folder)
        try:
            listening = socket.create_server((host, port))
        except OSError as error:
            raise PlatformError(
                f"Port {port} on {host} cannot be opened ({error.strerror}). Choose another with --port."
            ) from error
        with listening:
            keep_log(log)
            app = web_app(Game(folder, store))
            store.hurry()
            if ready is not None:
                ready(folder, f"http://{host}:{listening.getsockname()[1]}")
            listen(configured(app, folder.config.serve), [listening])


def _refuse_what_changed(folder: Folder) -> None:
    """Raise BuildError when a model, probe, SAE or built file is not what the truths were computed from."""
    report = read_report(folder.build)
    if report is None:  # the database is enough to serve from
        return
    problems = changed_inputs(folder, report, read_build(folder.build)["targets"])
    if problems:
        raise BuildError("This is not the campaign that was built: " + " ".join(problems))
