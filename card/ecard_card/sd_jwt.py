"""The e-card as SD-JWT VC with key binding (RFC 9901, draft-ietf-oauth-sd-jwt-vc-25), signed by ES256 or SM2.

Form: `<issuer-signed JWT>~<disclosure>~…~` and, when presented, a key-binding JWT at the end. Reading is pure: it
says what a token claims; whether its two signatures hold is for `ecard_keys` and `ecard_verifier`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ecard_card import disclosure, jose
from ecard_card.algorithm import Algorithm
from ecard_card.credential import MAX_NUMERIC_DATE, Credential
from ecard_card.errors import InvalidInput
from ecard_card.jose import CompactJws

TYP: Final = "dc+sd-jwt"
TYP_KEY_BINDING: Final = "kb+jwt"

#: The region of issue: in the open, because the issuer must be allowed to sign for it.
CLAIM_REGION: Final = "card_issuing_region"
#: How the holder was proven to be one (`HolderProof.label`), and the mark of a test card: absent or true.
CLAIM_HOLDER_PROOF: Final = "holder_proof"
CLAIM_TEST_CARD: Final = "test_card"
#: Claims that an SD-JWT VC never discloses selectively (draft-ietf-oauth-sd-jwt-vc-25 §2.2.2), or by halves.
_NEVER_HIDDEN: Final = (
    *("iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"),
    *(CLAIM_REGION, CLAIM_HOLDER_PROOF, CLAIM_TEST_CARD),
)
_KEY_BINDING_MEMBERS: Final = frozenset({"iat", "aud", "nonce", "sd_hash"})
#: What a holder confirms besides (OpenID4VP 1.0 appendix B.3.3.1); both or neither.
_TRANSACTION_MEMBERS: Final = frozenset({"transaction_data_hashes", "transaction_data_hashes_alg"})
_MAX_TRANSACTIONS: Final = 16
_ABSENT: Final = object()
_MIN_SALT_BYTES: Final = 16
_MAX_TEXT: Final = 2048


@dataclass(frozen=True, slots=True)
class UnsignedSdJwt:
    """An SD-JWT VC that lacks the issuer's signature."""

    signing_input: bytes = field(repr=False)
    disclosures: tuple[str, ...] = field(repr=False)

    def complete(self, signature: bytes) -> str:
        """The credential with all its disclosures, ending in `~`; `signature` is raw r||s, 64 bytes."""
        jws = f"{self.signing_input.decode()}.{jose.b64url_encode(signature)}"
        return "~".join((jws, *self.disclosures, ""))


def draft(
    credential: Credential, kid: str, salt: Callable[[], bytes], algorithm: Algorithm = Algorithm.ES256
) -> UnsignedSdJwt:
    """The unsigned SD-JWT VC of `credential` for a key of `algorithm`, all of its `claims` selectively disclosable.

    `salt` gives 16 or more fresh random bytes at each call. The CWT's id is left out: two presentations of one
    holder are to have nothing in common but what the holder shows.
    """
    disclosures = []
    for name, value in credential.claims.items():
        random = salt()
        if len(random) < _MIN_SALT_BYTES:
            raise InvalidInput("bad_sd_jwt", "a salt has at least 128 bits (RFC 9901 §9.3)")
        disclosures.append(disclosure.encode(random, name, value))
    payload = {
        "iss": credential.issuer,
        "vct": credential.vct,
        "aka_vcts": [f"{credential.issuer.rstrip('/')}/vct/ecard/1"],
        "iat": credential.issued_at,
        "nbf": credential.issued_at,
        "exp": credential.expires_at,
        "cnf": {"jwk": jose.jwk_of(credential.device_key, credential.device_algorithm)},
        "status": {"status_list": {"idx": credential.status.index, "uri": credential.status.uri}},
        "chip_assurance": credential.assurance.label,
        CLAIM_REGION: credential.region,
        **_said(credential),
        # Sorted by digest, so that their order tells nothing of the claims (RFC 9901 §4.2.4.1).
        "_sd": sorted(map(disclosure.digest, disclosures)),
        "_sd_alg": "sha-256",
    }
    header = {"alg": algorithm.value, "typ": TYP, "kid": kid}
    return UnsignedSdJwt(jose.compact_signing_input(header, payload), tuple(disclosures))


