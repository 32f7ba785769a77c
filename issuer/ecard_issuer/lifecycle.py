"""The life of a card after it was registered: lost, found, locked, replaced, cancelled.

The rules are the status table's and the register's; this use case names the event, and wakes the dispatcher so that
verifiers hear of it at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Final
from unicodedata import category

from ecard_card.errors import InvalidInput
from ecard_card.status import CardChange
from ecard_issuer.change_order import MAX_SEQUENCE, OWN
from ecard_issuer.chosen_ids import CHOSEN_ID
from ecard_issuer.ports import Changes
from ecard_issuer.rows import ChangeResult
from ecard_verifier.callers import CALLER_NAME

MAX_REASON: Final = 200
#: Controls, direction marks, halves of surrogate pairs, line and paragraph separators.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class LifeCycle:
    """Applies changes to cards. `wake` is called after each commit."""

    def __init__(
        self,
        register: Changes,
        wake: Callable[[], None],
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._register = register
        self._wake = wake
        self._random = random

    def change(
        self,
        card_ref: str,
        change: CardChange,
        now: datetime,
        *,
        source: str = OWN,
        sequence: int | None = None,
        event_id: str | None = None,
        occurred_at: datetime | None = None,
        reason: str = "",
    ) -> ChangeResult:
        """Apply `change`. `source` names the sender (empty: our own desks), `sequence` is its number of this card's
        change, `event_id` makes a repetition by the same sender harmless.

        Raises what `Changes.apply_change` raises, and `InvalidInput` `bad_card_event`.
        """
        _check(event_id, source, sequence, reason, occurred_at)
        result = self._register.apply_change(
            card_ref,
            change,
            event_id=event_id or self._new_id(),
            occurred_at=occurred_at or now,
            now=now,
            source=source,
            sequence=sequence,
            reason=reason,
        )
        self._wake()
        return result

    def replace(
        self,
        old_ref: str,
        new_ref: str,
        now: datetime,
        *,
        source: str = OWN,
        sequence: int | None = None,
        event_id: str | None = None,
        occurred_at: datetime | None = None,
        reason: str = "",
        enrolment_id: str | None = None,
    ) -> ChangeResult:
        """Replace a card (补换): the old one ends, the same e-card moves to the new one.

        Raises what `Changes.replace_card` raises, and `InvalidInput` `bad_card_event`.
        """
        _check(event_id, source, sequence, reason, occurred_at)
        result = self._register.replace_card(
            old_ref,
            new_ref,
            event_id=event_id or self._new_id(),
            occurred_at=occurred_at or now,
            now=now,
            source=source,
            sequence=sequence,
            reason=reason,
            enrolment_id=enrolment_id,
        )
        self._wake()
        return result

    def _new_id(self) -> str:
        return self._random(16).hex()


def _check(event_id: str | None, source: str, sequence: int | None, reason: str, occurred_at: datetime | None) -> None:
    if event_id is not None and not CHOSEN_ID.fullmatch(event_id):
        raise InvalidInput("bad_card_event", "an event id is 1 to 64 letters, digits and . _ : -")
    if source != OWN and not CALLER_NAME.fullmatch(source):
        raise InvalidInput("bad_card_event", "a sender's name is 1 to 64 letters, digits, spaces and . _ @ -")
    if sequence is not None and (source == OWN or not 1 <= sequence <= MAX_SEQUENCE):
        raise InvalidInput("bad_card_event", "a sequence is a whole number from 1, of a sender with a name")
    if len(reason) > MAX_REASON or any(category(char) in _UNSEEN for char in reason):
        raise InvalidInput("bad_card_event", "a reason is at most 200 printable characters")
    if occurred_at is not None and occurred_at.tzinfo is None:
        raise InvalidInput("bad_card_event", "a time needs its zone")
