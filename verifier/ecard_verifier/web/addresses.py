"""Whose requests are counted together: the address behind the proxies that an operator trusts."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection
from typing import Final

from fastapi import Request

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: How a route learns an address for its limits.
AddressOf = Callable[[Request], str]
#: Characters of one header that are looked at, from its end: the nearest hops stand there.
_MOST: Final = 4096


def address_of(peer: str, forwarded: list[str], proxies: Collection[Network]) -> str | None:
    """Who is counted: `peer`, or behind trusted proxies the last hop that is none of them. None: nobody.

    IPv6 is counted by /64, which is what one customer has.
    """
    hops = [*(hop.strip() for value in forwarded for hop in value[-_MOST:].split(",")), peer]
    for hop in reversed(hops):
        try:
            address = ipaddress.ip_address(hop)
        except ValueError:
            return hop[:64]
        if not any(address in network for network in proxies):
            break
    if address.is_loopback:
        return None
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


def believed_address(proxies: Collection[str]) -> AddressOf:
    """As `address_of`, with `X-Forwarded-For` believed from the networks `proxies`; all of this very machine are one.

    Raises `ValueError` for what is no network.
    """
    networks = tuple(map(ipaddress.ip_network, proxies))

    def address(request: Request) -> str:
        peer = request.client.host if request.client else ""
        return address_of(peer, request.headers.getlist("x-forwarded-for"), networks) or peer

    return address


#: Who is at the other end of the connection, whatever a header says.
PEER: Final = believed_address(())
