"""How fast one session, and one address, may ask. In memory, a process each: with n processes the limits are n-fold."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from imitable.campaign.limits import Limits
from imitable.errors import GameError

MOST_BUCKETS = 100_000
"""Buckets kept, some 20 MB at most; beyond that the one that was used longest ago is forgotten, and is full again."""

SESSION_AT_ONCE = 1000
"""Requests of a rested session that are taken at any speed: more than a sitting needs."""
ADDRESS_AT_ONCE = 1000
ARRIVALS_AT_ONCE = 300


class TooFast(GameError):
    """Somebody has to wait. The text is for an annotator: it says for how long, and that nothing is lost."""

    title = "problem.wait"
    """Key of its title in the catalogue of texts."""
    status = 429

    def __init__(self, seconds: float) -> None:
        self.seconds = math.ceil(seconds)
        super().__init__("refused.too_fast", count=self.seconds)


class TooSlow(GameError):
    """A form that dribbles in: a lost connection, or somebody who wants to keep the server busy."""

    title = "problem.too_slow"
    status = 408
    seconds = 1


class Buckets:
    """A token bucket a key: `at_once` tokens, refilled by `per_second`.

    A bucket is stored as the moment at which it is full again, and one that is full is not stored at all.
    """

    def __init__(
        self,
        per_second: float,
        at_once: float,
        *,
        most: int = MOST_BUCKETS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._each = 1 / per_second
        self._depth = at_once / per_second
        self._most = most
        self._clock = clock
        self._full_at: dict[str, float] = {}  # the one used last is the last
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """Take a token. Returns the seconds to wait until there is one, and takes none; 0 means go on."""
        with self._lock:
            now = self._clock()
            full_at = max(now, self._full_at.pop(key, now)) + self._each
            wait = full_at - now - self._depth
            if wait > 1e-9:
                full_at, wait = full_at - self._each, max(wait, 0.001)
            else:
                wait = 0.0
            self._full_at[key] = full_at
            self._forget(now)
            return wait

    def __len__(self) -> int:
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        """Drop what is full, a few at a time, and what was used longest ago where there are too many."""
        for _ in range(2):
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now and len(self._full_at) <= self._most:
                return
            del self._full_at[oldest]
            if not self._full_at:
                return


class Pace:
    """The limits of one server process. Each call raises TooFast for who has to wait."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._unlimited = [ip_network(network) for network in limits.unlimited]
        self._counted = lru_cache(maxsize=10_000)(self._count_as)
        self._sessions = Buckets(limits.session_per_second, SESSION_AT_ONCE, clock=clock)
        self._addresses = Buckets(limits.address_per_second, ADDRESS_AT_ONCE, clock=clock)
        self._arrivals = Buckets(limits.arrivals_per_second, ARRIVALS_AT_ONCE, clock=clock)

    def request(self, host: str | None, *, arriving: bool) -> None:
        """A request from an address. `arriving`: it is a first page or a start, of which there are few."""
        key = self._counted(host)
        if key is None:
            return
        _go_on(self._addresses.take(key))
        if arriving:
            _go_on(self._arrivals.take(key))

    def session(self, token: str) -> None:
        """A request of a session. Forged tokens count like others: their addresses are what limits them."""
        if token:
            _go_on(self._sessions.take(token[:100]))

    def _count_as(self, host: str | None) -> str | None:
        """What an address is counted as, or None. Whoever has one IPv6 address has a /64 of them."""
        try:
            address = ip_address((host or "").partition("%")[0])
        except ValueError:  # a socket file, or a client inside this process
            return None
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self._unlimited):
            return None
        return str(address) if address.version == 4 else str(ip_network((address, 64), strict=False))


def _go_on(wait: float) -> None:
    if wait > 0:
        raise TooFast(wait)
