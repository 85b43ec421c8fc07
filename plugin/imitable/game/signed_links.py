"""Addresses that Prolific signed ("secure external study URL"): an RS256 JWT in the field `prolific_token`."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from imitable.campaign import origin
from imitable.errors import GameError, MissingExtra, PlatformError

_log = logging.getLogger(__name__)

ISSUER = "https://www.prolific.com"
_PATIENCE = 5.0
"""Seconds that Prolific has to hand out its keys; they are kept for an hour."""
_PAUSE = 10.0
"""Seconds from one answer, or none, to the next time that Prolific is asked for its keys."""
_LEEWAY = 30
"""Seconds by which two clocks may differ."""


class SignedLinks:
    """Checks the signature of addresses against the platform's published keys (JWKS)."""

    def __init__(self, keys_url: str, public_url: str | None) -> None:
        self._keys = _keys(keys_url)
        self._home = origin(public_url or "")

    def check(self, token: str, *, person: str, study: str, session: str) -> None:
        """Raise GameError unless Prolific signed this token for these ids, lately, and for our address.

        Raises PlatformError when its keys cannot be had: the annotator may try again, and the runner is told why.
        """
        import jwt

        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=ISSUER,
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "sub", "aud"], "verify_aud": False},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise PlatformError(f"Prolific's signing keys cannot be fetched: {error}. Check the network.") from error
        except jwt.ExpiredSignatureError as error:
            raise GameError("refused.old_address") from error
        except jwt.PyJWTError as error:
            _log.warning("an address was not signed by Prolific: %s", type(error).__name__)
            raise GameError("refused.unsigned_address") from error
        named = claims.get("prolific")
        signed = named if isinstance(named, dict) else {}
        told = (claims["sub"], *(signed.get(name) for name in ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")))
        audiences = [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]
        ours = not self._home or any(origin(str(one)) == self._home for one in audiences)
        if told != (session, person, study, session) or not ours:
            raise GameError("refused.other_address")


def _keys(url: str) -> Any:
    """The platform's keys: fetched when they are first needed, every hour, and when an address names one unknown."""
    try:
        import jwt
    except ImportError as error:
        raise MissingExtra("serve", wanted_for="Checking Prolific's signatures") from error

    class Keys(jwt.PyJWKClient):
        """Asks once in a while for all, whatever keys addresses name: each would wait for it, and Prolific count us."""

        lock = threading.Lock()
        again_at = 0.0
        had: Any = None
        """What the last answer was; None where there was none."""

        def fetch_data(self) -> Any:
            with self.lock:
                if time.monotonic() > self.again_at:
                    try:
                        self.had = None
                        self.had = super().fetch_data()
                    finally:
                        self.again_at = time.monotonic() + _PAUSE
            if self.had is None:
                raise jwt.PyJWKClientConnectionError("they could not be had a moment ago")
            return self.had

    return Keys(url, lifespan=3600, timeout=_PATIENCE)
