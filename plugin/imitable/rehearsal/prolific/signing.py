"""What a stand-in signs: the addresses of studies (RS256, by a key that it publishes) and its events (HMAC-SHA256)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any
from urllib.parse import parse_qsl, quote

ISSUER = "https://www.prolific.com"
VALID_FOR = 120
"""Seconds."""
KEY_NAME = "stand-in"


def filled(address: str, ids: dict[str, str]) -> str:
    """An address with its placeholders filled in."""
    for name, value in ids.items():
        address = address.replace("{{%" + name + "%}}", quote(value))
    return address


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Of an event: base64 of HMAC-SHA256 over timestamp and body."""
    made = hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256)
    return base64.b64encode(made.digest()).decode()


class Signer:
    """An RSA key that lives as long as the process."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa

        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self) -> dict[str, Any]:
        """The public key, as `GET /.well-known/study/jwks.json` has it."""
        import jwt

        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": KEY_NAME, "use": "sig", "alg": "RS256"}]}

    def signed(self, address: str, session: str, workspace: str) -> str:
        """A filled address with the field `prolific_token`: valid for two minutes of the machine's clock."""
        import jwt

        query = dict(parse_qsl(address.partition("?")[2]))
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "iat": now,
            "exp": now + VALID_FOR,
            "aud": address,
            "sub": session,
            "prolific": {**query, "workspace_id": workspace},
        }
        token = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": KEY_NAME})
        return f"{address}{'&' if query else '?'}prolific_token={token}"
