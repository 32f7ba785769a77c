"""What the signing desk demands of a credential: a CWT and an SD-JWT VC that say the same, within an issuer's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecard_card import cose, cwt, jose, sd_jwt
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.credential import DISCLOSABLE, Credential, StatusRef
from ecard_card.errors import InvalidInput
from ecard_card.region import covers
from ecard_keys.desk.drafts import (
    Signatory,
    SigningRules,
    as_jws,
    as_sign1,
    jws_with,
    refused,
    require,
    require_header,
    require_time,
)
from ecard_keys.status_uri import list_uri

_LIMIT: Final = 16_384
_DIGEST_CHARACTERS: Final = 43  # of SHA-256 in base64url


@dataclass(frozen=True, slots=True)
class _Selective:
    """What an SD-JWT draft says that is compared or rebuilt; everything else is fixed by these."""

    issuer: str
    vct: str
    issued_at: int
    expires_at: int
    device_algorithm: Algorithm
    device_key: bytes
    status: tuple[int, str]
    assurance: ChipAssurance
    region: str
    holder_proof: HolderProof | None
    test_card: bool
    digests: list[str]


def judge_credentials(
    drafts: Sequence[bytes], rules: Sequence[SigningRules], signatory: Signatory, now: datetime
) -> None:
    """Pairs of CWT and SD-JWT, each pair one credential. Raises `InvalidInput` `draft_refused`, naming the rule."""
    require(len(drafts) % 2 == 0, "pair", "a credential is two drafts, CWT and SD-JWT")
    for compact, selective in zip(drafts[::2], drafts[1::2], strict=True):
        _judge(compact, selective, rules, signatory, now)


def _judge(
    compact_draft: bytes, selective_draft: bytes, rules: Sequence[SigningRules], signatory: Signatory, now: datetime
) -> None:
    compact = _read_compact(compact_draft, signatory)
    selective = _read_selective(selective_draft, signatory)
    rule = next((rule for rule in rules if rule.issuer == selective.issuer), None)
    if rule is None:
        raise refused("issuer", "no issuer of that name is served here")
    require(selective.vct == rule.vct, "type", "not the issuer's card type")
    require_time(selective.issued_at, now)
    life = selective.expires_at - selective.issued_at
    require(0 < life <= rule.longest_validity.total_seconds(), "validity", "it would be valid longer than allowed")
    require(any(covers(code, selective.region) for code in rule.regions), "region", "the issuer may not sign for it")
    require(selective.test_card is rule.test, "test-card", "test issuers sign marked test cards, and nobody else does")
    uri = list_uri(rule.status_uri, compact.status_list)
    require(selective.status[1] == uri, "status-list", "not the list of this issuer that the CWT names")
    for name, one, other in (
        ("times", (compact.issued_at, compact.expires_at), (selective.issued_at, selective.expires_at)),
        ("device key", compact.device_key, cose.compress_point(selective.device_key)),
        ("device key's algorithm", compact.device_algorithm, selective.device_algorithm),
        ("status index", compact.status_index, selective.status[0]),
        ("chip assurance", compact.assurance, selective.assurance),
        ("region", compact.region, selective.region),
        ("holder's proof", compact.holder_proof, selective.holder_proof),
        ("mark of a test card", compact.test_card, selective.test_card),
    ):
        require(one == other, "pair", f"CWT and SD-JWT do not say the same: {name}")
    credential = Credential(
        issuer=rule.issuer,
        credential_id=compact.credential_id,
        device_key=selective.device_key,
        device_algorithm=selective.device_algorithm,
        issued_at=selective.issued_at,
        expires_at=selective.expires_at,
        status=StatusRef(uri, compact.status_list, compact.status_index),
        assurance=selective.assurance,
        vct=rule.vct,
        region=selective.region,
        claims={},
        holder_proof=selective.holder_proof,
        test_card=selective.test_card,
    )
    _compare(credential, signatory, compact_draft, selective_draft, selective.digests)


def _compare(
    credential: Credential, signatory: Signatory, compact_draft: bytes, selective_draft: bytes, digests: list[str]
) -> None:
    """Write the credential as this house does, and refuse drafts of any other form."""
    compact = cwt.draft(credential, bytes.fromhex(signatory.key_id), signatory.algorithm)
    require(compact.signing_input == compact_draft, "rebuild", "not the form in which this house writes a CWT")
    frame = sd_jwt.draft(credential, signatory.key_id, lambda: b"", signatory.algorithm)
    selective = jws_with(frame.signing_input, "_sd", digests)
    require(selective == selective_draft, "rebuild", "not the form in which this house writes an SD-JWT")


def _read_compact(draft: bytes, signatory: Signatory) -> cwt.CwtCredential:
    try:
        said = cwt.parse(as_sign1(draft, cwt.EXTERNAL_AAD, _LIMIT))
    except InvalidInput as error:
        raise refused("form", f"no CWT of a credential: {error.code}") from None
    require(said.kid.hex() == signatory.key_id, "key", "the CWT names another key")
    require(said.algorithm == signatory.algorithm, "algorithm", "the CWT names another algorithm than its key's")
    return said


def _read_selective(draft: bytes, signatory: Signatory) -> _Selective:
    try:
        jws = jose.parse_compact(as_jws(draft), typ=sd_jwt.TYP, limit=_LIMIT)
        claims = jose.parse_json(jws.payload, limit=_LIMIT, max_depth=4)
    except InvalidInput as error:
        raise refused("form", f"no SD-JWT: {error.code}") from None
    require_header(jws.header, sd_jwt.TYP, signatory)
    if type(claims) is not dict:
        raise refused("form", "the payload is not an object")
    match claims:
        case {
            "iss": str(issuer),
            "vct": str(vct),
            "iat": int(issued_at),
            "exp": int(expires_at),
            "cnf": {"jwk": dict(jwk)},
            "status": {"status_list": {"idx": int(index), "uri": str(uri)}},
            "chip_assurance": str(level),
            "card_issuing_region": str(region),
            "_sd": list(digests),
        }:
            pass
        case _:
            raise refused("form", "claims of a credential are missing, or of another type")
    require(all(type(number) is int for number in (issued_at, expires_at, index)), "form", "a number is none")
    require(
        not any(name in DISCLOSABLE for name in claims), "open-claim", "a claim about the holder stands in the open"
    )
    _require_digests(digests)
    try:
        (algorithm, key), assurance = jose.parse_jwk(jwk), ChipAssurance.from_label(level)
        proof = claims.get(sd_jwt.CLAIM_HOLDER_PROOF)
        holder_proof = None if proof is None else HolderProof.from_label(str(proof))
    except InvalidInput as error:
        raise refused("form", f"device key, chip assurance or holder's proof: {error.code}") from None
    test_card = claims.get(sd_jwt.CLAIM_TEST_CARD, False)
    require(type(test_card) is bool, "form", "the mark of a test card is no truth value")
    require(len(key) == 65, "form", "the device key is not on an elliptic curve")
    return _Selective(
        issuer=issuer,
        vct=vct,
        issued_at=issued_at,
        expires_at=expires_at,
        device_algorithm=algorithm,
        device_key=key,
        status=(index, uri),
        assurance=assurance,
        region=region,
        holder_proof=holder_proof,
        test_card=bool(test_card),
        digests=digests,
    )


def _require_digests(digests: list[object]) -> None:
    """Distinct SHA-256 digests in the order that tells nothing, no more than there are claims to disclose."""
    fit = all(type(item) is str and len(item) == _DIGEST_CHARACTERS for item in digests)
    require(fit and len(digests) <= len(DISCLOSABLE), "digests", "_sd is not a short list of SHA-256 digests")
    texts = [str(item) for item in digests]
    require(sorted(set(texts)) == texts, "digests", "_sd is not sorted, or names a digest twice")
    try:
        for text in texts:
            jose.b64url_decode(text)
    except InvalidInput:
        raise refused("digests", "a digest is not base64url") from None
