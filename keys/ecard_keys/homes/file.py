"""The embedded default home of keys: one encrypted file. The keys are in this process's memory while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput, NotFound, Unavailable
from ecard_keys.homes.encrypted_file import EncryptedFile, Entry, Name
from ecard_keys.key import DEFAULT_USER_ID, KeyPurpose
from ecard_keys.private_key import PrivateKey, generate_private_key, load_private_key
from ecard_keys.signer import HeldKey, require_messages

_KIND = "key"


class FileKeyHome:
    """A `KeyHome` in the file at `path`, made if there is none. Deriving its key from the passphrase takes ~0.1 s.

    Keys that another process adds or destroys are seen at the next call. Every method may raise the `Unavailable`
    codes of `EncryptedFile`. `create=False` refuses a missing file (`key_file_missing`) instead of starting anew.
    New keys are of `algorithm`; a file may hold keys of several, and each signs by its own. SM2 keys may raise
    `Unavailable` `algorithm_unavailable`.
    """

    def __init__(
        self,
        path: Path | str,
        passphrase: bytes,
        *,
        create: bool = True,
        algorithm: Algorithm = Algorithm.ES256,
    ) -> None:
        self.file = EncryptedFile(path, passphrase, create=create)
        self.algorithm = algorithm
        self._loaded: dict[str, tuple[Entry, PrivateKey]] = {}

    def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
        """See `Signer.sign`."""
        private = self._private(key_id)
        require_messages(messages)
        return [private.sign(message) for message in messages]

    def create(self, purpose: KeyPurpose, now: datetime) -> str:
        """Make a key for one purpose; its id is returned once the file with it is on the disk.

        Raises `InvalidInput` `time_without_zone`.
        """
        if now.tzinfo is None:
            raise InvalidInput("time_without_zone", "want an aware time")
        with self.file.editing() as entries:
            while True:
                private = generate_private_key(self.algorithm)
                key_id = jose.key_id(private.public, self.algorithm)
                if (_KIND, key_id) not in entries:  # 32 bits: rare, but within one home an id means one key
                    break
            about: dict[str, str | int] = {
                "purpose": purpose.value,
                "alg": self.algorithm.value,
                "public": jose.b64url_encode(private.public),
                "created_at": int(now.timestamp()),
            }
            if self.algorithm is Algorithm.SM2:
                about["user_id"] = jose.b64url_encode(DEFAULT_USER_ID)
            entries[_KIND, key_id] = self.file.seal((_KIND, key_id), about, private.secret)
        return key_id

    def public_key(self, key_id: str) -> bytes:
        """The public half as `KeyRecord.public` wants it. Raises `NotFound` `key_unknown`."""
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

    def _private(self, key_id: str) -> PrivateKey:
        """The private key, opened once and kept while its entry stays the same."""
        entry = self._entry(key_id)
        loaded = self._loaded.get(key_id)
        if loaded is not None and loaded[0] == entry:
            return loaded[1]
        name: Name = (_KIND, key_id)
        held = _describe(key_id, entry)
        try:
            private = load_private_key(
                Algorithm(held.algorithm), self.file.reveal(name, entry), held.public, held.user_id
            )
        except (InvalidInput, ValueError):
            raise Unavailable("key_file_damaged", "a key is none of the algorithm it is said to be of") from None
        self._loaded[key_id] = (entry, private)
        return private


def _describe(key_id: str, entry: Entry) -> HeldKey:
    match entry.about:
        case {"purpose": str(purpose), "alg": str(alg), "public": str(public), "created_at": int(created_at)}:
            try:
                user_id = entry.about.get("user_id")
                told = None if user_id is None else jose.b64url_decode(str(user_id))
                return HeldKey(key_id, KeyPurpose(purpose), alg, jose.b64url_decode(public), created_at, told)
            except (InvalidInput, ValueError):
                pass
    raise Unavailable("key_file_damaged", "a key's description is not one of this version")
