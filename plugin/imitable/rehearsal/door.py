"""`python -m imitable.rehearsal.door DIR CLOCK PORT`: the game of `imitable serve`, by a rehearsal's clock."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from imitable.campaign import open_folder
from imitable.game import Game
from imitable.game.listening import configured, listen
from imitable.game.request_log import keep_log
from imitable.game.web import web_app
from imitable.rehearsal.clock import Clock
from imitable.store import open_store


def main(words: Sequence[str]) -> None:
    """Listen on loopback, say where, and serve until SIGTERM."""
    directory, clock, port = words
    folder = open_folder(Path(directory))
    keep_log(None)
    with socket.create_server(("127.0.0.1", int(port)), backlog=2048) as listening:
        game = Game(folder, open_store(folder), clock=Clock(Path(clock)))
        print(f"http://127.0.0.1:{listening.getsockname()[1]} serves a rehearsal", flush=True)  # noqa: T201
        listen(configured(web_app(game), folder.config.serve), [listening])


if __name__ == "__main__":
    main(sys.argv[1:])
