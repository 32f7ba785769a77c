"""Sources: physical card systems whose word about cards is taken, each for its own regions and under its own keys.

A source is data: an operator registers it, another agrees. Its keys are given with it; nothing is fetched from an
address that a token names. The source's name is that of its caller of role `source`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from ecard_card.algorithm import JWK_CURVE, Algorithm
from ecard_card.errors import InvalidInput
from ecard_card.jose import b64url_decode
from ecard_card.region import covers, is_region
from ecard_issuer.approvals import Approvals, Change
from ecard_issuer.intake.ports import SourceStore
from ecard_issuer.intake.states import Delivery
from ecard_keys import protect
from ecard_keys.key import DEFAULT_USER_ID
from ecard_keys.protect import Protector
from ecard_keys.verify import PublicKey, load_public_key
from ecard_verifier.callers import CALLER_NAME

MAX_KEYS: Final = 16
MAX_REGIONS: Final = 1000
_MAX_URL: Final = 512
#: Names that the register uses for itself.
RESERVED: Final = frozenset({"file", "reconciliation", "desk", "policy"})
_ALGORITHM_OF: Final = {curve: algorithm for algorithm, curve in JWK_CURVE.items()}


@dataclass(frozen=True, slots=True)
class Source:
    """A source as registered. `keys` are public JWKs, each with a `kid`; `poll_url` belongs to delivery by poll."""

    name: str
    issuer: str
    keys: tuple[Mapping[str, str], ...]
    regions: tuple[str, ...]
    audience: str
    delivery: Delivery
    poll_url: str | None = None

    def __post_init__(self) -> None:
        if not CALLER_NAME.fullmatch(self.name) or self.name in RESERVED:
            raise InvalidInput("bad_source", "name: that of its caller, and none of our own")
        if not _is_url(self.issuer) or not 1 <= len(self.audience) <= _MAX_URL or not self.audience.isprintable():
            raise InvalidInput("bad_source", "issuer: an https URL; audience: 1 to 512 characters")
        if not 1 <= len(self.regions) <= MAX_REGIONS or not all(map(is_region, self.regions)):
            raise InvalidInput("bad_source", "regions: 1 to 1000 codes of six digits")
        if not 1 <= len(self.keys) <= MAX_KEYS or len({jwk.get("kid") for jwk in self.keys}) != len(self.keys):
            raise InvalidInput("bad_source", "keys: 1 to 16 public keys, each with a kid of its own")
        for jwk in self.keys:
            _public_key(jwk)
        if (self.poll_url is not None) is not (self.delivery is Delivery.POLL):
            raise InvalidInput("bad_source", "poll_url: for delivery by poll, and for no other")
        if self.poll_url is not None and not _is_url(self.poll_url):
            raise InvalidInput("bad_source", "poll_url: an https URL; plain http to this machine only")

    def speaks_for(self, region: str) -> bool:
        """Whether its word counts for cards of `region`."""
        return any(covers(own, region) for own in self.regions)

    def key(self, kid: object) -> PublicKey | None:
        """The key of that id, loaded; None where the source has none of that name."""
        found = next((jwk for jwk in self.keys if jwk["kid"] == kid), None)
        return None if found is None else _public_key(found)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source as stored. The token that we show when we poll is sealed under a key of its own."""

    source: Source
    created_at: datetime
    created_by: str
    wrapped_key: bytes | None = field(default=None, repr=False)
    sealed_token: bytes | None = field(default=None, repr=False)
    ended_at: datetime | None = None


