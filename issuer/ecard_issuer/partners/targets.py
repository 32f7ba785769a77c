"""Where news may be sent: https, to addresses of the public internet, unless the settings name a network besides.

A receiver's address is chosen by a partner. Whoever could choose one inside our network would have our own server
knock there; so a name is looked up here, every address it has is judged, and the connection goes to one of those.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx2

from ecard_card.errors import InvalidInput, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Looks a host name up: every address it has. Raises `OSError`.
Resolve = Callable[[str], Sequence[str]]
_MAX_URL: Final = 1024
#: IPv4 addresses hidden in IPv6: NAT64 (RFC 6052, RFC 8215) leads to wherever the last four bytes say.
_NAT64: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
#: Not public although not every version of Python's table says so: special uses of IANA's registry, among them the
#: metadata service of one cloud; and that of another cloud, which took an address that looks public.
_NEVER: Final = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "168.63.129.16/32", "2001::/23"))
)


@dataclass(frozen=True, slots=True)
class Target:
    """A judged target: ask `url`, whose host is an address, for `host`."""

    url: httpx2.URL
    host: str  # for the `Host` header
    server_name: str  # for TLS


class Targets:
    """Judges receivers' addresses. `networks` are permitted although they are not public, and over plain http too."""

    def __init__(self, networks: Sequence[str] = (), resolve: Resolve | None = None) -> None:
        self._networks = tuple(map(ipaddress.ip_network, networks))
        self._resolve = resolve or _look_up

    def check(self, text: str) -> str:
        """The URL, if its form is one that may be sent to. Raises `InvalidInput` `bad_endpoint`."""
        self._parsed(text)
        return text

    def resolve(self, text: str) -> Target:
        """Where to connect. Raises `InvalidInput` `bad_endpoint`; `Unavailable` `endpoint_unreachable` where the
        name has no address, `endpoint_refused` where one of its addresses may not be sent to."""
        url = self._parsed(text)
        try:
            found = [ipaddress.ip_address(item.partition("%")[0]) for item in self._resolve(url.host)]
        except (OSError, ValueError):
            found = []
        if not found:
            raise Unavailable("endpoint_unreachable", "the receiver's name has no address")
        # All must be permitted: a name with a public and a private address is an attempt at ours.
        if not all(self._permitted(address, url.scheme) for address in found):
            raise Unavailable("endpoint_refused", "the receiver's address is none that may be sent to")
        default = {"https": 443, "http": 80}[url.scheme]
        host = url.host if ":" not in url.host else f"[{url.host}]"
        shown = host if url.port in (None, default) else f"{host}:{url.port}"
        return Target(url.copy_with(host=str(found[0])), shown, url.host)

    def _parsed(self, text: str) -> httpx2.URL:
        if not 0 < len(text) <= _MAX_URL or not text.isascii() or any(char <= " " or char == "\x7f" for char in text):
            raise InvalidInput("bad_endpoint", "an endpoint is an ASCII URL of at most 1024 characters")
        try:
            url = httpx2.URL(text)
        except httpx2.InvalidURL:
            raise InvalidInput("bad_endpoint", "not a URL") from None
        if url.scheme != "https" and not (url.scheme == "http" and self._networks):
            raise InvalidInput("bad_endpoint", "an endpoint is reached over https")
        if not url.host or url.userinfo or url.fragment:
            raise InvalidInput("bad_endpoint", "an endpoint has a host, and no user and no fragment")
        try:
            address = ipaddress.ip_address(url.host)
        except ValueError:
            # A last label of digits only is an address in one of its odd spellings (WHATWG URL §3.5).
            if url.host.rstrip(".").rpartition(".")[2][:1].isdigit():
                raise InvalidInput("bad_endpoint", "an address in an unusual form") from None
        else:
            if not self._permitted(address, url.scheme):
                raise InvalidInput("bad_endpoint", "not an address that may be sent to")
        return url

    def _permitted(self, address: Address, scheme: str) -> bool:
        address = _plain(address)
        if any(address.version == network.version and address in network for network in self._networks):
            return True
        return scheme == "https" and is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet: not private, loopback, link-local, metadata, multicast."""
    address = _plain(address)
    if any(address.version == network.version and address in network for network in _NEVER):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        hidden = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if hidden is None and any(address in network for network in _NAT64):
            hidden = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if hidden is not None:
            return hidden
    return address


def _look_up(host: str) -> Sequence[str]:
    return [str(item[4][0]) for item in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
