"""The card's social-security PIN (社会保障应用密码): compared, changed, reset, unlocked.

The bank's PIN on the same chip is the bank's; the e-card password is another secret (`passwords.py`). Knowing one says
nothing of the others: each is hashed for its own purpose and subject, and two are compared only where a person has
typed both.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ecard_card.acting import IN_PERSON, Act, Acting
from ecard_card.card import IdNumber
from ecard_card.errors import RuleViolation
from ecard_card.status import CardStatus, EcardStatus
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.card_effect import PolicyOf, card_effect
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.people import People
from ecard_issuer.pins.acts import Acts, require_document, require_other
from ecard_issuer.pins.comparing import Comparing
from ecard_issuer.pins.rules import require_impersonal, require_strong
from ecard_issuer.pins.secret import Purpose, Secret, SecretAct, SecretEvent, SecretRow, Secrets
from ecard_issuer.ports import Cards
from ecard_issuer.rows import CardRow
from ecard_verifier.callers import Caller

_PIN: Final = Purpose.CARD_PIN
#: With these a person has the card in hand and may put its PIN in order.
_IN_HAND: Final = frozenset({CardStatus.SEALED, CardStatus.NORMAL, CardStatus.LOCKED})


@dataclass(frozen=True, slots=True)
class PinState:
    """What may be said of a PIN: nothing of its digits."""

    card_ref: str
    initial: bool
    locked: bool
    tries_left: int
    unlocks_left: int
    changed_at: datetime | None


class Pins:
    """The PINs of cards. What every verb may raise besides: `NotFound` `card_unknown`, `Unavailable`."""

    def __init__(
        self,
        register: Cards,
        people: People,
        store: Secrets,
        comparing: Comparing,
        rules: ActingRules,
        policy_of: PolicyOf,
        random: Callable[[int], bytes] = randomness.token_bytes,
    ) -> None:
        self._register, self._people, self._store = register, people, store
        self._comparing, self._rules, self._policy_of = comparing, rules, policy_of
        self._acts = Acts(store, random)

    def verify(self, card_ref: str, pin: Secret, business: BusinessType, caller: Caller, now: datetime) -> PinState:
        """Compare a PIN typed for some business; an initial one is good for queries only.

        Raises what `Comparing.compare` raises; `RuleViolation` `card_not_usable`, and `pin_initial`: the PIN is right,
        but nobody has chosen it yet, and the business is no query.
        """
        card = self._card(card_ref, frozenset({CardStatus.NORMAL}))
        # The PIN is the card's: that the holder shut the e-card does not bear on it, and that the card expired does.
        open_card = replace(card, holder_locked=False)
        if card_effect(open_card, self._policy_of(card.region, now), now) is not EcardStatus.VALID:
            raise RuleViolation("card_not_usable", "the card has expired, or its region permits no use of it")
        row = self._compare(card, pin, caller, now)
        if row.hash is None and business is not BusinessType.QUERY:
            raise RuleViolation("pin_initial", "the initial PIN permits queries only")
        return self._state(card, row, now)

    def change(
        self,
        card_ref: str,
        old: Secret,
        new: Secret,
        caller: Caller,
        now: datetime,
        *,
        acting: Acting = IN_PERSON,
        event_id: str | None = None,
        ecard_password: Secret | None = None,
    ) -> SecretEvent:
        """Change a PIN (密码修改) on the strength of the old one; the same `event_id` again changes nothing.

        Raises what `ecard_issuer.pins.rules`, `ActingRules.require` and `Comparing.compare` raise; `RuleViolation`
        `card_not_usable`, `secret_unchanged`, `secrets_equal` (it is the e-card password, where that was typed too);
        `Conflict` `secret_event_differs`, `secret_changed_meanwhile`.
        """
        card = self._card(card_ref, _IN_HAND)
        self._rules.require(acting, card.holder_ref, Act.CHANGE_PIN, now)
        if (done := self._acts.before(_PIN, card_ref, event_id, SecretAct.CHANGE, caller)) is not None:
            return done
        require_strong(new)
        if new == old:
            raise RuleViolation("secret_unchanged", "the new one is the old one")
        require_other(new, ecard_password)
        row = self._compare(card, old, caller, now)
        require_impersonal(new, self._id_number(card))
        event = self._acts.next(row, SecretAct.CHANGE, caller, acting, event_id, now)
        self._store.write(event, self._comparing.hash(_PIN, card_ref, new), unlocking=False)
        return event

    def reset(
        self,
        card_ref: str,
        document: IdNumber,
        caller: Caller,
        now: datetime,
        *,
        new: Secret | None = None,
        acting: Acting = IN_PERSON,
        event_id: str | None = None,
    ) -> SecretEvent:
        """Replace a forgotten PIN (密码重置), at a desk: by one typed there, else by the initial one.

        `document` is the number on the holder's identity document, which the clerk has looked at. Resetting a locked
        PIN unlocks it and counts as an unlocking. Raises `NotAllowed` `document_of_other_person`, and as `change` and
        `unlock`.
        """
        card = self._card(card_ref, _IN_HAND)
        with self._comparing.counting(caller, now):
            require_document(self._people, document, card.holder_ref)
        self._rules.require(acting, card.holder_ref, Act.RESET_PIN, now)
        if (done := self._acts.before(_PIN, card_ref, event_id, SecretAct.RESET, caller)) is not None:
            return done
        if new is not None:
            require_strong(new)
            require_impersonal(new, self._id_number(card))
        row = self._row(card, now)
        unlocking = row.locked(self._limit(card, now))
        if unlocking:
            self._require_unlocks(card, row, now)
        event = self._acts.next(row, SecretAct.RESET, caller, acting, event_id, now)
        chosen = None if new is None else self._comparing.hash(_PIN, card_ref, new)
        self._store.write(event, chosen, unlocking=unlocking)
        return event

    def unlock(
        self,
        card_ref: str,
        document: IdNumber,
        caller: Caller,
        now: datetime,
        *,
        acting: Acting = IN_PERSON,
        event_id: str | None = None,
    ) -> SecretEvent:
        """Give the holder of a locked PIN tries again, at a desk; the PIN stays.

        Raises `NotAllowed` `document_of_other_person`; `RuleViolation` `pin_not_locked`, `pin_unlocks_used_up` (the
        card must be replaced), `card_not_usable`; `Conflict` as `change`; what `ActingRules.require` raises.
        """
        card = self._card(card_ref, _IN_HAND)
        with self._comparing.counting(caller, now):
            require_document(self._people, document, card.holder_ref)
        self._rules.require(acting, card.holder_ref, Act.RESET_PIN, now)
        if (done := self._acts.before(_PIN, card_ref, event_id, SecretAct.UNLOCK, caller)) is not None:
            return done
        row = self._row(card, now)
        if not row.locked(self._limit(card, now)):
            raise RuleViolation("pin_not_locked", "there are tries left")
        self._require_unlocks(card, row, now)
        event = self._acts.next(row, SecretAct.UNLOCK, caller, acting, event_id, now)
        self._store.keep(event)
        return event

    def state(self, card_ref: str, now: datetime) -> PinState:
        """What a clerk may see."""
        card = self._register.get_card(card_ref)
        return self._state(card, self._row(card, now), now)

    def _compare(self, card: CardRow, pin: Secret, caller: Caller, now: datetime) -> SecretRow:
        return self._comparing.compare(_PIN, card.card_ref, pin, caller, limit=self._limit(card, now), now=now)

    def _card(self, card_ref: str, permitted: frozenset[CardStatus]) -> CardRow:
        card = self._register.get_card(card_ref)
        if card.status not in permitted:
            raise RuleViolation("card_not_usable", "the card's status forbids it")
        return card

    def _row(self, card: CardRow, now: datetime) -> SecretRow:
        """The PIN as kept; of a card whose PIN nobody ever touched, the initial one."""
        kept = self._store.find(_PIN, card.card_ref)
        return kept or SecretRow(card.card_ref, _PIN, None, 0, 0, 0, None, card.created_at)

    def _limit(self, card: CardRow, now: datetime) -> int:
        return self._policy_of(card.region, now).pin.tries

    def _require_unlocks(self, card: CardRow, row: SecretRow, now: datetime) -> None:
        if row.unlocks >= self._policy_of(card.region, now).pin.unlocks:
            raise RuleViolation("pin_unlocks_used_up", "as often as the region permits in a card's life")

    def _id_number(self, card: CardRow) -> IdNumber:
        return self._people.person(self._people.get(card.holder_ref)).id_number

    def _state(self, card: CardRow, row: SecretRow, now: datetime) -> PinState:
        rules = self._policy_of(card.region, now).pin
        return PinState(
            card_ref=card.card_ref,
            initial=row.hash is None,
            locked=row.locked(rules.tries),
            tries_left=0 if row.locked(rules.tries) else rules.tries - row.tries,
            unlocks_left=max(0, rules.unlocks - row.unlocks),
            changed_at=row.changed_at if row.version else None,
        )