def _said(credential: Credential) -> dict[str, object]:
    """Claims that are there only where there is something to say."""
    proof = credential.holder_proof
    return {
        **({} if proof is None else {CLAIM_HOLDER_PROOF: proof.label}),
        **({CLAIM_TEST_CARD: True} if credential.test_card else {}),
    }


@dataclass(slots=True)
class SdJwt:
    """An SD-JWT or SD-JWT+KB as read, not yet verified.

    `payload` is the processed one: disclosed claims merged in, digests removed. `key_binding` is the key-binding JWT
    as text; `sd_hash_input` are the bytes its `sd_hash` is taken over.
    """

    header: Mapping[str, object]
    payload: Mapping[str, object] = field(repr=False)
    issuer_jws: CompactJws = field(repr=False)
    disclosures: tuple[str, ...] = field(repr=False)
    key_binding: str | None = field(repr=False)
    sd_hash_input: bytes = field(repr=False)


def parse(token: str, *, typ: str = TYP, limit: int = 65536) -> SdJwt:
    """Reads an SD-JWT or SD-JWT+KB of at most `limit` characters with the rules of RFC 9901 §7.1.

    `typ` is the type of the issuer-signed JWT; for our own type the claims that must stand in the open do.
    Raises `InvalidInput` `bad_sd_jwt`, `wrong_type` or `algorithm_not_allowed`.
    """
    jws, payload, disclosures, key_binding = _split(token, typ, limit)
    flat = disclosure.hides_only_at_the_top(payload, jws.payload)
    processed = disclosure.process(payload, disclosures, only_at_the_top=flat)
    if typ == TYP:
        for name in _NEVER_HIDDEN:
            if processed.get(name, _ABSENT) != payload.get(name, _ABSENT):
                raise InvalidInput("bad_sd_jwt", "a claim that must stand in the open is disclosed")
    bound = token[: len(token) - len(key_binding)].encode()
    return SdJwt(jws.header, processed, jws, disclosures, key_binding or None, bound)


def present(token: str, names: Collection[str], *, typ: str = TYP) -> str:
    """`token` with only those disclosures that show `names`, ending in `~`; a key binding is dropped.

    A name stands for its claim with all below it. Raises `InvalidInput` as `parse` does, and `claim_not_available`
    for a name the credential does not have.
    """
    _, payload, disclosures, _ = _split(token, typ, 65536)
    kept = disclosure.select(payload, disclosures, names)
    return "~".join((token[: token.index("~")], *kept, ""))


@dataclass(frozen=True, slots=True)
class UnsignedKeyBinding:
    """A presentation whose key-binding JWT lacks the device's signature."""

    presentation: str = field(repr=False)
    signing_input: bytes = field(repr=False)

    def complete(self, signature: bytes) -> str:
        """The SD-JWT+KB; `signature` is raw r||s of the device key, 64 bytes."""
        return f"{self.presentation}{self.signing_input.decode()}.{jose.b64url_encode(signature)}"


def key_binding_input(
    presentation: str,
    *,
    audience: str,
    nonce: str,
    issued_at: int,
    algorithm: Algorithm = Algorithm.ES256,
    transaction_data: Sequence[str] = (),
) -> UnsignedKeyBinding:
    """The key binding (RFC 9901 §4.3) of `presentation`, which ends in `~`, for one verifier and one nonce.

    `algorithm` is that of the device key. `transaction_data` are the texts that the holder confirms with it, as they
    stand in the verifier's request (OpenID4VP 1.0 §8.4).

    Raises `InvalidInput` `bad_sd_jwt` where `presentation` already has a key binding, or is none.
    """
    if not presentation.endswith("~"):
        raise InvalidInput("bad_sd_jwt", "a presentation without key binding ends in ~")
    payload = {
        "iat": issued_at,
        "aud": audience,
        "nonce": nonce,
        "sd_hash": disclosure.digest(presentation),
        **(
            {
                "transaction_data_hashes": [disclosure.digest(text) for text in transaction_data],
                "transaction_data_hashes_alg": "sha-256",
            }
            if transaction_data
            else {}
        ),
    }
    signing_input = jose.compact_signing_input({"alg": algorithm.value, "typ": TYP_KEY_BINDING}, payload)
    return UnsignedKeyBinding(presentation, signing_input)


