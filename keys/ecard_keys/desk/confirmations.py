"""What the signing desk demands of a confirmation: a person's reference, a benefit, a time; never who the person is.

The format is `docs/formats/confirmation.md`. Who drafts and reads confirmations lies in a room above this one, so the
desk has its own reading: two that must agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ecard_card import jose
from ecard_card.card import ChipAssurance
from ecard_card.errors import InvalidInput
from ecard_keys.desk.drafts import Signatory, SigningRules, as_jws, refused, require, require_header, require_time

_TYP: Final = "ecard-confirmation+jwt"
_LIMIT: Final = 4096
#: Longer than two of the longest periods.
_LONGEST: Final = 800 * 86_400
_ID: Final = re.compile(r"[0-9a-f]{32}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PERIOD: Final = re.compile(r"[0-9]{4}(-(H[12]|Q[1-4]|0[1-9]|1[0-2]))?")


def judge_confirmation(draft: bytes, rules: Sequence[SigningRules], signatory: Signatory, now: datetime) -> None:
    """Raises `InvalidInput` `draft_refused`, naming the rule."""
    try:
        jws = jose.parse_compact(as_jws(draft), typ=_TYP, limit=_LIMIT)
        claims = jose.parse_json(jws.payload, limit=_LIMIT, max_depth=1)
    except InvalidInput as error:
        raise refused("form", f"no confirmation: {error.code}") from None
    require_header(jws.header, _TYP, signatory)
    match claims:
        case {
            "iss": str(issuer),
            "jti": str(confirmation_id),
            "aud": str(service),
            "sub": str(subject),
            "iat": int(issued_at),
            "exp": int(until),
            "benefit": str(benefit),
            "period": str(period),
            "way": str(way),
            "chip_assurance": str(assurance),
        }:
            require(type(issued_at) is type(until) is int, "form", "iat or exp is no number")
        case _:
            raise refused("form", "claims of a confirmation are missing, or of another type")
    if not any(rule.issuer == issuer for rule in rules):
        raise refused("issuer", "no issuer of that name is served here")
    require_time(issued_at, now)
    require(0 < until - issued_at <= _LONGEST, "validity", "it ends before it begins, or is longer than any period")
    require(all(map(_ID.fullmatch, (confirmation_id, subject))), "form", "jti or sub is not 32 hex digits")
    require(all(map(_NAME.fullmatch, (service, benefit))), "form", "aud or benefit is no name")
    require(_PERIOD.fullmatch(period) is not None, "form", "no period of the calendar")
    require(way in ("code", "chip", "login"), "form", "a way of showing a card that this house does not have")
    require(assurance in {level.label for level in ChipAssurance}, "form", "an unknown chip assurance")
    meant = {
        "iss": issuer,
        "jti": confirmation_id,
        "aud": service,
        "sub": subject,
        "iat": issued_at,
        "exp": until,
        "benefit": benefit,
        "period": period,
        "way": way,
        "chip_assurance": assurance,
    }
    header = {"alg": signatory.algorithm.value, "kid": signatory.key_id, "typ": _TYP}
    require(jose.compact_signing_input(header, meant) == draft, "rebuild", "not the form in which this house writes it")
