"""Hashes of secrets at rest: a pepper from `keys`, then argon2id (RFC 9106), with subject and purpose bound in."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from argon2 import Type, extract_parameters, low_level
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from ecard_card.errors import InvalidInput, Unavailable
from ecard_issuer.pins.secret import INITIAL, Purpose, Secret
from ecard_keys.pepper import Pepper

#: OWASP Password Storage Cheat Sheet, argon2id with one lane: 19 MiB and two rounds are the least.
MIN_MEMORY_KIB: Final = 19_456
MIN_ROUNDS: Final = 2
MAX_MEMORY_KIB: Final = 1 << 20
MAX_ROUNDS: Final = 20
_FORM: Final = "1"  # pepper number 1; room for its successors


@dataclass(frozen=True, slots=True)
class HashCost:
    """What one comparison costs. Raises `InvalidInput` `hash_cost_out_of_bounds` below OWASP's minimum."""

    memory_kib: int = MIN_MEMORY_KIB
    rounds: int = MIN_ROUNDS

    def __post_init__(self) -> None:
        if not (MIN_MEMORY_KIB <= self.memory_kib <= MAX_MEMORY_KIB and MIN_ROUNDS <= self.rounds <= MAX_ROUNDS):
            raise InvalidInput("hash_cost_out_of_bounds", "want at least 19456 KiB and 2 rounds, at most 1 GiB and 20")


class SecretHash:
    """Makes and compares hashes. Each call takes tens of milliseconds of one core, outside of Python's lock."""

    def __init__(self, pepper: Pepper, cost: HashCost, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._pepper = pepper
        self._cost = cost
        self._random = random

    def make(self, purpose: Purpose, subject: str, secret: Secret) -> str:
        """The hash to store, with its salt and cost in PHC form. Raises `Unavailable` where the pepper is away."""
        peppered = self._peppered(purpose, subject, secret)
        hashed = low_level.hash_secret(
            peppered, self._random(16), self._cost.rounds, self._cost.memory_kib, 1, 32, Type.ID
        )
        return _FORM + hashed.decode("ascii")

    def holds(self, purpose: Purpose, subject: str, secret: Secret, stored: str | None) -> bool:
        """Whether `stored` was made of this secret; None stands for the initial one, and takes as long.

        Raises `Unavailable` `register_damaged` for what no `make` has written.
        """
        if stored is None:
            self.make(purpose, subject, secret)  # how long it takes must not tell that nothing was chosen yet
            return hmac.compare_digest(secret.text, INITIAL)
        _require_ours(stored)
        try:
            low_level.verify_secret(stored[1:].encode("ascii"), self._peppered(purpose, subject, secret), Type.ID)
        except VerifyMismatchError:
            return False
        except VerificationError:
            raise Unavailable("register_damaged", "a stored hash cannot be compared") from None
        return True

    def outdated(self, stored: str) -> bool:
        """Whether the settings ask for another cost than this hash has. `Unavailable` as `holds`."""
        return _require_ours(stored) != self._cost

    def _peppered(self, purpose: Purpose, subject: str, secret: Secret) -> bytes:
        return self._pepper.apply(f"secret/{purpose.value}", f"{subject}\n{secret.text}".encode())


def _require_ours(stored: str) -> HashCost:
    """The cost of a stored hash, bounded before any work is done for it."""
    try:
        found = extract_parameters(stored[1:])
        if stored[:1] == _FORM and stored.isascii() and found.type is Type.ID and found.parallelism == 1:
            return HashCost(found.memory_cost, found.time_cost)
    except (InvalidHashError, InvalidInput, ValueError):
        pass
    raise Unavailable("register_damaged", "a stored hash has a form that we do not write")
