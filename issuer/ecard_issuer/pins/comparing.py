"""Comparing a secret with what is kept of it: the try is written down first, and given back only to a right one.

1. A locked secret is refused without any work.
2. A turn at a core is awaited, so that what follows is short.
3. A caller who gave too many wrong secrets this hour is refused, whichever cards they were for.
4. One transaction takes the try. Killed from here on, the try is spent.
5. The hash is compared, outside of every transaction.
6. Wrong: the caller's count is written before the caller is told.
7. Right: a second transaction gives the tries back, and stores a stronger hash where settings have risen.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ecard_card.errors import CheckFailed, Conflict, NotAllowed, RuleViolation
from ecard_issuer.pins.hashing import SecretHash
from ecard_issuer.pins.secret import Guesses, Purpose, Secret, SecretRow, Secrets
from ecard_issuer.pins.slots import Slots
from ecard_verifier.callers import Caller, Role

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GuessLimits:
    """How many wrong secrets a caller may present in a clock hour before nothing of theirs is compared any more."""

    most: int = 100  # OWASP ASVS 4.0.3, 2.2.1
    channel: int = 10_000  # the back end of an app speaks for millions

    def of(self, caller: Caller) -> int:
        return self.channel if caller.role is Role.CHANNEL else self.most


class Comparing:
    """Shared by all secrets of all subjects; safe for threads and, by its store, for processes."""

    def __init__(
        self, store: Secrets, guesses: Guesses, hashing: SecretHash, limits: GuessLimits, slots: Slots | None = None
    ) -> None:
        self._store, self._guesses, self._hashing, self._limits = store, guesses, hashing, limits
        self._slots = slots or Slots()

    def compare(
        self, purpose: Purpose, subject: str, given: Secret, caller: Caller, *, limit: int, now: datetime
    ) -> SecretRow:
        """The secret's row, if `given` is the secret. `limit` is how many wrong ones the region's policy permits.

        Raises `CheckFailed` `pin_wrong` or `ecard_password_wrong` (the detail says how many tries are left),
        `RuleViolation` `pin_locked` or `ecard_password_locked`, `NotAllowed` `secret_guesses_used_up`, `Conflict`
        `secret_changed_meanwhile`, `Unavailable` `secrets_busy`.
        """
        known = self._store.find(purpose, subject)
        if known is not None and known.locked(limit):
            raise locked(purpose)
        with self._slots.slot():
            self._require_guesses(caller, now)
            row = self._store.take_try(purpose, subject, limit, now)
            if row is None:
                raise locked(purpose)
            if not self._hashing.holds(purpose, subject, given, row.hash):
                self._count(caller, now)
                if row.locked(limit):
                    raise locked(purpose)
                left = f"{limit - row.tries} tries left"
                raise CheckFailed("pin_wrong" if purpose is Purpose.CARD_PIN else "ecard_password_wrong", left)
            rehashed = None
            if row.hash is not None and self._hashing.outdated(row.hash):
                rehashed = self._hashing.make(purpose, subject, given)
            if not self._store.clear(purpose, subject, row.version, rehashed):
                raise Conflict("secret_changed_meanwhile", "the secret was changed while it was compared")
        return replace(row, tries=0, locked_at=None)

    def hash(self, purpose: Purpose, subject: str, chosen: Secret) -> str:
        """What to store of a secret just chosen. Raises `Unavailable` `secrets_busy`."""
        with self._slots.slot():
            return self._hashing.make(purpose, subject, chosen)

    @contextmanager
    def counting(self, caller: Caller, now: datetime) -> Iterator[None]:
        """A refusal raised in the block counts as a wrong secret of this caller: for those that tell something about
        a holder. Raises `NotAllowed` `secret_guesses_used_up` before it."""
        self._require_guesses(caller, now)
        try:
            yield
        except (NotAllowed, RuleViolation):
            self._count(caller, now)
            raise

    def _require_guesses(self, caller: Caller, now: datetime) -> None:
        if self._guesses.wrong(caller.name, now) >= self._limits.of(caller):
            raise NotAllowed("secret_guesses_used_up", "this caller gave too many wrong secrets this hour")

    def _count(self, caller: Caller, now: datetime) -> None:
        if self._guesses.add(caller.name, now) == self._limits.of(caller):
            _log.warning("caller %s has used up this hour's wrong secrets", caller.name)


def locked(purpose: Purpose) -> RuleViolation:
    """The refusal of a secret that is locked."""
    return RuleViolation("pin_locked" if purpose is Purpose.CARD_PIN else "ecard_password_locked", "too many tries")
