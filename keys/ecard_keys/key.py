"""What the world may know of one key: its id, its one purpose, its state, and the times that bound its signatures.

States follow NIST SP 800-57 part 1 §7; a key has one purpose for life, so that a key stolen from one use opens no
other. Nothing here is secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput

#: The default algorithm: ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
ES256 = Algorithm.ES256
#: The user id (IDA, GB/T 32918.2 §5.5) of new SM2 keys: the one that GM/T 0009 gives for want of another. A signature
#: says nothing of it, so verifying always takes the id stored with the key.
DEFAULT_USER_ID = b"1234567812345678"
#: The user id of every SM2 device key: a credential has no place to say another.
DEVICE_USER_ID = DEFAULT_USER_ID
#: Longest user id that we store, in bytes; the standard itself would allow 8191.
MAX_USER_ID = 256
#: Order of the P-256 group (FIPS 186-5, SP 800-186 §3.2.1.3).
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
#: Largest NumericDate and version number we read: exact in every JSON library.
MAX_INTEGER = 2**53 - 1

_KID = re.compile(r"[0-9a-f]{8}")
_ALGORITHM = re.compile(r"[A-Za-z0-9_-]{1,32}")
_POINTS = frozenset({Algorithm.ES256, Algorithm.SM2})


class KeyPurpose(StrEnum):
    """The one thing a key signs."""

    CREDENTIAL = "credential"
    STATUS = "status"
    EVENT = "event"
    STATEMENT = "statement"  # what the authority states to a named party: news for a partner, a confirmation
    CODE = "code"
    ACCESS_TOKEN = "access-token"  # noqa: S105 - the name of a purpose
    LOG = "log"
    TRUST = "trust"
    CHIP = "chip"


class KeyState(StrEnum):
    """Where a key stands in its life. Of these, `generated` and `destroyed` are never published."""

    GENERATED = "generated"  # made, and in no published list; may not sign
    NEXT = "next"  # published so that caches learn it; may not sign
    ACTIVE = "active"  # signs
    VERIFY_ONLY = "verify-only"  # signs no more; what it signed until `retired_from` still counts
    RETIRED = "retired"  # no live credential names it; kept so that old records can be judged
    COMPROMISED = "compromised"  # stolen or lost; never comes back
    DESTROYED = "destroyed"  # its private half exists no more


#: States that a trust list never names: such a key has signed nothing that anybody could meet.
UNPUBLISHED = frozenset({KeyState.GENERATED, KeyState.DESTROYED})


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A public key as the trust list names it. Times are NumericDates (whole seconds since 1970, UTC).

    `public` is the 65-byte uncompressed SEC1 point for `ES256` and `SM2`; other algorithms keep their own form and
    are skipped by whoever does not know them. `user_id` is the signer's id that goes into every SM2 signature
    (GB/T 32918.2 §5.5), and None for all others. Raises `InvalidInput` `bad_key_record` when a field is outside its
    bounds.
    """

    kid: str  # first 8 hex digits of the RFC 7638 thumbprint; a hint, two keys may share one
    purpose: KeyPurpose
    state: KeyState
    algorithm: str
    public: bytes
    not_before: int
    retired_from: int | None = None  # signatures dated later are refused
    compromised_from: int | None = None  # signatures dated later are refused; None or 0 in state compromised: all are
    user_id: bytes | None = None

    def __post_init__(self) -> None:
        if not _KID.fullmatch(self.kid) or not _ALGORITHM.fullmatch(self.algorithm):
            raise InvalidInput("bad_key_record", "want a kid of 8 lower-case hex digits and the name of an algorithm")
        if self.algorithm in _POINTS and (len(self.public) != 65 or self.public[0] != 4):
            raise InvalidInput("bad_key_record", "an ES256 or SM2 key is a 65-byte uncompressed point")
        if (self.user_id is None) is (self.algorithm == Algorithm.SM2) or len(self.user_id or b"") > MAX_USER_ID:
            raise InvalidInput("bad_key_record", "an SM2 key has a user id of at most 256 bytes, and no other key has")
        if not 1 <= len(self.public) <= 4096:
            raise InvalidInput("bad_key_record", "the public key is empty or too long")
        for moment in (self.not_before, self.retired_from, self.compromised_from):
            if moment is not None and not (type(moment) is int and 0 <= moment <= MAX_INTEGER):
                raise InvalidInput("bad_key_record", "a time is no NumericDate")
        if self.state is KeyState.VERIFY_ONLY and self.retired_from is None:
            raise InvalidInput("bad_key_record", "a verify-only key says since when it does not sign")
