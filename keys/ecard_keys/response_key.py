"""The key that a wallet encrypts one answer to (OpenID4VP 1.0 §8.3): made for one request and thrown away with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput
from ecard_keys.private_key import PrivateKey, generate_private_key, load_private_key

ALGORITHM: Final = "ECDH-ES"
ENCRYPTIONS: Final = ("A128GCM", "A256GCM")
MAX_RESPONSE: Final = 60_000
_MEMBERS: Final = frozenset({"alg", "enc", "epk", "kid", "apu", "apv", "typ", "cty"})


@dataclass(frozen=True, slots=True)
class ResponseKey:
    """A P-256 key for one answer. `secret` is its scalar, 32 bytes."""

    public: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        private: PrivateKey = generate_private_key(Algorithm.ES256)
        return cls(private.public, private.secret)

    @classmethod
    def load(cls, secret: bytes) -> Self:
        """The key of a scalar that `generate` made."""
        return cls(load_private_key(Algorithm.ES256, secret, b"").public, secret)

    @property
    def jwk(self) -> dict[str, str]:
        """The public half as a wallet reads it."""
        jwk = jose.jwk_of(self.public)
        return {**jwk, "kid": jose.b64url_encode(jose.thumbprint(jwk)), "use": "enc", "alg": ALGORITHM}

    def open(self, sealed: str) -> bytes:
        """The plaintext of a compact JWE encrypted to this key.

        Raises `InvalidInput` `response_not_encrypted` for another form, `response_encryption_refused` for another
        algorithm or a header member that is not known, `response_not_decryptable` for another key or altered text.
        """
        if len(sealed) > MAX_RESPONSE or sealed.count(".") != 4:
            raise InvalidInput("response_not_encrypted", "not a compact JWE of the allowed size")
        header = _header(sealed.partition(".")[0])
        if header.get("alg") != ALGORITHM or header.get("enc") not in ENCRYPTIONS or not _MEMBERS.issuperset(header):
            raise InvalidInput("response_encryption_refused", "want ECDH-ES with A128GCM or A256GCM, and nothing else")
        if header.get("kid", self.jwk["kid"]) != self.jwk["kid"]:
            raise InvalidInput("response_not_decryptable", "encrypted to the key of another request")
        try:
            jose.parse_public_jwk(header.get("epk"))
            private = ec.derive_private_key(int.from_bytes(self.secret, "big"), ec.SECP256R1())
            opened = jwe.decrypt_compact(sealed, ECKey.import_key(private), algorithms=[ALGORITHM, *ENCRYPTIONS])
        except (JoseError, InvalidInput, ValueError, KeyError, TypeError):
            raise InvalidInput("response_not_decryptable", "altered, or encrypted to another key") from None
        return opened.plaintext or b""


def _header(text: str) -> dict[str, object]:
    try:
        header = jose.parse_json(jose.b64url_decode(text), limit=4096, max_depth=3)
    except InvalidInput:
        header = None
    if not isinstance(header, dict):
        raise InvalidInput("response_not_encrypted", "its header cannot be read")
    return header
