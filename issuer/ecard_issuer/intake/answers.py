"""What is said of the intake, over HTTP and by commands alike: plain members, nothing about a person."""

from __future__ import annotations

from datetime import datetime

from ecard_card import messages
from ecard_issuer.intake.ports import ExceptionRow, GapRow, ReconciliationRow
from ecard_issuer.intake.sources import SourceRow, facts_of
from ecard_verifier.verdict import rfc3339

Json = dict[str, object]
#: RFC 8935 §2.4 by our own code; whatever is not here could not be read.
_ERRORS = {
    "event_key_unknown": "invalid_key",
    "bad_signature": "invalid_key",
    "algorithm_not_allowed": "invalid_key",
    "wrong_event_issuer": "invalid_issuer",
    "wrong_event_audience": "invalid_audience",
    "region_not_of_source": "access_denied",
    "source_unknown": "access_denied",
}


def delivery_error(code: str) -> str:
    """The `err` of RFC 8935 and RFC 8936 for a code of ours."""
    return _ERRORS.get(code, "invalid_request")


def source_answer(row: SourceRow) -> Json:
    """A `SourceAnswer`. Its poll token is not among it."""
    return {
        "name": row.source.name,
        **facts_of(row.source),
        "has_poll_token": row.sealed_token is not None,
        "created_at": rfc3339(row.created_at),
        "created_by": row.created_by,
    }


def exception_answer(row: ExceptionRow, language: messages.Language = "en") -> Json:
    """An `ExceptionAnswer`."""
    return {
        "exception_ref": row.exception_ref,
        "source": row.source,
        "code": row.code,
        "meaning": messages.text(row.code, language),
        "card_ref": row.card_ref,
        "region": row.region,
        "change": row.change.value if row.change is not None else None,
        "sequence": row.sequence,
        "occurred_at": _moment(row.occurred_at),
        "first_seen": rfc3339(row.first_seen),
        "last_seen": rfc3339(row.last_seen),
        "count": row.count,
        "state": row.state.value,
        "next_try_at": _moment(row.next_try_at),
        "tries": row.tries,
        "decided_by": row.decided_by,
        "decided_at": _moment(row.decided_at),
        "decision": row.decision,
    }


def gap_answer(row: GapRow) -> Json:
    """A `GapAnswer`."""
    return {
        "source": row.source,
        "card_ref": row.card_ref,
        "first": row.first,
        "last": row.last,
        "noticed_at": rfc3339(row.noticed_at),
    }


def reconciliation_answer(row: ReconciliationRow) -> Json:
    """A `ReconciliationAnswer`."""
    return {
        "report_digest": row.report_digest,
        "region": row.region,
        "compared": row.compared,
        "counts": dict(row.counts),
        "made_at": rfc3339(row.made_at),
        "repaired_at": _moment(row.repaired_at),
        "repaired_by": row.repaired_by,
        "repairs": dict(row.repairs),
    }


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment is not None else None
