"""HTTP to Label Studio: a token renewed in time, patience where asking twice is harmless, refusals in words."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Generator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from imitable.platforms.label_studio.refusals import no_answer, refused

WAITS = (0.5, 1.0, 2.0, 4.0)
"""Seconds before what is harmless is asked again: reads, and writes that may be done twice."""

_CONNECT = 10.0
_READ = 60.0
LONG = 900.0
"""Seconds that the server may take for an import."""

_MARGIN = 30.0
"""Seconds before its end that a token is renewed."""

_NEVER_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)


class Token(httpx.Auth):
    """A personal access token is exchanged for short-lived ones; a legacy token is sent as it is.

    How long one lives is told by the server's clock and measured by ours as it runs, so that it does not matter what
    either of them shows; one that is refused all the same is renewed once.
    """

    requires_response_body = True

    def __init__(self, url: str, key: str) -> None:
        self._refresh = f"{url}/api/token/refresh/"
        self._key = key
        self._legacy = key.count(".") != 2
        self._access = ""
        self._until = 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """As httpx has it: requests go out, their responses come in."""
        if self._legacy:
            request.headers["Authorization"] = f"Token {self._key}"
            yield request
            return
        if time.monotonic() >= self._until:
            yield from self._renew()
        request.headers["Authorization"] = f"Bearer {self._access}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield from self._renew()
            request.headers["Authorization"] = f"Bearer {self._access}"
            yield request

    def _renew(self) -> Generator[httpx.Request, httpx.Response, None]:
        asked = httpx.Request("POST", self._refresh, json={"refresh": self._key})
        response = yield asked
        if response.status_code != httpx.codes.OK:
            raise refused(response.status_code, response.content, asked=_named(asked), url=self._refresh)
        self._access = str(response.json()["access"])
        self._until = time.monotonic() + _lifetime(self._access) - _MARGIN


def _lifetime(access: str) -> float:
    """Seconds that an access token lives, by what it says itself."""
    payload = access.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return float(claims["exp"] - claims["iat"])


class Wire(httpx.Client):
    """A client whose every refusal is a PlatformError; GET, PUT, PATCH and DELETE are tried again, POST never is.

    Only a POST that found no connection, or was told to wait, was certainly not carried out. A request with the
    extension `patient=False` is sent once.
    """

    def __init__(self, url: str, key: str) -> None:
        jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # a session would want proofs against forgery
        timeout = httpx.Timeout(_READ, connect=_CONNECT)
        super().__init__(base_url=url, auth=Token(url, key), cookies=jar, timeout=timeout)
        self._url = url

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send it, with patience. Raises Refused and NoAnswer."""
        harmless = request.method != "POST"
        waits = WAITS if request.extensions.get("patient", True) else ()
        for wait in (*waits, None):
            problem: Exception
            try:
                response = super().send(request, **options)
                if response.status_code < httpx.codes.MULTIPLE_CHOICES:
                    return response
                problem = refused(response.status_code, response.read(), asked=_named(request), url=self._url)
                again = response.status_code == httpx.codes.TOO_MANY_REQUESTS or (harmless and problem.unsure)
            except httpx.TransportError as error:
                connected = not isinstance(error, _NEVER_CONNECTED)
                problem = no_answer(error, asked=_named(request), url=self._url, connected=connected)
                again = harmless or not connected
            if wait is None or not again:
                raise problem
            time.sleep(wait)
        raise AssertionError("unreachable")


def _named(request: httpx.Request) -> str:
    return f"{request.method} {request.url.path}"
