"""Taking applications and showing them; what becomes of them is `steps.py`."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from ecard_card.acting import Act
from ecard_card.card import IdNumber
from ecard_card.errors import Conflict, InvalidInput, NotFound, RuleViolation
from ecard_card.person_name import ChipName, chip_name, same_name
from ecard_card.region import EVERYWHERE
from ecard_issuer.applying import photo
from ecard_issuer.applying.contexts import copy_context, details_context, note_context
from ecard_issuer.applying.rules import REPLACING, examine, source_of
from ecard_issuer.applying.steps import Steps, is_held
from ecard_issuer.applying.store import Place
from ecard_issuer.applying.values import (
    AccessRow,
    ApplicationRow,
    ApplicationState,
    CopyMark,
    CopyRow,
    Details,
    DocumentCopy,
    NewApplication,
    StepRow,
)
from ecard_issuer.documents import require_copy
from ecard_issuer.rows import HolderRow

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


class Applying(Steps):
    """Takes applications, and brings them to a card."""

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

    def _require_room(self, wish: NewApplication, holder_ref: str, now: datetime) -> None:
        """That the person has no card of the region already; or, for a replacement, has the card it names."""
        live = [card for card in self._cards_of(holder_ref) if is_held(card)]
        if wish.kind in REPLACING:
            if wish.replaces not in {card.card_ref for card in live}:
                raise RuleViolation("card_not_replaceable", "not a card of this person, or cancelled")
            return
        elsewhere = self._policy_of(wish.region, now).cards_elsewhere
        if any(card.region[:2] == wish.region[:2] for card in live) or len(live) > elsewhere:
            raise RuleViolation("card_held_already", "ask for a replacement, or cancel a card")

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

    def purge(self, before: datetime, limit: int, *, region: str = EVERYWHERE, without: Collection[str] = ()) -> int:
        """See `ApplicationStore.purge`."""
        return self._store.purge(before, limit, region=region, without=without)

    def under_way(self, holder_ref: str) -> bool:
        """Whether the person has an application that is not closed."""
        return any(not row.state.closed for row in self._store.of_holder(holder_ref))


def _content(wish: NewApplication, details: Details) -> bytes:
    """All that was asked, in one order."""
    rest = [wish.region, wish.kind, wish.channel, wish.acting.ground, wish.acting.mandate_id, wish.replaces]
    return json.dumps([details.to_json(), rest], ensure_ascii=False, sort_keys=True).encode()
