"""From applications to the answers of routes and commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_card.messages import text
from ecard_issuer.applying.batches import RowOutcome
from ecard_issuer.applying.desk import OpenedApplication
from ecard_issuer.applying.store import Place
from ecard_issuer.applying.values import NATIONAL, ApplicationRow, StepRow
from ecard_verifier.verdict import rfc3339

Json = dict[str, object]


def application_answer(row: ApplicationRow, steps: Sequence[StepRow] = ()) -> Json:
    """An `ApplicationAnswer`: nothing about the person. The refusal's reason comes with the steps."""
    codes = NATIONAL[row.state]
    reason = next((step.reason for step in reversed(steps) if step.reason is not None), None)
    return {
        "application_id": row.application_id,
        "region": row.region,
        "kind": row.kind.value,
        "source": row.source.value,
        "channel": row.channel.value,
        "state": row.state.value,
        "national": {"status": codes.status, "audit": codes.audit, "production": codes.production},
        "acting": {"ground": row.ground.value, "mandate_id": row.mandate_id},
        "submitted_at": rfc3339(row.submitted_at),
        "updated_at": rfc3339(row.updated_at),
        "replaces": row.replaces,
        "card_ref": row.card_ref,
        "outlet": row.outlet,
        "refusal": None if reason is None else {"code": reason, "en": text(reason, "en"), "zh": text(reason, "zh")},
    }


def opened_answer(opened: OpenedApplication) -> Json:
    """An `OpenedApplicationAnswer`: the person, for a clerk."""
    steps = [step for step, _ in opened.steps]
    return {
        "application": application_answer(opened.row, steps),
        "details": opened.details.to_json(),
        "name_on_chip": {
            "name": opened.chip_name.name.hex().upper(),
            "extension": opened.chip_name.extension.hex().upper(),
            "complete": opened.chip_name.complete,
            "gbk": opened.chip_name.gbk,
        },
        "name_differs": opened.name_differs,
        "documents": [
            {
                "kind": copy.kind.value,
                "media_type": copy.media_type,
                "size": copy.size,
                "added_at": rfc3339(copy.added_at),
            }
            for copy in opened.copies
        ],
        "missing": sorted(kind.value for kind in opened.missing),
        "steps": [
            {
                "state": step.state.value,
                "taken_by": step.taken_by,
                "taken_at": rfc3339(step.taken_at),
                "reason": step.reason,
                "note": note,
            }
            for step, note in opened.steps
        ],
    }


def outcome_answer(outcome: RowOutcome) -> Json:
    """A `RowOutcomeAnswer`, with the text of a refusal in both languages."""
    accepted = outcome.application_id is not None
    return {
        "row": outcome.row,
        "outcome": outcome.outcome,
        "application_id": outcome.application_id,
        "mandate_id": outcome.mandate_id,
        "text": None if accepted else {"en": text(outcome.outcome, "en"), "zh": text(outcome.outcome, "zh")},
    }


def cursor(rows: Sequence[ApplicationRow], limit: int) -> str | None:
    """Where the next page begins; None where this was the last one."""
    if len(rows) < limit or not rows:
        return None
    last = rows[-1]
    return jose.b64url_encode(f"{last.region}|{last.submitted_at.isoformat()}|{last.application_id}".encode())


def place(given: str | None) -> Place | None:
    """Inverse of `cursor`. Raises `InvalidInput` `bad_cursor`."""
    if given is None:
        return None
    try:
        region, moment, application_id = jose.b64url_decode(given).decode("ascii").split("|")
        submitted_at = datetime.fromisoformat(moment)
    except (InvalidInput, ValueError):
        raise InvalidInput("bad_cursor", "not a cursor of this list") from None
    if submitted_at.tzinfo is None:
        raise InvalidInput("bad_cursor", "not a cursor of this list")
    return Place(region, submitted_at, application_id)
