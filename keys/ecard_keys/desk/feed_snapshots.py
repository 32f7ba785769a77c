"""What the signing desk demands of a feed's snapshot: one of an issuer that is served, made now of what is known now.

Its chunks are not seen here: which card is suspended the register knows, and the desk does not. That it is of this
issuer's one stream and lists, of a recent time, and says what this house says, is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ecard_card import feed_snapshot
from ecard_card.errors import InvalidInput
from ecard_keys.desk.drafts import (
    Signatory,
    SigningRules,
    as_jws,
    refused,
    require,
    require_header,
    require_time,
)

#: Seconds between what a snapshot knows and its signature; verifiers refuse one that knows less.
_LONGEST: Final = 86_400


def judge_feed_snapshot(draft: bytes, rules: Sequence[SigningRules], signatory: Signatory, now: datetime) -> None:
    """A manifest. Raises `InvalidInput` `draft_refused`, naming the rule."""
    try:
        sealed = feed_snapshot.sealed(as_jws(draft))
        manifest = sealed.open()
    except InvalidInput as error:
        raise refused("form", f"no manifest of a snapshot: {error.code}") from None
    require_header(sealed.jws.header, feed_snapshot.TYP, signatory)
    rule = next((rule for rule in rules if rule.issuer == manifest.issuer), None)
    if rule is None:
        raise refused("issuer", "no issuer of that name is served here")
    require(manifest.status_uri == rule.status_uri, "status-list", "not the lists of this issuer")
    require(manifest.stream == "0", "form", "not the one stream")
    require_time(manifest.issued_at, now)
    require(now.timestamp() - manifest.as_of <= _LONGEST, "clock", "as_of is more than a day ago")
    rebuilt = feed_snapshot.draft(manifest, signatory.key_id, signatory.algorithm)
    require(rebuilt.signing_input == draft, "rebuild", "not the form in which this house writes it")
