"""The check: what was shown, whom we trust, what we know of statuses, the time, the policy → a verdict.

Pure: no network, no database, no clock. The counter service, the offline SDK and the issuer (on its own drafts)
call this very function.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ecard_card.credential import DEVICE_ALGORITHMS, card_type
from ecard_card.errors import CheckFailed, EcardError
from ecard_card.region import covers
from ecard_card.sd_jwt import SdJwt
from ecard_keys.key import DEVICE_USER_ID, KeyPurpose
from ecard_keys.status_uri import belongs_to, list_uri
from ecard_keys.trust.trust import Trust, TrustedKey
from ecard_keys.verify import PublicKey, load_public_key, verify
from ecard_verifier.policy import Policy
from ecard_verifier.presented import Issued, Shown, read, read_issued
from ecard_verifier.statuses import CredentialSource, Statuses, StatusReading
from ecard_verifier.steps import Walk, code_expiry, passed
from ecard_verifier.verdict import OUTCOMES, Outcome, Verdict, outcome_of

STEPS = (
    "read",
    "credential",
    "trust",
    "issuer signature",
    "issuer key",
    "validity",
    "holder signature",
    "freshness",
    "audience",
    "status",
    "chip assurance",
)
_DEFAULT = Policy()


def check(
    presented: str,
    trust: Trust | None,
    statuses: Statuses,
    now: datetime,
    policy: Policy = _DEFAULT,
    *,
    credentials: CredentialSource | None = None,
    audience: str | None = None,
    nonce: str | None = None,
    transaction_data: Sequence[str] = (),
) -> Verdict:
    """Judge a code or token. Never raises on hostile input; never `valid` without every step below.

     1. **Read** `presented` as an `EC1:` code, an `EC0:` code or an SD-JWT with key binding (docs/formats/).
     2. **Credential**: take it from the code, or resolve the reference through `credentials`; parse it strictly.
     3. **Trust**: the trust list is current, and names a credential key for the `kid`.
     4. **Issuer signature** by that key (RFC 9052 §4.4, RFC 7515 §5.2) and by the key's own algorithm, ES256 or SM2,
        which the header must name too; of several keys with one kid, exactly one.
     5. **Issuer key**: that key might sign credentials at the time of issue; issuer and type are the ones claimed,
        and the region of issue is one that this issuer may sign for; a test card only where the policy accepts them.
     6. **Validity**: issued, not before, expires (RFC 8392 §3.1, RFC 9901), `policy.skew` both ways.
     7. **Holder signature** by the device key the issuer bound (RFC 8747, RFC 9901 §4.3).
     8. **Freshness** of what the holder signed: not from the future, not older than `policy.code_life`.
     9. **Audience** and nonce, where the holder's signature or the relying party names them; and the `transaction_data`
        that was asked to be confirmed, all of it and nothing else (OpenID4VP 1.0 §8.4).
    10. **Status**: known, recent enough, and not suspended or ended (Token Status List §8.3; after the signatures).
    11. **Chip assurance** of the binding is at least what the policy demands.

    `now` is aware UTC. `audience` and `nonce` are what this verifier is called and has asked (for a code `nonce` is the
    `answer` of a challenge), `transaction_data` the texts of its request. A replayed code is not seen here: hand
    `replay_key` to a replay guard.
    """
    walk = _Walk(now.timestamp(), policy)
    issued: Issued | None = None
    shown: Shown | None = None
    key: TrustedKey | None = None
    reading: StatusReading | None = None
    try:
        walk.at = 1
        shown, credential = read(presented, credentials)
        walk.at = 2
        issued = read_issued(credential)
        if shown.credential_id is not None and shown.credential_id != issued.credential_id:
            raise CheckFailed("unknown_credential", "the reference was resolved to another credential")
        key = walk.issuer(issued, trust)
        walk.at = 6
        walk.in_validity(issued.issued_at, issued.not_before, issued.expires_at)
        walk.at = 7
        device_key = _device_key(issued)
        if shown.algorithm is not None and shown.algorithm != issued.device_algorithm:
            raise CheckFailed("bad_holder_signature", "the header names another algorithm than the device key is for")
        if not verify(device_key, shown.signing_input, shown.signature, low_s=shown.low_s):
            raise CheckFailed("bad_holder_signature", "not signed by the device key in the credential")
        walk.at = 8
        walk.fresh(shown)
        walk.at = 9
        walk.addressed(shown, audience, nonce, transaction_data)
        walk.at = 10
        reading = statuses.read(_status_uri(issued, key), issued.status_index)
        reason = walk.status(reading)
        walk.at = 11
        if issued.assurance < policy.minimum_assurance:
            raise CheckFailed("assurance_too_low", f"the chip was proven as {issued.assurance.label} only")
        outcome, checks = OUTCOMES[reason], _PASSED
    except EcardError as error:
        reason, outcome, checks = error.code, outcome_of(error), walk.stopped_by(error)
    proven = key is not None and issued is not None
    return Verdict(
        outcome=outcome,
        reason=reason,
        checks=checks,
        status_as_of=datetime.fromtimestamp(reading.as_of, UTC) if reading else None,
        chip_assurance=issued.assurance if proven and issued else None,
        holder_proof=issued.holder_proof if proven and issued else None,
        test_card=bool(proven and issued and issued.test_card),
        issuer=key.issuer.issuer if key else None,
        credential_id=issued.credential_id if proven and issued else None,
        replay_key=(issued.credential_id or b"") + shown.instance if proven and issued and shown else None,
        code_expires_at=code_expiry(shown, policy) if shown and reading else None,
        claims=issued.claims if outcome in (Outcome.VALID, Outcome.CHECK) and issued else {},
    )


def check_credential(credential: bytes | SdJwt, trust: Trust, now: datetime, policy: Policy = _DEFAULT) -> Issued:
    """Steps 2 to 6 on a credential alone, as the issuer asks of its own draft. Raises; gives no verdict."""
    walk = _Walk(now.timestamp(), policy)
    issued = read_issued(credential)
    key = walk.issuer(issued, trust)
    walk.in_validity(issued.issued_at, issued.not_before, issued.expires_at)
    _status_uri(issued, key)
    _device_key(issued)
    return issued


def _device_key(issued: Issued) -> PublicKey:
    """The key the issuer bound; of an SM2 key the user id is not said anywhere, and always the default one."""
    if issued.device_algorithm not in DEVICE_ALGORITHMS:
        raise CheckFailed("bad_holder_signature", "the device key is of an algorithm that no device signs with")
    return load_public_key(issued.device_key, issued.device_algorithm, DEVICE_USER_ID)


_PASSED = passed(STEPS)


class _Walk(Walk):
    """The steps of an e-card: its issuer is on the trust list."""

    __slots__ = ()

    def __init__(self, seconds: float, policy: Policy) -> None:
        super().__init__(seconds, policy, STEPS)

    def issuer(self, issued: Issued, trust: Trust | None) -> TrustedKey:
        """Steps 3 to 5."""
        self.at = 3
        candidates = self._candidates(issued.kid, trust)
        self.at = 4
        # The trust list says what a key signs with. The header may only agree.
        signers = [
            key
            for key in candidates
            if key.record.algorithm == issued.algorithm
            and verify(key.loaded(), issued.signing_input, issued.signature, low_s=issued.low_s)
        ]
        if not signers:
            raise CheckFailed("bad_signature", "not signed by the issuer key that it names")
        if len(signers) > 1:  # of an ECDSA signature a second key is easily computed; by chance there is none
            raise CheckFailed("bad_signature", "several keys claim the signature")
        key = signers[0]
        self.at = 5
        refusal = key.accepts(issued.issued_at)
        if refusal is not None:
            raise CheckFailed(refusal, "the issuer's key may not have signed this then")
        if issued.issuer is not None and issued.issuer != key.issuer.issuer:
            raise CheckFailed("issuer_mismatch", "iss is not the issuer that the signing key belongs to")
        if issued.vct is not None and issued.vct != card_type(key.issuer.issuer):
            raise CheckFailed("wrong_type", "a credential of this issuer, and no social security card")
        if not any(covers(code, issued.region) for code in key.issuer.regions):
            raise CheckFailed("region_not_allowed", "the issuer may not sign for the region of this card")
        if issued.test_card and not self.policy.accept_test:
            raise CheckFailed("test_card", "a card for trying things out, about which nothing is real")
        return key

    def _candidates(self, kid: str, trust: Trust | None) -> Sequence[TrustedKey]:
        if trust is None:
            raise CheckFailed("trust_missing", "this verifier has no trust list")
        if trust.issued_at > self.now + self.policy.skew:
            raise CheckFailed("clock_behind", "our clock is behind the trust list's date")
        if trust.expires_at < self.now - self.policy.skew:
            raise CheckFailed("trust_expired", "the trust list has expired")
        candidates = trust.candidates(kid, KeyPurpose.CREDENTIAL)
        if not candidates:
            if any(trust.candidates(kid, purpose) for purpose in KeyPurpose):
                raise CheckFailed("key_wrong_purpose", "the key it names may not sign credentials")
            raise CheckFailed("unknown_key", "no issuer on the trust list has this key")
        return candidates


def _status_uri(issued: Issued, key: TrustedKey) -> str:
    template = key.issuer.status_uri
    if issued.status_list is not None:
        return list_uri(template, issued.status_list)
    if issued.status_uri is None or not belongs_to(issued.status_uri, template):
        raise CheckFailed("status_list_foreign", "the status uri is not one of the issuer's")
    return issued.status_uri
