"""The client's half: a private key that signs client assertions (RFC 7523) and DPoP proofs (RFC 9449)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ecard_card import jose
from ecard_card.errors import InvalidInput

AnyPrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey
_P256_BITS = 256


class ClientSigner:
    """Signs with a private key of P-256 (ES256), Ed25519, or RSA (PS256).

    `kid` is how the authority knows the public half; by default its RFC 7638 thumbprint. Raises `InvalidInput`
    `bad_private_key` for a key of another kind.
    """

    def __init__(self, private: AnyPrivateKey, kid: str | None = None) -> None:
        if isinstance(private, ec.EllipticCurvePrivateKey) and private.key_size == _P256_BITS:
            self.algorithm = "ES256"
        elif isinstance(private, Ed25519PrivateKey):
            self.algorithm = "Ed25519"
        elif isinstance(private, rsa.RSAPrivateKey):
            self.algorithm = "PS256"
        else:
            raise InvalidInput("bad_private_key", "want a private key of P-256, Ed25519 or RSA")
        self.private = private
        self._jwk = _public_jwk(private)
        self.thumbprint = jose.b64url_encode(jose.thumbprint(self._jwk))
        self.kid = kid or self.thumbprint

    def __repr__(self) -> str:
        return f"ClientSigner({self.algorithm}, kid={self.kid!r})"

    @classmethod
    def generate(cls, kid: str | None = None) -> ClientSigner:
        """A new key of P-256."""
        return cls(ec.generate_private_key(ec.SECP256R1()), kid)

    @classmethod
    def from_pem(cls, data: bytes, kid: str | None = None, password: bytes | None = None) -> ClientSigner:
        """A key from PEM, PKCS#8 or the older forms. Raises `InvalidInput` `bad_private_key`."""
        try:
            private = serialization.load_pem_private_key(data, password)
        except (ValueError, TypeError):
            raise InvalidInput("bad_private_key", "the file of the private key cannot be read") from None
        return cls(private, kid)  # type: ignore[arg-type]  # judged there

    def to_pem(self) -> bytes:
        """The private key as PKCS#8, not encrypted."""
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public half, as a key set has it."""
        return {**self._jwk, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    @property
    def bare_jwk(self) -> dict[str, str]:
        """The public half alone, as the header of a DPoP proof has it."""
        return dict(self._jwk)

    def sign(self, message: bytes) -> bytes:
        """A signature as JOSE has it: raw r||s, Ed25519's 64 bytes, or PSS."""
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(message)
        if isinstance(self.private, rsa.RSAPrivateKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            return self.private.sign(message, pss, hashes.SHA256())
        r, s = utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def jwt(self, header: Mapping[str, object], claims: Mapping[str, object]) -> str:
        """A compact JWS; the header gets `alg`."""
        signing_input = jose.compact_signing_input({"alg": self.algorithm, **header}, claims)
        return jose.UnsignedJws(signing_input).complete(self.sign(signing_input))


def client_assertion(
    signer: ClientSigner,
    client_id: str,
    audience: str,
    now: datetime,
    *,
    life: timedelta = timedelta(seconds=60),
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> str:
    """A client authentication JWT (RFC 7523 §3): good once, at the authorization server `audience` only."""
    issued = int(now.timestamp())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": jose.b64url_encode(random(16)),
        "iat": issued,
        "exp": issued + int(life.total_seconds()),
    }
    return signer.jwt({"typ": "client-authentication+jwt", "kid": signer.kid}, claims)


def dpop_proof(
    signer: ClientSigner,
    method: str,
    url: str,
    now: datetime,
    *,
    access_token: str | None = None,
    nonce: str | None = None,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> str:
    """A DPoP proof (RFC 9449 §4.2) for one request. `url` is without query and fragment; `access_token` goes along
    with the request wherever there is one."""
    claims: dict[str, object] = {
        "jti": jose.b64url_encode(random(16)),
        "htm": method,
        "htu": url.partition("#")[0].partition("?")[0],
        "iat": int(now.timestamp()),
    }
    if access_token is not None:
        claims["ath"] = access_token_hash(access_token)
    if nonce is not None:
        claims["nonce"] = nonce
    return signer.jwt({"typ": "dpop+jwt", "jwk": signer.bare_jwk}, claims)


def access_token_hash(token: str) -> str:
    """`ath`: base64url of the SHA-256 of the token's ASCII text (RFC 9449 §4.2)."""
    return jose.b64url_encode(hashlib.sha256(token.encode("ascii", "replace")).digest())


def _public_jwk(private: AnyPrivateKey) -> dict[str, str]:
    if isinstance(private, ec.EllipticCurvePrivateKey):
        point = private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return jose.jwk_of(point)
    if isinstance(private, Ed25519PrivateKey):
        x = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": jose.b64url_encode(x)}
    numbers = private.public_key().public_numbers()
    return {"kty": "RSA", "n": _base64(numbers.n), "e": _base64(numbers.e)}


def _base64(number: int) -> str:
    return jose.b64url_encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))
