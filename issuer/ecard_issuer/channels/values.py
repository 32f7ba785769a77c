"""A channel as it was registered: who it is, what it may do, where it may be reached, and with which keys it signs."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from unicodedata import category
from urllib.parse import urlsplit

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.states import ChannelState
from ecard_keys.client_keys import MAX_KEY_SET, ClientKey, read_key_set

APP_ID: Final = re.compile(r"ek_(live|test)_[a-z2-7]{24}")
MAX_ADDRESSES: Final = 20
MAX_CALLS: Final = 600_000
MAX_CLAIMS: Final = 10_000_000
_MAX_URL: Final = 1024
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_THUMBPRINT_CHARS: Final = 43


class ChannelKind(StrEnum):
    """What kind of body runs the app."""

    BANK = "bank"
    GOVERNMENT = "government"
    PLATFORM = "platform"  # WeChat, Alipay and their like
    MEDICAL = "medical"
    TRANSIT = "transit"
    EMPLOYER = "employer"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much a channel may do."""

    calls_per_minute: int = 600
    claims_per_day: int = 10_000

    def __post_init__(self) -> None:
        _require(_whole(self.calls_per_minute, MAX_CALLS), "calls_per_minute")
        _require(_whole(self.claims_per_day, MAX_CLAIMS), "claims_per_day")


