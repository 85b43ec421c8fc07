"""Whether a request was signed with the account's keys: botocore signs it again, and both signatures must agree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hmac import compare_digest

from imitable.rehearsal.mturk.world import Settings, WireError

SKEW = timedelta(minutes=5)
"""How far a request's time may be from the machine's. The stand-in's own clock does not matter here."""

_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_REAL_KEY = re.compile(r"A[KS]IA[A-Z0-9]{16}")


def check(settings: Settings, url: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raises WireError, as AWS does, for a signature that is missing, too old, or not by this account."""
    found = _HEADER.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise WireError("MissingAuthenticationTokenException", "Missing Authentication Token")
    if found["key"] != settings.key:
        raise WireError("UnrecognizedClientException", _unknown(found["key"]))
    stamp = headers.get("x-amz-date", "")
    try:
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise WireError("InvalidSignatureException", "X-Amz-Date is no time.") from error
    if abs(datetime.now(UTC) - at) > SKEW:
        raise WireError("InvalidSignatureException", f"Signature expired: {stamp} is more than {SKEW} away.")
    signed = {name: headers.get(name, "") for name in found["names"].split(";")}
    made = _signature(settings, (found["service"], found["region"], stamp), url, signed, body)
    if found["service"] != "mturk-requester" or not compare_digest(made, found["signature"]):
        raise WireError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method.",
        )


def _signature(settings: Settings, scope: tuple[str, str, str], url: str, signed: dict[str, str], body: bytes) -> str:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    service, region, stamp = scope
    request = AWSRequest("POST", url, headers=signed, data=body)
    request.context["timestamp"] = stamp
    auth = SigV4Auth(Credentials(settings.key, settings.secret), service, region)
    return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))


def _unknown(key: str) -> str:
    said = "The security token included in the request is invalid."
    if _REAL_KEY.fullmatch(key):
        said += (
            " This is a stand-in: it needs no real keys, and yours were not kept. See its root page for which to set."
        )
    return said
