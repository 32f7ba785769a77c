"""The embedded default home of keys: one encrypted file. The keys are in this process's memory while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotFound, Unavailable
from ecard_keys.encrypted_file import EncryptedFile, Entry, Name
from ecard_keys.key import ES256, KeyPurpose
from ecard_keys.signer import HeldKey, raw_low_s, require_messages

_ECDSA = ec.ECDSA(hashes.SHA256())
_KIND = "key"


class FileKeyHome:
    """A `KeyHome` in the file at `path`, made if there is none. Deriving its key from the passphrase takes ~0.1 s.

    Keys that another process adds or destroys are seen at the next call. Every method may raise the `Unavailable`
    codes of `EncryptedFile`. `create=False` refuses a missing file (`key_file_missing`) instead of starting anew.
    """

    def __init__(self, path: Path | str, passphrase: bytes, *, create: bool = True) -> None:
        self.file = EncryptedFile(path, passphrase, create=create)
        self._loaded: dict[str, tuple[Entry, ec.EllipticCurvePrivateKey]] = {}

    def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
        """See `Signer.sign`."""
        private = self._private(key_id)
        require_messages(messages)
        return [raw_low_s(private.sign(message, _ECDSA)) for message in messages]

    def create(self, purpose: KeyPurpose, now: datetime) -> str:
        """Make a P-256 key for one purpose; its id is returned once the file with it is on the disk.

        Raises `InvalidInput` `time_without_zone`.
        """
        if now.tzinfo is None:
            raise InvalidInput("time_without_zone", "want an aware time")
        with self.file.editing() as entries:
            while True:
                private = ec.generate_private_key(ec.SECP256R1())
                public = private.public_key().public_bytes(
                    serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
                )
                key_id = jose.key_id(public)
                if (_KIND, key_id) not in entries:  # 32 bits: rare, but within one home an id means one key
                    break
            about: dict[str, str | int] = {
                "purpose": purpose.value,
                "alg": ES256,
                "public": jose.b64url_encode(public),
                "created_at": int(now.timestamp()),
            }
            secret = private.private_numbers().private_value.to_bytes(32, "big")
            entries[_KIND, key_id] = self.file.seal((_KIND, key_id), about, secret)
        return key_id

    def public_key(self, key_id: str) -> bytes:
        """The 65-byte uncompressed point. Raises `NotFound` `key_unknown`."""
        return _describe(key_id, self._entry(key_id)).public

    def held(self) -> tuple[HeldKey, ...]:
        """All keys held, oldest first."""
        found = [_describe(name, entry) for (kind, name), entry in self.file.entries().items() if kind == _KIND]
        return tuple(sorted(found, key=lambda key: (key.created_at, key.key_id)))

    def destroy(self, key_id: str) -> None:
        """Forget a key for ever, here and in the file (not in backups). Raises `NotFound` `key_unknown`."""
        with self.file.editing() as entries:
            if entries.pop((_KIND, key_id), None) is None:
                raise NotFound("key_unknown", "this home holds no such key")
        self._loaded.pop(key_id, None)

    def _entry(self, key_id: str) -> Entry:
        entry = self.file.entries().get((_KIND, key_id))
        if entry is None:
            raise NotFound("key_unknown", "this home holds no such key")
        return entry

    def _private(self, key_id: str) -> ec.EllipticCurvePrivateKey:
        """The private key, opened once and kept while its entry stays the same."""
        entry = self._entry(key_id)
        loaded = self._loaded.get(key_id)
        if loaded is not None and loaded[0] == entry:
            return loaded[1]
        name: Name = (_KIND, key_id)
        private = ec.derive_private_key(int.from_bytes(self.file.reveal(name, entry), "big"), ec.SECP256R1())
        self._loaded[key_id] = (entry, private)
        return private


def _describe(key_id: str, entry: Entry) -> HeldKey:
    match entry.about:
        case {"purpose": str(purpose), "alg": str(alg), "public": str(public), "created_at": int(created_at)}:
            try:
                return HeldKey(key_id, KeyPurpose(purpose), alg, jose.b64url_decode(public), created_at)
            except (InvalidInput, ValueError):
                pass
    raise Unavailable("key_file_damaged", "a key's description is not one of this version")
