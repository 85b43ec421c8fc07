"""Looking at what the platforms know when one of them hints that something changed: soon, and seldom."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from imitable.commands.collect import collect
from imitable.errors import ImitableError

_log = logging.getLogger(__name__)

PAUSE = 60.0
"""Seconds from one look to the next, however many hints come."""


class Prompted:
    """Does something soon after it is asked to, once for all who ask meanwhile, and then rests.

    Nothing that was asked for is left out: who asks while it is being done, or rested from, has it done once more.
    """

    def __init__(self, does: Callable[[], object], *, pause: float = PAUSE) -> None:
        self._does = does
        self._pause = pause
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        """Have it done. Returns at once."""
        self._asked.set()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="prompted", daemon=True)
                self._thread.start()

    def _serve(self) -> None:
        resting = threading.Event()
        while True:
            self._asked.wait()
            self._asked.clear()
            self._does()
            resting.wait(self._pause)


def looker(directory: Path) -> Callable[[], None]:
    """What `imitable collect` does, for a server: differences go to DIR/collected.csv, and their number to the log."""

    def look() -> None:
        try:
            done = collect(directory)
        except ImitableError as error:
            _log.error("A hint could not be followed up; 'imitable collect' looks again. %s", error)
        except Exception:  # a server goes on playing, whatever is wrong with its looking
            _log.exception("A hint could not be followed up; 'imitable collect' looks again.")
        else:
            found = sum(len(said.findings) for said in done.platforms.values())
            _log.info("looked after a hint: %d differences, in %s", found, done.path)

    return Prompted(look).ask
