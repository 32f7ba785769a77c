"""What a batch of re-issue plans finds in the register: cards, credentials, bindings, and who is at it already."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from ecard_card.status import EcardStatus
from ecard_issuer.register import tables
from ecard_issuer.register.sql import among, fixed, many
from ecard_issuer.rows import CardRow, CredentialRow, PlanRow
from ecard_issuer.states import BindingState, CredentialState, PlanState

_cards, _credentials, _plans, _bindings = tables.card, tables.credential, tables.plan, tables.binding
_CARDS = select(_cards).where(among(_cards.c.card_ref, "refs")).order_by(_cards.c.card_ref)
_LOCKED = _CARDS.with_for_update(key_share=True)


@dataclass(frozen=True, slots=True)
class BatchState:
    """Read with the cards of the batch locked, so that it stays true until the transaction ends."""

    _cards: Mapping[str, CardRow]
    _credentials: Mapping[tuple[str, bytes], CredentialRow]
    _bound: Mapping[str, str]  # card to the e-card that is live on it
    _planned: Mapping[tuple[str, bytes | None], str]  # card and replaced credential to the open plan

    @classmethod
    def read(cls, connection: Connection, plans: Sequence[PlanRow]) -> BatchState:
        """Locks the cards of `plans` first."""
        refs = sorted({plan.card_ref for plan in plans})
        cards = cards_of(connection, refs, locked=True)
        old = many(
            connection,
            CredentialRow,
            select(_credentials).where(
                _credentials.c.card_ref.in_(refs),
                _credentials.c.credential_id.in_(sorted({plan.replaces or b"" for plan in plans})),
            ),
        )
        bound = connection.execute(
            select(_bindings.c.card_ref, _bindings.c.ecard_id).where(
                _bindings.c.card_ref.in_(refs), _bindings.c.state == fixed(BindingState.LIVE)
            )
        )
        planned = connection.execute(
            select(_plans.c.card_ref, _plans.c.replaces, _plans.c.plan_id).where(
                _plans.c.card_ref.in_(refs),
                _plans.c.replaces.is_not(None),
                _plans.c.state == fixed(PlanState.PLANNED),
            )
        )
        return cls(
            cards,
            {(row.card_ref, row.credential_id): row for row in old},
            {card_ref: ecard_id for card_ref, ecard_id in bound},
            {(card_ref, replaces): plan_id for card_ref, replaces, plan_id in planned},
        )

    def refusal(self, plan: PlanRow, effect: Callable[[CardRow], EcardStatus]) -> str | None:
        """Why nothing may be made anew by this plan, or None. `effect` is what a card's status means for its e-card."""
        card = self._cards.get(plan.card_ref)
        old = self._credentials.get((plan.card_ref, plan.replaces or b""))
        if card is None or old is None:
            return "credential_unknown"
        if old.replaced_by is not None:
            return "credential_already_replaced"
        if effect(card) is EcardStatus.INVALID or old.state is not CredentialState.LIVE:
            return "card_status_differs"
        if self._bound.get(plan.card_ref) != plan.ecard_id or old.ecard_id != plan.ecard_id:
            return "ecard_not_bound_here"
        return None

    def open_plan(self, plan: PlanRow) -> str | None:
        """The id of the open plan, of whomever, that replaces the same credential."""
        return self._planned.get((plan.card_ref, plan.replaces))

    def card(self, plan: PlanRow) -> CardRow:
        """The card of a plan that `refusal` has nothing against."""
        return self._cards[plan.card_ref]

    def replaced(self, plan: PlanRow) -> CredentialRow:
        """The credential that such a plan replaces."""
        return self._credentials[plan.card_ref, plan.replaces or b""]


def cards_of(connection: Connection, refs: Collection[str], *, locked: bool) -> dict[str, CardRow]:
    """Cards by reference; `locked` until the transaction ends, in the order of their references."""
    if not refs:
        return {}
    found = many(connection, CardRow, _LOCKED if locked else _CARDS, refs=sorted(refs))
    return {card.card_ref: card for card in found}
