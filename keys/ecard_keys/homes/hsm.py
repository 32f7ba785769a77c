"""Keys on a PKCS#11 token (HSM): ES256 key pairs that are made there, sign there and never leave.

The module's one thread makes the signatures (`hsm_thread`); hashing before and checking after happen in the caller's.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from ecard_card.errors import InvalidInput, NotFound, Unavailable
from ecard_keys.homes.breaker import CONNECTION_FAILURES, Breaker
from ecard_keys.homes.hsm_module import Module, TokenTrouble, Trouble
from ecard_keys.homes.hsm_session import Pkcs11Settings, TokenDesk, identity_of
from ecard_keys.homes.hsm_thread import ModuleThread, thread_of
from ecard_keys.key import P256_ORDER, KeyPurpose
from ecard_keys.signer import HeldKey, require_messages
from ecard_keys.verify import PublicKey, load_public_key, verify

T = TypeVar("T")

#: Messages that one caller has signed before the next has its turn: a large batch holds nobody up.
PIECE = 64

_TRIPS = CONNECTION_FAILURES | {"key_token_missing", "key_module_unusable", "key_pin_locked"}


class Pkcs11KeyHome:
    """A `KeyHome` on the token that `settings` names. Nothing is opened before the first call.

    Every method may raise `Unavailable`: `key_module_unusable` (no such file, or no PKCS#11 module),
    `key_token_missing`, `key_pin_refused` (this PIN is not tried again by this process), `key_pin_locked`,
    `key_home_timeout` (the outcome of `create` and `destroy` is then unknown), `key_home_unavailable`.
    A lost session is opened again within the call. `monotonic` is the clock of the pause after a failure.
    """

    def __init__(
        self,
        settings: Pkcs11Settings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        module: Callable[[Path], Module] = Module,
    ) -> None:
        self._settings = settings
        self._make_module = module
        self._monotonic = monotonic
        self._breaker = Breaker(monotonic=monotonic, trips=_TRIPS)
        self._process = os.getpid()
        self._thread: ModuleThread | None = None
        self._desk: TokenDesk
        self._seen: dict[str, tuple[HeldKey, PublicKey]] = {}

    def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
        """See `Signer.sign`. CKM_ECDSA over digests made here: every token with P-256 has it, and only 32 bytes of a
        message travel. Each signature is checked with the public key before it is handed out: a fault in a device
        can give its private key away (Boneh, DeMillo and Lipton 1997), or a signature that nobody accepts.
        """
        key, public = self._seen.get(key_id) or self._look_up(key_id)
        require_messages(messages)
        digests = [hashlib.sha256(message).digest() for message in messages]
        identity = identity_of(key.public)
        signatures: list[bytes] = []
        for start in range(0, len(digests), PIECE):
            made = self._sign(key_id, identity, digests[start : start + PIECE])
            signatures += [_low_s(signature) for signature in made]
        if not all(
            verify(public, message, signature, low_s=True)
            for message, signature in zip(messages, signatures, strict=True)
        ):
            raise Unavailable("key_home_unavailable", "the token's signature does not fit the token's public key")
        return signatures

    def create(self, purpose: KeyPurpose, now: datetime) -> str:
        """Make a P-256 pair on the token; its id is returned once both halves are there under their final names.

        Raises `InvalidInput` `time_without_zone`.
        """
        if now.tzinfo is None:
            raise InvalidInput("time_without_zone", "want an aware time")
        key = self._call(lambda desk, step: desk.create(purpose, int(now.timestamp())))
        self._seen[key.key_id] = (key, load_public_key(key.public))
        return key.key_id

    def public_key(self, key_id: str) -> bytes:
        """The 65-byte uncompressed point; from memory once seen, so also while the token is away. Raises `NotFound`
        `key_unknown`."""
        key, _ = self._seen.get(key_id) or self._look_up(key_id)
        return key.public

    def held(self) -> tuple[HeldKey, ...]:
        """All keys of this home on the token now, oldest first."""
        keys = tuple(self._call(lambda desk, step: desk.held()))
        present = {key.key_id for key in keys}
        for gone in self._seen.keys() - present:
            self._seen.pop(gone, None)
        return keys

    def destroy(self, key_id: str) -> None:
        """Destroy both halves on the token (not in the vendor's backups). Raises `NotFound` `key_unknown`."""
        key, _ = self._seen.get(key_id) or self._look_up(key_id)
        identity = identity_of(key.public)
        self._call(lambda desk, step: desk.destroy(identity), key_id=key_id)
        self._seen.pop(key_id, None)

    def close(self) -> None:
        """Log out and close the session. The next call opens one again."""
        if self._thread is not None:
            self._call(lambda desk, step: desk.drop())

    def _sign(self, key_id: str, identity: bytes, digests: Sequence[bytes]) -> list[bytes]:
        return self._call(lambda desk, step: desk.sign(identity, digests, step), len(digests), key_id=key_id)

    def _look_up(self, key_id: str) -> tuple[HeldKey, PublicKey]:
        key = self._call(lambda desk, step: desk.find(key_id))
        seen = self._seen[key_id] = (key, load_public_key(key.public))
        return seen

    def _call(
        self, work: Callable[[TokenDesk, Callable[[], None]], T], messages: int = 1, *, key_id: str | None = None
    ) -> T:
        """Do `work` at this home's desk. `key_id` is forgotten here when the token turns out not to hold it."""
        if self._process != os.getpid():  # forked: another thread may have held the breaker's lock just then
            self._breaker, self._process = Breaker(monotonic=self._monotonic, trips=_TRIPS), os.getpid()
        with self._breaker.attempt():
            thread = thread_of(self._settings.module, self._make_module)
            try:
                return thread.call(lambda step: work(self._desk_at(thread), step), messages)
            except TokenTrouble as trouble:
                failure = _failure(trouble)
            if isinstance(failure, NotFound) and key_id is not None:
                self._seen.pop(key_id, None)  # destroyed by somebody else
            raise failure

    def _desk_at(self, thread: ModuleThread) -> TokenDesk:
        """This home's desk, new in a process that was forked. Runs in `thread`, so that there is one."""
        if thread is not self._thread:
            self._desk = TokenDesk(self._settings, thread.module)
            self._thread = thread
        return self._desk


def _failure(trouble: TokenTrouble) -> NotFound | Unavailable:
    detail = str(trouble)
    match trouble.trouble:
        case Trouble.NO_KEY:
            return NotFound("key_unknown", "this home holds no such key")
        case Trouble.MODULE:
            return Unavailable("key_module_unusable", detail)
        case Trouble.MISSING:
            return Unavailable("key_token_missing", detail)
        case Trouble.PIN_REFUSED:
            return Unavailable("key_pin_refused", detail)
        case Trouble.PIN_LOCKED:
            return Unavailable("key_pin_locked", detail)
        case Trouble.FAILED:
            return Unavailable("key_home_unavailable", detail)


def _low_s(signature: bytes) -> bytes:
    """The same signature with the lower of its two s. A wrong length or value is left for the check to refuse."""
    s = int.from_bytes(signature[32:], "big")
    if len(signature) != 64 or not P256_ORDER // 2 < s < P256_ORDER:
        return signature
    return signature[:32] + (P256_ORDER - s).to_bytes(32, "big")
