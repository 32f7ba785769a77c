"""What a change of a key will break, and for whom, before anybody makes it.

Every command's `--dry-run` and every route's `dry_run` answers with these, and nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from ecard_card.errors import EcardError, InvalidInput
from ecard_issuer.consequences import Consequences
from ecard_issuer.key_lives import KeyLives, dated
from ecard_issuer.keyring import KeyRing
from ecard_issuer.rows import SigningKeyRow
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.rotation import (
    KeyLife,
    Schedule,
    earliest_destruction,
    earliest_promotion,
    earliest_retirement,
    judge_settings,
    preparation_due,
)
from ecard_keys.signer import KeyHome

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
WAITING: Final = frozenset({KeyState.GENERATED, KeyState.NEXT})


class Foresight:
    """Says what would come of each change. `approvals` people besides the one who asks must agree to it."""

    def __init__(self, ring: KeyRing, home: KeyHome, lives: KeyLives, approvals: int) -> None:
        self._ring = ring
        self._home = home
        self._lives = lives
        self._rules = lives.rules
        self._approvals = approvals

    def create(self, purpose: KeyPurpose, now: datetime) -> Consequences:
        """Making the next key."""
        waiting = self.waiting(purpose)
        note = "consequence_create_offline" if self._ceremony else "consequence_create"
        return Consequences(
            "create",
            purpose.value,
            purpose,
            (note, *self._ceremony_note()),
            refused="next_key_exists" if waiting else None,
            possible_from=None if self._ceremony else now + self._rules.lead,
            stale_after=int(self._rules.lead.total_seconds()),
            everywhere_at=self._everywhere(now),
            successor=waiting.kid if waiting else None,
            ceremony=self._ceremony,
        )

    def promote(self, kid: str, now: datetime, *, despite_lead: bool = False) -> Consequences:
        """Letting a waiting key sign. `NotFound` `key_unknown`."""
        row = self._ring.row(kid)
        ready = earliest_promotion(dated(row), self._rules)
        early = ready is None or now < ready
        notes = ["consequence_promote"]
        if early and ready is not None:
            notes.append("consequence_promote_early")
        refused = None
        if row.state != KeyState.NEXT:
            refused = "key_unpublished" if row.state == KeyState.GENERATED else "key_change_impossible"
        elif early and not despite_lead:
            refused = "key_lead_not_over"
        elif not self._ring.holds(row):
            refused = "key_not_held"
        return Consequences(
            "promote",
            kid,
            KeyPurpose(row.purpose),
            (*notes, *self._ceremony_note(), *self._approval_note()),
            refused=refused,
            possible_from=ready,
            stale_after=0 if row.published_at is None else max(0, int((now - row.published_at).total_seconds())),
            everywhere_at=ready,
            successor=kid,
            ceremony=self._ceremony,
            approvals=self._approvals,
        )

    def retire(self, kid: str, now: datetime) -> Consequences:
        """Taking a key that signs no more out of the trust list. `NotFound` `key_unknown`."""
        row = self._ring.row(kid)
        life = self._lives.of(row, now)
        possible = earliest_retirement(life, self._rules)
        refused = None
        if row.state != KeyState.VERIFY_ONLY:
            refused = "key_change_impossible"
        elif life.live or possible is None:
            refused = "key_still_named"
        elif now < possible:
            refused = "key_retirement_too_early"
        return Consequences(
            "retire",
            kid,
            life.purpose,
            ("consequence_retire", *_named_note(life), *self._ceremony_note(), *self._approval_note()),
            live=life.live,
            planned=life.planned,
            last_expiry=life.last_expiry,
            refused=refused,
            possible_from=possible,
            stale_after=int(self._rules.lead.total_seconds()),
            everywhere_at=self._everywhere(now),
            ceremony=self._ceremony,
            approvals=self._approvals,
        )

    def compromise(self, kid: str, cut_off: datetime | None, now: datetime) -> Consequences:
        """Declaring a key stolen or lost. `NotFound` `key_unknown`; `InvalidInput` `bad_cut_off` for a time without a
        zone, ahead of now, or before 1970: no trust list could say that, so none could be published any more."""
        if cut_off is not None and (cut_off.tzinfo is None or not _BEGINNING <= cut_off <= now):
            raise InvalidInput("bad_cut_off", "want a time with its zone, from 1970 on and not ahead of now")
        row = self._ring.row(kid)
        life = self._lives.of(row, now)
        notes = [
            "consequence_compromise_all" if cut_off is None else "consequence_compromise_since",
            "consequence_named" if life.live or life.planned else "consequence_unnamed",
            "consequence_when",
        ]
        if cut_off is not None:
            notes.append("consequence_cut_off_dates")
        waiting = self.waiting(life.purpose) if row.state == KeyState.ACTIVE else None
        stops = False
        if row.state == KeyState.ACTIVE:
            made = waiting is not None or self.home_answers()
            lost = waiting is not None and self._lost(waiting)
            stops = not made or lost or (self._ceremony and (waiting is None or waiting.published_at is None))
            notes.append(_successor_note(waiting, made=made))
            if waiting is not None and waiting.home == row.home:
                notes.append("consequence_same_home")
            if made and stops and not lost:
                notes.append("consequence_stops_until_ceremony")
        if life.live:
            notes.append("consequence_reissue")
        return Consequences(
            "compromise",
            kid,
            life.purpose,
            (*notes, *self._ceremony_note(), *self._approval_note()),
            live=life.live,
            planned=life.planned,
            last_expiry=life.last_expiry,
            refused="key_change_impossible" if _no_stricter(row, cut_off) else None,
            stale_after=int(self._rules.lead.total_seconds()),
            everywhere_at=self._everywhere(now),
            successor=waiting.kid if waiting else None,
            stops_signing=stops,
            ceremony=self._ceremony,
            reissue=life.live,
            approvals=self._approvals,
        )

    def destroy(self, kid: str, now: datetime) -> Consequences:
        """Having the home forget a key. `NotFound` `key_unknown`."""
        row = self._ring.row(kid)
        life = dated(row)
        possible = earliest_destruction(life, self._rules)
        refused = "key_change_impossible" if possible is None else None
        if possible is not None and now < possible:
            refused = "key_destruction_too_early"
        if row.state == KeyState.DESTROYED:  # the register knows; the home may have been away
            refused = None
        return Consequences(
            "destroy",
            kid,
            life.purpose,
            ("consequence_destroy", *self._approval_note()),
            refused=refused,
            possible_from=possible,
            approvals=self._approvals,
        )

    def schedule(self, wanted: Schedule, now: datetime) -> Consequences:
        """Rotating a purpose's keys from now on without asking again."""
        wrong = [advice.code for advice in judge_settings(self._rules, [wanted])]
        active = next((row for row in self._ring.rows([wanted.purpose]) if row.state == KeyState.ACTIVE), None)
        first = None if active is None else preparation_due(dated(active), wanted, self._rules)
        many = ["schedule_keeps_many_keys"] if "schedule_keeps_many_keys" in wrong else []
        return Consequences(
            "schedule",
            wanted.purpose.value,
            wanted.purpose,
            ("consequence_schedule", *many, *self._ceremony_note(), *self._approval_note()),
            refused="schedule_shorter_than_lead" if "schedule_shorter_than_lead" in wrong else None,
            possible_from=None if first is None else max(first, now),
            ceremony=self._ceremony,
            approvals=self._approvals,
        )

    def clear_schedule(self, purpose: KeyPurpose) -> Consequences:
        """Ending a schedule."""
        notes = ("consequence_schedule_cleared", *self._approval_note())
        known = any(schedule.purpose is purpose for schedule in self._lives.schedules())
        refused = None if known else "key_schedule_unknown"
        return Consequences("unschedule", purpose.value, purpose, notes, refused=refused, approvals=self._approvals)

    def waiting(self, purpose: KeyPurpose) -> SigningKeyRow | None:
        """The key that would sign next, published or not."""
        return next((row for row in self._ring.rows([purpose]) if row.state in WAITING), None)

    def home_answers(self) -> bool:
        """Whether a key could be made now."""
        try:
            self._home.held()
        except EcardError:
            return False
        return True

    def _lost(self, row: SigningKeyRow) -> bool:
        """Whether a home that answers does not hold a key."""
        try:
            return not self._ring.holds(row)
        except EcardError:
            return False

    @property
    def _ceremony(self) -> bool:
        """Whether the roots are offline, so that a ceremony stands between a change and the world."""
        return not self._ring.board.signs()

    def _everywhere(self, now: datetime) -> datetime | None:
        return None if self._ceremony else now + self._rules.lead

    def _ceremony_note(self) -> Sequence[str]:
        return ("consequence_ceremony",) if self._ceremony else ()

    def _approval_note(self) -> Sequence[str]:
        return ("consequence_approvals",) if self._approvals else ()


def _no_stricter(row: SigningKeyRow, cut_off: datetime | None) -> bool:
    """Whether a key is known as stolen already and the new cut-off would give trust back, or change nothing."""
    if row.state != KeyState.COMPROMISED:
        return False
    before = row.compromised_from
    return before is None or (cut_off is not None and cut_off >= before)


def _named_note(life: KeyLife) -> Sequence[str]:
    if life.purpose is KeyPurpose.EVENT:
        return ("consequence_events_kept",)
    if life.purpose is KeyPurpose.STATEMENT:
        return ("consequence_statements_kept",)
    return ("consequence_named",) if life.live or life.planned else ()


def _successor_note(waiting: SigningKeyRow | None, *, made: bool) -> str:
    if waiting is not None:
        return "consequence_successor"
    return "consequence_successor_made" if made else "consequence_no_successor"
