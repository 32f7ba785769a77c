"""A device's state in one file: its key as encrypted PKCS #8 in PEM, and under the same passphrase its credentials.

Two blocks: `ENCRYPTED PRIVATE KEY`, as every tool knows it, and `ECARD CREDENTIALS`: salt (16 bytes), nonce (12) and
AES-256-GCM of JSON under a key by scrypt (RFC 7914; N 2^14, r 8, p 1); the first block is the associated data, so that
the two belong together.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ecard_card import jose
from ecard_card.errors import EcardError, InvalidInput, Unavailable
from ecard_sdk.device import DeviceKey
from ecard_sdk.holder import DeviceState, HeldCredential

_SALT, _NONCE = 16, 12
_LIMIT: Final = 256 << 10
_LABEL: Final = "ECARD CREDENTIALS"
_BLOCKS: Final = re.compile(
    rb"(-----BEGIN ENCRYPTED PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+-----END ENCRYPTED PRIVATE KEY-----\n)"
    rb"-----BEGIN ECARD CREDENTIALS-----\n([A-Za-z0-9+/=\n]+)-----END ECARD CREDENTIALS-----\n"
)


class EncryptedFile:
    """A `DeviceStore` in a file that only its owner may read (mode 0600)."""

    def __init__(
        self, path: str | os.PathLike[str], passphrase: bytes, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        if not passphrase:
            raise InvalidInput("bad_device_store", "a device's file has a passphrase")
        self._path, self._passphrase, self._random = Path(path), passphrase, random

    def __repr__(self) -> str:
        return f"EncryptedFile({str(self._path)!r})"

    def load(self) -> DeviceState | None:
        """See `DeviceStore.load`."""
        try:
            with self._path.open("rb") as file:
                data = file.read(_LIMIT + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidInput("bad_device_store", f"cannot be read: {error.strerror}") from None
        found = _BLOCKS.fullmatch(data) if len(data) <= _LIMIT else None
        if found is None:
            raise InvalidInput("bad_device_store", "not a device's file")
        key_block, sealed = found.groups()
        try:
            key = DeviceKey.from_pem(key_block, self._passphrase)
            listed = jose.parse_json(self._open(base64.b64decode(sealed), key_block), limit=_LIMIT)
            held = {name: HeldCredential.read(jose.b64url_decode(text), key) for name, text in _named(listed)}
        except (EcardError, InvalidTag, binascii.Error, ValueError, TypeError):
            raise InvalidInput("bad_device_store", "another passphrase, or not what was written") from None
        return DeviceState(key, held)

    def save(self, state: DeviceState) -> None:
        """See `DeviceStore.save`."""
        key_block = state.key.to_pem(self._passphrase)
        listed = jose.dump_json({name: jose.b64url_encode(held.cwt) for name, held in state.held.items()})
        sealed = base64.encodebytes(self._seal(listed, key_block))
        content = key_block + f"-----BEGIN {_LABEL}-----\n".encode() + sealed + f"-----END {_LABEL}-----\n".encode()
        draft = self._path.with_name(f".{self._path.name}.{self._random(4).hex()}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise Unavailable("device_store_unavailable", f"cannot be written: {error.strerror}") from None

    def _seal(self, plain: bytes, with_key: bytes) -> bytes:
        salt, nonce = self._random(_SALT), self._random(_NONCE)
        return salt + nonce + AESGCM(self._derived(salt)).encrypt(nonce, plain, with_key)

    def _open(self, sealed: bytes, with_key: bytes) -> bytes:
        salt, nonce, rest = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE], sealed[_SALT + _NONCE :]
        return AESGCM(self._derived(salt)).decrypt(nonce, rest, with_key)

    def _derived(self, salt: bytes) -> bytes:
        return Scrypt(salt=salt, length=32, n=1 << 14, r=8, p=1).derive(self._passphrase)


def _named(listed: object) -> list[tuple[str, str]]:
    if not isinstance(listed, dict) or not all(isinstance(text, str) for text in listed.values()):
        raise TypeError
    return list(listed.items())
