"""A confirmation that a person qualifies for a benefit (待遇资格认证): drafted by the authority, judged by anybody.

The format is `docs/formats/confirmation.md`. It names the person only by the reference that the asking service knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys.key import MAX_INTEGER
from ecard_keys.trust.trust import Trust
from ecard_verifier.statement import require_in_force, signed_by
from ecard_verifier.verdict import rfc3339

TYP: Final = "ecard-confirmation+jwt"
LIMIT: Final = 4096
WAYS: Final = ("code", "chip", "login")
_ID: Final = re.compile(r"[0-9a-f]{32}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PERIOD: Final = re.compile(r"[0-9]{4}(?:-(?:H[12]|Q[1-4]|0[1-9]|1[0-2]))?")
_MEMBERS: Final = frozenset({"iss", "jti", "aud", "sub", "iat", "exp", "benefit", "period", "way", "chip_assurance"})


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What was confirmed. Times are NumericDates: `confirmed_at` is when the card was present, `valid_until` the end.

    `service` is whom it was given to, `subject` that service's reference of the person. Raises `InvalidInput`
    `bad_confirmation`.
    """

    issuer: str
    confirmation_id: str
    service: str
    subject: str
    benefit: str
    period: str
    way: str
    assurance: ChipAssurance
    confirmed_at: int
    valid_until: int

    def __post_init__(self) -> None:
        texts = (self.service, self.benefit)
        fits = (
            _ID.fullmatch(self.confirmation_id)
            and _ID.fullmatch(self.subject)
            and all(_NAME.fullmatch(text) for text in texts)
            and _PERIOD.fullmatch(self.period)
            and self.way in WAYS
            and 0 <= self.confirmed_at < self.valid_until <= MAX_INTEGER
        )
        if not fits:
            raise InvalidInput("bad_confirmation", "a member is out of its bounds")

    def to_json(self) -> dict[str, Any]:
        """For answers: times as RFC 3339."""
        return {
            "confirmation_id": self.confirmation_id,
            "issuer": self.issuer,
            "service": self.service,
            "subject": self.subject,
            "benefit": self.benefit,
            "period": self.period,
            "way": self.way,
            "chip_assurance": self.assurance.label,
            "confirmed_at": _moment(self.confirmed_at),
            "valid_until": _moment(self.valid_until),
        }


def draft_confirmation(said: Confirmation, kid: str, algorithm: Algorithm = Algorithm.ES256) -> jose.UnsignedJws:
    """What is to be signed, in the one form in which this house writes it."""
    header = {"alg": algorithm.value, "kid": kid, "typ": TYP}
    return jose.UnsignedJws(jose.compact_signing_input(header, claims_of(said)))


def claims_of(said: Confirmation) -> dict[str, object]:
    """The claims in their order."""
    return {
        "iss": said.issuer,
        "jti": said.confirmation_id,
        "aud": said.service,
        "sub": said.subject,
        "iat": said.confirmed_at,
        "exp": said.valid_until,
        "benefit": said.benefit,
        "period": said.period,
        "way": said.way,
        "chip_assurance": said.assurance.label,
    }


def verify_confirmation(token: str, trust: Trust, now: datetime, *, service: str | None = None) -> Confirmation:
    """The confirmation, if an issuer on the trust list signed it, it is in force at `now` (aware UTC) and, where
    `service` is given, meant for that service. Pure; the same trust as for `check`.

    Raises `InvalidInput` `bad_confirmation`, `bad_jws`, `wrong_type`, `algorithm_not_allowed`; `CheckFailed`
    `trust_expired`, `unknown_key`, `key_wrong_purpose`, `bad_signature`, the key's own reason, `issuer_mismatch`,
    `wrong_audience`, `not_yet_valid`, `expired`; `Unavailable` `algorithm_unavailable`.
    """
    seconds = int(now.timestamp())
    jws, key = signed_by(token, trust, seconds, typ=TYP, limit=LIMIT)
    said = read_claims(jws.payload)
    if service is not None and said.service != service:
        raise CheckFailed("wrong_audience", "given to another service")
    require_in_force(key, said.issuer, said.confirmed_at, said.valid_until, seconds)
    return said


def read_claims(payload: bytes) -> Confirmation:
    """Raises `InvalidInput` `bad_confirmation`."""
    try:
        claims = jose.parse_json(payload, limit=LIMIT, max_depth=1)
    except InvalidInput as error:
        raise InvalidInput("bad_confirmation", error.detail) from None
    if type(claims) is not dict or claims.keys() != _MEMBERS:
        raise InvalidInput("bad_confirmation", "claims are missing or unknown")
    issued, until = claims.pop("iat"), claims.pop("exp")
    if type(issued) is not int or type(until) is not int or any(type(text) is not str for text in claims.values()):
        raise InvalidInput("bad_confirmation", "a claim of another type")
    try:
        assurance = ChipAssurance.from_label(claims["chip_assurance"])
    except InvalidInput as error:
        raise InvalidInput("bad_confirmation", error.detail) from None
    return Confirmation(
        issuer=claims["iss"],
        confirmation_id=claims["jti"],
        service=claims["aud"],
        subject=claims["sub"],
        benefit=claims["benefit"],
        period=claims["period"],
        way=claims["way"],
        assurance=assurance,
        confirmed_at=issued,
        valid_until=until,
    )


def _moment(seconds: int) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, UTC))
