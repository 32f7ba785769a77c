"""What the signing desk demands of news for a partner: a Security Event Token (RFC 8417) for one named audience.

The format is `docs/formats/partner-events.md`. Such a token can never pass for an event of the live feed: it is signed
by a key of another purpose, names an audience, and has no place in the feed's chain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_card.status import CardChange, CardStatus, EcardStatus
from ecard_keys.desk.drafts import Signatory, SigningRules, as_jws, refused, require, require_header, require_time
from ecard_keys.key import MAX_INTEGER

_TYP: Final = "secevent+jwt"
_LIMIT: Final = 8_192
_OWN: Final = "/secevent/ecard/event-type/status-changed"
_CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
_SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"
_ID: Final = re.compile(r"[0-9a-f]{32}")
#: A caller's name.
_AUDIENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")
_REASON: Final = re.compile(r"[a-z][a-z_]{0,63}")
_MAX_STATE: Final = 1024

Members = dict[str, object]


def judge_partner_event(draft: bytes, rules: Sequence[SigningRules], signatory: Signatory, now: datetime) -> None:
    """A token for a partner. Raises `InvalidInput` `draft_refused`, naming the rule."""
    try:
        jws = jose.parse_compact(as_jws(draft), typ=_TYP, limit=_LIMIT)
        claims = jose.parse_json(jws.payload, limit=_LIMIT, max_depth=4)
    except InvalidInput as error:
        raise refused("form", f"no event: {error.code}") from None
    require_header(jws.header, _TYP, signatory)
    match claims:
        case {
            "iss": str(issuer),
            "jti": str(event_id),
            "iat": int(issued_at),
            "aud": str(audience),
            "sub_id": {"format": "opaque", "id": str(subject)},
            "stream": {"id": str(stream), "seq": int(number)},
            "events": dict(events),
        } if len(events) == 1:
            ((name, members),) = events.items()
        case _:
            raise refused("form", "claims of an event are missing, or of another type")
    require(any(rule.issuer == issuer for rule in rules), "issuer", "no issuer of that name is served here")
    require(type(issued_at) is type(number) is int, "form", "iat or seq is no number")
    require_time(issued_at, now)
    require(_AUDIENCE.fullmatch(audience) is not None, "audience", "not the name of one caller")
    require(all(map(_ID.fullmatch, (event_id, subject, stream))), "form", "an id is not 32 hex digits")
    require(1 <= number <= MAX_INTEGER, "form", "not a place in a stream")
    about_stream = name.startswith(_SSF)
    require(
        (subject == stream) is about_stream, "subject", "the subject is a card, or of a stream's own event the stream"
    )
    meant: Members = {"iss": issuer, "jti": event_id, "iat": issued_at, "aud": audience}
    meant |= {} if about_stream else _moment(claims)
    meant |= {
        "sub_id": {"format": "opaque", "id": subject},
        "stream": {"id": stream, "seq": number},
        "events": {name: _members(name, members, issuer)},
    }
    header = {"alg": signatory.algorithm.value, "kid": signatory.key_id, "typ": _TYP}
    require(jose.compact_signing_input(header, meant) == draft, "rebuild", "not the form in which this house writes it")


def _moment(claims: object) -> Members:
    """Which change of the card it was, and when that happened."""
    match claims:
        case {"txn": str(txn), "toe": int(toe)} if _ID.fullmatch(txn) and type(toe) is int and 0 <= toe <= MAX_INTEGER:
            return {"txn": txn, "toe": toe}
    raise refused("form", "txn or toe is missing, or of another form")


def _members(name: str, members: object, issuer: str) -> Members:
    """The event's members as this house writes them."""
    read = _status_changed if name == issuer + _OWN else _KINDS.get(name)
    if read is None:
        raise refused("event", "an event that partners are not told")
    try:
        return read(members if isinstance(members, dict) else {})
    except (KeyError, TypeError, ValueError):
        raise refused("form", "members of the event are missing, or of another type") from None


def _status_changed(members: Mapping[str, object]) -> Members:
    meant: Members = {
        "status": int(EcardStatus(_whole(members["status"]))),
        "card_status": int(CardStatus(_whole(members["card_status"]))),
        "previous_card_status": int(CardStatus(_whole(members["previous_card_status"]))),
        "card_event": CardChange(_text(members["card_event"])).value,
        "sequence": _whole(members["sequence"]),
    }
    if "successor" in members:
        meant["successor"] = _text(members["successor"])
        if not _ID.fullmatch(_text(members["successor"])):
            raise ValueError
    return meant


def _credential_change(members: Mapping[str, object]) -> Members:
    change = _text(members["change_type"])
    if change not in ("update", "revoke") or members["credential_type"] != "verifiable-credential":
        raise ValueError
    return {
        "event_timestamp": _whole(members["event_timestamp"]),
        "credential_type": "verifiable-credential",
        "change_type": change,
    }


def _verification(members: Mapping[str, object]) -> Members:
    if "state" not in members:
        return {}
    state = _text(members["state"])
    require(len(state) <= _MAX_STATE, "form", "the state is too long")
    return {"state": state}


def _stream_updated(members: Mapping[str, object]) -> Members:
    status = _text(members["status"])
    if status not in ("enabled", "paused", "disabled"):
        raise ValueError
    if "reason" not in members:
        return {"status": status}
    if not _REASON.fullmatch(_text(members["reason"])):
        raise ValueError
    return {"status": status, "reason": members["reason"]}


_KINDS: Final[Mapping[str, Callable[[Mapping[str, object]], Members]]] = {
    _CAEP: _credential_change,
    _SSF + "verification": _verification,
    _SSF + "stream-updated": _stream_updated,
}


def _text(value: object) -> str:
    if type(value) is not str or not value:
        raise TypeError
    return value


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise TypeError
    return value
