"""Public keys of clients that sign what they send us: JSON Web Keys (RFC 7517), read strictly and with bounds.

A key is good for the algorithms of its kind and for no other; what a header or a signature claims never chooses one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_keys.verify import load_public_key, verify

#: What clients may sign with, by kind of key. `EdDSA` is the older name of `Ed25519` (RFC 9864).
ALGORITHMS: Final[Mapping[str, frozenset[str]]] = {
    "EC": frozenset({"ES256"}),
    "RSA": frozenset({"PS256", "RS256"}),
    "OKP": frozenset({"Ed25519", "EdDSA"}),
}
#: All of them, as metadata lists them.
EVERY_ALGORITHM: Final = ("ES256", "PS256", "RS256", "Ed25519", "EdDSA")
MAX_KEYS: Final = 10
MAX_KEY_SET: Final = 32 << 10
_RSA_BITS: Final = (2048, 4096)
#: Visible, and good in a quoted string as it stands.
_KID: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})

AnyPublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A public key. `thumbprint` is that of RFC 7638 in base64url, as `cnf.jkt` has it; `kid` is the client's own."""

    kid: str
    algorithms: frozenset[str]
    thumbprint: str
    public: AnyPublicKey = field(repr=False)

    def verify(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Whether `signature` over `message` is this key's by `algorithm`. Raises nothing."""
        if algorithm not in self.algorithms:
            return False
        if isinstance(self.public, ec.EllipticCurvePublicKey):
            return verify(self.public, message, signature)
        try:
            if isinstance(self.public, Ed25519PublicKey):
                self.public.verify(signature, message)
            elif algorithm == "PS256":  # RFC 7518 §3.5: the salt is as long as the hash
                pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
                self.public.verify(signature, message, pss, hashes.SHA256())
            else:
                self.public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def read_client_key(jwk: object, *, named: bool = False) -> ClientKey:
    """A public JWK: P-256, RSA of 2048 to 4096 bits, Ed25519. An `alg` in it narrows what it may be used for.

    Raises `InvalidInput` `bad_jwk`; also for a private member, for `use` other than `sig`, and, where it must be
    `named`, without a `kid` of 1 to 128 visible ASCII characters, quote and backslash not among them.
    """
    if not isinstance(jwk, dict) or not _PRIVATE.isdisjoint(jwk):
        raise InvalidInput("bad_jwk", "not a JWK, or one with private members, which must never be sent")
    if jwk.get("use", "sig") != "sig":
        raise InvalidInput("bad_jwk", "a key that is not for signatures")
    kid = jwk.get("kid", "")
    if type(kid) is not str or not (_KID.fullmatch(kid) or (kid == "" and not named)):
        raise InvalidInput("bad_jwk", "a key has a kid of 1 to 128 visible ASCII characters")
    kind = jwk.get("kty")
    allowed = ALGORITHMS.get(kind) if type(kind) is str else None
    if allowed is None:
        raise InvalidInput("bad_jwk", "want a key of P-256, RSA or Ed25519")
    public = _READERS[str(kind)](jwk)
    if "alg" in jwk:
        allowed &= {str(jwk["alg"])}
        if not allowed:
            raise InvalidInput("bad_jwk", "an algorithm that is not accepted for this kind of key")
    return ClientKey(kid, allowed, jose.b64url_encode(jose.thumbprint(jwk)), public)


def read_key_set(document: object) -> tuple[ClientKey, ...]:
    """The keys of a JWK Set (RFC 7517 §5), 1 to `MAX_KEYS`, each with a `kid` of its own. Raises `InvalidInput`
    `bad_key_set`, `bad_jwk`."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
        raise InvalidInput("bad_key_set", f"a key set has 1 to {MAX_KEYS} keys")
    read = tuple(read_client_key(key, named=True) for key in keys)
    if len({key.kid for key in read}) != len(read):
        raise InvalidInput("bad_key_set", "two keys of the set have the same kid")
    return read


def key_named(keys: Sequence[ClientKey], kid: str) -> ClientKey | None:
    """The key of this `kid`."""
    return next((key for key in keys if key.kid == kid), None)


def _read_ec(jwk: Mapping[str, object]) -> AnyPublicKey:
    try:
        public = load_public_key(jose.parse_public_jwk(jwk))
    except InvalidInput as error:
        raise InvalidInput("bad_jwk", error.detail) from None
    assert isinstance(public, ec.EllipticCurvePublicKey)  # noqa: S101 - the default algorithm's kind
    return public


def _read_rsa(jwk: Mapping[str, object]) -> AnyPublicKey:
    modulus, exponent = _number(jwk.get("n"), 700), _number(jwk.get("e"), 8)
    if not _RSA_BITS[0] <= modulus.bit_length() <= _RSA_BITS[1]:
        raise InvalidInput("bad_jwk", "an RSA key has 2048 to 4096 bits")
    if exponent < 65537 or exponent % 2 == 0:
        raise InvalidInput("bad_jwk", "the exponent of an RSA key is odd and at least 65537")
    try:
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise InvalidInput("bad_jwk", "not an RSA key") from None


def _read_okp(jwk: Mapping[str, object]) -> AnyPublicKey:
    if jwk.get("crv") != "Ed25519":
        raise InvalidInput("bad_jwk", "want a key of P-256, RSA or Ed25519")
    data = _bytes(jwk.get("x"), 43)
    if len(data) != 32:
        raise InvalidInput("bad_jwk", "an Ed25519 key has 32 bytes")
    return Ed25519PublicKey.from_public_bytes(data)


_READERS: Final = {"EC": _read_ec, "RSA": _read_rsa, "OKP": _read_okp}


def _number(text: object, most: int) -> int:
    return int.from_bytes(_bytes(text, most), "big")


def _bytes(text: object, most: int) -> bytes:
    if type(text) is not str or not 0 < len(text) <= most:
        raise InvalidInput("bad_jwk", "a member is missing or too long")
    try:
        return jose.b64url_decode(text)
    except InvalidInput as error:
        raise InvalidInput("bad_jwk", error.detail) from None
