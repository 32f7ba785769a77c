"""What a channel app or a counter's software embeds.

The names here are loaded when they are first used: a program that only verifies, or only has pytest's plugin, does not
pay for the client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecard_sdk.aio.client import AsyncECardClient
    from ecard_sdk.device import DeviceKey
    from ecard_sdk.device_file import EncryptedFile
    from ecard_sdk.errors import ECardError
    from ecard_sdk.holder import Device, MemoryStore
    from ecard_sdk.offline import OfflineVerifier
    from ecard_sdk.sync.client import ECardClient

__all__ = [
    "AsyncECardClient",
    "Device",
    "DeviceKey",
    "ECardClient",
    "ECardError",
    "EncryptedFile",
    "MemoryStore",
    "OfflineVerifier",
]

_PLACES = {
    "AsyncECardClient": "ecard_sdk.aio.client",
    "Device": "ecard_sdk.holder",
    "DeviceKey": "ecard_sdk.device",
    "ECardClient": "ecard_sdk.sync.client",
    "ECardError": "ecard_sdk.errors",
    "EncryptedFile": "ecard_sdk.device_file",
    "MemoryStore": "ecard_sdk.holder",
    "OfflineVerifier": "ecard_sdk.offline",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'ecard_sdk' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
