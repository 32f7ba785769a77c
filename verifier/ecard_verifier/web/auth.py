"""Who is calling: a bearer token (RFC 6750) of a known caller with one role. Stored as hashes only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotAllowed, NotAuthenticated

OPERATOR: Final = "operator"  # may do everything
VERIFIER: Final = "verifier"  # may follow the feed
COUNTER: Final = "counter"  # may have codes verified
ROLES: Final = frozenset({OPERATOR, VERIFIER, COUNTER})

_MAX_TOKEN: Final = 256
_FORMAT: Final = "ecard-tokens/1"
_BEARER = HTTPBearer(auto_error=False, description="A token made at first start.")

#: For a route that has to ask again later, while its answer goes on.
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


@dataclass(frozen=True, slots=True)
class Caller:
    """A known caller; `name` may appear in records."""

    name: str
    role: str


Authenticate = Callable[[str], Caller | None]


def require_role(authenticate: Authenticate, *roles: str) -> Callable[..., Caller]:
    """A FastAPI dependency: the caller, if it has one of `roles` or is an operator.

    Raises `NotAuthenticated` `not_authenticated`, `NotAllowed` `not_allowed`.
    """

    def caller(given: Credentials) -> Caller:
        token = given.credentials if given is not None else ""
        known = authenticate(token) if 0 < len(token) <= _MAX_TOKEN else None
        if known is None:
            raise NotAuthenticated("not_authenticated", "a valid bearer token is needed")
        if known.role != OPERATOR and known.role not in roles:
            raise NotAllowed("not_allowed", "this caller's role may not do this")
        return known

    return caller


def token_hash(token: str) -> str:
    """SHA-256 in hex. Enough for tokens of 32 random bytes; a word that people choose would need more."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class HashedTokens:
    """`Authenticate` over hashes: what is stored or stolen from here opens nothing."""

    def __init__(self, callers: Mapping[str, Caller]) -> None:
        self._callers = dict(callers)

    def __call__(self, token: str) -> Caller | None:
        return self._callers.get(token_hash(token))

    @classmethod
    def read(cls, path: Path) -> HashedTokens:
        """Reads `{"format": "ecard-tokens/1", "tokens": [{"name", "role", "sha256"}]}`. `InvalidInput` `bad_tokens`."""
        try:
            content = jose.parse_json(path.read_bytes(), limit=1 << 20)
        except (OSError, InvalidInput):
            raise InvalidInput("bad_tokens", "the file of caller tokens cannot be read") from None
        listed = content.get("tokens") if isinstance(content, dict) and content.get("format") == _FORMAT else None
        if not isinstance(listed, list):
            raise InvalidInput("bad_tokens", "not an ecard-tokens/1 document")
        callers: dict[str, Caller] = {}
        for item in listed:
            fields = item if isinstance(item, dict) else {}
            name, role, digest = fields.get("name"), fields.get("role"), fields.get("sha256")
            if not (isinstance(name, str) and isinstance(digest, str) and isinstance(role, str) and role in ROLES):
                raise InvalidInput("bad_tokens", "a caller has a name, a known role and a SHA-256")
            callers[digest] = Caller(name, role)
        return cls(callers)
