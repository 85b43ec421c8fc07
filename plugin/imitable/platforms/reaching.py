"""Whether somebody answers at an address, and whether it is a stand-in on this machine. Asks by HTTP, harmlessly."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PATIENCE = 10.0
"""Seconds."""


def is_loopback(url: str) -> bool:
    """Whether an address is of this machine."""
    return urlsplit(url).hostname in _LOOPBACK


def is_stand_in(url: str) -> bool:
    """Whether a stand-in answers there, on this machine, and says so."""
    if not is_loopback(url):
        return False
    try:
        return "x-stand-in" in httpx.get(url, timeout=_PATIENCE, trust_env=False).headers
    except httpx.HTTPError:
        return False


def answers(url: str) -> bool:
    """Whether a game can be reached at its public address."""
    try:
        return httpx.get(f"{url.rstrip('/')}/livez", timeout=_PATIENCE, trust_env=not is_loopback(url)).is_success
    except httpx.HTTPError:
        return False
