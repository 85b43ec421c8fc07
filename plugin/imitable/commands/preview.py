"""`imitable preview`: every page that annotators will see, on the practice target. The campaign is not touched."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from imitable.campaign import open_folder
from imitable.errors import MissingExtra, PlatformError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from imitable.game import Game
    from imitable.game.views import View

HOST = "127.0.0.1"

_PAGES: tuple[tuple[str, Callable[[View], bool]], ...] = (
    ("The warm-up", lambda view: view.kind == "round"),
    ("A round with an answer", lambda view: view.kind == "round" and not getattr(view, "tutorial", True)),
    ("A round without an answer", lambda view: getattr(view, "first_held_out", False)),
    ("The three questions", lambda view: view.kind == "questions"),
    ("The last page", lambda view: view.kind == "done"),
)


def preview(directory: Path, *, port: int = 0, ready: Callable[[str], object]) -> None:
    """Serve the pages on this machine alone until interrupted, on the practice target, in a store of their own.

    The list of pages names the texts that the campaign's own file leaves in English, and offers the catalogue of all
    texts to translate. `ready` is told the address. The campaign need not be built; nothing in its folder or store is
    read or written but campaign.toml, the key, the consent text and the texts.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("serve", wanted_for="Previewing the pages") from error
    from imitable.game import Game
    from imitable.game.practising import practice_folder, practice_records
    from imitable.store import load_build, open_store

    real = open_folder(directory)
    with tempfile.TemporaryDirectory(prefix="imitable-preview-") as home:
        folder = practice_folder(real, Path(home))
        store = open_store(folder, url="sqlite")
        try:
            load_build(store, name="preview", build_hash="0" * 64, records=practice_records(folder))
            try:
                listening = socket.create_server((HOST, port))
            except OSError as error:
                raise PlatformError(
                    f"Port {port} on {HOST} cannot be opened ({error.strerror}). Choose another with --port."
                ) from error
            with listening:
                app = preview_app(Game(folder, store))
                ready(f"http://{HOST}:{listening.getsockname()[1]}/")
                config = uvicorn.Config(
                    app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
                )
                uvicorn.Server(config).run(sockets=[listening])
        finally:
            store.close()


def preview_app(game: Game) -> Starlette:
    """A list of all pages, each a button that opens it in a sitting of its own; behind it the game as it is."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import FileResponse, HTMLResponse
    from starlette.routing import Mount, Route

    import imitable_templates.web
    from imitable.game.guard import NOT_KEPT
    from imitable.game.pages import environment
    from imitable.game.policy import Policy
    from imitable.game.web import web_app
    from imitable_templates.texts import SHIPPED

    pages = environment(imitable_templates.web.__path__[0], words=game.texts)
    policy = Policy(game.folder.config)
    numbers = count(1)

    def listed(nonce: str) -> str:
        return pages.get_template("preview.html.j2").render(
            view=SimpleNamespace(kind="preview"),
            token="",
            title=game.folder.config.campaign.name,
            static="/static/",
            root="",
            nonce=nonce,
            referrer=policy.referrer,
            code=_link(game, next(numbers)),
            untranslated=game.texts.untranslated,
            buttons=[button for name, there in _PAGES for button in _buttons(game, next(numbers), name, there)],
        )

    async def index(_request: Request) -> Response:
        nonce = game.fresh_name()
        return HTMLResponse(await run_in_threadpool(listed, nonce), headers=policy.headers(nonce))

    async def catalogue(_request: Request) -> Response:
        return FileResponse(SHIPPED / "en.toml", filename="en.toml", media_type="application/toml", headers=NOT_KEPT)

    return Starlette(routes=[Route("/", index), Route("/en.toml", catalogue), Mount("/", web_app(game))])


def _link(game: Game, number: int) -> str:
    from imitable.game import make_links

    [link] = make_links(game.store, game.folder, platform="web", names=[f"preview-{number}"], now=game.clock())
    return link.code


def _buttons(game: Game, number: int, name: str, there: Callable[[View], bool]) -> list[dict[str, object]]:
    """What opens a page: the sitting's token, once it was played so far; after a round, what opens its answer too."""
    from imitable.game.views import Questions, Round

    token = game.start(_link(game, number), agreed=True)
    view = game.view(token)
    while not there(view) and view.kind != "done":
        if isinstance(view, Round) and view.tutorial:
            game.tutorial(token, view.round_id, "6.5")
        elif isinstance(view, Round):
            game.guess(token, view.round_id, "6.5")
        elif isinstance(view, Questions):
            game.answer(token, view.episode_id, fun="3", interest="3", explanation="")
        view = game.view(token)
    made: list[dict[str, object]] = [{"name": name, "action": "/play", "fields": {"token": token}}]
    if isinstance(view, Round) and not view.tutorial and view.phase == "practice":
        fields = {"token": token, "round_id": view.round_id, "guess": "6.5"}
        made.append({"name": "The answer to it", "action": "/guess", "fields": fields})
    return made
