"""The keys of a register as the rules of rotation see them, and what those rules say of them now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ecard_issuer.keyring import PURPOSES, KeyRing
from ecard_issuer.ports import Keys
from ecard_issuer.rows import SigningKeyRow
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.rotation import Advice, KeyLife, Published, RotationRules, Schedule, advise

#: States in which live credentials may name a key.
_NAMED = frozenset({KeyState.ACTIVE, KeyState.VERIFY_ONLY, KeyState.COMPROMISED})


@dataclass(frozen=True, slots=True)
class Standing:
    """What the rules want to know, as read from the register."""

    keys: tuple[KeyLife, ...]
    schedules: tuple[Schedule, ...]
    published: Published | None


class KeyLives:
    """Reads the register; changes nothing. Every verb may raise the `Unavailable` of a register that is away."""

    def __init__(self, register: Keys, ring: KeyRing, rules: RotationRules) -> None:
        self._register = register
        self._ring = ring
        self.rules = rules

    def all(self, now: datetime) -> tuple[KeyLife, ...]:
        """Every key, in the order of making."""
        return tuple(self.of(row, now) for row in self._ring.rows())

    def of(self, row: SigningKeyRow, now: datetime) -> KeyLife:
        """One key with what names it; the store counts that, so ask for `dated` where dates are enough."""
        life = dated(row)
        if life.state not in _NAMED or life.purpose is not KeyPurpose.CREDENTIAL:
            return life
        usage = self._register.key_usage(row.purpose, row.kid, now)
        return replace(life, live=usage.live, last_expiry=usage.last_expiry, planned=usage.planned)

    def schedules(self) -> tuple[Schedule, ...]:
        """What rotates by itself."""
        return tuple(Schedule(KeyPurpose(row.purpose), row.every) for row in self._register.schedules())

    def published(self) -> Published | None:
        """The newest trust list, and whether it says of us what the register says."""
        latest = self._ring.board.latest()
        if latest is None:
            return None
        return Published(
            datetime.fromtimestamp(latest.issued_at, UTC),
            datetime.fromtimestamp(latest.expires_at, UTC),
            self._ring.board.is_current(self._ring.entry()),
        )

    def standing(self, now: datetime) -> Standing:
        """All of it at one time."""
        return Standing(self.all(now), self.schedules(), self.published())

    def advice(self, now: datetime, standing: Standing | None = None) -> tuple[Advice, ...]:
        """What is due, late or unsafe now, of what is read now or was read before."""
        read = standing or self.standing(now)
        return advise(read.keys, self.rules, read.schedules, now, purposes=PURPOSES, published=read.published)


def dated(row: SigningKeyRow) -> KeyLife:
    """One key and its dates, without what names it."""
    return KeyLife(
        kid=row.kid,
        purpose=KeyPurpose(row.purpose),
        state=KeyState(row.state),
        created_at=row.created_at,
        published_at=row.published_at,
        activated_at=row.activated_at,
        retired_from=row.retired_from,
        retired_at=row.retired_at,
    )