class Sources:
    """Registers, finds and ends sources; registering and changing one takes four eyes."""

    def __init__(self, store: SourceStore, approvals: Approvals, protector: Protector) -> None:
        self._store, self._approvals, self._protector = store, approvals, protector

    def put(self, source: Source, actor: str, now: datetime, *, poll_token: str | None = None) -> SourceRow:
        """Register a source, or replace what is known of it (new keys, other regions).

        Raises `InvalidInput` `bad_source` for a poll token without polling or longer than 4096 characters;
        `ApprovalNeeded` `approval_needed`.
        """
        if poll_token is not None and (
            source.delivery is not Delivery.POLL or not 1 <= len(poll_token) <= 4096 or not poll_token.isascii()
        ):
            raise InvalidInput("bad_source", "poll_token: for delivery by poll, 1 to 4096 ASCII characters")
        grant = self._approvals.require(Change("source.put", source.name, facts_of(source)), actor, now)
        wrapped = sealed = None
        if poll_token is not None:
            key = protect.new_data_key()
            wrapped = self._protector.wrap(key, context=_context(source.name))
            sealed = protect.seal(key, poll_token.encode(), context=_context(source.name))
        row = SourceRow(source, now, actor, wrapped, sealed)
        self._store.put_source(row, now, grant=grant)
        return row

    def get(self, name: str) -> Source:
        """A source that was not ended. Raises `NotFound` `source_unknown`."""
        return self._store.get_source(name).source

    def all(self) -> Sequence[SourceRow]:
        """Those that were not ended, by name."""
        return self._store.list_sources()

    def end(self, name: str, now: datetime) -> None:
        """Take no more of its word. Taking trust away is one person's to do. Raises `NotFound` `source_unknown`."""
        self._store.end_source(name, now)

    def poll_token(self, row: SourceRow) -> str | None:
        """The token for its poll endpoint. Raises `CheckFailed` `sealed_data_refused` if it does not open."""
        if row.wrapped_key is None or row.sealed_token is None:
            return None
        key = self._protector.unwrap(row.wrapped_key, context=_context(row.source.name))
        return protect.open_(key, row.sealed_token, context=_context(row.source.name)).decode()


def facts_of(source: Source) -> dict[str, object]:
    """What an approver sees, and what is shown of a source: everything but its token."""
    return {
        "issuer": source.issuer,
        "keys": [dict(jwk) for jwk in source.keys],
        "regions": list(source.regions),
        "audience": source.audience,
        "delivery": source.delivery.value,
        "poll_url": source.poll_url,
    }


def _public_key(jwk: Mapping[str, str]) -> PublicKey:
    """Raises `InvalidInput` `bad_source`, `Unavailable` `algorithm_unavailable`."""
    if not set(jwk) <= {"kty", "crv", "x", "y", "kid", "alg", "use"} or jwk.get("kty") != "EC":
        raise InvalidInput("bad_source", "keys: public EC keys on P-256 or SM2, without private members")
    algorithm = _ALGORITHM_OF.get(jwk.get("crv", ""))
    if algorithm not in (Algorithm.ES256, Algorithm.SM2) or not 1 <= len(jwk.get("kid", "")) <= 256:
        raise InvalidInput("bad_source", "keys: ES256 or SM2, each with a kid")
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        raise InvalidInput("bad_source", "keys: for signatures by the algorithm of their curve")
    try:
        point = b"\x04" + b64url_decode(jwk.get("x", "")) + b64url_decode(jwk.get("y", ""))
        user_id = DEFAULT_USER_ID if algorithm is Algorithm.SM2 else None
        return load_public_key(point, algorithm, user_id)
    except InvalidInput:
        raise InvalidInput("bad_source", "keys: a point that is not on its curve") from None


def _is_url(text: str) -> bool:
    """An https URL without user, query or fragment; plain http for this machine only."""
    if not 1 <= len(text) <= _MAX_URL or not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        local = host == "localhost" or (host[:1].isdigit() and ip_address(host).is_loopback)
        odd = parts.username is not None or parts.password is not None or parts.query or parts.fragment
        return bool(host) and not odd and (parts.scheme == "https" or (parts.scheme == "http" and local))
    except ValueError:
        return False


def _context(name: str) -> bytes:
    return f"event-source/{name}".encode()
