"""The check of another issuer's credential: its own numbered steps, apart from those of an e-card.

What comes out names the operator's entry. It is never an e-card: it has no chip, no card, and no key of the trust list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.credential import MAX_NUMERIC_DATE
from ecard_card.errors import CheckFailed, EcardError, InvalidInput
from ecard_card.sd_jwt import SdJwt
from ecard_keys.trust.trust import Trust
from ecard_keys.verify import load_public_key, verify
from ecard_verifier.openid4vp.fetching import Fetcher
from ecard_verifier.openid4vp.foreign_statuses import ForeignStatuses
from ecard_verifier.openid4vp.issuer_keys import keys_of
from ecard_verifier.openid4vp.trusted_issuers import StatusWay, TrustedIssuer
from ecard_verifier.policy import Policy
from ecard_verifier.presented import Shown, read_sd_jwt
from ecard_verifier.service import Asked
from ecard_verifier.statuses import StatusReading
from ecard_verifier.steps import Walk, passed
from ecard_verifier.verdict import OUTCOMES, Outcome, Verdict, outcome_of

STEPS: Final = (
    "read",
    "issuer and type",
    "issuer key",
    "issuer signature",
    "validity",
    "holder signature",
    "freshness",
    "audience",
    "status",
    "claims",
)
#: A list of another issuer is as good as it says of itself, for a day at most.
_POLICY: Final = Policy()
#: What the steps that are shared say of a card, said of a credential.
_SAID: Final[Mapping[str, str]] = {"ended": "credential_revoked", "suspended": "credential_suspended"}


@dataclass(slots=True)
class _Credential:
    token: SdJwt
    issued_at: int
    not_before: int
    expires_at: int
    device_key: bytes
    status: tuple[str, int] | None
    claims: Mapping[str, object] = field(repr=False)


class ForeignCheck:
    """The check of one entry of the operator's file. Safe from several threads."""

    def __init__(self, issuer: TrustedIssuer, fetcher: Fetcher) -> None:
        self.issuer = issuer
        self._keys = keys_of(issuer, fetcher)
        self._statuses = ForeignStatuses(issuer, self._keys, fetcher)

    def __call__(self, presented: str, trust: Trust | None, now: datetime, *, audience: str, asked: Asked) -> Verdict:
        """Judge an SD-JWT VC with key binding. Raises nothing; never `valid` without every step below.

         1. **Read** it: SD-JWT and key binding, with the rules of RFC 9901 §7 and §4.3, `typ` `dc+sd-jwt`, ES256.
         2. **Issuer and type** are exactly those of the entry, and the issuer is none that the trust list names.
         3. **Issuer key**, found in the entry's way: pinned, certified under its anchors, or published by itself.
         4. **Issuer signature** by one of them.
         5. **Validity**: issued, not before, expires; one without an end is refused.
         6. **Holder signature** by the key in `cnf` (RFC 7800).
         7. **Freshness** of what the holder signed: within the two minutes before `now`, or one after.
         8. **Audience**, nonce and transaction data are those of our request.
         9. **Status**: as its list says, if it has one; without one as the entry says.
        10. **Claims**: all that the entry asks for are disclosed; no other is told.
        """
        walk = Walk(now.timestamp(), _POLICY, STEPS)
        credential: _Credential | None = None
        reading: StatusReading | None = None
        claims: Mapping[str, object] = {}
        proven = False
        try:
            shown, token = read_sd_jwt(presented)
            walk.at = 2
            self._is_meant(token, trust)
            credential = _read(token)
            walk.at = 3
            keys = self._keys.candidates(token.header, now)
            walk.at = 4
            jws = token.issuer_jws
            if jws.algorithm is not Algorithm.ES256 or not any(
                verify(key, jws.signing_input, jws.signature) for key in keys
            ):
                raise CheckFailed("bad_signature", "not signed by the issuer")
            proven = True
            walk.at = 5
            walk.in_validity(credential.issued_at, credential.not_before, credential.expires_at)
            walk.at = 6
            _is_held(credential, shown)
            walk.at = 7
            walk.fresh(shown)
            walk.at = 8
            walk.addressed(shown, audience, asked.nonce, asked.transaction_data)
            walk.at = 9
            reading = self._status(credential, now)
            reason = "ok" if reading is None else walk.status(reading)
            walk.at = 10
            if not credential.claims.keys() >= set(self.issuer.claims):
                raise CheckFailed("claims_missing", "claims that were asked for are not disclosed")
            claims = {name: credential.claims[name] for name in self.issuer.claims}
            outcome, checks = OUTCOMES[reason], passed(STEPS)
        except EcardError as error:
            reason, outcome, checks = _SAID.get(error.code, error.code), outcome_of(error), walk.stopped_by(error)
        return Verdict(
            outcome=outcome,
            reason=reason,
            checks=checks,
            status_as_of=datetime.fromtimestamp(reading.as_of, UTC) if reading else None,
            issuer=self.issuer.issuer if proven else None,
            claims=claims if outcome in (Outcome.VALID, Outcome.CHECK) else {},
        )

    def _is_meant(self, token: SdJwt, trust: Trust | None) -> None:
        if token.payload.get("iss") != self.issuer.issuer:
            raise CheckFailed("issuer_mismatch", "iss is not the issuer that was asked for")
        if token.payload.get("vct") != self.issuer.vct:
            raise CheckFailed("wrong_type", "a credential of another type than was asked for")
        if trust is not None and any(entry.issuer == self.issuer.issuer for entry in trust.issuers):
            raise CheckFailed("issuer_mismatch", "an issuer of e-cards is believed by the trust list only")

    def _status(self, credential: _Credential, now: datetime) -> StatusReading | None:
        if credential.status is not None:
            return self._statuses.read(*credential.status, now)
        if self.issuer.status is StatusWay.REQUIRED:
            raise CheckFailed("status_missing", "the credential names no status list, and the file demands one")
        return None


def _read(token: SdJwt) -> _Credential:
    body = token.payload
    try:
        confirmation = body["cnf"]
        expires_at = _numeric(body["exp"])
        issued_at = _numeric(body.get("iat", 0))
    except KeyError as missing:
        raise InvalidInput("bad_sd_jwt", f"claim {missing.args[0]!s:.40} is missing") from None
    if not isinstance(confirmation, dict) or "jwk" not in confirmation:
        raise InvalidInput("bad_sd_jwt", "cnf has no jwk")
    return _Credential(
        token,
        issued_at,
        _numeric(body.get("nbf", issued_at)),
        expires_at,
        jose.parse_public_jwk(confirmation["jwk"]),
        _status_of(body.get("status")),
        body,
    )


def _status_of(status: object) -> tuple[str, int] | None:
    """A status of a kind that we do not know is not read as none."""
    if status is None:
        return None
    reference = status.get("status_list") if isinstance(status, dict) else None
    uri, index = (reference.get("uri"), reference.get("idx")) if isinstance(reference, dict) else (None, None)
    if type(uri) is not str or len(uri) > 2048 or type(index) is not int or index < 0:
        raise InvalidInput("bad_sd_jwt", "its status is no reference into a status list")
    return uri, index


def _is_held(credential: _Credential, shown: Shown) -> None:
    key = load_public_key(credential.device_key)
    if shown.algorithm is not Algorithm.ES256 or not verify(key, shown.signing_input, shown.signature):
        raise CheckFailed("bad_holder_signature", "not signed by the key in the credential")


def _numeric(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_NUMERIC_DATE:
        raise InvalidInput("bad_sd_jwt", "a time is no NumericDate")
    return value
