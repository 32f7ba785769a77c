"""The programme as it is told: the brochure, with the addresses of channels that operators gave."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol
from unicodedata import category
from urllib.parse import urlsplit

from ecard_card.errors import InvalidInput, NotFound
from ecard_issuer.programme.description import Addresses, Item, Programme, programme

MAX_ADDRESS: Final = 300
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class AddressStore(Protocol):
    """Each verb is one transaction, and raises `Unavailable` where the register does not answer."""

    def addresses(self) -> Addresses:
        """By channel."""

    def set_address(self, channel: str, address: str | None, changed_by: str, now: datetime) -> None:
        """Give a channel an address, or take it away."""


class ProgrammeOffice:
    """The use case."""

    def __init__(self, store: AddressStore, described: Programme | None = None) -> None:
        self._store = store
        self.described = described or programme()

    def set_address(self, channel: str, address: str | None, actor: str, now: datetime) -> None:
        """Where a channel is found: a web address (https), or a name to look for. None takes it away.

        Raises `NotFound` `channel_unknown`, `InvalidInput` `bad_channel_address`."""
        if channel not in {item.channel for item in self.described.channels}:
            raise NotFound("channel_unknown", "the programme has no such channel")
        if address is not None and not _is_address(address):
            raise InvalidInput("bad_channel_address", "an https address, or a name of 1 to 300 visible characters")
        self._store.set_address(channel, address, actor, now)

    def addresses(self) -> Addresses:
        return self._store.addresses()

    def to_json(self) -> dict[str, object]:
        """As `GET /v1/programme` answers it."""
        described, addresses = self.described, self.addresses()
        return {
            "hotline": described.hotline,
            "facts": [_item(item) for item in described.facts],
            "functions": [_item(item) for item in described.functions],
            "uses": [
                _item(use) | {"state": use.state.value, "note": {"zh": use.note_zh, "en": use.note_en}}
                for use in described.uses
            ],
            "channels": [
                _item(channel)
                | {
                    "channel": channel.channel,
                    "kind": channel.kind.value,
                    "address": addresses.get(channel.channel),
                }
                for channel in described.channels
            ],
        }


def is_link(address: str) -> bool:
    """Whether a page may link to it."""
    return address.startswith("https://")


def _item(item: Item) -> dict[str, object]:
    return {"line": item.line, "names": {"zh": item.zh, "en": item.en}, "offers": list(item.offers)}


def _is_address(address: str) -> bool:
    if not 1 <= len(address) <= MAX_ADDRESS or any(category(char) in _UNSEEN for char in address):
        return False
    if "://" not in address:
        return not address.lower().startswith(("javascript:", "data:"))
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme == "https" and bool(host) and parts.username is None and address.isascii()
