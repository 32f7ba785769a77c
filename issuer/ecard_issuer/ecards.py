"""From an e-card's id to the card that it stands for: what every service about an e-card asks first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ecard_card.errors import NotFound, RuleViolation
from ecard_card.region_policy import RegionPolicy
from ecard_card.status import EcardStatus
from ecard_issuer.card_effect import PolicyOf, card_effect
from ecard_issuer.ports import Cards
from ecard_issuer.rows import BindingRow, CardRow
from ecard_issuer.states import BindingState


@dataclass(frozen=True, slots=True)
class Ecard:
    """An e-card that has not ended. `usable`: its chip is proven, and its card's status permits use now."""

    ecard_id: str
    card: CardRow
    policy: RegionPolicy
    usable: bool


class Ecards:
    """Looks e-cards up."""

    def __init__(self, register: Cards, policy_of: PolicyOf) -> None:
        self._register = register
        self._policy_of = policy_of

    def get(self, ecard_id: str, now: datetime) -> Ecard:
        """The e-card, whether usable now or not. Raises `NotFound` `ecard_unknown`, `RuleViolation` `ecard_ended`."""
        card_ref = self._register.card_of_ecard(ecard_id)
        if card_ref is None:
            raise NotFound("ecard_unknown", "no e-card has this id")
        card, binding = self._register.get_card(card_ref), self._register.find_binding(card_ref)
        if binding is not None and binding.state is BindingState.RESERVED:
            raise NotFound("ecard_unknown", "the e-card is being issued")
        ecard = self._of(card, binding, now)
        if ecard is None or ecard.ecard_id != ecard_id:
            raise RuleViolation("ecard_ended", "the e-card is bound to no card any more")
        return ecard

    def usable(self, ecard_id: str, now: datetime) -> Ecard:
        """As `get`; besides `RuleViolation` `ecard_not_usable` (suspended, or its new chip is not proven yet)."""
        found = self.get(ecard_id, now)
        if not found.usable:
            raise RuleViolation("ecard_not_usable", "the card's status, or a chip not proven yet, forbids it now")
        return found

    def of_holder(self, holder_ref: str, now: datetime) -> tuple[Ecard, ...]:
        """Those of a person that have not ended, newest card first."""
        cards = sorted(self._register.cards_of_holder(holder_ref), key=lambda card: card.issued_on, reverse=True)
        found = [self._of(card, self._register.find_binding(card.card_ref), now) for card in cards]
        return tuple(ecard for ecard in found if ecard is not None)

    def ids_of(self, holder_ref: str) -> tuple[str, ...]:
        """The ids of every e-card that a person has or had, each once."""
        ids: dict[str, None] = {}
        for card in self._register.cards_of_holder(holder_ref):
            binding = self._register.find_binding(card.card_ref)
            ended = (row.ecard_id for row in self._register.ended_bindings(card.card_ref))
            ids.update(dict.fromkeys([*([binding.ecard_id] if binding else []), *ended]))
        return tuple(ids)

    def _of(self, card: CardRow, binding: BindingRow | None, now: datetime) -> Ecard | None:
        policy = self._policy_of(card.region, now)
        effect = card_effect(card, policy, now)
        # One whose card is cancelled while a new one is being made has not ended: it waits, and goes on with that.
        ended = effect is EcardStatus.INVALID and not card.replacing
        if binding is None or binding.state is BindingState.RESERVED or ended:
            return None
        usable = binding.state is BindingState.LIVE and effect is EcardStatus.VALID
        return Ecard(binding.ecard_id, card, policy, usable)
