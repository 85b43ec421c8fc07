"""`imitable serve`: the game on a real port."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from imitable.campaign import Folder
from imitable.commands.folders import built
from imitable.errors import MissingExtra, PlatformError


def serve(
    directory: Path, *, host: str = "127.0.0.1", port: int = 8000, ready: Callable[[Folder, str], object] | None = None
) -> None:
    """Serve a built campaign until interrupted; requests in flight are finished first.

    `ready` is told the folder and the address once the port is open. Port 0 takes a free one.
    """
    try:
        import uvicorn

        from imitable.game.web import web_app
    except ImportError as error:
        raise MissingExtra("serve", wanted_for="Serving the game") from error
    from imitable.game import Game

    with built(directory, as_configured=True) as (folder, store):
        try:
            listening = socket.create_server((host, port))
        except OSError as error:
            raise PlatformError(
                f"Port {port} on {host} cannot be opened ({error.strerror}). Choose another with --port."
            ) from error
        with listening:
            app = web_app(Game(folder, store))
            if ready is not None:
                ready(folder, f"http://{host}:{listening.getsockname()[1]}")
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=10
            )
            uvicorn.Server(config).run(sockets=[listening])
