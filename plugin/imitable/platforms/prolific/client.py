"""The one way to Prolific: its REST API v1 over HTTP, with patience where asking twice is harmless, and never else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import httpx

from imitable.campaign.running import Prolific as Settings
from imitable.errors import NoAnswer, PlatformError
from imitable.platforms.prolific.refusals import GET_A_TOKEN, TOKEN, Refused, no_answer, refused
from imitable.platforms.reaching import is_loopback

WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before something is asked again."""
_LONGEST_WAIT = 60.0
"""Seconds that Prolific may make us wait at a time."""
_CONNECT = 10.0
_READ = 60.0

PAGE = 100
"""Rows that are asked for at a time; Prolific may give fewer."""

Row = dict[str, Any]
"""An object as Prolific tells of it."""

Patience = Literal["again", "told"]
"""`again`: harmless, and asked again whatever happened. `told`: only where it was certainly not done, because there was
no connection or we were told to wait."""


class Api:
    """An account on Prolific. Everything raises PlatformError."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Token {token}"},
            timeout=httpx.Timeout(_READ, connect=_CONNECT),
            trust_env=not is_loopback(url),  # no proxy stands between us and this machine
        )

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def get(self, path: str, **query: object) -> Any:
        """Read something."""
        return self._answered("GET", path, "again", query=query)

    def post(self, path: str, fields: Row, *, patience: Patience = "told") -> Any:
        """Do something. Never used for what pays: see `once`."""
        return self._answered("POST", path, patience, fields=fields)

    def post_told(self, path: str, fields: Row) -> tuple[Any, Mapping[str, str]]:
        """The same, with the headers of the answer."""
        response = self._response("POST", path, "told", fields=fields)
        return self._read(response, f"POST {path}"), response.headers

    def patch(self, path: str, fields: Row) -> Any:
        """Set fields, which may be done twice."""
        return self._answered("PATCH", path, "again", fields=fields)

    def rows(self, path: str, **query: object) -> Iterator[Row]:
        """Every row of a list, however Prolific cuts it into pages: until one comes empty, or there is none."""
        number = 1
        while True:
            try:
                answer = self.get(path, **query, page=number, page_size=PAGE)
            except Refused as error:
                if number > 1 and error.status == 404:
                    return
                raise
            yield from answer["results"]
            total = (answer.get("meta") or {}).get("count")
            if not answer["results"] or (number == 1 and total is not None and total <= len(answer["results"])):
                return
            number += 1

    def once(self, path: str, fields: Row) -> tuple[int, Any]:
        """POST something that pays: sent once, whatever happens. Returns the status and what was said.

        Raises NoAnswer, which says whether there was a connection at all.
        """
        response = self._send("POST", path, fields=fields)
        try:
            return response.status_code, response.json()
        except ValueError:
            return response.status_code, {}

    def _answered(
        self,
        method: str,
        path: str,
        patience: Patience,
        *,
        query: Mapping[str, object] | None = None,
        fields: Row | None = None,
    ) -> Any:
        return self._read(self._response(method, path, patience, query=query, fields=fields), f"{method} {path}")

    def _read(self, response: httpx.Response, asked: str) -> Any:
        try:
            return response.json() if response.content else {}
        except ValueError as error:
            raise PlatformError(
                f"What {self.url} answers to {asked} is no JSON ({error}). Check [platform.prolific] api_url."
            ) from error

    def _response(
        self,
        method: str,
        path: str,
        patience: Patience,
        *,
        query: Mapping[str, object] | None = None,
        fields: Row | None = None,
    ) -> httpx.Response:
        asked = f"{method} {path}"
        for wait in (*WAITS, None):
            pause = 0.0
            problem: Refused | NoAnswer
            try:
                response = self._send(method, path, query=query, fields=fields)
                if response.is_success:
                    return response
                problem = refused(response.status_code, response.content, asked=asked, url=self.url)
                throttled = response.status_code == httpx.codes.TOO_MANY_REQUESTS
                pause = _seconds(response.headers.get("retry-after", "")) if throttled else 0.0
                again = throttled or (patience == "again" and response.status_code >= 500)
            except NoAnswer as error:
                problem, again = error, patience == "again" or not error.connected
            if wait is None or not again:
                raise problem
            time.sleep(max(wait, pause))
        raise AssertionError("unreachable")

    def _send(
        self, method: str, path: str, *, query: Mapping[str, object] | None = None, fields: Row | None = None
    ) -> httpx.Response:
        params = {name: str(value) for name, value in (query or {}).items()}
        try:
            return self._http.request(method, path, params=params, json=fields)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise no_answer(error, asked=f"{method} {path}", url=self.url, connected=False) from error
        except httpx.HTTPError as error:
            raise no_answer(error, asked=f"{method} {path}", url=self.url, connected=True) from error


def _seconds(text: str) -> float:
    """What Retry-After says, where it says seconds. The documents only ask for exponential back-off."""
    try:
        return min(_LONGEST_WAIT, max(0.0, float(text)))
    except ValueError:
        return 0.0


def token() -> str:
    """What opens the account; empty where it is not set."""
    return os.environ.get(TOKEN, "").strip()


def opened(settings: Settings) -> Api:
    """The account that PROLIFIC_TOKEN opens. Does not connect yet.

    Raises PlatformError without a token, and for an address to which it would travel in the clear.
    """
    key = token()
    if not key:
        raise PlatformError(f"{TOKEN} is not set. {GET_A_TOKEN}")
    if not settings.api_url.startswith("https://") and not is_loopback(settings.api_url):
        raise PlatformError(
            f"{TOKEN} would travel unencrypted to {settings.api_url}. Set [platform.prolific] api_url to an https:// "
            "address."
        )
    return Api(settings.api_url, key)


@contextmanager
def connected(settings: Settings) -> Iterator[Api]:
    """An account for as long as this lasts."""
    api = opened(settings)
    try:
        yield api
    finally:
        api.close()
