"""Secrets that are no signing keys, in the encrypted key file: each made when it is first needed, and never shown."""

from __future__ import annotations

import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ecard_keys.homes.encrypted_file import EncryptedFile, Name


class FileSecrets:
    """32 random bytes for each name. May raise the `Unavailable` codes of `EncryptedFile`."""

    def __init__(self, file: EncryptedFile) -> None:
        self._file = file
        self._held: dict[Name, bytes] = {}

    def get(self, name: Name) -> bytes:
        """The secret of this name; made now where there is none."""
        held = self._held.get(name)
        if held is None:
            entry = self._file.entries().get(name)
            if entry is None:
                with self._file.editing() as entries:
                    # Another process may have made it since; then its secret is the one.
                    entry = entries.get(name) or self._file.seal(name, {}, secrets.token_bytes(32))
                    entries[name] = entry
            held = self._held[name] = self._file.reveal(name, entry)
        return held


def expand(secret: bytes, info: bytes) -> bytes:
    """A subkey of 32 bytes (HKDF with SHA-256, RFC 5869)."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(secret)
