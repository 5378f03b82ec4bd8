"""Where somebody comes from, as far as limits go by it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

IPV6_PREFIX = 64
"""The least that one customer is given: whoever has one address has all of these."""

NOWHERE = "nowhere"


def client_address(connection: HTTPConnection) -> str:
    """The client's IPv4 address, or the /64 of its IPv6 address.

    It is the one that a trusted proxy names, and else that of the connection: uvicorn has put it in
    the scope. All who have none are one.
    """
    client = connection.client
    return NOWHERE if client is None else counted(client.host)


def counted(host: str) -> str:
    """What an address counts as."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return NOWHERE
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), IPV6_PREFIX), strict=False))
