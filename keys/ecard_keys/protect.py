"""Keeping personal data unreadable at rest, and findable by those who may look.

Each person has a data key; their data lies under it, and it lies wrapped by a secret that never leaves its home.
Destroying the wrapped key destroys the data. A keyed hash finds a person by number without storing the number.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys.homes.encrypted_file import EncryptedFile, Name
from ecard_keys.homes.file_secrets import FileSecrets, expand

DATA_KEY_BYTES = 32
_SEALED = b"\x01"  # AES-256-GCM: 0x01 || nonce (12) || ciphertext || tag (16)
_WRAPPED = b"\x01"  # the same under wrapping secret number 1; room for its successors
_WRAPPING: Name = ("secret", "wrap-1")
_HASHING: Name = ("secret", "mac-1")


class Protector(Protocol):
    """Holds the secrets above all data keys and look-up hashes. An adapter may be far away."""

    def wrap(self, data_key: bytes, *, context: bytes) -> bytes:
        """A 32-byte data key for storage. `context` says whose it is and must be given again to unwrap."""
        ...

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Inverse of `wrap`. Raises `CheckFailed` `sealed_data_refused`: altered, or of another context or secret."""
        ...

    def mac(self, label: str, data: bytes) -> bytes:
        """A 32-byte keyed hash of `data`, for look-ups; different labels give unrelated hashes."""
        ...


def new_data_key(random: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """A person's data key: 32 random bytes."""
    return random(DATA_KEY_BYTES)


def seal(
    data_key: bytes, plaintext: bytes, *, context: bytes, random: Callable[[int], bytes] = secrets.token_bytes
) -> bytes:
    """`plaintext` under AES-256-GCM with a random nonce; `context` (row and column) is bound in, not stored.

    Raises `InvalidInput` `bad_data_key`.
    """
    nonce = random(12)
    return _SEALED + nonce + _cipher(data_key).encrypt(nonce, plaintext, context)


def open_(data_key: bytes, sealed: bytes, *, context: bytes) -> bytes:
    """Inverse of `seal`. Raises `CheckFailed` `sealed_data_refused` (altered, or another key or context)."""
    if sealed[:1] != _SEALED or len(sealed) < 29:
        raise CheckFailed("sealed_data_refused", "not data sealed by this version")
    try:
        return _cipher(data_key).decrypt(sealed[1:13], sealed[13:], context)
    except InvalidTag:
        raise CheckFailed("sealed_data_refused", "altered, or sealed for another key or context") from None


class FileProtector:
    """A `Protector` whose secrets lie in the encrypted key file, each made when first needed.

    `FileProtector(home.file)` shares the file that a `FileKeyHome` has open. Methods may raise the `Unavailable` codes
    of `EncryptedFile`.
    """

    def __init__(self, file: EncryptedFile) -> None:
        self._secrets = FileSecrets(file)
        self._subkeys: dict[str, bytes] = {}

    def wrap(self, data_key: bytes, *, context: bytes) -> bytes:
        """See `Protector.wrap`. Raises `InvalidInput` `bad_data_key`."""
        if len(data_key) != DATA_KEY_BYTES:
            raise InvalidInput("bad_data_key", "a data key is 32 bytes")
        return _WRAPPED + seal(self._wrapping_key(context), data_key, context=context)

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """See `Protector.unwrap`."""
        if wrapped[:1] != _WRAPPED:
            raise CheckFailed("sealed_data_refused", "not wrapped by a secret that this version knows")
        return open_(self._wrapping_key(context), wrapped[1:], context=context)

    def mac(self, label: str, data: bytes) -> bytes:
        """HMAC-SHA256 under a subkey of the label (HKDF, RFC 5869)."""
        subkey = self._subkeys.get(label)
        if subkey is None:
            subkey = expand(self._secrets.get(_HASHING), b"ecard-mac/" + label.encode())
            if len(self._subkeys) < 256:  # labels are few and fixed; should they not be, memory stays bounded
                self._subkeys[label] = subkey
        return hmac.digest(subkey, data, "sha256")

    def _wrapping_key(self, context: bytes) -> bytes:
        # One subkey per context: a nation of data keys stays far from the 2^32 random nonces of one AES-GCM key.
        return expand(self._secrets.get(_WRAPPING), b"ecard-wrap/" + context)


def _cipher(data_key: bytes) -> AESGCM:
    if len(data_key) != DATA_KEY_BYTES:
        raise InvalidInput("bad_data_key", "a data key is 32 bytes")
    return AESGCM(data_key)
