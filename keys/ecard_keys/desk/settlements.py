"""What the signing desk demands of a settlement authorization: exactly one payment, one payer, a short life.

The format is `docs/formats/settlement.md`. As with confirmations the desk has its own reading: two that must agree.
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

_TYP: Final = "ecard-settlement+jwt"
_LIMIT: Final = 4096
#: Seconds by which it must be redeemed at the latest: a payer that settles once a day still can.
_LONGEST: Final = 3 * 86_400
_MAX_AMOUNT: Final = 10**12
_ID: Final = re.compile(r"[0-9a-f]{32}")
_SERVICE: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,62}[a-z0-9]")
_COUNTER: Final = re.compile(r"[!-~]{1,64}")
_PURPOSE: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_REFERENCE: Final = re.compile(r"[A-Za-z0-9._/-]{1,64}")
_DIGEST: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")


def judge_settlement(draft: bytes, rules: Sequence[SigningRules], signatory: Signatory, now: datetime) -> None:
    """Raises `InvalidInput` `draft_refused`, naming the rule."""
    try:
        jws = jose.parse_compact(as_jws(draft), typ=_TYP, limit=_LIMIT)
        claims = jose.parse_json(jws.payload, limit=_LIMIT, max_depth=1)
    except InvalidInput as error:
        raise refused("form", f"no settlement authorization: {error.code}") from None
    require_header(jws.header, _TYP, signatory)
    match claims:
        case {
            "iss": str(issuer),
            "jti": str(settlement_id),
            "aud": str(payer),
            "sub": str(subject),
            "iat": int(issued_at),
            "exp": int(until),
            "merchant": str(merchant),
            "counter": str(counter),
            "purpose": str(purpose),
            "amount": int(amount),
            "currency": str(currency),
            "reference": str(reference),
            "challenge": str(challenge),
            "way": str(way),
            "chip_assurance": str(assurance),
        }:
            require(type(issued_at) is type(until) is type(amount) is int, "form", "a number is none")
        case _:
            raise refused("form", "claims of a settlement authorization are missing, or of another type")
    require(any(rule.issuer == issuer for rule in rules), "issuer", "no issuer of that name is served here")
    require_time(issued_at, now)
    require(0 < until - issued_at <= _LONGEST, "validity", "it ends before it begins, or is good for over three days")
    require(all(map(_ID.fullmatch, (settlement_id, subject))), "form", "jti or sub is not 32 hex digits")
    require(all(map(_SERVICE.fullmatch, (payer, merchant))), "audience", "payer or merchant is no service")
    require(_COUNTER.fullmatch(counter) is not None, "form", "no name of a counter")
    require(_PURPOSE.fullmatch(purpose) is not None, "form", "no purpose")
    require(0 < amount <= _MAX_AMOUNT and currency == "CNY", "amount", "not an amount in fen that anybody owes")
    require(_REFERENCE.fullmatch(reference) is not None, "form", "no reference of a merchant")
    require(_DIGEST.fullmatch(challenge) is not None, "form", "not the digest of a challenge")
    require(way in ("device", "password"), "form", "a way of agreeing that this house does not have")
    require(assurance in {level.label for level in ChipAssurance}, "form", "an unknown chip assurance")
    meant = {
        "iss": issuer,
        "jti": settlement_id,
        "aud": payer,
        "sub": subject,
        "iat": issued_at,
        "exp": until,
        "merchant": merchant,
        "counter": counter,
        "purpose": purpose,
        "amount": amount,
        "currency": currency,
        "reference": reference,
        "challenge": challenge,
        "way": way,
        "chip_assurance": assurance,
    }
    header = {"alg": signatory.algorithm.value, "kid": signatory.key_id, "typ": _TYP}
    require(jose.compact_signing_input(header, meant) == draft, "rebuild", "not the form in which this house writes it")
