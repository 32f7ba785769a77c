"""What a page accepted or refused while it had no network, judged again by what is known now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import EcardError
from ecard_verifier.counters.alarms import Alarms
from ecard_verifier.counters.desk import RESULT_LIFE, CounterDesk, Place, row_of
from ecard_verifier.counters.ledger_sql import SHOWINGS_KEPT
from ecard_verifier.counters.model import Counter, Source, Standing, Way
from ecard_verifier.counters.ports import Ledger
from ecard_verifier.counters.record import Record, Sighted, result_digest, sealed_result
from ecard_verifier.counters.secret import digest, seal, unseal
from ecard_verifier.counters.tally import Tally
from ecard_verifier.purposes.purposes import Purpose
from ecard_verifier.service import Result, VerificationService
from ecard_verifier.verdict import OUTCOMES, Outcome, Verdict

MOST_ITEMS: Final = 100
#: What was scanned longer ago is not judged: by then nobody knows any more where else the code was accepted.
OLDEST: Final = SHOWINGS_KEPT - timedelta(days=1)
_SKEW: Final = timedelta(seconds=60)
_ABANDONED: Final = timedelta(seconds=30)
_ACCEPTED: Final = (Outcome.VALID, Outcome.CHECK)


@dataclass(frozen=True, slots=True)
class Upload:
    """One scan of a page by itself, with the outcome that it showed."""

    scan_id: str
    code: str = field(repr=False)
    purpose: str
    way: Way
    outcome: Outcome
    reason: str
    scanned_at: datetime


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What is said of it now. `alarm`: the page had accepted it."""

    scan_id: str
    verification_id: str = field(repr=False)
    outcome: Outcome
    reason: str
    alarm: bool


class UploadDesk:
    """Safe from several threads, and beside other processes on one store."""

    def __init__(
        self, service: VerificationService, desk: CounterDesk, ledger: Ledger, alarms: Alarms, tally: Tally
    ) -> None:
        self._service, self._desk, self._ledger = service, desk, ledger
        self._alarms, self._tally = alarms, tally

    def take(self, standing: Standing, upload: Upload) -> Uploaded:
        """Judge one again. The same `scan_id` again gives the same answer; nothing is used up, and whoever shows a
        code that another counter has put down is told apart.

        Raises `NotFound` `purpose_unknown`, `RateLimited` `counter_quota_used_up`; `Unavailable`.
        """
        counter, group = standing.counter, standing.group
        purpose = self._desk.purpose_of(group, upload.purpose)
        now, mark = self._service.now(), digest("scan", counter.counter_id, upload.scan_id)
        begun = self._ledger.begin_scan(mark, now, now - _ABANDONED)
        if isinstance(begun, bytes):
            return self._again(upload, unseal(mark + upload.scan_id, "scan", begun))
        if not begun:  # its twin is being judged: the page asks again with the next batch
            return Uploaded(upload.scan_id, "", Outcome.UNDECIDED, "scan_in_flight", False)
        try:
            self._desk.spend(group, counter, now)
            result = self._judge(upload, purpose, counter, mark, now)
            answer = self._put_down(upload, purpose, standing, result, mark)
        except BaseException:
            self._ledger.give_up(mark)
            raise
        if answer.alarm:
            self._alarms.contradicted(mark, counter, now)
        if answer.outcome is Outcome.INVALID:
            self._alarms.failed(counter, now)
        self._tally.count(answer.outcome.value, answer.reason, purpose.purpose)
        return answer

    def _again(self, upload: Upload, kept: dict[str, object]) -> Uploaded:
        """What was said before: of this upload, or online, where the page never got the answer."""
        outcome = Outcome(str(kept["outcome"]))
        return Uploaded(
            upload.scan_id, str(kept["verification_id"]), outcome, str(kept["reason"]), kept.get("alarm") is True
        )

    def _judge(self, upload: Upload, purpose: Purpose, counter: Counter, mark: str, now: datetime) -> Result:
        refusal = None
        if upload.scanned_at > now + _SKEW:
            refusal = "clock_behind"
        elif upload.scanned_at < now - OLDEST:
            refusal = "upload_too_old"
        if refusal is not None:
            verdict = Verdict(OUTCOMES[refusal], refusal, ())
            return Result(self._service.new_id(), verdict, None, now, upload.code)
        result = self._service.judge_past(
            upload.code,
            upload.scanned_at,
            audience=counter.audience,
            minimum_assurance=purpose.minimum_assurance,
        )
        verdict = result.verdict
        if verdict.outcome not in _ACCEPTED or verdict.replay_key is None:
            return result
        showing = digest("showing", verdict.replay_key.hex())
        first = self._ledger.show(showing, counter.counter_id, mark, now)
        if first is None or first[1] == mark:
            return result
        if first[0] == counter.counter_id:
            again = replace(verdict, outcome=OUTCOMES["shown_again"], reason="shown_again")
            return replace(result, verdict=again)
        self._alarms.two_counters(showing, counter, first[0], now)
        return replace(result, verdict=replace(verdict, outcome=Outcome.INVALID, reason="replayed"))

    def _put_down(self, upload: Upload, purpose: Purpose, standing: Standing, result: Result, mark: str) -> Uploaded:
        verdict, counter, group = result.verdict, standing.counter, standing.group
        record = Record(
            verification_id=result.verification_id,
            scan_id=upload.scan_id,
            group_id=group.group_id,
            counter_id=counter.counter_id,
            recorded_at=result.recorded_at,
            purpose=purpose.purpose,
            business_type=purpose.business_type,
            way=upload.way.value,
            source=Source.UPLOAD,
            outcome=verdict.outcome,
            reason=verdict.reason,
            sighted=Sighted({}, {}, None),
            status_as_of=verdict.status_as_of,
            chip_assurance=verdict.chip_assurance.label if verdict.chip_assurance is not None else None,
            holder_proof=verdict.holder_proof.label if verdict.holder_proof is not None else None,
            test_card=verdict.test_card,
            issuer=verdict.issuer,
            first_seen_at=None,
            first_seen_here=False,
            showing=None,
            staff=standing.staff.alias if standing.staff else "",
        )
        alarm = upload.outcome in _ACCEPTED and verdict.outcome is Outcome.INVALID
        answer = Uploaded(upload.scan_id, record.verification_id, verdict.outcome, verdict.reason, alarm)
        sealed = seal(mark + upload.scan_id, "scan", _written(answer))
        # A row beyond both ends would never be deleted, or break the list that shows it.
        at = min(max(upload.scanned_at, record.recorded_at - OLDEST), record.recorded_at)
        row = replace(row_of(record, Place(counter.counter_id, group, counter, None)), at=at)
        until = record.recorded_at + RESULT_LIFE
        self._ledger.finish(mark, sealed, result_digest(record.verification_id), sealed_result(record), until, row)
        return answer


def failed(scan_id: str, error: EcardError) -> Uploaded:
    """The answer for an item that could not be judged: the page keeps it and tries again."""
    return Uploaded(scan_id, "", Outcome.UNDECIDED, error.code, False)


def _written(answer: Uploaded) -> dict[str, object]:
    return {
        "verification_id": answer.verification_id,
        "outcome": answer.outcome.value,
        "reason": answer.reason,
        "alarm": answer.alarm,
    }
