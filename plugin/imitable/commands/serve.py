"""`imitable serve`: the game on a real port."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from imitable.campaign import Folder
from imitable.commands.folders import built
from imitable.commands.unchanged import changed_inputs
from imitable.errors import BuildError, ImitableError, MissingExtra, PlatformError, StoreError
from imitable.store import Store, read_build, read_report

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from imitable.game.signed_hooks import HookDoor

_log = logging.getLogger(__name__)


def serve(
    directory: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    log: str | None = None,
    ready: Callable[[Folder, str], object] | None = None,
) -> None:
    """Serve a built campaign until interrupted; requests in flight are finished first.

    `ready` is told the folder and the address once the port is open. Port 0 takes a free one. `log` is a file for
    requests as lines of JSON, `-` for the terminal. `workers` are processes that share the port; one that ends is
    started again. Raises BuildError when what the campaign was built from has changed, and StoreError for several
    workers on SQLite.
    """
    try:
        from imitable.game.listening import configured, configured_in_processes, listen, listen_in_processes
        from imitable.game.request_log import keep_log
    except ImportError as error:
        raise MissingExtra("serve", wanted_for="Serving the game") from error

    with built(directory, as_configured=True) as (folder, store):
        if workers > 1 and store.one_writer:
            raise StoreError(
                "SQLite serves one process. Leave out --workers, or keep the record in PostgreSQL: set [store] url in "
                "campaign.toml, or IMITABLE_STORE_URL, and build again."
            )
        refuse_what_changed(folder)
        try:
            listening = socket.create_server((host, port), backlog=2048)
        except OSError as error:
            raise PlatformError(
                f"Port {port} on {host} cannot be opened ({error.strerror}). Choose another with --port."
            ) from error
        with listening:
            keep_log(log)
            say = partial(ready or _silent, folder, f"http://{host}:{listening.getsockname()[1]}")
            if workers > 1:
                making = partial(_worker, directory, log)
                configuration = configured_in_processes(making, folder.config.serve, workers=workers)
                listen_in_processes(configuration, [listening], say)
                return
            app = _app(folder, store)
            say()
            listen(configured(app, folder.config.serve), [listening])


def _silent(_folder: Folder, _address: str) -> None:
    pass


def _app(folder: Folder, store: Store) -> ASGIApp:
    from imitable.game import Game
    from imitable.game.web import web_app

    app = web_app(Game(folder, store), hint=_hint(folder, store), hooks=_hooks(folder))
    store.hurry()
    return app


def _hint(folder: Folder, store: Store) -> Callable[[int], object] | None:
    """Who follows up what Label Studio's webhooks tell, where rounds come in turn there. Raises PlatformError."""
    settings = folder.config.platform.label_studio
    if settings is None or settings.mode != "webhook":
        return None
    from imitable.platforms.label_studio.client import connected
    from imitable.platforms.label_studio.in_turn import InTurn

    with connected(settings.url):
        pass  # what is missing is said now, and not to the first annotator
    return InTurn(folder, store).hint


def _hooks(folder: Folder) -> HookDoor | None:
    """Whom Prolific calls when something changes, where the campaign wants that. Raises PlatformError."""
    settings = folder.config.platform.prolific
    if settings is None or not settings.hooks:
        return None
    from imitable.commands.looking import looker
    from imitable.game.signed_hooks import HookDoor
    from imitable.platforms.prolific.client import connected
    from imitable.platforms.prolific.subscribing import signed_hooks

    with connected(settings):
        pass  # a token that is missing is said now, and not after the first call
    return HookDoor(signed_hooks(), looker(folder.path))


def _worker(directory: Path, log: str | None) -> ASGIApp:
    """The app of one of several processes, which has a folder and a store of its own."""
    from imitable.campaign import open_folder
    from imitable.game.listening import end_with_the_first
    from imitable.game.request_log import keep_log
    from imitable.store import open_store

    end_with_the_first()
    keep_log(log)
    try:
        folder = open_folder(directory)
        return _app(folder, open_store(folder))
    except ImitableError as error:  # the database is away, say: this process is started again
        _log.error("%s", error)
        sys.exit(1)


def refuse_what_changed(folder: Folder) -> None:
    """Raise BuildError when a model, probe, SAE or built file is not what the truths were computed from."""
    report = read_report(folder.build)
    if report is None:  # the database is enough to serve from
        return
    problems = changed_inputs(folder, report, read_build(folder.build)["targets"])
    if problems:
        raise BuildError("This is not the campaign that was built: " + " ".join(problems))
