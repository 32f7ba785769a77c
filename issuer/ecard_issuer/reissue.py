"""Re-issuing: every live credential of one key is made anew under the active key, in batches, whenever it is stopped.

Wanted when a key was stolen, and when one must leave earlier than its last credential ends. The register is the
job's only memory: what is still to do is whatever live credential names the old key and has no successor, so a job
that was killed goes on where it was, and two at once do not do the same twice. A batch passes the same gates as a
single issuance: draft, check of the draft, plan, one request at the signing desk, check, commit.

A successor is for the same card and device and ends when the old one would have: no chip was proven anew, and what
was issued over a year shall not fall due on one day. The old credential stays good (as far as its key is) until its
device has fetched the successor: a phone that is off for a week shall not find itself without a card. Where its key
is refused altogether nothing is gained by waiting, and it ends at once.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from ecard_card.errors import CheckFailed, Conflict, EcardError, InvalidInput, NotFound, RuleViolation, Unavailable
from ecard_issuer.approvals import Approvals, Change
from ecard_issuer.draft import Drafter
from ecard_issuer.issue import ActiveKeys
from ecard_issuer.ports import Register
from ecard_issuer.redraft import Redraft, Redrafter
from ecard_issuer.reissue_progress import Part, Progress
from ecard_issuer.rows import (
    PlanRow,
    Reissuable,
    ReissueCount,
    ReissueRow,
    SigningKeyRow,
)
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_keys.key import KeyPurpose, KeyState

BATCH: Final = 100
_TRIES: Final = 5
#: Seconds between two attempts at what somebody else has in hand, and how many may be in vain: longer than a plan's
#: life, so that whatever a killed run left is taken up.
_PAUSE: Final = 1.0
_PATIENCE: Final = 70
#: Faults of a single credential, for which the others do not wait.
_ITS_OWN: Final = frozenset({"draft_refused", "register_damaged"})


class Reissue:
    """The job. `owner` names this issuer among those that share the register; `settle` voids plans past their life.

    Safe to run several times at once. `reached` is told each step that is behind us.
    """

    def __init__(
        self,
        register: Register,
        keys: ActiveKeys,
        signing: SigningDesk,
        drafter: Drafter,
        *,
        owner: str,
        settle: Callable[[datetime], object],
        random: Callable[[int], bytes] = secrets.token_bytes,
        reached: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._register = register
        self._keys = keys
        self._signing = signing
        self._redrafter = Redrafter(drafter, owner, random)
        self._settle = settle
        self._reached = reached

    def permit(self, key_id: str, actor: str, approvals: Approvals, now: datetime, *, end_now: bool) -> None:
        """Have it permitted to re-issue what `key_id` signed: asked of other people once, however many runs it takes,
        and once more for `end_now`.

        Raises `ApprovalNeeded`, `NotFound` `key_unknown`, `RuleViolation` `key_still_active`.
        """
        self._leaving(key_id)
        permitted = self._register.find_reissue(key_id)
        if permitted is None or permitted.end_replaced < end_now:
            grant = approvals.require(Change("credentials.reissue", key_id, {"end_replaced": end_now}), actor, now)
            self._register.open_reissue(ReissueRow(key_id, end_now, actor, now), grant=grant)

    def count(self, key_id: str, now: datetime, part: Part | None = None) -> ReissueCount:
        """What is to do, and what waits for its device to fetch it. Raises `NotFound` `key_unknown`,
        `RuleViolation` `key_still_active`."""
        self._leaving(key_id)
        counts = [self._register.count_reissuable(key_id, now, bounds=bounds) for bounds in (part or Part()).slices()]
        return ReissueCount(sum(one.waiting for one in counts), sum(one.replaced for one in counts))

    def run(
        self,
        key_id: str,
        clock: Callable[[], datetime],
        *,
        end_now: bool = False,
        part: Part | None = None,
        batch: int = BATCH,
        told: Callable[[Progress], None] = lambda progress: None,
        wanted: Callable[[], bool] = lambda: True,
        pause: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Progress:
        """Re-issue what `key_id` signed, until nothing is left to do or `wanted` says no.

        `end_now` ends each old credential in the transaction that stores its successor, and those replaced earlier;
        so does a compromise of the key without a cut-off. `told` hears at the start and after each batch. Raises as
        `count` does, and `Unavailable` when the register, the desk or a home of keys is away: nothing is half-done
        then, and a new run goes on.
        """
        part = part or Part()
        progress = Progress(self.count(key_id, clock(), part).waiting)
        told(progress)
        started, in_vain = monotonic(), 0
        while in_vain < _PATIENCE:
            before = progress.done
            progress.left.clear()
            self._settle(clock())
            after: tuple[str, bytes] | None = None
            while wanted():
                now = clock()
                items = self._register.to_reissue(key_id, now, after=after, bounds=part.bounds(), limit=batch)
                if not items:
                    break
                after = (items[-1].card.card_ref, items[-1].credential.credential_id)
                self._batch(items, now, progress, end_replaced=end_now or self._refused_altogether(key_id))
                progress.seconds = monotonic() - started
                told(progress)
            if not (progress.passing and wanted()):
                break
            in_vain = 0 if progress.done > before else in_vain + 1
            pause(_PAUSE)
        if end_now or self._refused_altogether(key_id):
            while wanted() and self._register.end_replaced(key_id, clock(), limit=batch):
                pass
        return progress

    def _leaving(self, key_id: str) -> SigningKeyRow:
        """The key whose credentials are to be replaced; it may not be the one that signs now."""
        for row in self._register.list_keys([KeyPurpose.CREDENTIAL.value]):
            if row.kid == key_id:
                if row.state == KeyState.ACTIVE:
                    raise RuleViolation("key_still_active", "promote another key first: this one would sign again")
                return row
        raise NotFound("key_unknown", "no credential key of this issuer has this id")

    def _refused_altogether(self, key_id: str) -> bool:
        """Asked again for each batch: it may be declared while the job runs."""
        key = self._leaving(key_id)
        return key.state == KeyState.COMPROMISED and key.compromised_from is None

    def _batch(self, items: Sequence[Reissuable], now: datetime, progress: Progress, *, end_replaced: bool) -> None:
        drafted = self._plan(items, now, progress)
        if not drafted:
            return
        self._reached("planned")
        try:
            self._finish(drafted, now, progress, end_replaced=end_replaced)
        except EcardError as error:
            if error.code != "outcome_unknown":  # it may have been committed: `settle` finds out
                self._void([one.plan for one in drafted], now)
            raise
        if not progress.done and progress.left["draft_refused"] >= len(items) >= BATCH:
            raise Unavailable("draft_refused", "the signing desk refuses whatever it is shown")

    def _plan(self, items: Sequence[Reissuable], now: datetime, progress: Progress) -> list[Redraft]:
        """Checked drafts with their recorded plans; whatever cannot be made anew is counted as left."""
        for _ in range(_TRIES):
            key = self._keys.active(KeyPurpose.CREDENTIAL)  # anew each time: it may be rotated meanwhile
            left: Counter[str] = Counter()
            drafted: list[Redraft] = []
            for item, slot in zip(items, self._register.free_slots(len(items), now), strict=True):
                try:
                    drafted.append(self._redrafter.draft(item, slot, key, now))
                except (RuleViolation, InvalidInput, CheckFailed, Unavailable) as refusal:
                    if isinstance(refusal, Unavailable) and refusal.code not in _ITS_OWN:
                        raise
                    left[refusal.code] += 1
            try:
                refused = self._register.plan_reissues([one.plan for one in drafted], now) if drafted else {}
            except (Conflict, RuleViolation) as clash:
                if clash.code not in ("status_index_taken", "key_not_active"):
                    raise
                continue
            progress.left.update(left + Counter(refused.values()))
            return [one for one in drafted if one.plan.plan_id not in refused]
        raise Unavailable("status_index_exhausted", "others took every status index that was proposed")

    def _finish(self, drafted: Sequence[Redraft], now: datetime, progress: Progress, *, end_replaced: bool) -> None:
        """Sign, check and commit. Where the desk refuses a draft the batch is halved until that one stands alone."""
        inputs = [message for one in drafted for message in one.draft.inputs]
        try:
            signatures = self._signing.sign(SigningProfile.CREDENTIAL, drafted[0].draft.key.kid, inputs, now)
        except NotFound as missing:
            raise Unavailable("key_not_at_home", "the home of keys does not hold the key that signs now") from missing
        except InvalidInput as refusal:
            if len(drafted) == 1:
                self._void([drafted[0].plan], now)
                progress.left[refusal.code] += 1
                return
            middle = len(drafted) // 2
            self._finish(drafted[:middle], now, progress, end_replaced=end_replaced)
            self._finish(drafted[middle:], now, progress, end_replaced=end_replaced)
            return
        self._reached("signed")
        successors = [
            self._redrafter.finish(one, signatures[2 * place : 2 * place + 2], now) for place, one in enumerate(drafted)
        ]
        try:
            refused = self._register.commit_reissues(successors, now, end_replaced=end_replaced)
        except RuleViolation as refusal:
            if refusal.code != "key_not_active":  # the new key was declared compromised in this moment
                raise
            refused = dict.fromkeys((one.plan.plan_id for one in drafted), refusal.code)
        self._reached("committed")
        self._void([one.plan for one in drafted if one.plan.plan_id in refused], now)
        progress.left.update(refused.values())
        progress.done += len(drafted) - len(refused)

    def _void(self, plans: Sequence[PlanRow], now: datetime) -> None:
        for plan in plans:
            try:
                self._register.void_plan(plan.card_ref, plan.plan_id, now)
            except Conflict as conflict:  # of a halved batch, the half that was committed
                if conflict.code != "plan_committed":
                    raise
