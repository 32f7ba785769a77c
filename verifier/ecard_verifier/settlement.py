"""A settlement authorization: that a holder agreed to have exactly this paid, to this merchant, by this payer, once.

Drafted by the authority, judged by the payer's own system without asking anybody; that it was not used or voided before
says the authority (docs/formats/settlement.md). It names the person only by the reference that the payer knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys.key import MAX_INTEGER
from ecard_keys.trust.trust import Trust
from ecard_qr.challenge import Challenge, Transaction
from ecard_verifier.statement import require_in_force, signed_by
from ecard_verifier.verdict import rfc3339

TYP: Final = "ecard-settlement+jwt"
LIMIT: Final = 4096
_ID: Final = re.compile(r"[0-9a-f]{32}")
_SERVICE: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,62}[a-z0-9]")
_MEMBERS: Final = frozenset(
    {
        *("iss", "jti", "aud", "sub", "iat", "exp", "merchant", "counter", "purpose", "amount", "currency"),
        *("reference", "challenge", "way", "chip_assurance"),
    }
)


class ConsentWay(StrEnum):
    """How the holder agreed."""

    DEVICE = "device"  # the device key signed a code over the challenge
    PASSWORD = "password"  # noqa: S105 - the e-card password was given for this challenge


@dataclass(frozen=True, slots=True)
class Settlement:
    """What was authorized. Times are NumericDates: `authorized_at`, and `expires_at` by when it must be redeemed.

    `payer` is the service it is for, `subject` that service's reference of the person, `merchant` the service that
    asked, `challenge` the digest of exactly what the holder was shown. Raises `InvalidInput` `bad_settlement`.
    """

    issuer: str
    settlement_id: str
    subject: str
    merchant: str
    counter: str
    purpose: str
    transaction: Transaction
    challenge: bytes
    way: ConsentWay
    assurance: ChipAssurance
    authorized_at: int
    expires_at: int

    def __post_init__(self) -> None:
        fits = (
            _ID.fullmatch(self.settlement_id)
            and _ID.fullmatch(self.subject)
            and _SERVICE.fullmatch(self.merchant)
            and len(self.challenge) == 16
            and 0 <= self.authorized_at < self.expires_at <= MAX_INTEGER
        )
        if not fits:
            raise InvalidInput("bad_settlement", "a member is out of its bounds")
        try:  # counter and purpose have the bounds of a challenge, whatever the name that was shown
            Challenge(self.counter, "-", self.purpose, 0, bytes(16))
        except InvalidInput as error:
            raise InvalidInput("bad_settlement", error.detail) from None

    @property
    def payer(self) -> str:
        """Whom it is for."""
        return self.transaction.payer

    def to_json(self) -> dict[str, Any]:
        """For answers: times as RFC 3339."""
        paid = self.transaction
        return {
            "settlement_id": self.settlement_id,
            "issuer": self.issuer,
            "payer": paid.payer,
            "subject": self.subject,
            "merchant": self.merchant,
            "counter": self.counter,
            "purpose": self.purpose,
            "amount": paid.amount,
            "currency": paid.currency,
            "reference": paid.reference,
            "way": self.way.value,
            "chip_assurance": self.assurance.label,
            "authorized_at": _moment(self.authorized_at),
            "expires_at": _moment(self.expires_at),
        }


def draft_settlement(said: Settlement, kid: str, algorithm: Algorithm = Algorithm.ES256) -> jose.UnsignedJws:
    """What is to be signed, in the one form in which this house writes it."""
    header = {"alg": algorithm.value, "kid": kid, "typ": TYP}
    return jose.UnsignedJws(jose.compact_signing_input(header, _claims_of(said)))


def verify_settlement(token: str, trust: Trust, now: datetime, *, payer: str | None = None) -> Settlement:
    """The authorization, if an issuer on the trust list signed it, it is in force at `now` (aware UTC) and, where
    `payer` is given, meant for that payer. Pure; the same trust as for `check`. That it was not redeemed or voided
    before is not seen here.

    Raises `InvalidInput` `bad_settlement`, `bad_jws`, `wrong_type`, `algorithm_not_allowed`; `CheckFailed`
    `trust_expired`, `unknown_key`, `key_wrong_purpose`, `bad_signature`, the key's own reason, `issuer_mismatch`,
    `wrong_audience`, `not_yet_valid`, `expired`; `Unavailable` `algorithm_unavailable`.
    """
    seconds = int(now.timestamp())
    jws, key = signed_by(token, trust, seconds, typ=TYP, limit=LIMIT)
    said = read_settlement(jws.payload)
    if payer is not None and said.payer != payer:
        raise CheckFailed("wrong_audience", "given to another payer")
    require_in_force(key, said.issuer, said.authorized_at, said.expires_at, seconds)
    return said


def read_settlement(payload: bytes) -> Settlement:
    """The claims, strictly. Raises `InvalidInput` `bad_settlement`."""
    try:
        claims = jose.parse_json(payload, limit=LIMIT, max_depth=1)
    except InvalidInput as error:
        raise InvalidInput("bad_settlement", error.detail) from None
    if type(claims) is not dict or claims.keys() != _MEMBERS:
        raise InvalidInput("bad_settlement", "claims are missing or unknown")
    numbers = {name: claims.pop(name) for name in ("iat", "exp", "amount")}
    if any(type(number) is not int for number in numbers.values()):
        raise InvalidInput("bad_settlement", "iat, exp and amount are whole numbers")
    if any(type(text) is not str for text in claims.values()):
        raise InvalidInput("bad_settlement", "a claim of another type")
    try:
        return Settlement(
            issuer=claims["iss"],
            settlement_id=claims["jti"],
            subject=claims["sub"],
            merchant=claims["merchant"],
            counter=claims["counter"],
            purpose=claims["purpose"],
            transaction=Transaction(numbers["amount"], claims["aud"], claims["reference"], claims["currency"]),
            challenge=jose.b64url_decode(claims["challenge"]),
            way=ConsentWay(claims["way"]),
            assurance=ChipAssurance.from_label(claims["chip_assurance"]),
            authorized_at=numbers["iat"],
            expires_at=numbers["exp"],
        )
    except InvalidInput as error:
        raise InvalidInput("bad_settlement", error.detail) from None
    except ValueError:
        raise InvalidInput("bad_settlement", "a way of agreeing that this house does not have") from None


def _claims_of(said: Settlement) -> dict[str, object]:
    """The claims in their order."""
    paid = said.transaction
    return {
        "iss": said.issuer,
        "jti": said.settlement_id,
        "aud": paid.payer,
        "sub": said.subject,
        "iat": said.authorized_at,
        "exp": said.expires_at,
        "merchant": said.merchant,
        "counter": said.counter,
        "purpose": said.purpose,
        "amount": paid.amount,
        "currency": paid.currency,
        "reference": paid.reference,
        "challenge": jose.b64url_encode(said.challenge),
        "way": said.way.value,
        "chip_assurance": said.assurance.label,
    }


def _moment(seconds: int) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, UTC))
