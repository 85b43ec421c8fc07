"""campaign.toml, [serve.limits]: how much one session and one address may ask for."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

from imitable.campaign.material import Table


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError("must be an address or a network, such as '10.0.0.5' or '192.0.2.0/24'") from None


Network = Annotated[str, AfterValidator(_network)]
"""An IP address, or a network in CIDR form."""


class Limits(Table):
    """[serve.limits]: far above what people do. Who asks for more is told to wait, and loses nothing."""

    session_per_second: float = Field(default=10, gt=0)
    """Requests of one session, in the long run; after a rest a thousand are taken at any speed."""
    address_per_second: float = Field(default=100, gt=0)
    """Requests of one address, in the long run, after a thousand; a university may stand behind one address."""
    arrivals_per_second: float = Field(default=2, gt=0)
    """First pages and starts of one address, in the long run, after three hundred."""
    unlimited: list[Network] = Field(default=["127.0.0.0/8", "::1"])
    """Addresses that are not counted. This machine's own: simulated annotators play from it, and a proxy on it that
    `trusted_proxies` does not list would make everybody one address. Sessions are always counted."""
