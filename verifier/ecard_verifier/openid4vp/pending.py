"""A request that waits for its answer, as it lies sealed in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ecard_card import jose
from ecard_verifier.openid4vp.store import sealing_key

_BYTES: Final = ("presentation_key", "response_secret")
_TUPLES: Final = ("claims", "others", "transaction", "origins")


@dataclass(frozen=True, slots=True)
class Pending:
    """What was asked, as it lies sealed under the reference."""

    presentation_key: bytes = field(repr=False)
    response_secret: bytes = field(repr=False)
    code: str | None = field(repr=False)
    nonce: str
    state: str
    key_id: str
    client: str
    claims: tuple[str, ...]
    others: tuple[str, ...]
    transaction: tuple[str, ...]
    facts: Mapping[str, str]  # fields and their masks
    minimum: str | None
    purpose: str | None
    return_url: str | None
    origins: tuple[str, ...]
    made_at: int

    def write(self) -> bytes:
        """As it is sealed."""
        members = {name: getattr(self, name) for name in Pending.__slots__}
        return jose.dump_json(members | {name: jose.b64url_encode(members[name]) for name in _BYTES})

    @classmethod
    def read(cls, data: bytes) -> Pending:
        """What `write` wrote: it lay sealed."""
        members: Any = jose.parse_json(data, limit=1 << 20)
        given: dict[str, Any] = {name: jose.b64url_decode(members[name]) for name in _BYTES}
        given |= {name: tuple(members[name]) for name in _TUPLES}
        return cls(**{**members, **given})


def own_reference(presentation_id: str) -> str:
    """Where no wallet comes here by itself, the reference follows from the id."""
    return jose.b64url_encode(sealing_key(presentation_id, b"reference"))
