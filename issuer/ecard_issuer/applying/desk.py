"""The life of an application, from submitting to collecting. Every step asks again whether who acts still may."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from ecard_card.acting import Act, Acting
from ecard_card.card import Card, IdNumber
from ecard_card.errors import Conflict, InvalidInput, NotFound, RuleViolation
from ecard_card.person_name import ChipName, chip_name, same_name
from ecard_card.region import EVERYWHERE
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.applying import photo
from ecard_issuer.applying.rules import REPLACING, STEPS, Step, examine, needed_copies, source_of
from ecard_issuer.applying.store import ApplicationStore, Move, Place
from ecard_issuer.applying.values import (
    MAX_NOTE,
    AccessRow,
    ApplicationKind,
    ApplicationRow,
    ApplicationState,
    CopyMark,
    CopyRow,
    Details,
    DocumentCopy,
    NewApplication,
    RefusalReason,
    StepRow,
)
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.card_effect import PolicyOf
from ecard_issuer.documents import require_copy
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.mandates.desk import Lives
from ecard_issuer.people import People
from ecard_issuer.rows import CardRow, HolderRow

#: The longest page of a work list.
MOST_WORK: Final = 200


@dataclass(frozen=True, slots=True)
class Draft:
    """An application that may be made, before it is sealed."""

    row: ApplicationRow
    details: Details = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenedApplication:
    """An application with the person in it, opened for one use."""

    row: ApplicationRow
    details: Details = field(repr=False)
    chip_name: ChipName = field(repr=False)
    name_differs: bool  # the register has this person under another name
    copies: tuple[CopyMark, ...]
    missing: frozenset[DocumentCopy]
    steps: tuple[tuple[StepRow, str], ...] = field(repr=False)  # with their notes


class Applying:
    """Takes applications and brings them to a card."""

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

    def submit(self, request_id: str, wish: NewApplication, by: str, now: datetime) -> ApplicationRow:
        """Take an application; the one taken before for the same request.

        Raises what `examine` and `ActingRules.require` raise; `InvalidInput` `region_not_served`; `RuleViolation`
        `holder_dead`, `holder_emigrated`, `card_held_already`, `card_not_replaceable`; `Conflict` `application_open`,
        `application_differs`.
        """
        draft = self.draft(request_id, wish, by, now)
        before = self._store.find(draft.row.application_id)
        if before is not None:
            if before.content_mac != draft.row.content_mac:
                raise Conflict("application_differs", "this request was made before with other content")
            return before
        self.require_possible(draft, wish)
        person = self._people.enter(draft.details.holder)
        self._acting.require(wish.acting, person.holder_ref, Act.APPLY, now)
        return self._store.add(self.sealed(draft, person))

    def draft(self, request_id: str, wish: NewApplication, by: str, now: datetime) -> Draft:
        """What would be kept of an application; nothing is stored, and nothing looked up."""
        if not self._serves(wish.region):
            raise InvalidInput("region_not_served", "this issuer does not issue cards there")
        details = examine(wish, of_age=self._policy_of(wish.region, now).family.of_age, now=now)
        row = ApplicationRow(
            application_id=self._people.references.request("application", by, request_id),
            holder_ref=self._people.references.holder(details.holder.id_number),
            region=wish.region,
            kind=wish.kind,
            source=source_of(wish.channel, wish.acting.ground),
            channel=wish.channel,
            state=ApplicationState.SUBMITTED,
            ground=wish.acting.ground,
            mandate_id=wish.acting.mandate_id,
            sealed=b"",
            content_mac=self._people.references.content(_content(wish, details)),
            submitted_by=by,
            submitted_at=now,
            updated_at=now,
            replaces=wish.replaces,
        )
        return Draft(row, details)

    def require_possible(self, draft: Draft, wish: NewApplication) -> None:
        """That the person lives, and has no card in the way. Raises as `submit`."""
        self._require_alive(draft.row.holder_ref)
        self._require_room(wish, draft.row.holder_ref, draft.row.submitted_at)

    def sealed(self, draft: Draft, person: HolderRow) -> ApplicationRow:
        """The row with what was applied for, under the person's data key."""
        text = json.dumps(draft.details.to_json(), ensure_ascii=False).encode()
        context = details_context(draft.row.application_id)
        return replace(draft.row, sealed=self._people.seal_of(person).seal(text, context))

    def _require_alive(self, holder_ref: str) -> None:
        life = self._lives.of(holder_ref)
        if not life.may_apply:
            if life.value == "dead":
                raise RuleViolation("holder_dead", "no card is made for the dead")
            raise RuleViolation("holder_emigrated", "this person has settled abroad")

    def _require_room(self, wish: NewApplication, holder_ref: str, now: datetime) -> None:
        """That the person has no card of the region already; or, for a replacement, has the card it names."""
        live = [card for card in self._cards_of(holder_ref) if _is_held(card)]
        if wish.kind in REPLACING:
            if wish.replaces not in {card.card_ref for card in live}:
                raise RuleViolation("card_not_replaceable", "not a card of this person, or cancelled")
            return
        elsewhere = self._policy_of(wish.region, now).cards_elsewhere
        if any(card.region[:2] == wish.region[:2] for card in live) or len(live) > elsewhere:
            raise RuleViolation("card_held_already", "ask for a replacement, or cancel a card")

    def get(self, application_id: str) -> ApplicationRow:
        """Raises `NotFound` `application_unknown`."""
        row = self._store.find(application_id)
        if row is None:
            raise NotFound("application_unknown", "no such application")
        return row

    def of_person(self, id_number: IdNumber) -> tuple[ApplicationRow, ...]:
        """Every application of this person, oldest first."""
        return self._store.of_holder(self._people.references.holder(id_number))

    def open_business(self, holder_ref: str, now: datetime) -> str | None:
        """What of a person's applications is not finished: "application", or None. See `OpenBusiness`."""
        rows = self._store.of_holder(holder_ref)
        return "application" if any(row.closed_at is None for row in rows) else None

    def work(self, state: ApplicationState, region: str, after: Place | None, limit: int) -> tuple[ApplicationRow, ...]:
        """A page of the work list, without anything about people. `limit` is at most `MOST_WORK`."""
        return self._store.work(state, region, after, min(limit, MOST_WORK))

    def steps_of(self, row: ApplicationRow) -> tuple[StepRow, ...]:
        """Its steps in order, with their notes sealed."""
        return self._store.steps_of(row.application_id)

    def open(self, application_id: str, by: str, now: datetime) -> OpenedApplication:
        """An application with its person, for somebody who may see them; that they did is recorded first. Raises
        `NotFound` `application_unknown`."""
        row = self.get(application_id)
        self._store.note_access(AccessRow(application_id, now, by))
        person = self._people.get(row.holder_ref)
        details = self._details(row, person)
        seal = self._people.seal_of(person)
        steps = tuple(
            (step, "" if step.sealed_note is None else seal.open(step.sealed_note, note_context(step)).decode())
            for step in self.steps_of(row)
        )
        copies = self._store.copies_of(application_id)
        return OpenedApplication(
            row=row,
            details=details,
            chip_name=chip_name(details.holder.name),
            name_differs=not same_name(self._people.person(person).name, details.holder.name),
            copies=copies,
            missing=self._missing(row, details, copies, now),
            steps=steps,
        )

    def add_copy(
        self, application_id: str, kind: DocumentCopy, media_type: str, content: bytes, by: str, now: datetime
    ) -> ApplicationRow:
        """Put a file to an application, in place of one of its kind. Raises what `require_copy` and `require_photo`
        raise, `NotFound` `application_unknown`, `Conflict` `application_moved` once it is approved or closed."""
        require_copy(media_type, content)
        if kind is DocumentCopy.PHOTO:
            if media_type != photo.MEDIA_TYPE:
                raise InvalidInput("photo_not_jpeg", "a photo is a JPEG picture")
            photo.require_photo(content)
        row = self.get(application_id)
        seal = self._people.seal_of(self._people.get(row.holder_ref))
        sealed = seal.seal(content, copy_context(application_id, kind))
        self._store.put_copy(CopyRow(application_id, kind, media_type, by, len(content), sealed, now))
        return self.get(application_id)

    def copy(self, application_id: str, kind: DocumentCopy, by: str, now: datetime) -> tuple[str, bytes]:
        """A file and its media type; that somebody looked is recorded first. Raises `NotFound` `application_unknown`,
        `document_unknown`."""
        row = self.get(application_id)
        found = self._store.find_copy(application_id, kind)
        if found is None:
            raise NotFound("document_unknown", "no such file at this application")
        self._store.note_access(AccessRow(application_id, now, by))
        seal = self._people.seal_of(self._people.get(row.holder_ref))
        return found.media_type, seal.open(found.sealed, copy_context(application_id, kind))

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

    def _is_left_over(self, row: ApplicationRow, card_ref: str) -> bool:
        """Whether a stop between registering a card and writing that down left this one, still sealed and unclaimed."""
        sealed = {card.card_ref for card in self._cards_of(row.holder_ref) if card.status is CardStatus.SEALED}
        claimed = {other.card_ref for other in self._store.of_holder(row.holder_ref)}
        return card_ref in sealed - claimed

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

    def _is_live(self, holder_ref: str, card_ref: str) -> bool:
        return card_ref in {card.card_ref for card in self._cards_of(holder_ref) if _is_held(card)}

    def _is_enabled(self, holder_ref: str, card_ref: str) -> bool:
        normal = {card.card_ref for card in self._cards_of(holder_ref) if card.status is CardStatus.NORMAL}
        return card_ref in normal

    def withdraw(self, application_id: str, note: str, by: str, now: datetime) -> ApplicationRow:
        """Take it back; possible until a card is being made. Raises as `review`, `InvalidInput` `bad_note`."""
        return self._step(Step.WITHDRAW, self.get(application_id), by, now, note=note)

    def purge(self, before: datetime, limit: int, *, region: str = EVERYWHERE, without: Collection[str] = ()) -> int:
        """See `ApplicationStore.purge`."""
        return self._store.purge(before, limit, region=region, without=without)

    def under_way(self, holder_ref: str) -> bool:
        """Whether the person has an application that is not closed."""
        return any(not row.state.closed for row in self._store.of_holder(holder_ref))

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


def _is_held(card: CardRow) -> bool:
    """Whether the person has the card, or a new one is being made in its place."""
    return card.status is not CardStatus.CANCELLED or card.replacing


def _require_in(row: ApplicationRow, origins: Collection[ApplicationState]) -> None:
    if row.state not in origins:
        raise Conflict("application_moved", f"it is {row.state.value}")


def details_context(application_id: str) -> str:
    """Under what the details of an application are sealed."""
    return f"application/{application_id}"


def copy_context(application_id: str, kind: DocumentCopy) -> str:
    """Under what a file of an application is sealed."""
    return f"application/{application_id}/{kind.value}"


def note_context(step: StepRow) -> str:
    """Under what the note of a step is sealed."""
    return f"application/{step.application_id}/note/{step.taken_at.astimezone(UTC).isoformat()}"


def _content(wish: NewApplication, details: Details) -> bytes:
    """All that was asked, in one order."""
    rest = [wish.region, wish.kind, wish.channel, wish.acting.ground, wish.acting.mandate_id, wish.replaces]
    return json.dumps([details.to_json(), rest], ensure_ascii=False, sort_keys=True).encode()
