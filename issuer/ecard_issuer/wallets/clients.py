"""The registry of wallets that may send people to our page: public clients, known by their redirect URIs alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from ecard_card.errors import InvalidInput, NotFound
from ecard_issuer.wallets.refusals import WalletRefusal
from ecard_issuer.wallets.store import WalletClients
from ecard_issuer.wallets.values import WalletClient

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,63}")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,60}")
_URI: Final = re.compile(r"[\x21-\x7e]{1,512}")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{2,63}")
#: Schemes that a browser runs or shows by itself; a code must never end there.
_NOT_APPS: Final = frozenset({"http", "javascript", "data", "file", "vbscript", "blob", "about", "ftp", "ws", "wss"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "[::1]"})
_MOST_URIS: Final = 8


class Clients:
    """The use case."""

    def __init__(self, store: WalletClients) -> None:
        self._store = store

    def add(self, client_id: str, name: str, redirect_uris: Sequence[str], actor: str, now: datetime) -> WalletClient:
        """Register a wallet, or change what is known of it; the same again changes nothing.

        Raises `InvalidInput` `bad_wallet_client`: its detail says what.
        """
        if not _ID.fullmatch(client_id) or not _NAME.fullmatch(name):
            raise InvalidInput("bad_wallet_client", "an id has 3 to 64 letters, digits and . _ -, a name 1 to 60")
        uris = tuple(dict.fromkeys(redirect_uris))
        if not 1 <= len(uris) <= _MOST_URIS or not all(map(_is_redirect, uris)):
            raise InvalidInput(
                "bad_wallet_client", f"1 to {_MOST_URIS} redirect URIs: https, an app's scheme, or http on 127.0.0.1"
            )
        before = self._store.find_client(client_id)
        if before is not None and before.ended_at is None and (before.name, before.redirect_uris) == (name, uris):
            return before
        client = WalletClient(client_id, name, uris, actor, now)
        self._store.save_client(client)
        return client

    def end(self, client_id: str, actor: str, now: datetime) -> WalletClient:
        """No request of it is taken from now on. Raises `NotFound` `wallet_client_unknown`."""
        client = self.get(client_id)
        if client.ended_at is None:
            client = replace(client, ended_by=actor, ended_at=now)
            self._store.save_client(client)
        return client

    def get(self, client_id: str) -> WalletClient:
        """Raises `NotFound` `wallet_client_unknown`."""
        client = self._store.find_client(client_id)
        if client is None:
            raise NotFound("wallet_client_unknown", "no wallet has this client id")
        return client

    def list(self, after: str = "", limit: int = 100) -> tuple[WalletClient, ...]:
        """In order of their ids, ended ones too."""
        return self._store.list_clients(after, limit)

    def live(self, client_id: str) -> WalletClient:
        """Raises `WalletRefusal` `invalid_client`."""
        client = self._store.find_client(client_id)
        if client is None or client.ended_at is not None:
            raise WalletRefusal("invalid_client", "no wallet with this client_id is registered", status=401)
        return client


def _is_redirect(uri: str) -> bool:
    """Whether a code may be sent there (RFC 8252 §7): no fragment, no user part."""
    if not _URI.fullmatch(uri) or "#" in uri:
        return False
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None:
        return False
    if parts.scheme == "https":
        return bool(host)
    if parts.scheme == "http":
        return parts.netloc.rpartition(":")[0] in _LOOPBACK or parts.netloc in _LOOPBACK
    return bool(_SCHEME.fullmatch(parts.scheme)) and parts.scheme not in _NOT_APPS
