"""Levels of e-cards: the first comes with issuance, the second is opened with a consent of its own.

What has ended with its card needs no closing: `require` looks at the e-card first. A replacement keeps the level, as
it keeps the e-card (the e-card recovers by itself when the new card is collected, without a new application).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ecard_card.acting import IN_PERSON, Act, Acting
from ecard_card.errors import InvalidInput, RuleViolation
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.chosen_ids import CHOSEN_ID
from ecard_issuer.ecards import Ecards
from ecard_issuer.levels.business import LEVEL_NEEDED, BusinessType, Level
from ecard_issuer.levels.opening import Closing, OpeningRow, Openings
from ecard_issuer.pins.passwords import Passwords
from ecard_issuer.pins.secret import Secret
from ecard_verifier.callers import Caller


@dataclass(frozen=True, slots=True)
class LevelState:
    """An e-card's level; `usable` says whether its card's status lets it be used now."""

    ecard_id: str
    level: Level
    usable: bool
    opening: OpeningRow | None  # the last one, closed or not


class Levels:
    """Every verb may raise `NotFound` `ecard_unknown`, `RuleViolation` `ecard_ended`, `Unavailable`."""

    def __init__(self, ecards: Ecards, openings: Openings, passwords: Passwords, rules: ActingRules) -> None:
        self._ecards, self._openings = ecards, openings
        self._passwords, self._rules = passwords, rules

    def require(self, ecard_id: str, level: Level, now: datetime) -> None:
        """Return if the e-card may be used now at `level`. Raises `RuleViolation` `ecard_not_usable`,
        `ecard_level_too_low` (未完成二级签发)."""
        self._ecards.usable(ecard_id, now)
        if level > Level.IDENTITY and self._openings.current(ecard_id) is None:
            raise RuleViolation("ecard_level_too_low", "payment and settlement were not opened")

    def require_for(self, ecard_id: str, business: BusinessType, now: datetime) -> None:
        """As `require`, for the level that this business needs."""
        self.require(ecard_id, LEVEL_NEEDED[business], now)

    def open(
        self,
        ecard_id: str,
        password: Secret,
        consent: str,
        caller: Caller,
        now: datetime,
        *,
        acting: Acting = IN_PERSON,
    ) -> OpeningRow:
        """Open payment and settlement (开通缴费结算); opened before, it stays as it is.

        `consent` names the text that the holder agreed to. The e-card password is asked for, because each payment will
        ask for it. Raises what `ActingRules.require` and `Passwords.verify` raise, `InvalidInput` `bad_consent`.
        """
        if not CHOSEN_ID.fullmatch(consent):
            raise InvalidInput("bad_consent", "a consent's text is named by 1 to 64 letters, digits and . _ : -")
        ecard = self._ecards.usable(ecard_id, now)
        self._rules.require(acting, ecard.card.holder_ref, Act.OPEN_PAYMENT, now)
        self._passwords.verify(ecard_id, password, caller, now)
        return self._openings.open(
            ecard_id,
            now=now,
            caller=caller.name,
            ground=acting.ground.value,
            mandate_id=acting.mandate_id,
            consent=consent,
        )

    def close(
        self,
        ecard_id: str,
        caller: Caller,
        now: datetime,
        *,
        closing: Closing = Closing.HOLDER,
        acting: Acting = IN_PERSON,
    ) -> LevelState:
        """Close payment and settlement; closed before, or never opened, it stays so. Also of an e-card that is
        suspended. Raises what `ActingRules.require` raises."""
        ecard = self._ecards.get(ecard_id, now)
        self._rules.require(acting, ecard.card.holder_ref, Act.OPEN_PAYMENT, now)
        self._openings.close(ecard_id, now=now, caller=caller.name, closing=closing)
        return self.state(ecard_id, now)

    def state(self, ecard_id: str, now: datetime) -> LevelState:
        """The level as it is."""
        ecard = self._ecards.get(ecard_id, now)
        rows = self._openings.of_ecard(ecard_id)
        last = rows[-1] if rows else None
        opened = last is not None and last.closed_at is None
        return LevelState(ecard_id, Level.PAYMENT if opened else Level.IDENTITY, ecard.usable, last)