@dataclass(frozen=True, slots=True)
class Registration:
    """Valid once it exists; raises `InvalidInput` `bad_channel` with the member's name, `bad_jwk`, `bad_key_set`.

    `contact` reaches the body that runs the app, not a person. Keys are a JWK Set in `jwks` or behind `jwks_uri`,
    never both. `certificates` are SHA-256 thumbprints in base64url, for mutual TLS. Addresses are https; one of this
    machine may be http where `test` says so.
    """

    name_zh: str
    name_en: str
    legal_entity: str
    contact: str
    kind: ChannelKind
    scopes: tuple[Scope, ...]
    quotas: Quotas = field(default_factory=Quotas)
    redirect_uris: tuple[str, ...] = ()
    webhook_urls: tuple[str, ...] = ()
    browser_origins: tuple[str, ...] = ()
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str | None = None
    certificates: tuple[str, ...] = ()
    test: bool = False
    keys: tuple[ClientKey, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        for name in ("name_zh", "name_en", "legal_entity"):
            _require(_is_text(getattr(self, name), 100), name)
        _require(_is_text(self.contact, 200), "contact")
        _require(0 < len(self.scopes) == len(set(self.scopes)), "scopes")
        for name in ("redirect_uris", "webhook_urls"):
            addresses = getattr(self, name)
            _require(len(set(addresses)) == len(addresses) <= MAX_ADDRESSES, name)
            _require(all(is_address(url, test=self.test) for url in addresses), name)
        origins = self.browser_origins
        _require(len(set(origins)) == len(origins) <= MAX_ADDRESSES, "browser_origins")
        _require(all(is_origin(url, test=self.test) for url in origins), "browser_origins")
        _require(self.jwks is None or self.jwks_uri is None, "jwks")
        _require(self.jwks is not None or self.jwks_uri is not None or self.certificates, "jwks")
        _require(self.jwks_uri is None or is_address(self.jwks_uri, test=self.test), "jwks_uri")
        _require(len(set(self.certificates)) == len(self.certificates) <= MAX_ADDRESSES, "certificates")
        _require(all(_is_thumbprint(item) for item in self.certificates), "certificates")
        if self.jwks is not None:
            _require(self.jwks.keys() == {"keys"} and len(json.dumps(self.jwks)) <= MAX_KEY_SET, "jwks")
            object.__setattr__(self, "keys", read_key_set(self.jwks))

    def to_json(self) -> dict[str, object]:
        """The document as stored, shown to approvers and answered; `registration_from_json` reads it."""
        return {
            "names": {"zh": self.name_zh, "en": self.name_en},
            "legal_entity": self.legal_entity,
            "contact": self.contact,
            "kind": self.kind.value,
            "scopes": [scope.value for scope in self.scopes],
            "quotas": {
                "calls_per_minute": self.quotas.calls_per_minute,
                "claims_per_day": self.quotas.claims_per_day,
            },
            "redirect_uris": list(self.redirect_uris),
            "webhook_urls": list(self.webhook_urls),
            "browser_origins": list(self.browser_origins),
            "jwks": None if self.jwks is None else dict(self.jwks),
            "jwks_uri": self.jwks_uri,
            "certificates": list(self.certificates),
        }


_MEMBERS: Final = {item.name for item in fields(Registration)} - {"name_zh", "name_en", "test", "keys"} | {"names"}


def registration_from_json(document: Mapping[str, Any], *, test: bool) -> Registration:
    """The inverse of `to_json`. Raises `InvalidInput` `bad_channel`, `bad_jwk`, `bad_key_set`."""
    if document.keys() != _MEMBERS:
        raise InvalidInput("bad_channel", "members are missing or unknown")
    try:
        quotas = document["quotas"]
        return Registration(
            name_zh=document["names"]["zh"],
            name_en=document["names"]["en"],
            legal_entity=document["legal_entity"],
            contact=document["contact"],
            kind=ChannelKind(document["kind"]),
            scopes=tuple(sorted({Scope(scope) for scope in document["scopes"]})),
            quotas=Quotas(quotas["calls_per_minute"], quotas["claims_per_day"]),
            redirect_uris=tuple(document["redirect_uris"]),
            webhook_urls=tuple(document["webhook_urls"]),
            browser_origins=tuple(document["browser_origins"]),
            jwks=document["jwks"],
            jwks_uri=document["jwks_uri"],
            certificates=tuple(document["certificates"]),
            test=test,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidInput("bad_channel", "a member of another form") from None


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as it stands. `number` is that of its last change."""

    app_id: str
    state: ChannelState
    registration: Registration
    request_hash: str
    number: int
    applied_at: datetime

    @property
    def test(self) -> bool:
        """Whether it is a test app."""
        return self.app_id.startswith("ek_test_")


@dataclass(frozen=True, slots=True)
class ChannelChange:
    """One decision, for the record."""

    number: int
    action: str
    state: ChannelState
    registration: Registration
    changed_by: str
    reason: str
    changed_at: datetime


def only_takes_away(before: Registration, after: Registration) -> bool:
    """Whether a change leaves a channel with less than it had: fewer scopes, calls, addresses, keys; the same names.

    One person may do that; for anything else a second one agrees."""
    same = ("name_zh", "name_en", "legal_entity", "contact", "kind", "jwks_uri")
    if any(getattr(before, name) != getattr(after, name) for name in same):
        return False
    fewer = ("scopes", "redirect_uris", "webhook_urls", "browser_origins", "certificates")
    if not all(set(getattr(after, name)) <= set(getattr(before, name)) for name in fewer):
        return False
    if after.quotas.calls_per_minute > before.quotas.calls_per_minute:
        return False
    return after.quotas.claims_per_day <= before.quotas.claims_per_day and _keys(after) <= _keys(before)


def is_address(url: object, *, test: bool = False) -> bool:
    """Whether this is an https URL with a host and without user or fragment; with `test` also http at this machine."""
    if type(url) is not str or not 0 < len(url) <= _MAX_URL or not url.isascii():
        return False
    if any(char <= " " or char == "\x7f" for char in url) or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or parts.fragment or url.endswith("#"):
        return False
    return parts.scheme == "https" or (test and parts.scheme == "http" and _is_loopback(host))


def is_origin(url: object, *, test: bool = False) -> bool:
    """Whether this is a bare origin, as browsers write it in `Origin`."""
    if type(url) is not str or not is_address(url, test=test) or url != url.lower():
        return False
    parts = urlsplit(url)
    return url == f"{parts.scheme}://{parts.netloc}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _keys(registration: Registration) -> set[str]:
    keys: Sequence[Any] = (registration.jwks or {}).get("keys", ())
    return {json.dumps(key, sort_keys=True) for key in keys}


def _is_thumbprint(text: object) -> bool:
    if type(text) is not str or len(text) != _THUMBPRINT_CHARS:
        return False
    try:
        return len(jose.b64url_decode(text)) == 32
    except InvalidInput:
        return False


def _is_text(text: object, most: int) -> bool:
    if type(text) is not str:
        return False
    return 1 <= len(text) <= most and text.strip() == text and not any(category(char) in _UNSEEN for char in text)


def _whole(number: object, most: int) -> bool:
    return type(number) is int and 1 <= number <= most


def _require(holds: object, member: str) -> None:
    if not holds:
        raise InvalidInput("bad_channel", f"{member} is out of its bounds")
