"""Identify: a channel names a holder by number and name, and learns which cards may be claimed.

A wrong name, and a number that nobody has, are one answer and one amount of work. A try is written down before
anything is compared, for the number and for the channel, and given back only to a right one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ecard_card.card import Holder, HolderProof, IdNumber
from ecard_card.errors import CheckFailed, NotAllowed, RuleViolation
from ecard_card.person_name import same_name
from ecard_card.status import CardStatus, EcardStatus
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.card_effect import PolicyOf, card_effect
from ecard_issuer.links.claim_store import ClaimStore
from ecard_issuer.links.store import LinkStore
from ecard_issuer.links.values import IdentificationRow
from ecard_issuer.ports import Cards
from ecard_issuer.relying.claims import mask_tail
from ecard_issuer.rows import BindingRow, CardRow
from ecard_issuer.states import BindingState
from ecard_verifier.callers import Caller

#: How long an identification is good for a claim.
LIFE: Final = timedelta(minutes=10)
#: Wrong names for one number, in any channels, until no more are compared; and for how long.
TRIES: Final = 5
LOCKED_FOR: Final = timedelta(days=1)
_WRONG: Final = "wrong_name"
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class OfferedCard:
    """A card of the person named. `proofs`: what a claim may rest on now; none where it cannot be claimed."""

    handle: str
    region: str
    number_masked: str = field(repr=False)
    proofs: frozenset[HolderProof]
    has_ecard: bool
    linked: bool  # this channel has a live link with its e-card


@dataclass(frozen=True, slots=True)
class Identified:
    """What the channel is told: nothing that outlives `expires_at`."""

    row: IdentificationRow
    cards: tuple[OfferedCard, ...]


class Identifying:
    """The use case. `per_hour` is how many wrong names a channel may bring in a clock hour."""

    def __init__(
        self,
        store: ClaimStore,
        links: LinkStore,
        register: Cards,
        desk: CardDesk,
        policy_of: PolicyOf,
        *,
        per_hour: int,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store, self._links, self._register, self._desk = store, links, register, desk
        self._policy_of, self._per_hour, self._random = policy_of, per_hour, random
        # Somebody to open in the place of one whom nobody knows: the same work.
        self._nobody = desk.people.draft(Holder(IdNumber(_NOBODY), "无"))

    def identify(self, id_number: IdNumber, name: str, caller: Caller, now: datetime) -> Identified:
        """Raises `CheckFailed` `holder_not_identified`; `RuleViolation` `identification_locked`; `NotAllowed`
        `secret_guesses_used_up`."""
        people = self._desk.people
        if self._store.counted(caller.name, _WRONG, _HOUR, now) >= self._per_hour:
            raise NotAllowed("secret_guesses_used_up", "this channel named too many people wrongly this hour")
        person = people.references.pairwise("identification", id_number.text)
        if not self._store.take_try(person, TRIES, LOCKED_FOR, now):
            raise RuleViolation("identification_locked", "too many wrong names for this number")
        row = people.find(id_number)
        holder = people.person(row or self._nobody)
        if not same_name(holder.name, name) or row is None:
            self._store.count(caller.name, _WRONG, _HOUR, now)
            raise CheckFailed("holder_not_identified", "nobody of this number and name has a card here")
        self._store.clear_tries(person)
        made = IdentificationRow(self._random(16).hex(), caller.name, row.holder_ref, now, now + LIFE)
        self._store.add_identification(made)
        cards = sorted(self._register.cards_of_holder(row.holder_ref), key=lambda card: card.issued_on, reverse=True)
        return Identified(made, tuple(self._offer(made, card, now) for card in cards if _live(card)))

    def handle(self, identification_id: str, card_ref: str) -> str:
        """What a card is called within one identification."""
        return self._desk.references.pairwise(f"identification {identification_id}", card_ref)

    def proofs(self, card: CardRow, binding: BindingRow | None, now: datetime) -> frozenset[HolderProof]:
        """What a claim of this card may rest on now, by its region's policy; none where it cannot be claimed."""
        policy = self._policy_of(card.region, now)
        if card.replacing or card_effect(card, policy, now) is not EcardStatus.VALID:
            return frozenset()
        bound = binding is not None and binding.state is BindingState.LIVE
        return policy.claims.proofs if bound else policy.claims.first_proofs

    def _offer(self, made: IdentificationRow, card: CardRow, now: datetime) -> OfferedCard:
        binding = self._register.find_binding(card.card_ref)
        ecard_id = binding.ecard_id if binding is not None and binding.state is not BindingState.RESERVED else None
        live = self._links.links_of_ecard(ecard_id) if ecard_id is not None else ()
        return OfferedCard(
            handle=self.handle(made.identification_id, card.card_ref),
            region=card.region,
            number_masked=mask_tail(self._desk.identity(card).number.text),
            proofs=self.proofs(card, binding, now),
            has_ecard=ecard_id is not None,
            linked=any(link.app_id == made.app_id for link in live),
        )


def _live(card: CardRow) -> bool:
    """Cards that are over are not offered; one that a new card is being made for is, and cannot be claimed."""
    return card.status is not CardStatus.CANCELLED or card.replacing


#: The example number of GB 11643-1999.
_NOBODY: Final = "11010519491231002X"
