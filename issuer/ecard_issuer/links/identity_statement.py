"""Statements of identity-proofing services: a JWT (RFC 7519) that says who was looked at, for one claim.

Header: `typ` `ecard-identity-proof+jwt`, `alg` `ES256`, `kid`. Claims: `iss` the registered service, `aud` this
issuer, `nonce` of the claim, `jti` once, `iat` and `exp` at most 10 minutes apart, `method`, and `sub_hash`:
HMAC-SHA-256 under the nonce of the person's number, base64url. No number and no name is in it; one nonce's hash says
nothing beside another's. `docs/formats/identity-proof.md` is the page of it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ecard_card import jose
from ecard_card.card import IdNumber
from ecard_card.errors import CheckFailed, InvalidInput, NotAllowed
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.links.claim_store import ClaimStore
from ecard_issuer.links.providers import IdentityProvider, ProviderStore
from ecard_issuer.links.values import ClaimRow
from ecard_issuer.rows import CardRow
from ecard_keys.verify import load_public_key, verify_jws

TYPE: Final = "ecard-identity-proof+jwt"
MAX_STATEMENT: Final = 4096
#: How far ahead of our clock a service's may be, in seconds.
AHEAD_S: Final = 60
#: The longest that a statement may be good for, in seconds.
LONGEST_S: Final = 600


@dataclass(frozen=True, slots=True)
class IdentityStatement:
    """What a service said. `record` is kept as the evidence of the claim."""

    provider_id: str
    method: str
    record: Mapping[str, object]


class IdentityStatements:
    """Judges them. `issuer` is our own URL."""

    def __init__(self, store: ClaimStore, providers: ProviderStore, desk: CardDesk, issuer: str) -> None:
        self._store, self._providers, self._desk, self._issuer = store, providers, desk, issuer

    def accept(self, token: str, claim: ClaimRow, card: CardRow, now: datetime) -> IdentityStatement:
        """The statement, if it is about this card's holder, for this claim, now and for the first time.

        Raises `InvalidInput` `bad_identity_proof`; `NotAllowed` `identity_provider_not_registered`; `CheckFailed`
        `identity_proof_wrong` (signature, audience, nonce or method), `identity_proof_expired`, `identity_proof_early`
        (of a clock ahead of ours), `identity_proof_of_other_person`, `identity_proof_used`.
        """
        try:
            jws = jose.parse_compact(token, typ=TYPE, limit=MAX_STATEMENT)
            claims = jose.parse_json(jws.payload, limit=MAX_STATEMENT, max_depth=2)
        except InvalidInput as error:
            raise InvalidInput("bad_identity_proof", error.code) from None
        if not isinstance(claims, dict):
            raise InvalidInput("bad_identity_proof", "the claims are no object")
        said = {name: _text(claims, name) for name in ("iss", "aud", "nonce", "jti", "method", "sub_hash")}
        issued_at, expires_at = _time(claims, "iat"), _time(claims, "exp")
        provider = self._provider(said["iss"])
        point = provider.key_of(str(jws.header.get("kid")))
        if point is None or not verify_jws(jws, load_public_key(point)):
            raise CheckFailed("identity_proof_wrong", "not signed by a registered key of this service")
        if said["aud"] != self._issuer:
            raise CheckFailed("identity_proof_wrong", "aud is not this issuer")
        if not hmac.compare_digest(said["nonce"].encode(), claim.nonce.encode()):
            raise CheckFailed("identity_proof_wrong", "nonce is not this claim's")
        if said["method"] not in provider.methods:
            raise CheckFailed("identity_proof_wrong", "not one of the methods that this service is registered for")
        seconds = int(now.timestamp())
        if issued_at > seconds + AHEAD_S:
            raise CheckFailed("identity_proof_early", "iat is ahead of our clock")
        if expires_at <= seconds or expires_at - issued_at > LONGEST_S or seconds - issued_at > LONGEST_S:
            raise CheckFailed("identity_proof_expired", "past exp, or good for more than ten minutes")
        number = self._desk.identity(card).holder.id_number
        if not hmac.compare_digest(said["sub_hash"].encode(), subject_hash(claim.nonce, number).encode()):
            raise CheckFailed("identity_proof_of_other_person", "sub_hash is not of this card's holder")
        statement = hashlib.sha256(f"{said['iss']}\n{said['jti']}".encode()).hexdigest()
        if not self._store.use_statement(statement, claim.claim_id, datetime.fromtimestamp(expires_at, UTC)):
            raise CheckFailed("identity_proof_used", "this jti was used for another claim")
        return IdentityStatement(
            said["iss"], said["method"], {"provider": said["iss"], "method": said["method"], "statement": token}
        )

    def _provider(self, provider_id: str) -> IdentityProvider:
        known = self._providers.find_provider(provider_id)
        if known is None or known.removed_at is not None:
            raise NotAllowed("identity_provider_not_registered", "the authority does not believe this service")
        return known.provider


def subject_hash(nonce: str, id_number: IdNumber) -> str:
    """`sub_hash` of a person for one claim."""
    return jose.b64url_encode(hmac.digest(nonce.encode(), id_number.text.encode(), "sha256"))


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 300 or not value.isascii():
        raise InvalidInput("bad_identity_proof", f"{name} is missing, or no text")
    return value


def _time(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise InvalidInput("bad_identity_proof", f"{name} is missing, or no time")
    return value
