"""The compact twin of the credential for offline codes: a CWT (RFC 8392) in a COSE_Sign1.

It says no name and no number: which device key (cnf, RFC 8747), until when, how chip and holder were proven, where the
status stands, and the region of issue, for which not every issuer may sign. The signature covers the text
`ecard-cred-1` too, so it can pass for nothing else we sign.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from ecard_card import cbor, cose
from ecard_card.algorithm import COSE_ALGORITHM, Algorithm
from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.credential import MAX_NUMERIC_DATE, Credential
from ecard_card.errors import InvalidInput
from ecard_card.region import MAX_REGION, to_number

EXTERNAL_AAD: Final = b"ecard-cred-1"

CLAIM_EXP: Final = 4
CLAIM_IAT: Final = 6
CLAIM_CTI: Final = 7
CLAIM_CNF: Final = 8
CLAIM_STATUS: Final = -70001  # [list id, index]; the list's URI comes from the trust list
CLAIM_PROOF: Final = -70002  # ChipAssurance + 4 * HolderProof (0: unsaid) + 16 for a test card: one byte if real
CLAIM_REGION: Final = -70003  # the six digits as one number

_DEVICE_ALGORITHM: Final = {b"\x01": Algorithm.ES256, b"\x3a\x00\x01\x00\x00": Algorithm.SM2}
_HOLDER_PROOF: Final = {proof.value: proof for proof in HolderProof}
_ASSURANCE: Final = {level.value: level for level in ChipAssurance}
_TEST_CARD: Final = 16
_LIMIT: Final = 1024


@dataclass(frozen=True, slots=True)
class UnsignedCwt:
    """A CWT that lacks its signature."""

    protected: bytes
    payload: bytes

    @property
    def signing_input(self) -> bytes:
        return cose.signing_input(self.protected, self.payload, EXTERNAL_AAD)

    def complete(self, signature: bytes) -> bytes:
        """The credential, ready for a device; `signature` is raw r||s, 64 bytes."""
        return cose.encode_sign1(self.protected, self.payload, signature)


def draft(credential: Credential, kid: bytes, algorithm: Algorithm = Algorithm.ES256) -> UnsignedCwt:
    """The unsigned CWT of `credential`, for a key of `algorithm` whose `kid` is four bytes.

    Raises `InvalidInput` `bad_cwt` for another length.
    """
    if len(kid) != 4:
        raise InvalidInput("bad_cwt", "a key id has four bytes")
    payload = {
        CLAIM_EXP: credential.expires_at,
        CLAIM_IAT: credential.issued_at,
        CLAIM_CTI: credential.credential_id,
        CLAIM_CNF: {1: cose.cose_key(credential.device_key, credential.device_algorithm)},
        CLAIM_STATUS: [credential.status.list_id, credential.status.index],
        CLAIM_PROOF: _packed(credential),
        CLAIM_REGION: to_number(credential.region),
    }
    protected = cose.encode_protected({cose.HEADER_ALG: COSE_ALGORITHM[algorithm], cose.HEADER_KID: kid})
    return UnsignedCwt(protected, cbor.encode(payload))


class CwtCredential(NamedTuple):
    """What a CWT says, not yet verified. `device_key` is a 33-byte SEC1 point; times are NumericDate."""

    kid: bytes
    issued_at: int
    expires_at: int
    credential_id: bytes
    device_key: bytes
    status_list: int
    status_index: int
    assurance: ChipAssurance
    region: str
    algorithm: Algorithm  # of the issuer's signature
    device_algorithm: Algorithm
    signing_input: bytes
    signature: bytes
    holder_proof: HolderProof | None
    test_card: bool


def parse(data: bytes) -> CwtCredential:
    """Reads the credential strictly: these two headers, these seven claims, nothing else.

    Raises `InvalidInput` `bad_cwt`, or `algorithm_not_allowed` where it is well-formed and signed by neither ESP256
    nor SM2.
    """
    try:
        protected, payload, signature = cose.split_sign1(data, limit=_LIMIT)
    except InvalidInput as error:
        raise InvalidInput("bad_cwt", error.detail) from None
    algorithm = _PROTECTED.get(protected[:-4])
    if algorithm is None:
        raise _header_fault(data)
    match = _CLAIMS.fullmatch(payload)
    if match is None:
        raise InvalidInput("bad_cwt", "not the seven claims of a credential in deterministic CBOR")
    expires, issued, credential_id, curve, x, sign, list_id, index, packed, place = match.groups()
    expires_at, issued_at = cbor.uint(expires), cbor.uint(issued)
    if not issued_at < expires_at <= MAX_NUMERIC_DATE:
        raise InvalidInput("bad_cwt", "iat and exp do not make sense")
    region = cbor.uint(place)
    if region > MAX_REGION:
        raise InvalidInput("bad_cwt", "a region has six digits")
    proof = packed[-1]
    return CwtCredential(
        protected[-4:],
        issued_at,
        expires_at,
        credential_id,
        (b"\x03" if sign == b"\xf5" else b"\x02") + x,
        cbor.uint(list_id),
        cbor.uint(index),
        _ASSURANCE[proof & 3],
        f"{region:06d}",
        algorithm,
        _DEVICE_ALGORITHM[curve],
        cose.signing_input(protected, payload, EXTERNAL_AAD),
        signature,
        _HOLDER_PROOF.get(proof >> 2 & 3),
        proof >= _TEST_CARD,
    )


def _packed(credential: Credential) -> int:
    return credential.assurance + 4 * (credential.holder_proof or 0) + _TEST_CARD * credential.test_card


#: The protected headers {1: -9, 4: h'…4 bytes…'} and {1: -65537, 4: h'…4 bytes…'} up to the key id.
_PROTECTED: Final = {
    b"\xa2\x01\x28\x04\x44": Algorithm.ES256,
    b"\xa2\x01\x3a\x00\x01\x00\x00\x04\x44": Algorithm.SM2,
}

# Deterministic CBOR leaves each set of claims one spelling only, so the whole payload is one pattern.
_CLAIMS: Final = re.compile(
    rb"\xa7"
    rb"\x04"
    + cbor.UINT64  # exp
    + rb"\x06"
    + cbor.UINT64  # iat
    + rb"\x07\x50(.{16})"  # cti
    # cnf: {1: {1: 2, -1: 1 (P-256) or -65537 (SM2), -2: x, -3: sign}}
    rb"\x08\xa1\x01\xa4\x01\x02\x20(\x01|\x3a\x00\x01\x00\x00)\x21\x58\x20(.{32})\x22([\xf4\xf5])"
    rb"\x3a\x00\x01\x11\x70\x82"
    + cbor.UINT32
    + cbor.UINT32  # -70001 status
    + rb"\x3a\x00\x01\x11\x71([\x00-\x17]|\x18[\x18-\x1f])"  # -70002 how chip and holder were proven
    rb"\x3a\x00\x01\x11\x72" + cbor.UINT32,  # -70003 region
    re.DOTALL,
)


def _header_fault(data: bytes) -> InvalidInput:
    """Names what is wrong with a protected header that is not ours."""
    try:
        headers = cose.decode_sign1(data, limit=_LIMIT).headers
    except InvalidInput as error:
        return InvalidInput("bad_cwt", error.detail)
    if headers.get(cose.HEADER_ALG) not in tuple(cose.ALGORITHMS):
        return InvalidInput("algorithm_not_allowed", "only ESP256 and SM2 sign a credential")
    return InvalidInput("bad_cwt", "want the headers alg and kid, a key id of four bytes, nothing else")
