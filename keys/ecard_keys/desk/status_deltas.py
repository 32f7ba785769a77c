"""What the signing desk demands of a status delta: one of an issuer that is served, made now, for a short life.

Its changes are not judged: which card is suspended the register knows, and the desk does not. That they are in one
order and one spelling, are no more than the events they stand for, and say what this house says, is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ecard_card import status_delta
from ecard_card.errors import InvalidInput
from ecard_keys.desk.drafts import (
    MAX_AGE,
    Signatory,
    SigningRules,
    as_jws,
    refused,
    require,
    require_header,
    require_time,
)


def judge_status_delta(draft: bytes, rules: Sequence[SigningRules], signatory: Signatory, now: datetime) -> None:
    """A status delta. Raises `InvalidInput` `draft_refused`, naming the rule."""
    try:
        sealed = status_delta.sealed(as_jws(draft))
        delta = sealed.open()
    except InvalidInput as error:
        raise refused("form", f"no status delta: {error.code}") from None
    require_header(sealed.jws.header, status_delta.TYP, signatory)
    rule = next((rule for rule in rules if rule.issuer == delta.issuer), None)
    if rule is None:
        raise refused("issuer", "no issuer of that name is served here")
    require_time(delta.issued_at, now)
    require(delta.as_of <= now.timestamp() + MAX_AGE, "clock", "as_of is more than ten minutes ahead")
    longest = rule.longest_list_life.total_seconds()
    require(delta.expires_at - delta.as_of <= longest, "validity", "the delta would count for longer than allowed")
    rebuilt = status_delta.draft(delta, signatory.key_id, signatory.algorithm)
    require(rebuilt.signing_input == draft, "rebuild", "not the form in which this house writes it")
