"""Identity-proofing services (实人认证): which ones the authority believes about whom it is that claims an e-card."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotFound
from ecard_issuer.approvals import Approvals, Change
from ecard_issuer.rows import Grant
from ecard_keys.verify import load_public_key

_URL: Final = re.compile(r"https://[a-z0-9.-]{1,253}(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]{0,200})?")
_METHOD: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_KID: Final = re.compile(r"[A-Za-z0-9._~:-]{1,128}")
MOST_KEYS: Final = 8


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """A service, its keys (public P-256 JWKs with a `kid`), and the ways in which it looks at people, such as `face`.

    Raises `InvalidInput` `bad_identity_provider`.
    """

    provider_id: str  # its `iss`: an https URL
    name: str
    methods: tuple[str, ...]
    keys: tuple[Mapping[str, str], ...]

    def __post_init__(self) -> None:
        if not _URL.fullmatch(self.provider_id):
            raise _bad("its id is the https URL that its statements name as iss")
        if not (0 < len(self.name) <= 100 and self.name.isprintable()):
            raise _bad("a name has 1 to 100 printable characters")
        if not 0 < len(self.methods) <= 16 or not all(_METHOD.fullmatch(method) for method in self.methods):
            raise _bad("say by which methods it looks at people, such as face")
        if not 0 < len(self.keys) <= MOST_KEYS:
            raise _bad(f"want 1 to {MOST_KEYS} keys")
        kids = [self._kid(key) for key in self.keys]
        if len(set(kids)) != len(kids):
            raise _bad("two keys have one kid")

    def key_of(self, kid: str) -> bytes | None:
        """The public key of this name, as a point of 65 bytes."""
        for key in self.keys:
            if key["kid"] == kid:
                return jose.parse_public_jwk({name: key[name] for name in ("kty", "crv", "x", "y")})
        return None

    def to_json(self) -> dict[str, object]:
        return {
            "provider_id": self.provider_id,
            "name": self.name,
            "methods": list(self.methods),
            "keys": [dict(key) for key in self.keys],
        }

    @staticmethod
    def _kid(key: Mapping[str, str]) -> str:
        kid = key.get("kid", "")
        if not set(key) <= {"kty", "crv", "x", "y", "kid", "alg", "use"} or not _KID.fullmatch(kid):
            raise _bad("a key is a public JWK with a kid, and nothing private in it")
        try:
            load_public_key(jose.parse_public_jwk({name: key.get(name) for name in ("kty", "crv", "x", "y")}))
        except InvalidInput:
            raise _bad("a key is a P-256 JWK") from None
        return kid


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """A provider as registered; `removed_at` says that it is believed no longer."""

    provider: IdentityProvider
    changed_by: str
    changed_at: datetime
    removed_at: datetime | None


class ProviderStore(Protocol):
    """Any verb raises `Unavailable`."""

    def find_provider(self, provider_id: str) -> KnownProvider | None: ...

    def list_providers(self) -> Sequence[KnownProvider]: ...

    def save_provider(
        self, provider: IdentityProvider, actor: str, now: datetime, *, removed: bool, grant: Grant | None
    ) -> None:
        """Store it, or store it anew; `removed`: it is believed no longer. `RuleViolation` `approval_not_usable`."""
        ...


class IdentityProviders:
    """The registry, kept by operators: what one enters, another agrees to."""

    def __init__(self, store: ProviderStore, approvals: Approvals) -> None:
        self._store, self._approvals = store, approvals

    def save(self, provider: IdentityProvider, actor: str, now: datetime) -> KnownProvider:
        """Register a provider, or change it; the same again changes nothing. Raises `ApprovalNeeded`."""
        known = self._store.find_provider(provider.provider_id)
        if known is None or known.removed_at is not None or known.provider != provider:
            change = Change("identity_provider.set", provider.provider_id, provider.to_json())
            grant = self._approvals.require(change, actor, now)
            self._store.save_provider(provider, actor, now, removed=False, grant=grant)
        return self.get(provider.provider_id)

    def remove(self, provider_id: str, actor: str, now: datetime) -> KnownProvider:
        """Believe it no longer, from now on; at once, by one operator alone, since it only closes a door. What was
        claimed on its word stays. Raises `NotFound` `identity_provider_unknown`."""
        known = self.get(provider_id)
        if known.removed_at is None:
            self._store.save_provider(known.provider, actor, now, removed=True, grant=None)
        return self.get(provider_id)

    def get(self, provider_id: str) -> KnownProvider:
        """Removed ones too. Raises `NotFound` `identity_provider_unknown`."""
        known = self._store.find_provider(provider_id)
        if known is None:
            raise NotFound("identity_provider_unknown", "no identity-proofing service of this id is registered")
        return known

    def all(self) -> Sequence[KnownProvider]:
        """In order of their ids, removed ones too."""
        return self._store.list_providers()


def _bad(why: str) -> InvalidInput:
    return InvalidInput("bad_identity_provider", why)
