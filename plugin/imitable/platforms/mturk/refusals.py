"""What the site or the network says when it refuses, in words that end with what to do. botocore's errors end here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from imitable.errors import NoAnswer, PlatformError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

CLOSED = (
    "Amazon Mechanical Turk closed for good on 2026-09-30: {host} pays and reaches nobody any more. Set "
    "[platform.mturk] endpoint_url to a site of your own that speaks its protocol, or to a stand-in; to reach paid "
    "people, use: --platform prolific"
)
_AGAIN = "The same command again looks first what is there, and makes nothing twice."
_LONGEST = 400
"""Characters of the site's own words that are passed on."""

_WAIT = ("ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException")
_WHO = (
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
"""What is said where the credentials are not taken: nothing was done."""

_ID = re.compile(r"\b(?=[A-Z]*\d)[A-Z0-9]{12,}\b")
"""A person's or a piece of work's id, as the protocol writes them."""


class NotSent(PlatformError):
    """Refused by ourselves, before anything was sent."""


class Refused(PlatformError):
    """The site answered, and not as hoped."""

    def __init__(self, message: str, *, status: int, code: str, turk_code: str, said: str) -> None:
        super().__init__(message)
        self.status = status
        """Of HTTP."""
        self.code = code
        """The error's name: `RequestError`, `ThrottlingException`, ..."""
        self.turk_code = turk_code
        """What it is about, such as `AWS.MechanicalTurk.HitAlreadyExists`; empty where nothing was said."""
        self.said = said
        """The site's own words, with its ids."""

    @property
    def not_let_in(self) -> bool:
        """Whether it was not even looked at, for want of credentials that are taken."""
        return self.code in _WHO or self.status in (401, 403)

    @property
    def told_to_wait(self) -> bool:
        """Whether too much was asked at a time."""
        return self.code in _WAIT or self.status == 429

    @property
    def final(self) -> bool:
        """Whether it was understood and not done, and will not be."""
        return 400 <= self.status < 429 and self.status != 408 and not self.told_to_wait

    @property
    def may_be_done(self) -> bool:
        """Whether it may have been done all the same."""
        return not self.final and not self.told_to_wait


def translated(error: Exception, *, asked: str, url: str) -> PlatformError:
    """The error of ours for one of botocore's. `asked` is the operation."""
    from botocore import exceptions as theirs
    from botocore.parsers import ResponseParserError

    if isinstance(error, theirs.ClientError):
        return _refused(error, asked=asked, url=url)
    if isinstance(error, theirs.NoCredentialsError | theirs.PartialCredentialsError):
        return PlatformError(
            "There are no credentials for the site. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile "
            "of ~/.aws in AWS_PROFILE: boto3 reads them, and imitable keeps none."
        )
    if isinstance(error, theirs.EndpointConnectionError | theirs.ConnectTimeoutError):
        return NoAnswer(
            f"{url} cannot be reached ({error}). Check the network, and [platform.mturk] endpoint_url.",
            connected=False,
        )
    if isinstance(error, theirs.ProxyConnectionError | theirs.SSLError):  # also where it broke off after the request
        return NoAnswer(
            f"{url} gave no answer to {asked} ({error}). If proxy and certificate are right, it may have done it. "
            f"{_AGAIN}",
            connected=True,
        )
    if isinstance(error, theirs.HTTPClientError):  # dropped, or too slow
        return NoAnswer(
            f"{url} gave no answer to {asked} ({type(error).__name__}). It may have done it. {_AGAIN}", connected=True
        )
    if isinstance(error, theirs.ParamValidationError):
        return NotSent(f"{asked} was not sent: {error}. Check [platform.mturk] in campaign.toml.")
    if isinstance(error, ResponseParserError):
        return NoAnswer(
            f"What {url} answers to {asked} is not the protocol of MTurk. It may have done it. Check [platform.mturk] "
            "endpoint_url.",
            connected=True,
        )
    return PlatformError(f"{asked} could not be asked of {url} ({error}). Check the settings of boto3.")


def _refused(error: ClientError, *, asked: str, url: str) -> Refused:
    answer: dict[str, Any] = dict(error.response)
    meta, about = answer.get("ResponseMetadata", {}), answer.get("Error", {})
    status, code = int(meta.get("HTTPStatusCode", 0)), str(about.get("Code", ""))
    said = str(about.get("Message") or answer.get("Message") or code)
    turk_code = str(answer.get("TurkErrorCode") or about.get("TurkErrorCode") or "")
    words = _ID.sub("...", said)[:_LONGEST].strip().rstrip(".")
    made = Refused("", status=status, code=code, turk_code=turk_code, said=said)
    if made.not_let_in:
        message = (
            f"{url} does not accept the credentials for {asked} ({code}: {words}). boto3 reads them from the "
            "environment or ~/.aws: check AWS_PROFILE and the keys."
        )
    elif not made.final:
        message = f"{url} cannot do it now ({asked}: {status} {code}: {words}). Try again in a while. {_AGAIN}"
    else:
        message = f"{url} refused {asked} ({turk_code or code}): {words}. Mend that and try again. {_AGAIN}"
    return Refused(message, status=status, code=code, turk_code=turk_code, said=said)


def words_of(error: Refused) -> str:
    """A refusal in the site's words, without the ids of people and of their work."""
    return _ID.sub("...", error.said)[:_LONGEST]
