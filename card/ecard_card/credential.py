"""One credential instance, in whatever format: what is to be said before it is signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.errors import InvalidInput
from ecard_card.region import is_region

#: Claims about the holder and the card, each disclosable by itself (SD-JWT VC only).
DISCLOSABLE: Final = frozenset(
    {
        "name",
        "birthdate",
        "personal_administrative_number",
        "card_number",
        "expiry_date",
        "chip_ref",
    }
)

#: What a device may sign with. SM2 device keys have the user id `1234567812345678`.
DEVICE_ALGORITHMS: Final = frozenset({Algorithm.ES256, Algorithm.SM2})

#: A NumericDate beyond this (the year 5138) is nonsense or an attack on arithmetic.
MAX_NUMERIC_DATE: Final = 100_000_000_000


def card_type(issuer: str) -> str:
    """The `vct` of an issuer's social security card, version 1 (SD-JWT VC §3.2.2.1)."""
    return f"{issuer.rstrip('/')}/vct/social-security-card/1"


class Unsigned(Protocol):
    """A message that lacks only its signature: ask a `Signer` to sign `signing_input`, then `complete` it."""

    @property
    def signing_input(self) -> bytes:
        """The bytes to be signed."""

    def complete(self, signature: bytes) -> str | bytes:
        """The finished message; `signature` is raw r||s, 64 bytes."""


@dataclass(frozen=True, slots=True)
class StatusRef:
    """Where the status of a credential stands: entry `index` of list `list_id`, served at `uri`."""

    uri: str
    list_id: int
    index: int

    def __post_init__(self) -> None:
        if not 0 <= self.list_id < 1 << 32 or not 0 <= self.index < 1 << 32:
            raise InvalidInput("bad_credential", "list and index of a status are 32-bit numbers")
        if not 1 <= len(self.uri) <= 2048:
            raise InvalidInput("bad_credential", "the URI of a status list has 1 to 2048 characters")


@dataclass(frozen=True, slots=True)
class Credential:
    """What an issuer says of one card to one device key. Times are NumericDate (seconds since 1970, UTC).

    `credential_id` is 16 random bytes (the `cti` of the CWT), `device_key` an uncompressed SEC1 point of the curve of
    `device_algorithm`, `region` the card's issuing region (six digits, GB/T 2260), said in the open. `holder_proof`
    says how the holder was proven to be one (None: it was not written down), `test_card` that nothing of it is real.
    Raises `InvalidInput` `bad_credential` where a part cannot be right.
    """

    issuer: str
    credential_id: bytes
    device_key: bytes = field(repr=False)
    issued_at: int
    expires_at: int
    status: StatusRef
    assurance: ChipAssurance
    vct: str
    claims: Mapping[str, str] = field(repr=False)
    region: str
    device_algorithm: Algorithm = Algorithm.ES256
    holder_proof: HolderProof | None = None
    test_card: bool = False

    def __post_init__(self) -> None:
        if len(self.credential_id) != 16:
            raise InvalidInput("bad_credential", "a credential id has 16 bytes")
        if len(self.device_key) != 65 or self.device_key[0] != 4:
            raise InvalidInput("bad_credential", "the device key is not an uncompressed point")
        if self.device_algorithm not in DEVICE_ALGORITHMS:
            raise InvalidInput("bad_credential", "no algorithm of device keys")
        if not is_region(self.region):
            raise InvalidInput("bad_credential", "a region is six digits")
        if not 0 <= self.issued_at < self.expires_at <= MAX_NUMERIC_DATE:
            raise InvalidInput("bad_credential", "a credential expires after it was issued")
        if not self.issuer or not self.vct:
            raise InvalidInput("bad_credential", "issuer and type are needed")
        if not DISCLOSABLE.issuperset(self.claims):
            raise InvalidInput("bad_credential", "a claim that this credential type does not have")
