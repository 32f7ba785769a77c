"""A relying service's registration as a site that people log in to: part of what two people decide about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_issuer.login.assurance import Acr

#: Before the service's own id: a client id is in no other document of the house (`ecard_keys.desk.logins`).
PREFIX: Final = "login."
MAX_URIS: Final = 10
MAX_URI: Final = 512
MAX_KEYS: Final = 4
_URI: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
#: No user, no wildcard, no capital letters: what people are shown is what is compared.
_NETLOC: Final = re.compile(r"[a-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-f:]+\](?::[0-9]{1,5})?")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_SCOPES: Final = ("openid", "profile", "id_number", "card")


class ClientAuth(StrEnum):
    """How a site shows at the token endpoint that it is the site."""

    PRIVATE_KEY_JWT = "private_key_jwt"  # RFC 7523
    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105 - the name of a method: RFC 6749 §2.3.1
    NONE = "none"  # a public client: PKCE and a nonce are all there is


@dataclass(frozen=True, slots=True)
class LoginRegistration:
    """Valid once it exists; raises `InvalidInput` `bad_login_registration` with the member's name.

    `redirect_uris` are compared character by character and share one host, which people are shown. `keys` are public
    JWKs (P-256) of a site that signs; `secret_sha256` is the hash of the secret of one that does not.
    """

    redirect_uris: tuple[str, ...]
    auth: ClientAuth
    scopes: tuple[str, ...]
    acr: Acr
    keys: tuple[Mapping[str, str], ...] = ()
    secret_sha256: str | None = None

    def __post_init__(self) -> None:
        uris = self.redirect_uris
        _require(0 < len(uris) <= MAX_URIS and len(set(uris)) == len(uris), "redirect_uris")
        _require(all(_is_redirect(uri) for uri in uris) and len({_host(uri) for uri in uris}) == 1, "redirect_uris")
        _require("openid" in self.scopes and len(set(self.scopes)) == len(self.scopes), "scopes")
        _require(set(self.scopes) <= set(_SCOPES), "scopes")
        signs = self.auth is ClientAuth.PRIVATE_KEY_JWT
        _require(0 < len(self.keys) <= MAX_KEYS if signs else not self.keys, "keys")
        for jwk in self.keys:
            _require(_is_key(jwk), "keys")
        secret = self.secret_sha256
        if self.auth is ClientAuth.CLIENT_SECRET_BASIC:
            _require(secret is not None and _HASH.fullmatch(secret), "secret_sha256")
        else:
            _require(secret is None, "secret_sha256")

    @property
    def host(self) -> str:
        """The host, with a port that is not the scheme's own, as people are shown it."""
        return _host(self.redirect_uris[0])

    def to_json(self) -> dict[str, object]:
        """As it stands in the service's document."""
        return {
            "redirect_uris": list(self.redirect_uris),
            "auth": self.auth.value,
            "scopes": list(self.scopes),
            "acr": self.acr.value,
            "keys": [dict(jwk) for jwk in self.keys],
            "secret_sha256": self.secret_sha256,
        }


def registration_from_json(document: Mapping[str, Any]) -> LoginRegistration:
    """The inverse of `to_json`. Raises `InvalidInput` `bad_login_registration`."""
    try:
        return LoginRegistration(
            redirect_uris=tuple(document["redirect_uris"]),
            auth=ClientAuth(document["auth"]),
            scopes=tuple(document["scopes"]),
            acr=Acr(document["acr"]),
            keys=tuple(dict(jwk) for jwk in document["keys"]),
            secret_sha256=document["secret_sha256"],
        )
    except (KeyError, TypeError, ValueError):
        raise InvalidInput("bad_login_registration", "a member is missing, or of another form") from None


def client_id_of(service_id: str) -> str:
    """The client id of a service."""
    return PREFIX + service_id


def service_id_of(client_id: str) -> str | None:
    """The service that a client id names; None for a text that is no client id."""
    return client_id[len(PREFIX) :] if client_id.startswith(PREFIX) else None


def origin_of(uri: str) -> str:
    """Scheme and host of a registered address."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


def _is_redirect(uri: object) -> bool:
    """An https address without fragment, user or wildcard; http on this very machine, for development."""
    if type(uri) is not str or len(uri) > MAX_URI or not _URI.fullmatch(uri):
        return False
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    plain = "#" not in uri and _NETLOC.fullmatch(parts.netloc) is not None
    return bool(host) and plain and port != 0 and (parts.scheme == "https" or host in _LOOPBACK)


def _host(uri: str) -> str:
    return urlsplit(uri).netloc


def _is_key(jwk: Mapping[str, str]) -> bool:
    try:
        jose.parse_public_jwk(dict(jwk))
    except InvalidInput:
        return False
    return True


def _require(holds: object, member: str) -> None:
    if not holds:
        raise InvalidInput("bad_login_registration", f"{member} is out of its bounds")
