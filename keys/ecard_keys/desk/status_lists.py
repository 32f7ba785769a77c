"""What the signing desk demands of a status list token: a list of an issuer that is served, made now, for a short life.

Its entries are not judged: which card is suspended the register knows, and the desk does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ecard_card import cbor, status_token
from ecard_card.credential import Unsigned
from ecard_card.errors import InvalidInput
from ecard_card.status_list import StatusList
from ecard_keys.desk.drafts import (
    COSE_PREFIX,
    Signatory,
    SigningRules,
    as_jws,
    as_sign1,
    cose_with,
    jws_payload,
    jws_with,
    refused,
    require,
    require_time,
    sig_structure,
)
from ecard_keys.status_uri import belongs_to

_LIMIT: Final = status_token.LIMIT
_STATUS_LIST: Final = 65533  # CWT claim status_list


def judge_status_list(draft: bytes, rules: Sequence[SigningRules], signatory: Signatory, now: datetime) -> None:
    """A status list token, JWT or CWT. Raises `InvalidInput` `draft_refused`, naming the rule."""
    is_jwt = not draft.startswith(COSE_PREFIX)
    try:
        token = (
            status_token.parse_jwt(as_jws(draft)) if is_jwt else status_token.parse_cwt(as_sign1(draft, b"", _LIMIT))
        )
        packed = _as_sent(draft, is_jwt)
    except InvalidInput as error:
        raise refused("form", f"no status list token: {error.code}") from None
    require(token.kid == signatory.key_id, "key", "the draft names another key")
    rule = next((rule for rule in rules if belongs_to(token.uri, rule.status_uri)), None)
    if rule is None:
        raise refused("status-list", "not a list of an issuer that is served here")
    number = token.uri[rule.status_uri.index("{") :][: len(token.uri) - len(rule.status_uri) + len("{list}")]
    require(number == str(int(number)), "status-list", "a list number has one spelling")
    require_time(token.issued_at, now)
    longest = rule.longest_list_life.total_seconds()
    require(token.expires_at - token.issued_at <= longest, "validity", "the list would live longer than allowed")
    if token.ttl is None or token.ttl > longest:
        raise refused("validity", "ttl is missing, or longer than a list may live")
    require(_rebuilt(token, token.ttl, packed, signatory, is_jwt) == draft, "rebuild", "not the form of this house")


def _rebuilt(token: status_token.StatusToken, ttl: int, packed: object, signatory: Signatory, is_jwt: bool) -> bytes:
    """The token as this house writes it, around the list as it was sent."""
    bits = token.statuses.bits
    about = (token.issued_at, token.expires_at, ttl)
    entries: dict[str, object] = {"bits": bits, "lst": packed}
    if is_jwt:
        frame: Unsigned = status_token.jwt_draft(
            token.uri,
            StatusList(8, bits),
            signatory.key_id,
            *about,
            algorithm=signatory.algorithm,
            position=token.position,
        )
        return jws_with(frame.signing_input, "status_list", entries)
    kid = bytes.fromhex(signatory.key_id)
    frame = status_token.cwt_draft(token.uri, StatusList(8, bits), kid, *about, algorithm=signatory.algorithm)
    return cose_with(frame.signing_input, _STATUS_LIST, entries)


def _as_sent(draft: bytes, is_jwt: bool) -> object:
    """The compressed list, which `status_token` has read and found to be one whole zlib stream."""
    claims = jws_payload(draft, _LIMIT) if is_jwt else cbor.decode(sig_structure(draft, _LIMIT)[2], limit=_LIMIT)
    match claims:
        case {"status_list": {"lst": str(text)}}:
            return text
        case {65533: {"lst": bytes(data)}}:
            return data
    raise InvalidInput("bad_status_token", "no status list")
