"""A strict stand-in for the border `ecard_keys.homes.hsm_module`, for what SoftHSM cannot do: lock a PIN, hang, lie.

It keeps the border's promises as a real token does and fails the test that breaks them: calls from two threads, a
handle of an older session, a login after the PIN is locked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from ecard_keys.homes.hsm_module import Module, PublicObject, TokenSession, TokenTrouble, Trouble

ATTEMPTS = 3


class StandInToken:
    """The device. `lie` changes each signature on its way out; while `hanging`, no call returns."""

    def __init__(self, pin: str) -> None:
        self.pin = pin
        self.logins = 0  # attempts made, ever
        self.wrong = 0  # attempts in a row that were wrong
        self.signed = 0
        self.lie: Callable[[bytes], bytes] = lambda signature: signature
        self.objects: dict[bytes, tuple[str, ec.EllipticCurvePrivateKey]] = {}
        self.sessions: list[StandInSession] = []
        self._answers = threading.Event()
        self._answers.set()
        self._thread: int | None = None

    def hang(self) -> None:
        self._answers.clear()

    def wake(self) -> None:
        self._answers.set()

    def called(self) -> None:
        """Every call passes here."""
        self._thread = self._thread or threading.get_ident()
        assert self._thread == threading.get_ident(), "a token is called from one thread only"
        assert self._answers.wait(30), "the test forgot to wake the token"

    def module(self, path: Path) -> Module:
        return StandInModule(path, self)


class StandInModule(Module):
    def __init__(self, path: Path, token: StandInToken) -> None:
        super().__init__(path)
        self.token = token

    def open(self, label: str, serial: str | None, pin: str) -> TokenSession:
        self.token.called()
        if self.token.wrong >= ATTEMPTS:
            raise TokenTrouble(Trouble.PIN_LOCKED, "locked")
        self.token.logins += 1
        if pin != self.token.pin:
            self.token.wrong += 1
            raise TokenTrouble(Trouble.PIN_REFUSED, "wrong")
        self.token.wrong = 0
        session = StandInSession(self.token)
        self.token.sessions.append(session)
        return session

    def restart(self) -> bool:
        self.token.called()
        return True


class StandInSession(TokenSession):
    def __init__(self, token: StandInToken) -> None:
        self.token = token
        self.open = True

    def _called(self) -> None:
        self.token.called()
        if not self.open:
            raise TokenTrouble(Trouble.FAILED, "no such session")

    def public_objects(self) -> list[PublicObject]:
        self._called()
        return [PublicObject(name, label, _point(key)) for name, (label, key) in self.token.objects.items()]

    def private_identities(self) -> set[bytes]:
        self._called()
        return set(self.token.objects)

    def private_key(self, identity: bytes) -> object | None:
        self._called()
        return (self, identity) if identity in self.token.objects else None

    def sign(self, key: object, digest: bytes) -> bytes:
        self._called()
        assert len(digest) == 32
        assert isinstance(key, tuple)
        session: object
        session, identity = key
        assert session is self, "a handle of another session"
        _, private = self.token.objects[identity]
        r, s = utils.decode_dss_signature(private.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
        self.token.signed += 1
        return self.token.lie(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def generate(self, identity: bytes, label: str) -> bytes:
        self._called()
        key = ec.generate_private_key(ec.SECP256R1())
        self.token.objects[identity] = (label, key)
        return _point(key)

    def rename(self, old: bytes, new: bytes) -> None:
        self._called()
        self.token.objects[new] = self.token.objects.pop(old)

    def destroy(self, identity: bytes) -> bool:
        self._called()
        return self.token.objects.pop(identity, None) is not None

    def close(self) -> None:
        self.token.called()
        self.open = False


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PublicFormat.UncompressedPoint
    return key.public_key().public_bytes(serialization.Encoding.X962, form)
