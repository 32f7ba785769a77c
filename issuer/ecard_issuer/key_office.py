"""What admins do to keys: make, promote, retire, declare stolen, destroy, and rotate by schedule.

Each verb first asks the rules (`foresight` says what would happen, and which rule forbids it), then other people
where four eyes are wanted, and only then changes the register, in one transaction with the approval's use. The key
ring publishes what came of it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from ecard_card.algorithm import Algorithm
from ecard_card.errors import EcardError, InvalidInput, NotFound, RuleViolation
from ecard_card.jose import b64url_encode, jwk_of
from ecard_card.jose import thumbprint as thumbprint_of
from ecard_issuer.approvals import Approvals, Change
from ecard_issuer.consequences import Consequences
from ecard_issuer.foresight import Foresight
from ecard_issuer.key_lives import KeyLives, dated
from ecard_issuer.keyring import PURPOSES, KeyRing
from ecard_issuer.ports import Keys
from ecard_issuer.rows import Grant, KeyScheduleRow, SigningKeyRow
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.rotation import KeyLife, Schedule, earliest_promotion, preparation_due, rotation_due
from ecard_keys.signer import KeyHome
from ecard_verifier.verdict import rfc3339

LONGEST_PERIOD: Final = 3650 * 86_400  # seconds
_log: Final = logging.getLogger(__name__)


class KeyOffice:
    """The changes of keys. `actor` is the name of the person who asks, `now` aware UTC.

    Every verb may raise `NotFound` `key_unknown`, the `RuleViolation` of the rule that forbids it now, `ApprovalNeeded`
    `approval_needed` where others must agree first (asking again once they did carries it out), `RuleViolation`
    `approval_not_usable`, and `Unavailable` where the register or a home does not answer.
    """

    def __init__(
        self,
        ring: KeyRing,
        register: Keys,
        home: KeyHome,
        approvals: Approvals,
        lives: KeyLives,
        foresight: Foresight,
    ) -> None:
        self.lives = lives
        self.foresight = foresight
        self._ring = ring
        self._register = register
        self._home = home
        self._approvals = approvals

    def create(self, purpose: KeyPurpose, now: datetime) -> KeyRecord:
        """Make and publish the next key of a purpose. Harmless: it signs nothing before its promotion, so nobody else
        is asked. Raises as `KeyRing.create_next`."""
        return self._ring.create_next(purpose, now)

    def promote(self, kid: str, actor: str, now: datetime, *, despite_lead: bool = False) -> KeyRecord:
        """Let the waiting key sign; its predecessor then only verifies.

        `RuleViolation` `key_change_impossible`, `key_unpublished`, `key_not_held` (its home lost it: nothing would
        sign), `key_lead_not_over` (not with `despite_lead`, which whoever approves sees).
        """
        foreseen = self.foresight.promote(kid, now, despite_lead=despite_lead)
        _obey(foreseen)
        row = self._ring.row(kid)
        thumbprint = b64url_encode(thumbprint_of(jwk_of(row.public, Algorithm(row.algorithm))))
        facts = {"purpose": foreseen.purpose.value, "thumbprint": thumbprint, "despite_lead": despite_lead}
        return self._ring.promote(kid, now, grant=self._granted("key.promote", kid, facts, actor, now))

    def retire(self, kid: str, actor: str, now: datetime) -> SigningKeyRow:
        """Take a key that signs no more, and that nothing needs, out of the trust list.

        `RuleViolation` `key_change_impossible`, `key_still_named`, `key_retirement_too_early`.
        """
        foreseen = self.foresight.retire(kid, now)
        _obey(foreseen)
        purpose = foreseen.purpose.value
        grant = self._granted("key.retire", kid, {"purpose": purpose}, actor, now)
        row = self._register.retire_key(purpose, kid, now, grant=grant)
        self._ring.publish(now)
        return row

    def compromise(self, kid: str, cut_off: datetime | None, actor: str, now: datetime) -> SigningKeyRow:
        """Declare a key stolen or lost: what it signed after `cut_off` is refused, or everything where that is None.

        If it was the one that signs, the waiting key takes its place in the same transaction, or one made for it; its
        lead is waived, because its predecessor is believed by nobody. Works while the key's home is away: only a
        successor needs a home. `InvalidInput` `bad_cut_off` (ahead of now, before 1970, or without a zone),
        `RuleViolation` `key_change_impossible`.
        """
        foreseen = self.foresight.compromise(kid, cut_off, now)
        _obey(foreseen)
        purpose = foreseen.purpose
        facts = {"purpose": purpose.value, "cut_off": None if cut_off is None else rfc3339(cut_off)}
        grant = self._granted("key.compromise", kid, facts, actor, now)
        signs = self._ring.row(kid).state == KeyState.ACTIVE
        waiting = self.foresight.waiting(purpose) if signs else None
        fresh = self._fresh(purpose, now) if signs and waiting is None else None
        if signs and fresh is None:
            waiting = self.foresight.waiting(purpose)  # another process may have been faster
        successor = fresh or waiting
        try:
            row = self._register.compromise_key(
                purpose.value, kid, cut_off, now, successor=successor.kid if successor else None, grant=grant
            )
        except EcardError:
            if fresh is not None:
                self._undo(fresh, now)
            raise
        self._ring.publish(now)
        return row

    def destroy(self, kid: str, actor: str, now: datetime) -> SigningKeyRow:
        """Have the home forget a key for ever: one that no list ever named, or one retired long enough ago.

        The register is told first, so that no destroyed key can be promoted; where the home is away then, the same
        command finishes the work later and asks nobody again. `RuleViolation` `key_change_impossible`,
        `key_destruction_too_early`.
        """
        foreseen = self.foresight.destroy(kid, now)
        _obey(foreseen)
        row = self._ring.row(kid)
        if row.state != KeyState.DESTROYED:
            self._home.held()  # a home that is away shall not cost an approval
            purpose = foreseen.purpose.value
            grant = self._granted("key.destroy", kid, {"purpose": purpose}, actor, now)
            row = self._register.destroy_key(purpose, kid, now, grant=grant)
            self._ring.publish(now)
        try:
            self._home.destroy(kid)
        except NotFound:
            pass  # gone already, by an earlier attempt
        return row

    def wanted_schedule(self, purpose: KeyPurpose, every_seconds: int) -> Schedule:
        """A schedule within bounds. Raises `InvalidInput` `bad_key_purpose`, `bad_schedule`."""
        if purpose not in PURPOSES:
            raise InvalidInput("bad_key_purpose", "an issuer has keys for credential, status, event and statement")
        if not 1 <= every_seconds <= LONGEST_PERIOD:
            raise InvalidInput("bad_schedule", "want 1 s to ten years")
        return Schedule(purpose, timedelta(seconds=every_seconds))

    def set_schedule(self, wanted: Schedule, actor: str, now: datetime) -> KeyScheduleRow:
        """Rotate a purpose's keys from now on: what was approved here once, `upkeep` does again and again.

        `RuleViolation` `schedule_shorter_than_lead`.
        """
        _obey(self.foresight.schedule(wanted, now))
        facts = {"every_seconds": int(wanted.every.total_seconds())}
        grant = self._granted("key.schedule", wanted.purpose.value, facts, actor, now)
        row = KeyScheduleRow(purpose=wanted.purpose.value, every=wanted.every, set_by=actor, set_at=now)
        self._register.set_schedule(row, grant=grant)
        return row

    def clear_schedule(self, purpose: KeyPurpose, actor: str, now: datetime) -> None:
        """Rotate a purpose's keys by hand again. `NotFound` `key_schedule_unknown`."""
        if not any(schedule.purpose is purpose for schedule in self.lives.schedules()):
            raise NotFound("key_schedule_unknown", "the keys of this purpose have no schedule")
        grant = self._granted("key.unschedule", purpose.value, {}, actor, now)
        self._register.clear_schedule(purpose.value, now, grant=grant)

    def upkeep(self, now: datetime) -> None:
        """Do what the schedules say is due: make the next key, promote it when its time has come and its lead is over.

        The approval given when a schedule was set covers exactly that; retiring is only advised. May be called from
        several processes: the register lets one of them. A purpose that fails keeps no other from its turn; its error
        is raised at the end.
        """
        failed: EcardError | None = None
        for schedule in self.lives.schedules():
            try:
                self._keep(schedule, now)
            except EcardError as error:
                if error.code not in ("next_key_exists", "key_change_impossible"):  # another process was faster
                    failed = failed or error
        if failed is not None:
            raise failed

    def _keep(self, schedule: Schedule, now: datetime) -> None:
        rows = self._ring.rows([schedule.purpose])
        active = next((dated(row) for row in rows if row.state == KeyState.ACTIVE), None)
        waiting = self.foresight.waiting(schedule.purpose)
        if active is None:
            return  # somebody decided so, or must: advice says it
        if waiting is None:
            prepare = preparation_due(active, schedule, self.lives.rules)
            if prepare is not None and now >= prepare:
                made = self._ring.create_next(schedule.purpose, now)
                _log.info("schedule: made key %s for %s", made.kid, schedule.purpose)
        elif self._time_has_come(active, dated(waiting), schedule, now):
            self._ring.promote(waiting.kid, now)
            _log.info("schedule: promoted key %s for %s", waiting.kid, schedule.purpose)

    def _time_has_come(self, active: KeyLife, waiting: KeyLife, schedule: Schedule, now: datetime) -> bool:
        ready, due = earliest_promotion(waiting, self.lives.rules), rotation_due(active, schedule)
        return waiting.state is KeyState.NEXT and ready is not None and due is not None and now >= max(ready, due)

    def _granted(
        self, action: str, subject: str, facts: Mapping[str, object], actor: str, now: datetime
    ) -> Grant | None:
        return self._approvals.require(Change(action, subject, facts), actor, now)

    def _fresh(self, purpose: KeyPurpose, now: datetime) -> SigningKeyRow | None:
        """A successor made on the spot; None where the home is away, which must not keep a stolen key trusted."""
        try:
            return self._ring.generate(purpose, KeyState.GENERATED, now)
        except EcardError as error:
            _log.warning("no successor for the key of %s could be made: %s", purpose, error)
            return None

    def _undo(self, fresh: SigningKeyRow, now: datetime) -> None:
        try:
            if self._ring.row(fresh.kid).state == KeyState.GENERATED:
                self._register.destroy_key(fresh.purpose, fresh.kid, now)
                self._home.destroy(fresh.kid)
        except EcardError as error:
            _log.warning("key %s was made for nothing and is left waiting: %s", fresh.kid, error)


def _obey(foreseen: Consequences) -> None:
    """Raise the rule that forbids a change now."""
    when = "" if foreseen.possible_from is None else f"possible from {rfc3339(foreseen.possible_from)}"
    match foreseen.refused:
        case None:
            return
        case "key_unpublished":
            raise RuleViolation("key_unpublished", "no trust list names this key yet")
        case "key_not_held":
            raise RuleViolation("key_not_held", "its home does not hold this key; its predecessor goes on signing")
        case "key_lead_not_over":
            raise RuleViolation("key_lead_not_over", when)
        case "key_still_named":
            raise RuleViolation("key_still_named", "live credentials, open issuances or kept events need this key")
        case "key_retirement_too_early":
            raise RuleViolation("key_retirement_too_early", when)
        case "key_destruction_too_early":
            raise RuleViolation("key_destruction_too_early", when)
        case "schedule_shorter_than_lead":
            raise RuleViolation("schedule_shorter_than_lead", "verifiers need longer to learn a key")
        case _:
            raise RuleViolation("key_change_impossible", "the key's state does not allow this change")
