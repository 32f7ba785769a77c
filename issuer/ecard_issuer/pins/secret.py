"""A holder's secret as typed, what the register keeps of one, and the port that keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from ecard_card.errors import InvalidInput

#: Every card's PIN until its holder chooses one (初始密码). It permits queries only.
INITIAL: Final = "123456"
_LENGTH: Final = 6
#: Chinese input methods type digits twice as wide (U+FF10 to U+FF19): the same digits.
_FULL_WIDTH: Final = {0xFF10 + digit: str(digit) for digit in range(10)}


@dataclass(frozen=True, slots=True)
class Secret:
    """Six digits 0-9. `repr` shows none of them."""

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if not (len(self.text) == _LENGTH and self.text.isascii() and self.text.isdigit()):
            raise InvalidInput("secret_not_six_digits", "want six digits 0-9")

    @classmethod
    def typed(cls, text: str) -> Secret:
        """What a person typed; full-width digits are folded. Raises `InvalidInput` `secret_not_six_digits`."""
        return cls(text.translate(_FULL_WIDTH) if len(text) == _LENGTH else "")


class Purpose(StrEnum):
    """What a secret opens; bound into its hash. The values stand in the database."""

    CARD_PIN = "card_pin"  # 社会保障应用密码, of one card: its subject is the `card_ref`
    ECARD_PASSWORD = "ecard_password"  # noqa: S105 - 电子社保卡密码, of one e-card in all channels: the `ecard_id`


class SecretAct(StrEnum):
    """What was done to a secret. The values stand in the database."""

    SET = "set"
    CHANGE = "change"
    RESET = "reset"
    UNLOCK = "unlock"


@dataclass(frozen=True, slots=True)
class SecretRow:
    """`tries` were taken and not given back; `locked_at` says since when no more are given. `version` counts acts."""

    subject: str
    purpose: Purpose
    hash: str | None = field(repr=False)  # None: never chosen
    version: int
    tries: int
    unlocks: int  # in the subject's whole life
    locked_at: datetime | None
    changed_at: datetime

    def locked(self, limit: int) -> bool:
        """Whether no more tries are given, under a policy that permits `limit`."""
        return self.locked_at is not None or self.tries >= limit


@dataclass(frozen=True, slots=True)
class SecretEvent:
    """One act, kept for the holder to read. `version` is the secret's after it."""

    subject: str
    purpose: Purpose
    version: int
    event_id: str
    act: SecretAct
    at: datetime
    caller: str
    ground: str
    mandate_id: str | None


class Secrets(Protocol):
    """Keeps secrets' hashes and counts their tries. Each verb is one transaction; any verb raises `Unavailable`."""

    def find(self, purpose: Purpose, subject: str) -> SecretRow | None: ...

    def take_try(self, purpose: Purpose, subject: str, limit: int, now: datetime) -> SecretRow | None:
        """Write one try down, durably, and return the secret as it is then; None where it is locked.

        The try that reaches `limit` locks in the same transaction, so that whatever stops before it is given back
        leaves a lock and no free guess. However many ask at once, `limit` at most get a row until a success clears."""

    def clear(self, purpose: Purpose, subject: str, version: int, rehashed: str | None = None) -> bool:
        """Give all tries back after a right one, with a newer hash of the same secret if given; False where the secret
        is no longer of that `version`: it was changed, and nothing is cleared."""
        ...

    def write(self, event: SecretEvent, chosen: str | None, *, unlocking: bool) -> None:
        """Store `chosen` (None: back to the initial one) under version `event.version`, give all tries back, count an
        unlocking, and record the event. `Conflict` `secret_changed_meanwhile`: the version before is not
        `event.version - 1`, or the event id was used."""

    def keep(self, event: SecretEvent) -> None:
        """As `write` with `unlocking`, but the secret itself stays."""

    def find_event(self, purpose: Purpose, subject: str, event_id: str) -> SecretEvent | None: ...

    def events(self, purpose: Purpose, subject: str) -> tuple[SecretEvent, ...]:
        """Oldest first."""
        ...


class Guesses(Protocol):
    """How many wrong secrets each caller has presented in the clock hour of `now`."""

    def wrong(self, caller: str, now: datetime) -> int: ...

    def add(self, caller: str, now: datetime) -> int:
        """One more; returns how many it are."""
        ...
