"""Personal members encrypted to the authority's current key, so that proxies and logs on the way see none of them.

JWE compact (RFC 7516) by ECDH-ES with A256GCM (RFC 7518 §4.6, §5.3). The caller's hands hold plain text.

What libraries draw at random is derived here from a secret of the app, the idempotency key and the text itself (as
deterministic signatures do, RFC 6979): a request that is sent again under its key, also by a program that was started
anew meanwhile, is the same to the byte, so the authority knows it again. Another key or text has nothing in common.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_keys.verify import load_public_key
from ecard_sdk.core.call import Reply
from ecard_sdk.core.reading import parsed, unreadable

KEYS: Final = "/.well-known/ecard-encryption-keys"
_ALGORITHM, _ENCRYPTION = "ECDH-ES", "A256GCM"
#: Of the group of P-256 (SEC 2 §2.4.2).
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class EncryptionKey:
    """The authority's current key for personal members."""

    def __init__(self, point: bytes, kid: str) -> None:
        """`point` is an uncompressed point of P-256. Raises `InvalidInput` `bad_public_key` for any other."""
        self._public = load_public_key(point)
        self.kid = kid

    @classmethod
    def of(cls, reply: Reply) -> EncryptionKey:
        """The first usable key of a published JWK Set (RFC 7517 §5). Raises `ServerError` where there is none."""
        document = parsed(reply)
        keys = document.get("keys") if isinstance(document, dict) else None
        for item in keys if isinstance(keys, list) else ():
            try:
                if item.get("use", "enc") == "enc" and isinstance(item["kid"], str):
                    point = jose.parse_public_jwk({name: item[name] for name in ("kty", "crv", "x", "y")})
                    return cls(point, item["kid"])
            except (AttributeError, KeyError, TypeError, ValueError, InvalidInput):
                continue
        raise unreadable(reply, "no key to encrypt to that this version knows")

    def sealed(self, body: Mapping[str, object], names: tuple[str, ...], secret: bytes, key: str) -> dict[str, object]:
        """`body`, with those of its members that are in `names` put together and encrypted, as `sealed`.

        `secret` is the app's own, `key` the idempotency key.
        """
        plain = jose.dump_json({name: value for name, value in body.items() if name in names})
        seed = hmac.digest(secret, key.encode() + b"\0" + plain, "sha512")
        return {**{name: value for name, value in body.items() if name not in names}, "sealed": self.seal(plain, seed)}

    def seal(self, plain: bytes, seed: bytes) -> str:
        """`plain` as a compact JWE. `seed` are 64 bytes that nobody can guess and nothing else was sealed with."""
        ephemeral = ec.derive_private_key(int.from_bytes(seed[:48], "big") % (_ORDER - 1) + 1, ec.SECP256R1())
        point = ephemeral.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        header = {"alg": _ALGORITHM, "enc": _ENCRYPTION, "kid": self.kid, "epk": jose.jwk_of(point)}
        protected = jose.b64url_encode(jose.dump_json(header))
        content_key = _derived(ephemeral.exchange(ec.ECDH(), self._public))
        nonce = hashlib.sha256(seed[48:] + b"nonce").digest()[:12]
        sealed = AESGCM(content_key).encrypt(nonce, plain, protected.encode())
        return ".".join((protected, "", *map(jose.b64url_encode, (nonce, sealed[:-16], sealed[-16:]))))


def _derived(shared: bytes) -> bytes:
    """RFC 7518 §4.6.2: Concat KDF for direct agreement, without party information."""
    name = _ENCRYPTION.encode()
    other = len(name).to_bytes(4, "big") + name + bytes(4) + bytes(4) + (256).to_bytes(4, "big")
    return ConcatKDFHash(hashes.SHA256(), 32, other).derive(shared)
