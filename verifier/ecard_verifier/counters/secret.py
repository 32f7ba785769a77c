"""Secrets of this room: admission codes, tokens, PINs, and what lies sealed under an id that only its holder has."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from argon2 import Type, low_level
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ecard_card.errors import CheckFailed, InvalidInput, Unavailable
from ecard_card.jose import b64url_encode
from ecard_keys import protect

#: Told apart when read aloud or copied by hand: no 0/O, 1/I/L.
CODE_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LENGTH: Final = 8
GROUP_TOKEN_PREFIX: Final = "ecgt_"  # noqa: S105 - tells a leaked token from other text; not a secret
COOKIE_PREFIX: Final = "eccs_"
#: OWASP Password Storage Cheat Sheet, argon2id with one lane.
_MEMORY_KIB: Final = 19_456
_ROUNDS: Final = 2
_PIN: Final = re.compile(r"[0-9]{4,8}")
_RISING, _FALLING = "0123456789", "9876543210"

Random = Callable[[int], bytes]


def new_code(below: Callable[[int], int] = secrets.randbelow) -> str:
    """An admission code: 8 characters, 39 bits."""
    return "".join(CODE_ALPHABET[below(len(CODE_ALPHABET))] for _ in range(CODE_LENGTH))


def read_code(text: str) -> str | None:
    """The code somebody typed, whatever its case, spaces and hyphens; None for anything else."""
    if len(text) > 4 * CODE_LENGTH:
        return None
    code = text.upper().replace("-", "").replace(" ", "")
    return code if len(code) == CODE_LENGTH and not set(code) - set(CODE_ALPHABET) else None


def new_token(prefix: str, random: Random = secrets.token_bytes) -> str:
    """`prefix` and 256 random bits."""
    return prefix + b64url_encode(random(32))


def digest(label: str, *parts: str) -> str:
    """Hex SHA-256 of something that nobody can guess; by label, so that one thing's digest is no other's."""
    return hashlib.sha256("\n".join((f"ecard-counters/{label}", *parts)).encode("utf-8", "replace")).hexdigest()


def good_pin(pin: str) -> str:
    """Raises `InvalidInput` `staff_pin_bad` unless it has 4 to 8 digits and is no run of equal or counted ones."""
    if not _PIN.fullmatch(pin) or len(set(pin)) == 1 or pin in _RISING or pin in _FALLING:
        raise InvalidInput("staff_pin_bad", "want 4 to 8 digits, not all equal and not counted up or down")
    return pin


def pin_hash(pin: str, random: Random = secrets.token_bytes) -> str:
    """argon2id (RFC 9106) in PHC form; tens of milliseconds outside of Python's lock."""
    return low_level.hash_secret(pin.encode(), random(16), _ROUNDS, _MEMORY_KIB, 1, 32, Type.ID).decode("ascii")


def pin_holds(pin: str, stored: str | None) -> bool:
    """Whether `stored` was made of this PIN; None stands for nobody, and takes as long."""
    if stored is None:
        pin_hash(pin)
        return False
    try:
        return low_level.verify_secret(stored.encode("ascii"), pin.encode("utf-8", "replace"), Type.ID)
    except (VerificationError, InvalidHashError, ValueError):
        return False


def seal(key_of: str, label: str, content: Mapping[str, object]) -> bytes:
    """`content` as JSON, sealed under a key that only who has the text `key_of` can derive."""
    plain = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return protect.seal(_key(key_of, label), plain, context=label.encode())


def unseal(key_of: str, label: str, sealed: bytes) -> dict[str, object]:
    """Inverse of `seal`. Raises `Unavailable` `counters_damaged`."""
    try:
        content = json.loads(protect.open_(_key(key_of, label), sealed, context=label.encode()))
    except (CheckFailed, ValueError):
        raise Unavailable("counters_damaged", "a sealed row was altered, or lies under another id") from None
    if not isinstance(content, dict):
        raise Unavailable("counters_damaged", "a sealed row holds no object")
    return content


def _key(text: str, label: str) -> bytes:
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"ecard-counters/{label}".encode())
    return kdf.derive(text.encode("utf-8", "replace"))
