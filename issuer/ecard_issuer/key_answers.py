"""Keys, findings about them and consequences, as the answers of routes and commands."""

from __future__ import annotations

from datetime import datetime

from ecard_card import messages
from ecard_issuer.consequences import Consequences
from ecard_issuer.key_lives import KeyLives
from ecard_issuer.keyring import record_of
from ecard_issuer.publishing.publisher import public_jwk
from ecard_issuer.rows import KeyScheduleRow, SigningKeyRow
from ecard_keys.key import KeyState
from ecard_keys.rotation import Advice, earliest_destruction, earliest_promotion, earliest_retirement
from ecard_verifier.verdict import rfc3339

Json = dict[str, object]


def key_answer(row: SigningKeyRow, lives: KeyLives, now: datetime) -> Json:
    """A `KeyAnswer`: public, with what names the key and when its next change is possible."""
    life = lives.of(row, now)
    record = record_of(row)
    possible = {
        KeyState.NEXT: earliest_promotion,
        KeyState.VERIFY_ONLY: earliest_retirement,
        KeyState.RETIRED: earliest_destruction,
    }.get(life.state)
    return {
        "kid": row.kid,
        "purpose": row.purpose,
        "state": row.state,
        "algorithm": row.algorithm,
        "home": row.home,
        "created_at": rfc3339(row.created_at),
        "published_at": _moment(row.published_at),
        "not_before": rfc3339(row.activated_at or row.created_at),
        "retired_from": _moment(row.retired_from),
        "retired_at": _moment(row.retired_at),
        "compromised_at": _moment(row.compromised_at),
        "compromised_from": _moment(row.compromised_from),
        "next_change_from": None if possible is None else _moment(possible(life, lives.rules)),
        "live_credentials": life.live,
        "last_expiry": _moment(life.last_expiry),
        "jwk": public_jwk(record),
    }


def advice_answer(advice: Advice, language: messages.Language) -> Json:
    """An `AdviceAnswer`."""
    return {
        "kind": advice.kind.value,
        "code": advice.code,
        "purpose": None if advice.purpose is None else advice.purpose.value,
        "kid": advice.kid,
        "since": _moment(advice.since),
        "until": _moment(advice.until),
        "text": messages.text(advice.code, language),
    }


def consequences_answer(foreseen: Consequences, language: messages.Language) -> Json:
    """A `ConsequencesAnswer`."""
    return {
        "dry_run": True,
        "action": foreseen.action,
        "subject": foreseen.subject,
        "purpose": foreseen.purpose.value,
        "possible": foreseen.refused is None,
        "refused": foreseen.refused,
        "possible_from": _moment(foreseen.possible_from),
        "live_credentials": foreseen.live,
        "open_issuances": foreseen.planned,
        "last_expiry": _moment(foreseen.last_expiry),
        "stale_after_seconds": foreseen.stale_after,
        "everywhere_at": _moment(foreseen.everywhere_at),
        "successor": foreseen.successor,
        "stops_signing": foreseen.stops_signing,
        "ceremony": foreseen.ceremony,
        "reissue": foreseen.reissue,
        "approvals": foreseen.approvals,
        "text": list(foreseen.words(language)),
    }


def schedule_answer(row: KeyScheduleRow) -> Json:
    """A `ScheduleAnswer`."""
    return {
        "purpose": row.purpose,
        "every_seconds": int(row.every.total_seconds()),
        "set_by": row.set_by,
        "set_at": rfc3339(row.set_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
