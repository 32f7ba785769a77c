"""The border to a PKCS#11 module: a module, and a session on one of its tokens. Errors leave as `TokenTrouble`.

Not thread-safe on purpose: everything here runs in the one thread of `hsm_thread`. Initialising, finalising and logging
in go through `hsm_calls`, all else through python-pkcs11.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path
from typing import Any, NamedTuple

import pkcs11
from pkcs11 import _pkcs11
from pkcs11.constants import Attribute, MechanismFlag, ObjectClass, TokenFlag
from pkcs11.mechanisms import KeyType, Mechanism

from ecard_keys.homes import hsm_calls

_P256 = bytes.fromhex("06082a8648ce3d030107")  # DER of OID 1.2.840.10045.3.1.7 (RFC 5480 §2.1.1.1)


class Trouble(Enum):
    """What went wrong, as far as a caller acts differently on it."""

    MODULE = auto()  # no file, or no PKCS#11 module
    MISSING = auto()  # no such token in any slot
    PIN_REFUSED = auto()
    PIN_LOCKED = auto()
    NO_KEY = auto()
    FAILED = auto()  # everything else; a new session may help


class TokenTrouble(Exception):
    """The border's one exception. `str()` says in English what failed; never a PIN, never a key."""

    def __init__(self, trouble: Trouble, detail: str) -> None:
        super().__init__(detail)
        self.trouble = trouble


_AWAY = (
    pkcs11.NoSuchToken,
    pkcs11.TokenNotPresent,
    pkcs11.TokenNotRecognised,
    pkcs11.DeviceRemoved,
    pkcs11.SlotIDInvalid,
)
_LOGIN_TROUBLES = {
    **dict.fromkeys((0xA0, 0xA1, 0xA2, 0xA3, 0x102), Trouble.PIN_REFUSED),  # incorrect … expired; not initialised
    0xA4: Trouble.PIN_LOCKED,
    **dict.fromkeys((0x32, 0xE0, 0xE1), Trouble.MISSING),  # removed, not present, not recognised
}


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (pkcs11.PKCS11Error, UnicodeError) as error:
        trouble = Trouble.MISSING if isinstance(error, _AWAY) else Trouble.FAILED
        raise TokenTrouble(trouble, type(error).__name__) from None


class PublicObject(NamedTuple):
    """A public key object on the token, as it is written there: anybody with write access may have made it."""

    identity: bytes
    label: str
    point: bytes


class TokenSession:
    """An open, logged-in read-write session. Every method may raise `TokenTrouble`."""

    def __init__(self, session: Any, calls: hsm_calls.Calls) -> None:
        self._session = session
        self._calls = calls

    def login(self, pin: str) -> None:
        """Log in, and with this session all those of the process on the token."""
        code = self._calls.login(self._session.handle, pin)
        if code not in (hsm_calls.OK, hsm_calls.USER_ALREADY_LOGGED_IN):
            raise TokenTrouble(_LOGIN_TROUBLES.get(code, Trouble.FAILED), f"C_Login answers 0x{code:x}")

    def public_objects(self) -> list[PublicObject]:
        """All P-256 public keys of the token, ours and others'."""
        found = self._find({Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.KEY_TYPE: KeyType.EC})
        listed = []
        for key in found:
            # An object of others, with a label in another encoding or an attribute missing, hides none of ours.
            with _translated(), contextlib.suppress(UnicodeError, pkcs11.AttributeTypeInvalid):
                if key[Attribute.EC_PARAMS] == _P256:
                    listed.append(PublicObject(key[Attribute.ID], key[Attribute.LABEL], _point(key)))
        return listed

    def private_identities(self) -> set[bytes]:
        """The CKA_ID of each private key."""
        found = self._find({Attribute.CLASS: ObjectClass.PRIVATE_KEY})
        with _translated():
            return {key[Attribute.ID] for key in found}

    def private_key(self, identity: bytes) -> object | None:
        """The handle of the private key with this CKA_ID: good in this session only."""
        found = self._find({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: identity})
        return found[0] if found else None

    def sign(self, key: Any, digest: bytes) -> bytes:
        """CKM_ECDSA over a digest of 32 bytes: r||s. SoftHSM would sign a digest of any length, so we look."""
        if len(digest) != 32:
            raise ValueError("a SHA-256 digest has 32 bytes")
        with _translated():
            signature: bytes = key.sign(digest, mechanism=Mechanism.ECDSA)
        return signature

    def generate(self, identity: bytes, label: str) -> bytes:
        """Make a P-256 pair that only signs and never leaves the token; the public point."""
        with _translated():
            curve = self._session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: _P256}, local=True)
            public, private = curve.generate_keypair(
                store=True,
                id=identity,
                label=label,
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                public_template={Attribute.PRIVATE: False},
                private_template={
                    Attribute.SENSITIVE: True,
                    Attribute.EXTRACTABLE: False,
                    Attribute.SIGN_RECOVER: False,
                },
            )
            kept = private[Attribute.SENSITIVE] and not private[Attribute.EXTRACTABLE]
            point = _point(public)
        if not kept:
            self.destroy(identity)
            raise TokenTrouble(Trouble.FAILED, "the token made a private key that can be taken out of it")
        return point

    def rename(self, old: bytes, new: bytes) -> None:
        """Give both halves another CKA_ID: the public half first, so that a listed key always signs or is refused."""
        for kind in (ObjectClass.PUBLIC_KEY, ObjectClass.PRIVATE_KEY):
            for found in self._find({Attribute.CLASS: kind, Attribute.ID: old}):
                with _translated():
                    found[Attribute.ID] = new

    def destroy(self, identity: bytes) -> bool:
        """Destroy both halves, the private one first. Whether there was anything."""
        found = [
            key
            for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
            for key in self._find({Attribute.CLASS: kind, Attribute.ID: identity})
        ]
        for key in found:
            with _translated():
                key.destroy()
        return bool(found)

    def close(self) -> None:
        """End the session, if the token still listens. The last one of the process logs out (v3.1 §5.6.2)."""
        with contextlib.suppress(pkcs11.PKCS11Error):
            self._session.close()

    def _find(self, template: dict[Attribute, object]) -> list[Any]:
        # A logged-out session finds no private key and says so without an error. And a search that cannot begin leaves
        # noise behind: python-pkcs11 ends it once more in a finaliser.
        if not self._calls.logged_in(self._session.handle):
            raise TokenTrouble(Trouble.FAILED, "the session is lost or logged out")
        with _translated():
            return list(self._session.get_objects(template))


