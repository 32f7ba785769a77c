"""The e-card password (电子社保卡密码): one for the e-card in all channels, asked for at each payment.

It belongs to the e-card and not to a channel, so a change or reset in one holds in all from the next comparison on; and
it stays with the e-card when that moves to a new chip. A locked one is reset, however often: there is no chip to
replace.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecard_card.acting import IN_PERSON, Act, Acting
from ecard_card.card import IdNumber
from ecard_card.errors import Conflict, RuleViolation
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.ecards import Ecard, Ecards
from ecard_issuer.people import People
from ecard_issuer.pins.acts import Acts, require_document, require_other
from ecard_issuer.pins.comparing import Comparing
from ecard_issuer.pins.rules import require_impersonal, require_strong
from ecard_issuer.pins.secret import Purpose, Secret, SecretAct, SecretEvent, SecretRow, Secrets
from ecard_verifier.callers import Caller

_PASSWORD: Final = Purpose.ECARD_PASSWORD


@dataclass(frozen=True, slots=True)
class PasswordState:
    """What may be said of an e-card password: nothing of its digits."""

    ecard_id: str
    is_set: bool
    locked: bool
    tries_left: int
    changed_at: datetime | None


class Passwords:
    """The passwords of e-cards. Every verb may also raise `NotFound` `ecard_unknown`, `RuleViolation` `ecard_ended`,
    and what `ActingRules.require` raises; those that choose one, what `ecard_issuer.pins.rules` raise, and
    `secrets_equal` (it is the card's PIN, where that was typed too)."""

    def __init__(
        self,
        ecards: Ecards,
        people: People,
        store: Secrets,
        comparing: Comparing,
        rules: ActingRules,
        random: Callable[[int], bytes] = randomness.token_bytes,
    ) -> None:
        self._ecards, self._people, self._store = ecards, people, store
        self._comparing, self._rules = comparing, rules
        self._acts = Acts(store, random)

    def set(
        self,
        ecard_id: str,
        chosen: Secret,
        caller: Caller,
        now: datetime,
        *,
        acting: Acting = IN_PERSON,
        event_id: str | None = None,
        card_pin: Secret | None = None,
    ) -> SecretEvent:
        """The first password. Raises `Conflict` `ecard_password_exists`, `secret_event_differs`,
        `secret_changed_meanwhile`; `NotAllowed` `secret_guesses_used_up`."""
        ecard = self._for(ecard_id, acting, Act.CHANGE_PIN, now)
        if (done := self._acts.before(_PASSWORD, ecard_id, event_id, SecretAct.SET, caller)) is not None:
            return done
        kept = self._store.find(_PASSWORD, ecard_id)
        if kept is not None and kept.hash is not None:
            raise Conflict("ecard_password_exists", "change or reset it")
        require_strong(chosen)
        require_other(chosen, card_pin)
        with self._comparing.counting(caller, now):  # nothing else was shown: else one could ask for birth dates so
            self._require_impersonal(ecard, chosen)
        row = kept or SecretRow(ecard_id, _PASSWORD, None, 0, 0, 0, None, now)
        return self._write(row, SecretAct.SET, chosen, caller, acting, event_id, now)

    def change(
        self,
        ecard_id: str,
        old: Secret,
        new: Secret,
        caller: Caller,
        now: datetime,
        *,
        acting: Acting = IN_PERSON,
        event_id: str | None = None,
        card_pin: Secret | None = None,
    ) -> SecretEvent:
        """Another one, on the strength of the old one. Raises as `verify` does, `RuleViolation` `secret_unchanged`,
        `Conflict` as `set`."""
        ecard = self._for(ecard_id, acting, Act.CHANGE_PIN, now)
        if (done := self._acts.before(_PASSWORD, ecard_id, event_id, SecretAct.CHANGE, caller)) is not None:
            return done
        require_strong(new)
        require_other(new, card_pin)
        if new == old:
            raise RuleViolation("secret_unchanged", "the new one is the old one")
        row = self._compare(ecard, old, caller, now)
        self._require_impersonal(ecard, new)
        return self._write(row, SecretAct.CHANGE, new, caller, acting, event_id, now)

    def reset(
        self,
        ecard_id: str,
        document: IdNumber,
        new: Secret,
        caller: Caller,
        now: datetime,
        *,
        acting: Acting = IN_PERSON,
        event_id: str | None = None,
    ) -> SecretEvent:
        """Another one in the place of a forgotten or locked one; takes effect in every channel at once.

        `document` is the holder's number, from a document at a desk or from the channel's check of their face. Raises
        `NotAllowed` `document_of_other_person`, `RuleViolation` `ecard_password_not_set`, `Conflict` as `set`.
        """
        ecard = self._ecards.get(ecard_id, now)
        with self._comparing.counting(caller, now):
            require_document(self._people, document, ecard.card.holder_ref)
        self._rules.require(acting, ecard.card.holder_ref, Act.RESET_PIN, now)
        if (done := self._acts.before(_PASSWORD, ecard_id, event_id, SecretAct.RESET, caller)) is not None:
            return done
        require_strong(new)
        self._require_impersonal(ecard, new)
        return self._write(self._row(ecard_id), SecretAct.RESET, new, caller, acting, event_id, now)

    def verify(self, ecard_id: str, password: Secret, caller: Caller, now: datetime) -> PasswordState:
        """Compare a password, for a payment. Raises what `Comparing.compare` raises; `RuleViolation`
        `ecard_password_not_set`, `ecard_not_usable` (its card is lost or the like: no password opens it)."""
        ecard = self._ecards.usable(ecard_id, now)
        return self._state(ecard, self._compare(ecard, password, caller, now))

    def state(self, ecard_id: str, now: datetime) -> PasswordState:
        """What a clerk or channel may see."""
        return self._state(self._ecards.get(ecard_id, now), self._store.find(_PASSWORD, ecard_id))

    def _for(self, ecard_id: str, acting: Acting, act: Act, now: datetime) -> Ecard:
        ecard = self._ecards.get(ecard_id, now)
        self._rules.require(acting, ecard.card.holder_ref, act, now)
        return ecard

    def _require_impersonal(self, ecard: Ecard, chosen: Secret) -> None:
        require_impersonal(chosen, self._people.person(self._people.get(ecard.card.holder_ref)).id_number)

    def _compare(self, ecard: Ecard, given: Secret, caller: Caller, now: datetime) -> SecretRow:
        self._row(ecard.ecard_id)
        limit = ecard.policy.pin.tries
        return self._comparing.compare(_PASSWORD, ecard.ecard_id, given, caller, limit=limit, now=now)

    def _row(self, ecard_id: str) -> SecretRow:
        kept = self._store.find(_PASSWORD, ecard_id)
        if kept is None or kept.hash is None:
            raise RuleViolation("ecard_password_not_set", "nobody has chosen one yet")
        return kept

    def _write(
        self,
        row: SecretRow,
        act: SecretAct,
        chosen: Secret,
        caller: Caller,
        acting: Acting,
        event_id: str | None,
        now: datetime,
    ) -> SecretEvent:
        event = self._acts.next(row, act, caller, acting, event_id, now)
        self._store.write(event, self._comparing.hash(_PASSWORD, row.subject, chosen), unlocking=False)
        return event

    @staticmethod
    def _state(ecard: Ecard, row: SecretRow | None) -> PasswordState:
        limit = ecard.policy.pin.tries
        is_set = row is not None and row.hash is not None
        if row is None or not is_set:
            return PasswordState(ecard.ecard_id, False, False, 0, None)
        locked = row.locked(limit)
        return PasswordState(ecard.ecard_id, True, locked, 0 if locked else limit - row.tries, row.changed_at)
