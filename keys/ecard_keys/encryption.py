"""Keys that partners encrypt to: personal data then crosses their proxies and logs unread (RFC 7516, ECDH-ES).

A key serves a period; the one before it is still opened, for senders who read the key set a while ago. The next comes
by itself, and the one before the last is deleted from the key file: what was recorded on the wire long ago is then
opened by nobody.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_keys.homes.encrypted_file import EncryptedFile, Name
from ecard_keys.homes.file_secrets import FileSecrets, expand
from ecard_keys.key import P256_ORDER

ALGORITHM: Final = "ECDH-ES"
ENCRYPTION: Final = "A256GCM"
#: For how long a key is the one to encrypt to; as long again it still opens.
PERIOD: Final = timedelta(days=30)
MAX_SEALED: Final = 8192
_USE: Final = "encrypt-"


class Unsealing(Protocol):
    """Holds the keys. An adapter may be far away."""

    def key_set(self, now: datetime) -> dict[str, object]:
        """The public keys as a JWK Set (RFC 7517): first the one to encrypt to, then the one before it."""
        ...

    def open(self, sealed: str, now: datetime) -> bytes:
        """The plaintext of a compact JWE. Raises `InvalidInput` `bad_sealed_data`."""
        ...


class FileUnsealing:
    """An `Unsealing` in the encrypted key file. May raise the `Unavailable` codes of `EncryptedFile`."""

    def __init__(self, file: EncryptedFile) -> None:
        self._file = file
        self._secrets = FileSecrets(file)

    def key_set(self, now: datetime) -> dict[str, object]:
        """See `Unsealing.key_set`."""
        return {"keys": [_published(self._key(period)) for period in self._periods(now)]}

    def open(self, sealed: str, now: datetime) -> bytes:
        """See `Unsealing.open`."""
        if len(sealed) > MAX_SEALED or sealed.count(".") != 4:
            raise _bad("not a compact JWE of at most 8192 characters")
        kid = _kid_of(sealed)
        for period in self._periods(now):
            key = self._key(period)
            if _published(key)["kid"] == kid:
                return _decrypt(sealed, key)
        raise _bad("kid names none of the published keys: read the key set again")

    def _periods(self, now: datetime) -> tuple[int, int]:
        """This period and the one before; what is older is deleted."""
        this = int(now.timestamp() // PERIOD.total_seconds())
        old = [name for name in self._file.entries() if _is_older(name, this - 1)]
        if old:
            with self._file.editing() as entries:
                for name in old:
                    entries.pop(name, None)
        return this, this - 1

    def _key(self, period: int) -> ec.EllipticCurvePrivateKey:
        secret = expand(self._secrets.get(("secret", f"{_USE}{period}")), b"ecard-encrypt")
        return ec.derive_private_key(int.from_bytes(secret, "big") % (P256_ORDER - 1) + 1, ec.SECP256R1())


def _is_older(name: Name, period: int) -> bool:
    number = name[1].removeprefix(_USE)
    return name[1].startswith(_USE) and number.isdigit() and int(number) < period


def _published(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    jwk = jose.public_jwk(point[1:33], point[33:])
    kid = jose.b64url_encode(jose.thumbprint(jwk))
    return {**jwk, "kid": kid, "use": "enc", "alg": ALGORITHM}


def _kid_of(sealed: str) -> str:
    try:
        header = jose.parse_json(jose.b64url_decode(sealed.partition(".")[0]), limit=2048, max_depth=3)
    except InvalidInput:
        raise _bad("its header cannot be read") from None
    wanted = {"alg": ALGORITHM, "enc": ENCRYPTION}
    if not isinstance(header, dict) or any(header.get(name) != value for name, value in wanted.items()):
        raise _bad(f"want alg {ALGORITHM} and enc {ENCRYPTION}")
    if not set(header) <= {"alg", "enc", "kid", "epk", "typ", "cty", "apu", "apv"}:
        raise _bad("a header member that is not known, such as zip or crit")
    return str(header.get("kid"))


def _decrypt(sealed: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    try:
        opened = jwe.decrypt_compact(sealed, ECKey.import_key(key), algorithms=[ALGORITHM, ENCRYPTION])
    except (JoseError, ValueError, KeyError, TypeError):
        raise _bad("does not open: altered, or encrypted to another key") from None
    return opened.plaintext or b""


def _bad(why: str) -> InvalidInput:
    return InvalidInput("bad_sealed_data", why)
