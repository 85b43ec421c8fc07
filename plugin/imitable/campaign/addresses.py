"""Web addresses in a campaign's settings."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

WebAddress = Annotated[str, Field(pattern=r"^https?://[^\s?#;,'\"]+$")]
"""An address without a query; it may stand in a header."""


def names(site: str) -> list[str]:
    """An origin, and where it is on this machine the same under the machine's other name: browsers see two sites."""
    host = urlsplit(site).hostname or ""
    other = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}.get(host)
    return [site] if other is None else [site, site.replace(host, other, 1)]


def origin(address: str) -> str:
    """Scheme, host and port of a web address, as browsers name it; empty for anything else."""
    try:
        parts = urlsplit(address.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != default else "")
