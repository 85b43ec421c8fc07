"""The one way to the site: boto3's client of MTurk, with patience where asking twice is harmless, and never else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, UnknownServiceError
from botocore.parsers import ResponseParserError

from imitable.campaign.mturk import MTurk as Settings
from imitable.errors import NoAnswer, PlatformError
from imitable.platforms.mturk.checking import check
from imitable.platforms.mturk.refusals import CLOSED, Refused, translated
from imitable.platforms.reaching import is_loopback

READS = 5
"""Times that something harmless is asked for, at most."""
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before something is asked again that was certainly not done."""
PAGE = 100
"""Rows that are asked for at a time; the site may give fewer."""

_REGION = "us-east-1"
"""The only one that the protocol ever had; it is part of the signature."""
_CONNECT = 10
_READ = 60

_THEIRS = (BotoCoreError, ClientError, ResponseParserError)
"""What a call raises that was not answered as hoped."""

Row = dict[str, Any]
"""An object as the site tells of it."""


class Api:
    """A requester's account on the site. Everything raises PlatformError."""

    def __init__(self, settings: Settings) -> None:
        session = _session()
        self._reading = _client(session, settings, tries=READS)
        self._once = _client(session, settings, tries=1)
        self.url: str = self._once.meta.endpoint_url
        self._ahead = 0.0

    def close(self) -> None:
        """Hang up."""
        self._reading.close()
        self._once.close()

    def read(self, operation: str, **fields: object) -> Row:
        """Ask for something that may be asked for twice, or set something to a state that it may have already."""
        return self._called(self._reading, operation, fields)

    def rows(self, operation: str, key: str, **fields: object) -> Iterator[Row]:
        """Every row of a list, by botocore's paginator, however the site cuts it into pages."""
        pages = self._reading.get_paginator(xform_name(operation)).paginate(
            **fields, PaginationConfig={"PageSize": PAGE}
        )
        try:
            for page in pages:
                self._note_time(page)
                if key not in page and page.get("NumResults") != 0:
                    raise ResponseParserError(f"a page without {key}")
                yield from page.get(key) or ()
        except _THEIRS as error:
            raise translated(error, asked=operation, url=self.url) from error

    def once(self, operation: str, **fields: object) -> Row:
        """Do something that pays, or that would be done twice: sent once, whatever happens.

        Raises Refused and NoAnswer, which say whether it may have been done.
        """
        return self._called(self._once, operation, fields)

    def told(self, operation: str, **fields: object) -> Row:
        """Do something, and again only where it was certainly not done: no connection, or told to wait."""
        for wait in WAITS:
            try:
                return self.once(operation, **fields)
            except Refused as error:
                if not error.told_to_wait:
                    raise
            except NoAnswer as error:
                if error.connected:
                    raise
            time.sleep(wait)
        return self.once(operation, **fields)

    def now(self) -> datetime:
        """By the site's clock, as far as its answers tell: that of a stand-in can be moved."""
        return datetime.fromtimestamp(time.time() + self._ahead, UTC)

    def _called(self, client: Any, operation: str, fields: Row) -> Row:
        try:
            answer: Row = getattr(client, xform_name(operation))(**fields)
        except _THEIRS as error:
            raise translated(error, asked=operation, url=self.url) from error
        self._note_time(answer)
        return answer

    def _note_time(self, answer: Row) -> None:
        said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        try:
            ahead = parsedate_to_datetime(said).timestamp() - time.time()
        except ValueError:
            return
        self._ahead = ahead if abs(ahead) > 60 else 0.0  # the header counts whole seconds


def address(settings: Settings) -> str:
    """Where the site's API is, by campaign.toml or by boto3's own settings. Connects to nothing.

    Raises PlatformError for Amazon's own, which is closed, and for one to which everything would travel in the clear.
    """
    url: str = _client(_session(), settings, tries=1).meta.endpoint_url
    return url


def has_credentials() -> bool:
    """Whether boto3 finds any. Raises PlatformError for a profile that is not there."""
    return _session().get_credentials() is not None


def _session() -> Any:
    try:
        return boto3.Session()
    except BotoCoreError as error:
        raise translated(error, asked="The site", url="boto3's settings") from error


def _client(session: Any, settings: Settings, *, tries: int) -> Any:
    """A client that tries so many times. Amazon's own endpoints are refused, however they were named."""
    given = settings.endpoint_url
    config = Config(
        retries={"total_max_attempts": tries, "mode": "standard"},
        connect_timeout=_CONNECT,
        read_timeout=_READ,
    )
    direct = config.merge(Config(proxies={}))  # no proxy stands between us and this machine
    try:
        here = given is not None and is_loopback(given)
        client = session.client("mturk", region_name=_REGION, endpoint_url=given, config=direct if here else config)
        url: str = client.meta.endpoint_url
        if is_loopback(url) and not here:
            client = session.client("mturk", region_name=_REGION, endpoint_url=url, config=direct)
    except UnknownServiceError as error:
        raise PlatformError(
            "This botocore has no model of MTurk any more. Install one that has: pip install 'botocore==1.44.5', or "
            "point AWS_DATA_PATH to a folder that holds the model."
        ) from error
    except (BotoCoreError, ValueError) as error:
        raise translated(error, asked="The site", url=given or "boto3's settings") from error
    host = (urlsplit(url).hostname or "").rstrip(".")
    if is_amazons(host):
        raise PlatformError(CLOSED.format(host=host))
    if not url.startswith("https://") and not is_loopback(url):
        raise PlatformError(
            f"What is sent to {url} could be read and changed on its way. Set [platform.mturk] endpoint_url to an "
            "https:// address."
        )
    client.meta.events.register(
        "before-parameter-build.mturk", lambda params, model, **_: check(model, params), unique_id="imitable"
    )
    client.meta.events.register("before-parse.mturk", _refuse_what_is_no_answer, unique_id="imitable-whole")
    return client


def _refuse_what_is_no_answer(response_dict: Mapping[str, Any], **_: object) -> None:
    """Raise ResponseParserError for a success that is not the protocol's, or is cut short: botocore lets both pass."""
    body, promised = response_dict["body"], response_dict["headers"].get("content-length", "0")
    try:
        whole = isinstance(json.loads(body), dict) if body else promised == "0"
    except ValueError:
        whole = False
    if response_dict["status_code"] < 300 and not whole:
        raise ResponseParserError("no JSON object")


def is_amazons(host: str) -> bool:
    """Whether a host is one of Amazon's own."""
    owned = ("amazonaws.com", "amazonaws.com.cn", "api.aws", "mturk.com", "aws.amazon.com")
    return any(host == name or host.endswith(f".{name}") for name in owned)
