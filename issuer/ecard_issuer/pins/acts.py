"""What is done to secrets, whichever: each act once, with the name of who did it; and checks that need no store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ecard_card.acting import Acting
from ecard_card.card import IdNumber
from ecard_card.errors import Conflict, InvalidInput, NotAllowed, RuleViolation
from ecard_issuer.chosen_ids import CHOSEN_ID
from ecard_issuer.people import People
from ecard_issuer.pins.secret import Purpose, Secret, SecretAct, SecretEvent, SecretRow, Secrets
from ecard_verifier.callers import Caller


class Acts:
    """Numbers acts and recognises repetitions."""

    def __init__(self, store: Secrets, random: Callable[[int], bytes]) -> None:
        self._store, self._random = store, random

    def before(
        self, purpose: Purpose, subject: str, event_id: str | None, act: SecretAct, caller: Caller
    ) -> SecretEvent | None:
        """What this caller did under this event id. Raises `Conflict` `secret_event_differs`, `InvalidInput`
        `bad_event_id`.

        A repetition is recognised by its id alone: which digits it brought is not looked at. An id that another caller
        used is refused: taken for a repetition, it would answer that a secret was changed which was not."""
        if event_id is None:
            return None
        if not CHOSEN_ID.fullmatch(event_id):
            raise InvalidInput("bad_event_id", "want 1 to 64 letters, digits and . _ : -")
        done = self._store.find_event(purpose, subject, event_id)
        if done is not None and (done.act, done.caller) != (act, caller.name):
            raise Conflict("secret_event_differs", "this event id was used for something else")
        return done

    def next(
        self, row: SecretRow, act: SecretAct, caller: Caller, acting: Acting, event_id: str | None, now: datetime
    ) -> SecretEvent:
        """The event that follows `row`."""
        return SecretEvent(
            subject=row.subject,
            purpose=row.purpose,
            version=row.version + 1,
            event_id=event_id or self._random(16).hex(),
            act=act,
            at=now,
            caller=caller.name,
            ground=acting.ground.value,
            mandate_id=acting.mandate_id,
        )


def require_document(people: People, document: IdNumber, holder_ref: str) -> None:
    """Return if the identity document is the holder's. Raises `NotAllowed` `document_of_other_person`."""
    if people.references.holder(document) != holder_ref:
        raise NotAllowed("document_of_other_person", "the document's number is not the holder's")


def require_other(chosen: Secret, typed_beside: Secret | None) -> None:
    """Card PIN and e-card password differ, as far as anybody may know: only where a person typed both are they
    compared. Trying the new one against the other's hash would be a free guess at it. Raises `RuleViolation`
    `secrets_equal`."""
    if chosen == typed_beside:
        raise RuleViolation("secrets_equal", "the same digits as the other secret")
