"""What a key home does on a token: finds, signs, makes and destroys keys, and opens the session again when it is lost.

Runs in the module's thread only. After a restart of an HSM or its daemon every session is invalid and so is every
object handle found in it: both are renewed together, once, within the same call.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_keys.homes.hsm_module import Module, PublicObject, TokenSession, TokenTrouble, Trouble
from ecard_keys.key import ES256, KeyPurpose
from ecard_keys.signer import HeldKey
from ecard_keys.verify import load_public_key

T = TypeVar("T")

_CREATE_ATTEMPTS = 8
_PIN_TROUBLES = frozenset({Trouble.PIN_REFUSED, Trouble.PIN_LOCKED})


@dataclass(frozen=True, slots=True)
class Pkcs11Settings:
    """Where a token is and how to log in. The PIN is never printed.

    `module` is the vendor's PKCS#11 library. The token is found by its label, and by its serial number too where two
    share a label. `prefix` begins the label of each key of this home: other objects on the token are not touched.
    """

    module: Path
    token_label: str
    pin: str = field(repr=False)
    prefix: str = "ecard"
    serial: str | None = None


#: PINs that a token has refused, as digests: not tried again in this process, nor in one forked from it.
_refused: set[bytes] = set()


class TokenDesk:
    """One home's session on its token, opened at the first call. Every method may raise `TokenTrouble`."""

    def __init__(self, settings: Pkcs11Settings, module: Module) -> None:
        self._settings = settings
        self._module = module
        self._session: TokenSession | None = None
        self._private: dict[bytes, object] = {}  # handles, good in this session only
        self._pin_mark = hashlib.sha256(
            repr((str(settings.module), settings.token_label, settings.serial, settings.pin)).encode()
        ).digest()

    def sign(self, identity: bytes, digests: Sequence[bytes], step: Callable[[], None]) -> list[bytes]:
        """Raw r||s over each digest, as the token makes them."""

        def work(session: TokenSession) -> list[bytes]:
            key = self._private.get(identity)
            if key is None:
                key = session.private_key(identity)
                if key is None:
                    raise TokenTrouble(Trouble.NO_KEY, "the token holds no such private key")
                self._private[identity] = key
            made = []
            for digest in digests:
                made.append(session.sign(key, digest))
                step()
            return made

        return self._run(work)

    def held(self) -> list[HeldKey]:
        """Our keys of which the token has both halves, oldest first."""

        def work(session: TokenSession) -> list[HeldKey]:
            found = self._list(session)
            if not found:
                raise TokenTrouble(Trouble.NO_KEY, "the token holds no key of ours")
            return found

        try:
            return self._run(work)
        except TokenTrouble as trouble:
            if trouble.trouble is Trouble.NO_KEY:
                return []
            raise

    def find(self, key_id: str) -> HeldKey:
        """The key with this id: of two that share it, the older."""

        def work(session: TokenSession) -> HeldKey:
            for key in self._list(session):
                if key.key_id == key_id:
                    return key
            raise TokenTrouble(Trouble.NO_KEY, "the token holds no such key")

        return self._run(work)

    def create(self, purpose: KeyPurpose, created_at: int) -> HeldKey:
        """A new key, on the token with its final name. One that stops half-way has no listed name and is no key."""
        label = f"{self._settings.prefix}-{purpose.value}-{created_at}"

        def work(session: TokenSession) -> HeldKey:
            for _ in range(_CREATE_ATTEMPTS):
                draft = os.urandom(32)
                point = session.generate(draft, label)
                key = HeldKey(jose.key_id(point), purpose, ES256, point, created_at)
                if any(other.key_id == key.key_id for other in self._list(session)):
                    session.destroy(draft)  # 32 bits: rare, but within one home an id means one key
                    continue
                session.rename(draft, identity_of(point))
                return key
            raise TokenTrouble(Trouble.FAILED, "the token makes keys whose ids are taken")

        return self._run(work)

    def destroy(self, identity: bytes) -> None:
        """Destroy both halves."""

        def work(session: TokenSession) -> None:
            self._private.pop(identity, None)
            if not session.destroy(identity):
                raise TokenTrouble(Trouble.NO_KEY, "the token holds no such key")

        self._run(work)

    def drop(self) -> None:
        """End the session: the next call opens one and finds its keys again."""
        self._private.clear()
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _run(self, work: Callable[[TokenSession], T]) -> T:
        """`work` in the open session; in a new one when there is none or the open one disappoints.

        "No such key" is believed from a new session only: SoftHSM shows an empty token where the token went away.
        """
        if self._session is not None:
            try:
                return work(self._session)
            except TokenTrouble:
                self.drop()
        self._session = self._open()
        try:
            return work(self._session)
        except TokenTrouble as trouble:
            if trouble.trouble is not Trouble.NO_KEY:
                self.drop()
            raise

    def _open(self) -> TokenSession:
        if self._pin_mark in _refused:
            raise TokenTrouble(Trouble.PIN_REFUSED, "this PIN was refused before and is not tried again")
        try:
            try:
                return self._login()
            except TokenTrouble as trouble:
                if trouble.trouble in _PIN_TROUBLES or not self._module.restart():
                    raise
            return self._login()
        except TokenTrouble as trouble:
            if trouble.trouble is Trouble.PIN_REFUSED:
                _refused.add(self._pin_mark)
            raise

    def _login(self) -> TokenSession:
        return self._module.open(self._settings.token_label, self._settings.serial, self._settings.pin)

    def _list(self, session: TokenSession) -> list[HeldKey]:
        private = session.private_identities()
        found = [self._described(item) for item in session.public_objects() if item.identity in private]
        held = [key for key in found if key is not None]
        return sorted(held, key=lambda key: (key.created_at, key.public))

    def _described(self, found: PublicObject) -> HeldKey | None:
        """The object as a key of this home; None for what is not ours, half made, or not what it says it is."""
        purpose, _, created_at = found.label.removeprefix(f"{self._settings.prefix}-").rpartition("-")
        if not found.label.startswith(f"{self._settings.prefix}-") or not (
            created_at.isascii() and created_at.isdigit()
        ):
            return None
        try:
            load_public_key(found.point)
            if len(found.point) != 65 or identity_of(found.point) != found.identity:
                return None
            return HeldKey(jose.key_id(found.point), KeyPurpose(purpose), ES256, found.point, int(created_at))
        except (InvalidInput, ValueError):
            return None


def identity_of(point: bytes) -> bytes:
    """The CKA_ID of a key: its RFC 7638 thumbprint, 32 bytes, of which the key id is the beginning."""
    return jose.thumbprint(jose.public_jwk(point[1:33], point[33:]))
