"""The three things a holder can show, brought to one shape: `EC1:` code, `EC0:` code, SD-JWT with key binding.

Reading is not believing: everything in a `Shown` or an `Issued` is a claim until `check` has walked its steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ecard_card import cwt, jose, sd_jwt
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_card.region import is_region
from ecard_qr import payload
from ecard_qr.frame import OfflineFrame, OnlineFrame
from ecard_verifier.statuses import CredentialSource

#: Longer texts are not ours: a whole SD-JWT presentation has about 3 kB.
MAX_PRESENTED = 32_768


# Not frozen: two of these are made in every check, and freezing costs a microsecond each.
@dataclass(slots=True)
class Issued:
    """What the issuer signed, whatever the format."""

    kid: str
    algorithm: Algorithm  # that the header claims
    signing_input: bytes
    signature: bytes
    low_s: bool  # our own formats are not malleable; JOSE's ECDSA is
    issuer: str | None  # None: the key says who (CWT)
    vct: str | None  # None: the format says what (CWT)
    issued_at: int
    not_before: int
    expires_at: int
    device_key: bytes
    device_algorithm: Algorithm
    region: str
    status_uri: str | None  # None: `status_list` under the issuer's template (CWT)
    status_list: int | None
    status_index: int
    assurance: ChipAssurance
    credential_id: bytes | None
    holder_proof: HolderProof | None
    test_card: bool
    claims: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class Shown:
    """What the holder's device signed over it. `instance` tells two showings of one credential apart.

    `algorithm` is what its header claims; None for a short code, which has no header.
    """

    algorithm: Algorithm | None
    signing_input: bytes
    signature: bytes
    low_s: bool
    issued_at: int
    audience: str | None
    nonce: str | None  # a verifier's challenge: of a code, the digest of the one that it answers
    instance: bytes
    credential_id: bytes | None = None  # the credential that a short code names
    transaction_hashes: tuple[str, ...] = ()  # of what the holder confirmed besides (key-binding JWT)


def read(text: str, credentials: CredentialSource | None) -> tuple[Shown, bytes | sd_jwt.SdJwt]:
    """The holder's part of `text` and the credential it stands on, still unread.

    Raises `InvalidInput` for a text that is none of ours, `CheckFailed` `unknown_credential` for a reference that
    cannot be resolved, `needs_online` for a reference without anybody to ask.
    """
    if len(text) > MAX_PRESENTED:
        raise InvalidInput("unreadable_code", "longer than anything we make")
    if "~" in text:
        return read_sd_jwt(text)
    frame = payload.parse(text)
    if isinstance(frame, OfflineFrame):
        return _from_frame(frame, frame.audience), frame.credential
    if credentials is None:
        raise CheckFailed("needs_online", "a short code names a credential that only an online verifier holds")
    credential = credentials.get(frame.credential_id)
    if credential is None:
        raise CheckFailed("unknown_credential", "no live credential has this reference")
    return _from_frame(frame, None), credential


def _from_frame(frame: OfflineFrame | OnlineFrame, audience: str | None) -> Shown:
    instance = frame.issued_at.to_bytes(8, "big") + frame.nonce
    named = frame.credential_id if isinstance(frame, OnlineFrame) else None
    algorithm = frame.algorithm if isinstance(frame, OfflineFrame) else None
    issued_at = frame.issued_at
    nonce = None if frame.challenge is None else jose.b64url_encode(frame.challenge)
    return Shown(algorithm, frame.signing_input, frame.signature, True, issued_at, audience, nonce, instance, named)


def read_sd_jwt(text: str) -> tuple[Shown, sd_jwt.SdJwt]:
    """As `read`, of an SD-JWT with key binding. Raises `CheckFailed` `key_binding_missing`, and what parsing raises."""
    token = sd_jwt.parse(text)
    if token.key_binding is None:
        raise CheckFailed("key_binding_missing", "a credential shown without the holder's signature proves nothing")
    binding = sd_jwt.parse_key_binding(token)
    instance = hashlib.sha256(binding.jws.signing_input).digest()
    shown = Shown(
        binding.jws.algorithm,
        binding.jws.signing_input,
        binding.jws.signature,
        False,
        binding.issued_at,
        binding.audience,
        binding.nonce,
        instance,
        transaction_hashes=binding.transaction_hashes,
    )
    return shown, token


def read_issued(credential: bytes | sd_jwt.SdJwt) -> Issued:
    """The issuer's part. Raises `InvalidInput` `bad_cwt` or `bad_sd_jwt` with a reason in the detail."""
    return _read_cwt(credential) if isinstance(credential, bytes) else _read_sd_jwt_vc(credential)


