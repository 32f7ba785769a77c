"""The counter's verb: judge a code for a purpose, show what that purpose permits, remember it sealed, for minutes.

What a counter's page gets is masked. A system behind it fetches the result by its id, and binds it to one business
case, once; the store holds results only under keys that follow from their ids, so the file itself tells nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from ecard_card.card import ChipAssurance
from ecard_card.errors import Conflict, NotFound, RateLimited, RuleViolation
from ecard_verifier.counters.alarms import Alarms
from ecard_verifier.counters.challenges import Challenges
from ecard_verifier.counters.entrance import require_staff
from ecard_verifier.counters.holder_facts import HolderFacts
from ecard_verifier.counters.model import AlarmKind, Counter, Group, ShiftRow, Source, Standing, Way
from ecard_verifier.counters.ports import Ledger
from ecard_verifier.counters.record import Record, Sighted, result_digest, sealed_result, unsealed_result
from ecard_verifier.counters.secret import digest, seal, unseal
from ecard_verifier.counters.sight import look
from ecard_verifier.counters.tally import Tally
from ecard_verifier.policy import FRESHNESS, VerifierClass
from ecard_verifier.purposes.purposes import Purpose, Purposes
from ecard_verifier.service import NOTHING_ASKED, Asked, Result, VerificationService
from ecard_verifier.verdict import OUTCOMES, Outcome, Verdict

#: How long a system may fetch a result.
RESULT_LIFE: Final = timedelta(minutes=15)
#: A scan that was begun and not finished by then was left by a process that died.
_ABANDONED: Final = timedelta(seconds=30)
_CHINA: Final = timedelta(hours=8)
_LIVE: Final = timedelta(seconds=FRESHNESS[VerifierClass.ONLINE].bound)
_ACCEPTED: Final = (Outcome.VALID, Outcome.CHECK)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a page sends. `scan_id` is the page's own; sent again it gives the same answer."""

    scan_id: str
    code: str = field(repr=False)
    purpose: str
    way: Way
    challenge_id: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a code is judged: for whom, in whose name. `counter` is None for a system that named none."""

    name: str  # in the replay guard
    group: Group
    counter: Counter | None
    audience: str | None
    staff: str = ""


class CounterDesk:
    """Safe from several threads, and beside other processes on one store."""

    def __init__(
        self,
        service: VerificationService,
        ledger: Ledger,
        purposes: Purposes,
        facts: HolderFacts,
        alarms: Alarms,
        tally: Tally,
        challenges: Challenges,
    ) -> None:
        self._service, self._ledger, self._purposes = service, ledger, purposes
        self._facts, self._alarms, self._tally, self._challenges = facts, alarms, tally, challenges

    def purposes_of(self, group: Group) -> list[Purpose]:
        """What the counters of a group may be used for."""
        return [
            purpose for purpose in self._purposes if purpose.purpose in group.purposes and group.level in purpose.levels
        ]

    def purpose_of(self, group: Group, name: str) -> Purpose:
        """Raises `NotFound` `purpose_unknown`, also for one that the group may not use."""
        if name not in group.purposes:
            raise NotFound("purpose_unknown", "no such purpose of this group")
        return self._purposes.get(name, group.level)

    def scan(self, standing: Standing, scan: Scan) -> Record:
        """A verdict for whatever was scanned; the same for the same `scan_id` within 15 minutes.

        Raises `NotFound` `purpose_unknown`, `challenge_unknown`; `NotAllowed` `staff_needed`; `Conflict`
        `scan_differs` (the id was used for something else), `scan_in_flight`; `RateLimited` `counter_quota_used_up`.
        """
        require_staff(standing)
        counter, group = standing.counter, standing.group
        purpose = self.purpose_of(group, scan.purpose)
        alias = standing.staff.alias if standing.staff else ""
        place = Place(counter.counter_id, group, counter, counter.audience, alias)
        now, mark = self._service.now(), digest("scan", counter.counter_id, scan.scan_id)
        content = digest("content", scan.code, scan.purpose, scan.way.value, scan.challenge_id or "")
        begun = self._ledger.begin_scan(mark, now, now - _ABANDONED)
        if isinstance(begun, bytes):
            return self._again(scan, mark, content, begun, group, now)
        if not begun:
            raise Conflict("scan_in_flight", "this scan is being judged; ask again in a second")
        try:
            self.spend(group, counter, now)
            result = self._judge(place, purpose, scan.code, self._asked(scan, counter, now), None)
            record = self._record(result, place, purpose, scan.way.value, Source.ONLINE, mark, scan.scan_id)
            said = {"outcome": record.outcome.value, "reason": record.reason}
            kept = {"verification_id": record.verification_id, "content": content, **said}
            sealed = seal(mark + scan.scan_id, "scan", kept)
            self._keep(record, mark, sealed, place)
        except BaseException:
            self._ledger.give_up(mark)
            raise
        return record

    def _asked(self, scan: Scan, counter: Counter, now: datetime) -> Asked:
        if scan.challenge_id is None:
            return NOTHING_ASKED
        return Asked(self._challenges.of(scan.challenge_id, counter.counter_id, scan.purpose, now).answer)

    def judge(
        self,
        place: Place,
        purpose: Purpose | None,
        code: str,
        minimum_assurance: ChipAssurance | None,
        asked: Asked = NOTHING_ASKED,
    ) -> Result:
        """Judge for a system of a group. Raises `RateLimited` `counter_quota_used_up`."""
        self.spend(place.group, place.counter, self._service.now())
        result = self._judge(place, purpose, code, asked, minimum_assurance)
        return result if purpose is not None else self.put_down(result, place.name, place.counter)

    def put_down(self, result: Result, name: str, counter: Counter | None = None) -> Result:
        """Where a code was accepted for no purpose: what a page without a network hands in later is held against it."""
        return self._shown(result, name, counter, result.verification_id)[0]

    def system(self, place: Place, purpose: Purpose, judged: Result) -> Record:
        """The record of what a system had judged, kept for its group."""
        record = self._record(judged, place, purpose, Way.SCANNER.value, Source.SYSTEM, "", "")
        self._keep(record, None, b"", place)
        return record

    def result(self, verification_id: str, group_id: str | None) -> Record:
        """A result of this group's, within 15 minutes; None sees those of every group.

        Raises `NotFound` `verification_unknown`, the same for one that is over or another group's.
        """
        sealed = self._ledger.result(result_digest(verification_id), self._service.now())
        record = None if sealed is None else unsealed_result(verification_id, sealed)
        if record is None or (group_id is not None and record.group_id != group_id):
            raise NotFound("verification_unknown", "no such verification of this group, or it is over")
        return record

    def use(self, verification_id: str, group_id: str | None, reference: str) -> Record:
        """Bind what was shown to one business case. The same reference again changes nothing.

        Raises as `result`; `RuleViolation` `verification_not_usable` unless it came out `valid` or `check`;
        `Conflict` `verification_used` where this showing, by this or another verification of it, is bound already.
        """
        record = self.result(verification_id, group_id)
        if record.outcome not in _ACCEPTED or record.showing is None:
            raise RuleViolation("verification_not_usable", "only what was accepted can be used")
        if not self._ledger.use(record.showing, digest("reference", record.group_id, reference)):
            raise Conflict("verification_used", "bound to another business case already")
        return record

    def _again(self, scan: Scan, mark: str, content: str, sealed: bytes, group: Group, now: datetime) -> Record:
        kept = unseal(mark + scan.scan_id, "scan", sealed)
        if kept.get("content") != content:
            raise Conflict("scan_differs", "this scan id was used for something else")
        return self.result(str(kept.get("verification_id")), group.group_id)

    def spend(self, group: Group, counter: Counter | None, now: datetime) -> None:
        """One of the day's verifications of a counter and its group. Raises `RateLimited` `counter_quota_used_up`."""
        local = now + _CHINA
        limits = [(group.group_id, group.daily_limit)]
        if counter is not None:
            limits.append((counter.counter_id, counter.daily_limit))
        if not self._ledger.spend(limits, local.date(), 1):
            midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            wait = int((midnight - local).total_seconds()) + 1
            raise RateLimited("counter_quota_used_up", "the day's verifications are used up", retry_after=wait)

    def _judge(
        self,
        place: Place,
        purpose: Purpose | None,
        code: str,
        asked: Asked,
        minimum_assurance: ChipAssurance | None,
    ) -> Result:
        if purpose is not None and purpose.challenge and asked.nonce is None:
            verdict = Verdict(OUTCOMES["challenge_needed"], "challenge_needed", ())
            return Result(self._service.new_id(), verdict, None, self._service.now(), code)
        demands = (minimum_assurance, purpose.minimum_assurance if purpose else None)
        result = self._service.verify(
            code,
            counter=place.name,
            audience=place.audience,
            minimum_assurance=max((demand for demand in demands if demand is not None), default=None),
            again_here=place.counter is not None,
            asked=asked,
        )
        if result.answers is not None:
            result = self._answered(result, result.answers, place)
        return result if purpose is None else replace(result, verdict=_live(result, purpose))

    def _answered(self, result: Result, challenge: str, place: Place) -> Result:
        """A challenge has one answer: whoever answers it after another holder did is refused."""
        verdict = result.verdict
        if verdict.outcome not in _ACCEPTED or verdict.replay_key is None:
            return result
        answer = digest("showing", verdict.replay_key.hex())
        first = self._ledger.show(digest("challenge", challenge), place.name, answer, result.recorded_at)
        if first is None or first[1] == answer:
            return result
        return replace(result, verdict=_refused(verdict, "challenge_answered"))

    def _record(
        self,
        result: Result,
        place: Place,
        purpose: Purpose,
        way: str,
        source: Source,
        mark: str,
        scan_id: str,
    ) -> Record:
        """What is remembered of a verdict, with what may be seen of the holder."""
        result, showing = self._shown(result, place.name, place.counter, mark or result.verification_id)
        verdict = result.verdict
        sighted = Sighted({}, {}, None)
        if verdict.outcome in _ACCEPTED:
            sighted = look(result, place.audience, purpose.levels[place.group.level], self._facts)
            if purpose.compare_name and verdict.outcome is Outcome.VALID and "name" not in sighted.page:
                verdict = replace(verdict, outcome=OUTCOMES["name_unavailable"], reason="name_unavailable")
        seen = result.first_seen
        return Record(
            verification_id=result.verification_id,
            scan_id=scan_id,
            group_id=place.group.group_id,
            counter_id=place.counter.counter_id if place.counter else None,
            recorded_at=result.recorded_at,
            purpose=purpose.purpose,
            business_type=purpose.business_type,
            way=way,
            source=source,
            outcome=verdict.outcome,
            reason=verdict.reason,
            sighted=sighted,
            status_as_of=verdict.status_as_of,
            chip_assurance=verdict.chip_assurance.label if verdict.chip_assurance is not None else None,
            holder_proof=verdict.holder_proof.label if verdict.holder_proof is not None else None,
            test_card=verdict.test_card,
            issuer=verdict.issuer,
            first_seen_at=seen.at if seen else None,
            first_seen_here=seen is not None and seen.where == place.name,
            showing=showing,
            staff=place.staff,
        )

    def _shown(self, result: Result, name: str, counter: Counter | None, mark: str) -> tuple[Result, str | None]:
        """Put down where an accepted code was shown. One that another counter accepted without us is refused."""
        verdict, now = result.verdict, result.recorded_at
        if verdict.replay_key is None:
            return result, None
        showing = digest("showing", verdict.replay_key.hex())
        if verdict.reason == "replayed" and counter is not None and result.first_seen is not None:
            self._alarms.two_counters(showing, counter, result.first_seen.where, now)
        if verdict.outcome not in _ACCEPTED:
            return result, None
        first = self._ledger.show(showing, name, mark, now)
        if first is None or first[0] == name:
            return result, showing
        if counter is not None:
            self._alarms.two_counters(showing, counter, first[0], now)
        return replace(result, verdict=_refused(verdict, "replayed")), None

    def _keep(self, record: Record, mark: str | None, sealed: bytes, place: Place) -> None:
        """Everything of it in one transaction; then count it, and see whether somebody should look."""
        row = row_of(record, place) if place.counter is not None else None
        until = record.recorded_at + RESULT_LIFE
        self._ledger.finish(mark, sealed, result_digest(record.verification_id), sealed_result(record), until, row)
        self._tally.count(record.outcome.value, record.reason, record.purpose)
        if place.counter is None:
            return
        if record.outcome is Outcome.INVALID:
            self._alarms.failed(place.counter, record.recorded_at)
        if record.reason == "number_guesses_used_up":
            self._alarms.at_counter(AlarmKind.NUMBERS, place.counter, record.recorded_at)


def row_of(record: Record, place: Place) -> ShiftRow:
    """The line of the shift list: nothing about the holder."""
    return ShiftRow(
        reference=record.reference,
        group_id=record.group_id,
        branch_id=place.counter.branch_id if place.counter else "",
        counter_id=record.counter_id or "",
        at=record.recorded_at,
        purpose=record.purpose,
        business_type=record.business_type,
        way=record.way,
        source=record.source,
        outcome=record.outcome.value,
        reason=record.reason,
        staff=record.staff,
        test_card=record.test_card,
    )


def _live(result: Result, purpose: Purpose) -> Verdict:
    """A purpose that wants the status as of now is not content with a list or a bundle."""
    verdict, as_of = result.verdict, result.verdict.status_as_of
    if not purpose.live or verdict.outcome is not Outcome.VALID:
        return verdict
    if as_of is not None and result.recorded_at - as_of <= _LIVE + timedelta(seconds=1):
        return verdict
    return replace(verdict, outcome=OUTCOMES["status_aging"], reason="status_aging")


def _refused(verdict: Verdict, reason: str) -> Verdict:
    nothing: Mapping[str, object] = {}
    return replace(verdict, outcome=Outcome.INVALID, reason=reason, claims=nothing)