@dataclass(slots=True)
class KeyBinding:
    """What a key-binding JWT says, not yet verified; it is bound to its SD-JWT. `issued_at` is NumericDate,
    `transaction_hashes` are SHA-256 in base64url, none where the holder confirmed nothing."""

    issued_at: int
    audience: str
    nonce: str
    jws: CompactJws = field(repr=False)
    transaction_hashes: tuple[str, ...] = ()


def parse_key_binding(sd: SdJwt) -> KeyBinding:
    """Reads the key binding of `sd`: four claims, or six with those of transaction data, and no other; and an
    `sd_hash` over what was presented.

    Raises `InvalidInput` `bad_key_binding` (also where there is none), `wrong_type` or `algorithm_not_allowed`.
    """
    if sd.key_binding is None:
        raise InvalidInput("bad_key_binding", "the presentation has no key binding")
    try:
        jws = jose.parse_compact(sd.key_binding, typ=TYP_KEY_BINDING, limit=16384)
        claims = jose.parse_json(jws.payload, limit=16384, max_depth=2)
    except InvalidInput as error:
        if error.code in ("wrong_type", "algorithm_not_allowed"):
            raise
        raise InvalidInput("bad_key_binding", error.detail) from None
    if not isinstance(claims, dict) or claims.keys() - _TRANSACTION_MEMBERS != _KEY_BINDING_MEMBERS:
        raise InvalidInput("bad_key_binding", "want iat, aud, nonce and sd_hash, and nothing else")
    issued_at, audience, nonce = claims["iat"], claims["aud"], claims["nonce"]
    if type(issued_at) is not int or not 0 <= issued_at <= MAX_NUMERIC_DATE:
        raise InvalidInput("bad_key_binding", "iat is not a NumericDate")
    if type(audience) is not str or type(nonce) is not str or max(len(audience), len(nonce)) > _MAX_TEXT:
        raise InvalidInput("bad_key_binding", "aud and nonce are one text each")
    if claims["sd_hash"] != jose.b64url_encode(hashlib.sha256(sd.sd_hash_input).digest()):
        raise InvalidInput("bad_key_binding", "sd_hash belongs to another presentation")
    return KeyBinding(issued_at, audience, nonce, jws, _transaction_hashes(claims))


def _transaction_hashes(claims: Mapping[str, object]) -> tuple[str, ...]:
    if _TRANSACTION_MEMBERS.isdisjoint(claims):
        return ()
    hashes = claims.get("transaction_data_hashes")
    if claims.get("transaction_data_hashes_alg") != "sha-256" or type(hashes) is not list:
        raise InvalidInput("bad_key_binding", "transaction data is hashed by sha-256, into a list")
    if not 1 <= len(hashes) <= _MAX_TRANSACTIONS or any(type(item) is not str for item in hashes):
        raise InvalidInput("bad_key_binding", "hashes of transaction data are one to sixteen texts")
    return tuple(hashes)


def _split(token: str, typ: str, limit: int) -> tuple[CompactJws, dict[str, object], tuple[str, ...], str]:
    """Issuer-signed JWT, its payload, the disclosures, and the key binding or no text."""
    if type(token) is not str or len(token) > limit or not token.isascii():
        raise InvalidInput("bad_sd_jwt", "not ASCII text of the allowed size")
    first, *disclosures = token.split("~")
    if not disclosures:
        raise InvalidInput("bad_sd_jwt", "no ~ in it")
    key_binding = disclosures.pop()
    try:
        jws = jose.parse_compact(first, typ=typ, limit=limit)
        payload = jose.parse_json(jws.payload, limit=limit)
    except InvalidInput as error:
        if error.code in ("wrong_type", "algorithm_not_allowed"):
            raise
        raise InvalidInput("bad_sd_jwt", error.detail) from None
    if not isinstance(payload, dict):
        raise InvalidInput("bad_sd_jwt", "the payload is not an object")
    return jws, payload, tuple(disclosures), key_binding
