"""The pepper of short secrets: what makes a stolen table of PIN hashes worthless by itself.

Six digits are a million guesses, however slow the hash. So what is hashed is not the PIN but a keyed hash of it, and
the key never lies in the database (OWASP Password Storage, "Peppering"; NIST SP 800-63B §3.1.1.2).
"""

from __future__ import annotations

import hmac
from typing import Final, Protocol

from ecard_keys.homes.encrypted_file import EncryptedFile, Name
from ecard_keys.homes.file_secrets import FileSecrets, expand

_PEPPER: Final[Name] = ("secret", "pepper-1")


class Pepper(Protocol):
    """Holds one secret for low-entropy texts. An adapter may be far away (an HSM's HMAC, Vault transit)."""

    def apply(self, label: str, data: bytes) -> bytes:
        """A 32-byte keyed hash of `data`; different labels give unrelated hashes. Raises `Unavailable`."""
        ...


class FilePepper:
    """A `Pepper` in the encrypted key file, under a secret of its own: the one for look-ups says nothing about it."""

    def __init__(self, file: EncryptedFile) -> None:
        self._secrets = FileSecrets(file)

    def apply(self, label: str, data: bytes) -> bytes:
        """HMAC-SHA256 under a subkey of the label. Raises the `Unavailable` codes of `EncryptedFile`."""
        return hmac.digest(expand(self._secrets.get(_PEPPER), b"ecard-pepper/" + label.encode()), data, "sha256")