def _read_cwt(data: bytes) -> Issued:
    token = cwt.parse(data)
    return Issued(
        kid=token.kid.hex(),
        algorithm=token.algorithm,
        signing_input=token.signing_input,
        signature=token.signature,
        low_s=True,
        issuer=None,
        vct=None,
        issued_at=token.issued_at,
        not_before=token.issued_at,
        expires_at=token.expires_at,
        device_key=token.device_key,
        device_algorithm=token.device_algorithm,
        region=token.region,
        status_uri=None,
        status_list=token.status_list,
        status_index=token.status_index,
        assurance=token.assurance,
        credential_id=token.credential_id,
        holder_proof=token.holder_proof,
        test_card=token.test_card,
    )


#: Claims about the credential itself; everything else that is disclosed is about the holder or the card.
_TECHNICAL = frozenset(
    {
        *("iss", "vct", "vct#integrity", "aka_vcts", "iat", "nbf", "exp", "cnf", "status", "_sd_alg"),
        *(sd_jwt.CLAIM_HOLDER_PROOF, sd_jwt.CLAIM_TEST_CARD),
    }
)


def _read_sd_jwt_vc(token: sd_jwt.SdJwt) -> Issued:
    body = token.payload
    try:
        reference = _object(_object(body["status"])["status_list"])
        issuer, vct, kid, uri = body["iss"], body["vct"], token.header["kid"], reference["uri"]
        if not (isinstance(issuer, str) and isinstance(vct, str) and isinstance(kid, str) and isinstance(uri, str)):
            raise InvalidInput("bad_sd_jwt", "iss, vct, kid and status uri are texts")
        region = body[sd_jwt.CLAIM_REGION]
        if not (isinstance(region, str) and is_region(region)):
            raise InvalidInput("bad_sd_jwt", "the region of issue is six digits")
        device_algorithm, device_key = jose.parse_jwk(_object(body["cnf"])["jwk"])
        return Issued(
            kid=kid,
            algorithm=token.issuer_jws.algorithm,
            signing_input=token.issuer_jws.signing_input,
            signature=token.issuer_jws.signature,
            low_s=False,
            issuer=issuer,
            vct=vct,
            issued_at=_numeric(body["iat"]),
            not_before=_numeric(body.get("nbf", body["iat"])),
            expires_at=_numeric(body["exp"]),
            device_key=device_key,
            device_algorithm=device_algorithm,
            region=region,
            status_uri=uri,
            status_list=None,
            status_index=_numeric(reference["idx"]),
            assurance=ChipAssurance.from_label(str(body["chip_assurance"])),
            credential_id=None,
            holder_proof=_holder_proof(body),
            test_card=_test_card(body),
            claims={name: value for name, value in body.items() if name not in _TECHNICAL},
        )
    except KeyError as missing:
        raise InvalidInput("bad_sd_jwt", f"claim {missing.args[0]!s:.40} is missing") from None


def _holder_proof(body: Mapping[str, object]) -> HolderProof | None:
    said = body.get(sd_jwt.CLAIM_HOLDER_PROOF)
    return None if said is None else HolderProof.from_label(str(said))


def _test_card(body: Mapping[str, object]) -> bool:
    """Whether the mark is there. It is true or absent: a mark that says no is none of ours."""
    if sd_jwt.CLAIM_TEST_CARD not in body:
        return False
    if body[sd_jwt.CLAIM_TEST_CARD] is not True:
        raise InvalidInput("bad_sd_jwt", "the mark of a test card is true or absent")
    return True


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InvalidInput("bad_sd_jwt", "an object was expected")
    return value


def _numeric(value: object) -> int:
    """NumericDate or index: a whole number, never a text, a float or a bool."""
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise InvalidInput("bad_sd_jwt", "a whole number was expected")
    return value
