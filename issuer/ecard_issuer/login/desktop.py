"""What is known of the desktop that asks to log in: said on the phone, so that its holder sees a login that is not
theirs. What is not known is `unknown`, and nothing is made up."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

UNKNOWN: Final = "unknown"
_SYSTEMS: Final = (
    ("HarmonyOS", "HarmonyOS"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)
#: The more special name first: nearly all of them call themselves Chrome and Safari besides.
_BROWSERS: Final = (
    ("MicroMessenger/", "WeChat"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("QQBrowser/", "QQ Browser"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)

#: The region of a public address, if somebody knows it.
RegionOf = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Desktop:
    """`region` in words, `address` the network it called from, `device` its system and browser."""

    region: str
    address: str
    device: str


def desktop_of(peer: str | None, user_agent: str, region_of: RegionOf) -> Desktop:
    """From the address of the connection (or of the network that a trusted proxy names) and the `User-Agent`."""
    address = _public(peer)
    region = None if address is None else region_of(address)
    return Desktop(region or UNKNOWN, UNKNOWN if address is None else _network(address), _device(user_agent[:512]))


def _public(peer: str | None) -> str | None:
    """A public address; that of a proxy in the same house says nothing of the desktop."""
    try:
        address = ipaddress.ip_interface(peer or "").ip
    except ValueError:
        return None
    return str(address) if address.is_global else None


def _network(address: str) -> str:
    """Enough to tell one's own network from a stranger's, and not one household from its neighbour."""
    length = 24 if ipaddress.ip_address(address).version == 4 else 48
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))


def _device(user_agent: str) -> str:
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), None)
    return ", ".join(name for name in (system, browser) if name is not None) or UNKNOWN
