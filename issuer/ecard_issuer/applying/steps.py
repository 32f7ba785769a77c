"""The steps of an application, from review to collecting. Every step asks again whether who acts still may."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from datetime import datetime

from ecard_card.acting import Act, Acting
from ecard_card.card import Card
from ecard_card.errors import Conflict, InvalidInput, NotFound, RuleViolation
from ecard_card.person_name import same_name
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.applying.contexts import details_context, note_context
from ecard_issuer.applying.rules import STEPS, Step, needed_copies
from ecard_issuer.applying.store import ApplicationStore, Move
from ecard_issuer.applying.values import (
    MAX_NOTE,
    ApplicationKind,
    ApplicationRow,
    ApplicationState,
    CopyMark,
    Details,
    DocumentCopy,
    RefusalReason,
    StepRow,
)
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.card_effect import PolicyOf
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.mandates.desk import Lives
from ecard_issuer.people import People
from ecard_issuer.rows import CardRow, HolderRow


class Steps:
    """Brings applications to a card, or to their end."""

    def __init__(
        self,
        store: ApplicationStore,
        people: People,
        lives: Lives,
        acting: ActingRules,
        cards: CardDesk,
        lifecycle: LifeCycle,
        *,
        cards_of: Callable[[str], tuple[CardRow, ...]],
        serves: Callable[[str], bool],
        policy_of: PolicyOf,
    ) -> None:
        self._store = store
        self._people = people
        self._lives = lives
        self._acting = acting
        self._cards = cards
        self._lifecycle = lifecycle
        self._cards_of = cards_of
        self._serves = serves
        self._policy_of = policy_of

    def get(self, application_id: str) -> ApplicationRow:
        """Raises `NotFound` `application_unknown`."""
        row = self._store.find(application_id)
        if row is None:
            raise NotFound("application_unknown", "no such application")
        return row

    def review(self, application_id: str, by: str, now: datetime) -> ApplicationRow:
        """Take it from the work list. Raises `NotFound` `application_unknown`, `Conflict` `application_moved`."""
        return self._step(Step.REVIEW, self.get(application_id), by, now)

    def refuse(self, application_id: str, reason: RefusalReason, note: str, by: str, now: datetime) -> ApplicationRow:
        """Refuse it, with a reason that has a text in both languages and a note for the person. They may apply again.
        Raises as `review`, and `InvalidInput` `bad_note`."""
        return self._step(Step.REFUSE, self.get(application_id), by, now, reason=reason.value, note=note)

    def approve(self, application_id: str, by: str, now: datetime, *, acting: Acting | None = None) -> ApplicationRow:
        """Approve it. `acting` says who acts now, where that changed: a minor who came of age, another agent.

        The register's name of the person becomes the one applied for, unless a card of theirs shows the other one: then
        only an exchange for changed data does that. Raises as `review`; `RuleViolation` `application_incomplete`,
        `name_differs_from_card`, `holder_dead`, `holder_emigrated`, and as `ActingRules.require`.
        """
        row = self.get(application_id)
        if self._done(Step.APPROVE, row):
            return row
        _require_in(row, STEPS[Step.APPROVE][0])
        person = self._people.get(row.holder_ref)
        details = self._details(row, person)
        missing = self._missing(row, details, self._store.copies_of(application_id), now)
        if missing:
            raise RuleViolation("application_incomplete", f"missing: {', '.join(sorted(missing))}")
        self._require_still(row, Act.APPLY, acting, now)
        known = self._people.person(person)
        if known != details.holder:
            live = any(card.status is not CardStatus.CANCELLED for card in self._cards_of(row.holder_ref))
            if live and row.kind is not ApplicationKind.EXCHANGE and not same_name(known.name, details.holder.name):
                raise RuleViolation("name_differs_from_card", "a card shows another name")
            self._people.correct(person, details.holder)
        return self._step(Step.APPROVE, row, by, now, acting=acting)

    def produce(self, application_id: str, by: str, now: datetime) -> ApplicationRow:
        """It was sent to the card's maker. Raises as `review`, `RuleViolation` `holder_dead`, `holder_emigrated`."""
        row = self.get(application_id)
        self._require_alive(row.holder_ref)
        return self._step(Step.PRODUCE, row, by, now)

    def made(self, application_id: str, made: Card, by: str, now: datetime) -> ApplicationRow:
        """The maker made this card: it enters the register sealed. `made` names the person of the application.

        Raises as `produce`; `Conflict` `card_exists` (another application's or person's card), `holder_differs`,
        `chip_key_taken`.
        """
        row = self.get(application_id)
        card_ref = self._cards.references.card(made.chip.identification_code)
        if row.card_ref == card_ref:
            return row
        if row.state is not ApplicationState.IN_PRODUCTION or row.card_ref is not None:
            raise Conflict("application_moved", "no card is being made for it")
        self._require_alive(row.holder_ref)
        if self._people.references.holder(made.holder.id_number) != row.holder_ref:
            raise Conflict("holder_differs", "the card is another person's")
        try:
            self._cards.register(made, CardStatus.SEALED, now)
        except Conflict as conflict:
            if conflict.code != "card_exists" or not self._is_left_over(row, card_ref):
                raise
        return self._step(Step.MADE, row, by, now, card_ref=card_ref)

    def ready(self, application_id: str, outlet: str, by: str, now: datetime) -> ApplicationRow:
        """The card waits at `outlet`. Raises as `review`, and `RuleViolation` `card_not_made`."""
        row = self.get(application_id)
        if row.state is ApplicationState.IN_PRODUCTION and row.card_ref is None:
            raise RuleViolation("card_not_made", "no card was made for it yet")
        return self._step(Step.READY, row, by, now, outlet=outlet)

    def collect(self, application_id: str, by: str, now: datetime, *, acting: Acting | None = None) -> ApplicationRow:
        """Hand the card over: it is enabled, and a card that it replaces ends, with the e-card moving over.

        `acting` is whoever stands there, where that is not who applied. Raises as `review`, as `ActingRules.require`,
        `RuleViolation` `holder_dead`, `holder_emigrated`, and what `LifeCycle` raises.
        """
        row = self.get(application_id)
        if self._done(Step.COLLECT, row):
            return row
        _require_in(row, STEPS[Step.COLLECT][0])
        if row.card_ref is None:
            raise RuleViolation("card_not_made", "no card was made for it yet")
        self._require_still(row, Act.COLLECT, acting, now)
        # Both are harmless when repeated, so that a stop before the step is written down loses nothing.
        if not self._is_enabled(row.holder_ref, row.card_ref):  # else its maker said so before
            self._lifecycle.change(row.card_ref, CardChange.ENABLE, now, event_id=f"collect:{application_id}")
        if row.replaces is not None and self._is_live(row.holder_ref, row.replaces):
            self._lifecycle.replace(row.replaces, row.card_ref, now, event_id=f"replace:{application_id}")
        return self._step(Step.COLLECT, row, by, now, acting=acting)

    def withdraw(self, application_id: str, note: str, by: str, now: datetime) -> ApplicationRow:
        """Take it back; possible until a card is being made. Raises as `review`, `InvalidInput` `bad_note`."""
        return self._step(Step.WITHDRAW, self.get(application_id), by, now, note=note)

    def _is_left_over(self, row: ApplicationRow, card_ref: str) -> bool:
        """Whether a stop between registering a card and writing that down left this one, still sealed and unclaimed."""
        sealed = {card.card_ref for card in self._cards_of(row.holder_ref) if card.status is CardStatus.SEALED}
        claimed = {other.card_ref for other in self._store.of_holder(row.holder_ref)}
        return card_ref in sealed - claimed

    def _is_live(self, holder_ref: str, card_ref: str) -> bool:
        return card_ref in {card.card_ref for card in self._cards_of(holder_ref) if is_held(card)}

    def _is_enabled(self, holder_ref: str, card_ref: str) -> bool:
        normal = {card.card_ref for card in self._cards_of(holder_ref) if card.status is CardStatus.NORMAL}
        return card_ref in normal

    def _require_alive(self, holder_ref: str) -> None:
        life = self._lives.of(holder_ref)
        if not life.may_apply:
            if life.value == "dead":
                raise RuleViolation("holder_dead", "no card is made for the dead")
            raise RuleViolation("holder_emigrated", "this person has settled abroad")

    def _require_still(self, row: ApplicationRow, act: Act, acting: Acting | None, now: datetime) -> None:
        self._require_alive(row.holder_ref)
        self._acting.require(acting or row.acting, row.holder_ref, act, now)

    def _details(self, row: ApplicationRow, person: HolderRow) -> Details:
        text = self._people.seal_of(person).open(row.sealed, details_context(row.application_id))
        return Details.from_json(json.loads(text))

    def _missing(
        self, row: ApplicationRow, details: Details, copies: tuple[CopyMark, ...], now: datetime
    ) -> frozenset[DocumentCopy]:
        return needed_copies(details, row.source, now) - {copy.kind for copy in copies}

    @staticmethod
    def _done(step: Step, row: ApplicationRow) -> bool:
        """Whether this step was the last one: asking again is harmless."""
        return row.state is STEPS[step][1]

    def _step(
        self,
        step: Step,
        row: ApplicationRow,
        by: str,
        now: datetime,
        *,
        reason: str | None = None,
        note: str = "",
        acting: Acting | None = None,
        card_ref: str | None = None,
        outlet: str | None = None,
    ) -> ApplicationRow:
        if step is not Step.MADE and self._done(step, row):
            return row
        if len(note) > MAX_NOTE or not all(char.isprintable() or char == "\n" for char in note):
            raise InvalidInput("bad_note", f"at most {MAX_NOTE} printable characters")
        origins, target = STEPS[step]
        sealed_note = None
        if note:
            ahead = StepRow(row.application_id, row.steps + 1, target, by, now)
            seal = self._people.seal_of(self._people.get(row.holder_ref))
            sealed_note = seal.seal(note.encode(), note_context(ahead))
        return self._store.move(
            Move(row.application_id, origins, target, by, now, reason, sealed_note, acting, card_ref, outlet)
        )


def is_held(card: CardRow) -> bool:
    """Whether the person has the card, or a new one is being made in its place."""
    return card.status is not CardStatus.CANCELLED or card.replacing


def _require_in(row: ApplicationRow, origins: Collection[ApplicationState]) -> None:
    if row.state not in origins:
        raise Conflict("application_moved", f"it is {row.state.value}")
