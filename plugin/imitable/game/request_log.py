"""What the server writes down of requests and of its troubles: enough to run it, and nothing about people or truths.

A request is a line of JSON with the route's template, never the path, a query or a field: codes, tokens and platforms'
ids stand there. Sittings and addresses are salted hashes that mean nothing outside one run of one process. Of an
exception, its type and the places in our code are kept, and not its text, which may quote what somebody sent. Of what
anybody may ask at any speed, only some is written: a flood would fill the disk that the game is kept on.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import logging.handlers
import secrets
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imitable.errors import PlatformError
from imitable.game.limits import Buckets, TooFast

_log = logging.getLogger("imitable.requests")
_salt = secrets.token_bytes(16)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_REPEATED = 60.0
"""Seconds in which the terminal is told the same thing once, and the file the same warning."""
_uncounted = Buckets(per_second=1, at_once=100)
"""Lines about requests that no limit holds back: those that are refused unread, and those about the server's health."""

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def keep_log(file: str | None) -> None:
    """Say warnings on the terminal; with a file's name (or `-`, the terminal), write requests and all else as JSON.

    Raises PlatformError when the file cannot be written.
    """
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(_Plain("%(asctime)s %(message)s", "%H:%M:%S"))
    terminal.addFilter(_Once().is_news)
    handlers: list[logging.Handler] = [terminal]
    if file is not None:
        try:
            kept = logging.StreamHandler(sys.stderr) if file == "-" else _File(Path(file), terminal)
        except OSError as error:
            raise PlatformError(f"The log {file} cannot be written ({error.strerror}). Choose another file.") from error
        kept.setFormatter(_Json())
        kept.addFilter(_Once(most=logging.WARNING).is_news)
        handlers = [kept] if file == "-" else [terminal, kept]
        _log.setLevel(logging.INFO)
    root = logging.getLogger()
    for handler in handlers:
        root.addHandler(handler)


class _File(logging.handlers.WatchedFileHandler):
    """Opened anew when it was moved away, so that logrotate works. A full disk costs lines, and no requests."""

    def __init__(self, path: Path, terminal: logging.Handler) -> None:
        path.touch(mode=0o600)
        super().__init__(path, encoding="utf-8")
        self.terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging calls it so
        """Say it on the terminal instead."""
        said = f"The log {self.baseFilename} cannot be written. Make room for it; the game goes on without."
        warning = {"levelno": logging.WARNING, "levelname": "WARNING", "msg": said}
        self.terminal.handle(logging.makeLogRecord(warning))


def note(*, uncounted: bool, **fields: object) -> None:
    """Write a line about one request; `uncounted` says that whoever asks it may do so as often as they like."""
    if not uncounted or _uncounted.take("") == 0:
        _log.info("request", extra={"fields": fields})


class Logged:
    """ASGI middleware that notes every request, once it is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _log.isEnabledFor(logging.INFO):
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            client, token = scope.get("client"), scope.get("state", {}).get("token", "")
            route = getattr(scope.get("route"), "path", None) or "(none)"
            note(
                uncounted=status == TooFast.status or route.endswith(("/healthz", "/livez")),
                method=scope["method"] if scope["method"] in _METHODS else "other",
                route=route,
                status=status,
                ms=round(1000 * (time.perf_counter() - began), 1),
                sitting=_hash(token.partition(".")[0]) if token else "",
                client=_hash(client[0]) if client else "",
            )


def _hash(text: str) -> str:
    return hashlib.blake2s(text.encode(), key=_salt, digest_size=4).hexdigest()


class _Once:
    """What is said again within a minute is no news: a database that is away would fill the terminal."""

    def __init__(self, *, most: int = logging.CRITICAL) -> None:
        self._most = most
        """What is graver than this is news each time, and so is a request."""
        self._said: dict[str, float] = {}

    def is_news(self, record: logging.LogRecord) -> bool:
        if record.levelno > self._most or hasattr(record, "fields"):
            return True
        text, now = record.getMessage(), time.monotonic()
        self._said = {said: at for said, at in self._said.items() if now - at < _REPEATED}
        return self._said.setdefault(text, now) == now


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One line, and where an exception was raised."""
        own = copy.copy(record)
        own.exc_text = None  # another handler may have left it there, with the exception's text
        return super().format(own)

    def formatException(self, ei: _Raised) -> str:  # noqa: N802  # logging calls it so
        """The types of an exception and of its causes, and where they were raised."""
        said: list[str] = []
        error = ei[1]
        while error is not None and len(said) < 5:
            places = [
                f"{Path(at.filename).name}:{at.lineno} {at.name}" for at in traceback.extract_tb(error.__traceback__)
            ]
            said.append(f"{type(error).__name__} at {' > '.join(places[-12:])}")
            error = error.__cause__ or error.__context__
        return "\n".join(said)


class _Json(_Plain):
    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        fields = getattr(record, "fields", None)
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        line |= (
            {"event": "request", **fields} if fields else {"event": record.name, "message": record.getMessage().strip()}
        )
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info).split("\n")
        return json.dumps(line)
