"""What Label Studio or the network says when it refuses, in words that end with what to do."""

from __future__ import annotations

import json
import re
from typing import Any

from imitable.errors import PlatformError

KEY = "LABEL_STUDIO_API_KEY"
GET_A_TOKEN = (
    "In Label Studio, make one under Account & Settings, Personal Access Token, and set the environment variable "
    f"{KEY} to it."
)
_AGAIN = "The same command again looks first what is there, and makes nothing twice."
_LONGEST = 400
"""Characters of a server's own words that are passed on."""


class Refused(PlatformError):
    """The server answered, and not as hoped. `status` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status

    @property
    def gone(self) -> bool:
        """True where what was asked for is not there."""
        return self.status == 404

    @property
    def unsure(self) -> bool:
        """True where the server, or a proxy before it, broke off: it may have done the work, or do it still."""
        return self.status >= 500


class NoAnswer(PlatformError):
    """Nothing came back: the work may have been done, or may still be."""


def refused(status: int, body: bytes, *, asked: str, url: str) -> Refused:
    """The error for an answer of `status`. `asked` is the method and path."""
    said = _said(body)
    if status == 401:
        message = _who_are_you(said)
    elif "reserved network address" in said:
        message = (
            f"Label Studio at {url} refuses addresses of its own network ({said}). Start it with "
            "SSRF_PROTECTION_ENABLED=false and ML_BLOCK_LOCAL_IP=false, or give a public address as "
            "[platform.label_studio] backend_url."
        )
    elif "ML backend" in said or "ML Server" in said:
        message = (
            f"Label Studio at {url} cannot reach the game: {_unreached(said)}. Start it with 'imitable serve DIR', let "
            "it run, and publish again. It is looked for at [platform.label_studio] backend_url, else at [serve] "
            "public_url, else at port 8000 of this machine."
        )
    elif status == 413:
        message = f"{url} takes no request this large ({asked}). Raise the limit of the proxy before Label Studio."
    elif status in range(300, 400):
        message = f"{url} leads elsewhere ({asked}: {said}). Set [platform.label_studio] url to where it leads."
    elif status >= 500 or status == 429:
        why = _short(said.removeprefix(str(status)).strip())
        message = f"Label Studio at {url} failed ({asked}: {status} {why}). Look into its log. {_AGAIN}"
    else:
        message = (
            f"Label Studio at {url} refused {asked} ({status}): {_short(said)}. Mend that, or check with "
            "'imitable label-studio doctor' that the server is one that imitable knows."
        )
    return Refused(message, status)


def no_answer(error: Exception, *, asked: str, url: str, connected: bool) -> NoAnswer:
    """The error for a connection that gave no answer. `connected`: false where there was none at all."""
    why = str(error) or type(error).__name__
    if not connected:
        return NoAnswer(
            f"Label Studio at {url} cannot be reached ({why}). Start it, or correct [platform.label_studio] url; "
            "'imitable label-studio up' starts one to try."
        )
    return NoAnswer(f"Label Studio at {url} gave no answer to {asked} ({why}). It may have done it. {_AGAIN}")


def _who_are_you(said: str) -> str:
    if "legacy token" in said:
        return (
            f"{KEY} is a legacy token, and this Label Studio takes none ({said}). Use a personal access token instead. "
            f"{GET_A_TOKEN}"
        )
    if "wrong type" in said:
        return f"{KEY} is an access token, which ends after minutes ({said}). {GET_A_TOKEN}"
    return f"Label Studio does not accept {KEY} ({_short(said)}). {GET_A_TOKEN}"


_UNREACHED = (
    (r"refused", "nothing runs at {where}"),
    (r"timed out|timeout", "{where} did not answer in time"),
    (r"resolve|getaddrinfo|not known", "it knows no machine by the name in {where}"),
    (r"certificate|SSL", "it does not trust the certificate of {where}"),
    (r"authentication|4\d\d Client Error", "another campaign's game, or another program, runs at {where}"),
)
"""What Label Studio and its libraries say when a backend is not to be had, and what that means."""


def _unreached(said: str) -> str:
    """Why a server could not reach the game, in plain words; its own where we know none."""
    named = re.search(r"ML backend (https?://\S+?),", said)
    where, why = named[1] if named else "that address", said.rpartition("Additional info: ")[2]
    meant = (text for pattern, text in _UNREACHED if re.search(pattern, why, re.IGNORECASE))
    return next(meant, _short(why)).replace("{where}", where)


def _said(body: bytes) -> str:
    """What the server says, without its markup."""
    text = body.decode("utf-8", "replace")
    try:
        answer: Any = json.loads(text)
    except ValueError:
        title = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
        return " ".join((title[1] if title else text if "<" not in text else "").split())
    if isinstance(answer, dict):
        answer = answer.get("validation_errors") or answer.get("detail") or answer
    while isinstance(answer, dict) and len(answer) == 1:
        answer = next(iter(answer.values()))
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    said = answer if isinstance(answer, str) else json.dumps(answer)
    return re.sub(r"<[^<>]*>", "", said).strip().rstrip(".")


def _short(said: str) -> str:
    return said if len(said) <= _LONGEST else said[:_LONGEST] + " ..."
