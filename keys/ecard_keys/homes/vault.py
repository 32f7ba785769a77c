"""Keys in the transit engine of OpenBao or Vault: the private halves are made there and never leave.

Each of our keys is a transit key of its own, and only its version 1 signs: a rotation at the server would otherwise
make a key sign at once that no verifier has heard of. Messages are hashed here, so that no personal data goes there;
each signature is verified here before it is handed on. `docs/decisions/0018-vault-keys.md`.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hvac.api.secrets_engines import Transit

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotFound, Unavailable
from ecard_keys.homes.vault_archive import ArchivedKey, VaultArchive
from ecard_keys.homes.vault_session import VaultSession, VaultSettings
from ecard_keys.homes.vault_wire import Wire, refusal_of
from ecard_keys.key import ES256, P256_ORDER, KeyPurpose
from ecard_keys.signer import HeldKey, require_messages
from ecard_keys.verify import load_public_key, verify

__all__ = ["VERSION", "VaultKeyHome", "VaultSettings"]

#: The one version of each transit key that we use.
VERSION = 1
_SIGNATURE = re.compile(r"vault:v1:([A-Za-z0-9_-]{86})")
#: Strings of a batch request beside its items, counting names and values as the server does; an item has two.
_STRINGS_BESIDE = 8
_TIME = "%Y%m%dT%H%M%SZ"


class VaultKeyHome:
    """A `KeyHome` at the server of `settings`; `archive` keeps the public halves. Nothing is asked of the server yet.

    `create=False` refuses a missing archive (`key_file_missing`). Every method may raise the codes of `VaultArchive`;
    those that ask the server (`sign`, `create`, `destroy`, `rebuild`) the codes of `VaultSession.run`. A sick server
    is answered for within 1.8 s, counted from its last answer; at once for a second after a failed connection.
    """

    def __init__(
        self,
        settings: VaultSettings,
        archive: Path | str,
        *,
        create: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._mount = settings.mount
        self._prefix = settings.prefix
        self._batch = (settings.max_strings - _STRINGS_BESIDE) // 2
        self._session = VaultSession(settings, monotonic=monotonic)
        self._archive = VaultArchive(archive, create=create)
        self._random = random
        purposes = "|".join(KeyPurpose)
        self._name = re.compile(rf"{re.escape(self._prefix)}-({purposes})-([0-9]{{8}}T[0-9]{{6}}Z)-[0-9a-f]{{16}}")

    def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
        """See `Signer.sign`. Long batches go in parts of what the server takes, all or none.

        Raises `Unavailable` `key_home_foreign_key` if the server signs with another key than the archived one.
        """
        key = self._archive.find(key_id)
        require_messages(messages)
        signatures: list[bytes] = []
        for start in range(0, len(messages), self._batch):
            signatures += self._sign_part(key, messages[start : start + self._batch])
        return signatures

    def create(self, purpose: KeyPurpose, now: datetime) -> str:
        """Make a P-256 key for one purpose; its id is returned once the archive with it is on the disk.

        Raises `InvalidInput` `time_without_zone`.
        """
        if now.tzinfo is None:
            raise InvalidInput("time_without_zone", "want an aware time")
        while True:
            name = f"{self._prefix}-{purpose.value}-{now.astimezone(UTC):{_TIME}}-{self._random(8).hex()}"
            self._make(name)
            key = self._described(name)
            if self._archive.add(key):
                return key.held.key_id
            self._erase(name)  # 32 bits: rare, but within one home an id means one key

    def public_key(self, key_id: str) -> bytes:
        """The 65-byte uncompressed point, from the archive. Raises `NotFound` `key_unknown`."""
        return self._archive.find(key_id).held.public

    def held(self) -> tuple[HeldKey, ...]:
        """All keys held, oldest first, from the archive."""
        return tuple(
            sorted((key.held for key in self._archive.keys().values()), key=lambda k: (k.created_at, k.key_id))
        )

    def destroy(self, key_id: str) -> None:
        """Delete a key at the server for ever (not in its backups). Raises `NotFound` `key_unknown`."""
        self._erase(self._archive.find(key_id).name)
        if not self._archive.remove(key_id):
            raise NotFound("key_unknown", "another process destroyed the key at the same time")

    def rebuild(self) -> tuple[HeldKey, ...]:
        """Take into the archive what the server holds under our prefix and the archive lacks: after its loss, or a
        crash between making a key and archiving it. Gives what was added.

        Keys that we would not have made so (exportable, imported, another type, no version 1) are left aside. Raises
        `Unavailable` `key_home_foreign_key` if an archived key has another public half at the server.
        """
        added = []
        for name in self._listed():
            try:
                key = self._described(name)
            except (NotFound, Unavailable) as error:
                if error.code in ("key_unknown", "key_version_archived", "key_home_answer_refused"):
                    continue
                raise
            _require_same(key, self._archive.keys().values())
            if self._archive.add(key):
                added.append(key.held)
        return tuple(added)

    def _sign_part(self, key: ArchivedKey, messages: Sequence[bytes]) -> list[bytes]:
        items = [{"input": base64.b64encode(sha256(message).digest()).decode()} for message in messages]
        answer = self._session.run(
            lambda wire: Transit(wire).sign_data(
                key.name,
                batch_input=items,
                key_version=VERSION,
                hash_algorithm="sha2-256",
                prehashed=True,
                marshaling_algorithm="jws",
                mount_point=self._mount,
            )
        )
        match answer:
            case {"data": {"batch_results": list(results)}} if len(results) == len(messages):
                signatures = [_low_s(_signature(result)) for result in results]
            case _:
                raise Unavailable("key_home_answer_refused", "not one result for each message")
        public = load_public_key(key.held.public)
        if not all(verify(public, message, made) for message, made in zip(messages, signatures, strict=True)):
            _require_same(self._described(key.name), [key])
            raise Unavailable("key_home_answer_refused", "a signature does not hold")
        return signatures

    def _described(self, name: str) -> ArchivedKey:
        """A key as the server describes it: type, public half of version 1; purpose and time are in its name."""
        read = self._session.run(lambda wire: Transit(wire).read_key(name, mount_point=self._mount))
        named = self._name.fullmatch(name)
        match read:
            case {
                "data": {
                    "type": "ecdsa-p256",
                    "exportable": False,
                    "allow_plaintext_backup": False,
                    "imported_key": False,
                    "keys": dict(versions),
                }
            } if named:
                pass
            case _:
                raise Unavailable("key_home_answer_refused", "a key that we would not have made so")
        match versions.get(str(VERSION)):
            case {"public_key": str(pem)}:
                public = _point(pem)
            case _:
                raise Unavailable("key_version_archived", "the server no longer has version 1 of this key")
        created = _time(named[2])
        held = HeldKey(jose.key_id(public), KeyPurpose(named[1]), ES256, public, int(created.timestamp()))
        return ArchivedKey(name, held)

    def _make(self, name: str) -> None:
        mount = self._mount
        self._session.run(lambda wire: Transit(wire).create_key(name, key_type="ecdsa-p256", mount_point=mount))

    def _listed(self) -> list[str]:
        """The names under our prefix at the server, oldest first within a purpose."""
        try:
            answer = self._session.run(lambda wire: Transit(wire).list_keys(mount_point=self._mount))
        except NotFound:
            return []  # so the server says that there are no keys at all
        match answer:
            case {"data": {"keys": list(names)}}:
                return sorted(name for name in names if isinstance(name, str) and self._name.fullmatch(name))
        raise Unavailable("key_home_answer_refused", "not a list of names")

    def _erase(self, name: str) -> None:
        def work(wire: Wire) -> None:
            transit = Transit(wire)
            transit.update_key_configuration(name, deletion_allowed=True, mount_point=self._mount)
            transit.delete_key(name, mount_point=self._mount)

        try:
            self._session.run(work)
        except NotFound:
            pass  # gone already: a crash came between deleting it and writing that down


def _signature(result: object) -> bytes:
    """The 64 bytes of one result: marshaling `jws` gives base64url without padding after the version."""
    match result:
        case {"error": str(said)} if said:
            raise refusal_of(said)
        case {"signature": str(text), "key_version": int(version)} if version == VERSION:
            if found := _SIGNATURE.fullmatch(text):
                try:
                    return jose.b64url_decode(found[1])
                except InvalidInput:
                    pass
    raise Unavailable("key_home_answer_refused", "a result is no signature of 64 bytes by version 1")


def _low_s(raw: bytes) -> bytes:
    """The signature with the lower of its two values of s; OpenBao gives either."""
    s = int.from_bytes(raw[32:], "big")
    return raw if s <= P256_ORDER // 2 else raw[:32] + ((P256_ORDER - s) % P256_ORDER).to_bytes(32, "big")


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise Unavailable("key_home_answer_refused", "a name with a time that there is not") from None


def _point(pem: str) -> bytes:
    try:
        public = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        public = None
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise Unavailable("key_home_answer_refused", "the public half is no P-256 key")
    return public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _require_same(key: ArchivedKey, archived: Iterable[ArchivedKey]) -> None:
    """Raise unless every archived key of that name has the public half that the server reports now."""
    if any(known.name == key.name and known.held.public != key.held.public for known in archived):
        raise Unavailable("key_home_foreign_key", "the server has another key under the name of an archived one")