class Module:
    """One PKCS#11 module in this process. Loads lazily. `restart` ends every session of the process in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._calls: hsm_calls.Calls | None = None
        self._library: Any = None
        self._ours = False  # whether the last C_Initialize was ours: only then is C_Finalize ours too

    def open(self, label: str, serial: str | None, pin: str) -> TokenSession:
        """A new logged-in session on the token. One login attempt at most, and none where it would be the last."""
        calls = self._start()
        with _translated():
            token: Any = self._library.get_token(token_label=label, token_serial=serial.encode() if serial else None)
            if token.flags & TokenFlag.USER_PIN_LOCKED:
                raise TokenTrouble(Trouble.PIN_LOCKED, "the token says that its user PIN is locked")
            if token.flags & TokenFlag.USER_PIN_FINAL_TRY:
                raise TokenTrouble(Trouble.PIN_REFUSED, "one attempt is left before the PIN locks: kept for a person")
            session = TokenSession(token.open(rw=True), calls)
        try:
            session.login(pin)
        except TokenTrouble:
            session.close()
            raise
        return session

    def restart(self) -> bool:
        """C_Finalize, then let the next `open` initialise: some modules look for tokens only then.

        False, and nothing done, where this process did not initialise the module: after a fork the state is the
        parent's.
        """
        if not self._ours or self._calls is None:
            return False
        self._ours = False
        self._calls.finalize()
        return True

    def _start(self) -> hsm_calls.Calls:
        if self._calls is None:
            self._calls, self._library = self._load()
        # Asked anew each time: another part of the process may have finalised the module meanwhile.
        code = self._calls.initialize()
        if code == hsm_calls.OK:
            self._ours = True
        elif code != hsm_calls.ALREADY_INITIALIZED:
            raise TokenTrouble(Trouble.FAILED, f"C_Initialize answers 0x{code:x}")
        return self._calls

    def _load(self) -> tuple[hsm_calls.Calls, Any]:
        if not self._path.is_file():
            raise TokenTrouble(Trouble.MODULE, "the module's file does not exist")
        try:
            # __new__ loads the module and does not initialise it; such an object never finalises either.
            return hsm_calls.Calls(self._path), _pkcs11.lib.__new__(_pkcs11.lib, str(self._path))  # type: ignore[call-arg]
        except (OSError, AttributeError, ValueError, pkcs11.PKCS11Error) as error:
            raise TokenTrouble(Trouble.MODULE, f"the file is no PKCS#11 module: {type(error).__name__}") from None


def _point(key: Any) -> bytes:
    """CKA_EC_POINT: a DER octet string (PKCS#11 v3.1 §6.3.3); some tokens leave the two bytes of DER away."""
    value: bytes = key[Attribute.EC_POINT]
    return value[2:] if len(value) == 67 and value[:2] == b"\x04\x41" else value
