"""What Prolific or the network says when it refuses, in words that end with what to do."""

from __future__ import annotations

import json
import re
from typing import Any

from imitable.errors import NoAnswer, PlatformError

TOKEN = "PROLIFIC_TOKEN"  # noqa: S105  # the name of a variable
GET_A_TOKEN = f"In Prolific, make one in the settings under API tokens, and set the environment variable {TOKEN} to it."
_AGAIN = "The same command again looks first what is there, and makes nothing twice."
_LONGEST = 400
"""Characters of Prolific's own words that are passed on."""

_ID = re.compile(r"/(?=[^/]*\d)[A-Za-z0-9-]{12,}")
"""A part of a path that names somebody's work."""


class Refused(PlatformError):
    """Prolific answered, and not as hoped. `status` is that of HTTP, `said` what Prolific says."""

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message)
        self.status = status
        self.said = said

    @property
    def final(self) -> bool:
        """Whether it was understood and not done, and will not be."""
        return final(self.status)

    @property
    def may_be_done(self) -> bool:
        """Whether it may have been done all the same. To be told to wait means that it was not."""
        return not self.final and self.status != 429


def final(status: int) -> bool:
    """Whether an answer of this status says that what was asked for was understood and not done, and will not be."""
    return 400 <= status < 429 and status != 408


def refused(status: int, body: bytes, *, asked: str, url: str) -> Refused:
    """The error for an answer of `status`. `asked` is the method and path."""
    said, about = said_in(body), _ID.sub("/...", asked)
    if status in (401, 403):
        message = f"Prolific at {url} does not accept {TOKEN} for {about} ({said}). {GET_A_TOKEN}"
    elif status == 429 or status >= 500:
        message = f"Prolific at {url} cannot do it now ({about}: {status} {said}). Try again in a while. {_AGAIN}"
    elif status in range(300, 400):
        message = f"{url} leads elsewhere ({about}). Set [platform.prolific] api_url to where it leads."
    else:
        message = f"Prolific at {url} refused {about} ({status}): {said}. Mend that and try again. {_AGAIN}"
    return Refused(message, status, said)


def no_answer(error: Exception, *, asked: str, url: str, connected: bool) -> NoAnswer:
    """The error for a connection that gave no answer. `connected`: false where there was none at all."""
    why, about = str(error) or type(error).__name__, _ID.sub("/...", asked)
    if not connected:
        message = f"Prolific at {url} cannot be reached ({why}). Check the network, and [platform.prolific] api_url."
    else:
        message = f"Prolific at {url} gave no answer to {about} ({why}). It may have done it. {_AGAIN}"
    return NoAnswer(message, connected=connected)


def said_in(body: bytes) -> str:
    """What an answer says, however deep: Prolific nests a text, a list, or lists by field."""
    text = body.decode("utf-8", "replace")
    try:
        said: Any = json.loads(text)
    except ValueError:
        return " ".join(re.sub(r"<[^<>]*>", " ", text).split())[:_LONGEST]
    for key in ("error", "detail"):
        if isinstance(said, dict):
            said = said.get(key, said)
    if isinstance(said, dict):
        said = "; ".join(f"{key}: {_joined(value)}" for key, value in said.items())
    return _joined(said)[:_LONGEST].strip().rstrip(".")


def _joined(said: Any) -> str:
    return ", ".join(map(str, said)) if isinstance(said, list) else str(said)
