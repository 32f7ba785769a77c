"""What the signing desk demands of a feed event: one of the kinds that this house has, with just its members.

The format is `docs/formats/feed.md`; `ecard_verifier.feed`, which drafts and reads events, lies in a room above this
one, so the desk has its own reading of it: two that must agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from ecard_card import cwt, jose
from ecard_card.errors import InvalidInput
from ecard_card.status import CardChange, EcardStatus
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
from ecard_keys.key import MAX_INTEGER, KeyPurpose
from ecard_keys.status_uri import belongs_to

_TYP: Final = "secevent+jwt"
_LIMIT: Final = 16_384
_PATH: Final = "/secevent/ecard/event-type/"
_ID: Final = re.compile(r"[0-9a-f]{32}")
_KID: Final = re.compile(r"[0-9a-f]{8}")
_DIGEST: Final = re.compile(r"-|[A-Za-z0-9_-]{43}")

Members = dict[str, object]


def judge_event(draft: bytes, rules: Sequence[SigningRules], signatory: Signatory, now: datetime) -> None:
    """A Security Event Token of the feed. Raises `InvalidInput` `draft_refused`, naming the rule."""
    try:
        jws = jose.parse_compact(as_jws(draft), typ=_TYP, limit=_LIMIT)
        claims = jose.parse_json(jws.payload, limit=_LIMIT, max_depth=5)
    except InvalidInput as error:
        raise refused("form", f"no event: {error.code}") from None
    require_header(jws.header, _TYP, signatory)
    match claims:
        case {
            "iss": str(issuer),
            "jti": str(event_id),
            "iat": int(issued_at),
            "feed": {"stream": str(stream), "seq": int(seq), "prev": str(previous)},
            "events": dict(events),
        } if len(events) == 1:
            ((name, members),) = events.items()
        case _:
            raise refused("form", "claims of an event are missing, or of another type")
    rule = next((rule for rule in rules if rule.issuer == issuer), None)
    if rule is None:
        raise refused("issuer", "no issuer of that name is served here")
    require_time(issued_at, now)
    require(_ID.fullmatch(event_id) is not None, "form", "jti is not 32 hex digits")
    require(type(issued_at) is type(seq) is int, "form", "iat or seq is no number")
    require(stream == "0" and 0 <= seq <= MAX_INTEGER, "form", "not a place in the one stream")
    require(_DIGEST.fullmatch(previous) is not None, "form", "prev is no digest")
    kind = str(name).removeprefix(issuer + _PATH)
    meant = {
        "iss": issuer,
        "jti": event_id,
        "iat": issued_at,
        "feed": {"stream": stream, "seq": seq, "prev": previous},
        "events": {issuer + _PATH + kind: _members(kind, members, rule, now)},
    }
    header = {"alg": signatory.algorithm.value, "kid": signatory.key_id, "typ": _TYP}
    require(jose.compact_signing_input(header, meant) == draft, "rebuild", "not the form in which this house writes it")


def _members(kind: str, members: object, rule: SigningRules, now: datetime) -> Members:
    """The event's members as this house writes them."""
    read = _KINDS.get(kind)
    if read is None:
        raise refused("event", "an event that this house does not have")
    try:
        return read(members if isinstance(members, dict) else {}, rule, now)
    except (KeyError, TypeError, ValueError):
        raise refused("form", "members of the event are missing, or of another type") from None


def _credential_issued(members: Mapping[str, object], rule: SigningRules, now: datetime) -> Members:
    text = _text(members["cwt"])
    try:
        cwt.parse(jose.b64url_decode(text))
    except InvalidInput as error:
        raise refused("event", f"no credential in it: {error.code}") from None
    return {"cwt": text}


def _status_changed(members: Mapping[str, object], rule: SigningRules, now: datetime) -> Members:
    reference = members["status_list"]
    if not isinstance(reference, dict):
        raise TypeError
    uri = _text(reference["uri"])
    require(belongs_to(uri, rule.status_uri), "status-list", "not an entry of a list of this issuer")
    where: Members = {"uri": uri, "idx": _whole(reference["idx"])}
    status, change = EcardStatus(_whole(members["status"])), CardChange(_text(members["card_event"]))
    sequence = _whole(members["sequence"])
    return {"status": int(status), "status_list": where, "card_event": change.value, "sequence": sequence}


def _trust_list_published(members: Mapping[str, object], rule: SigningRules, now: datetime) -> Members:
    return {"version": _whole(members["version"])}


def _snapshot_made(members: Mapping[str, object], rule: SigningRules, now: datetime) -> Members:
    digest = _text(members["digest"])
    if digest == "-" or not _DIGEST.fullmatch(digest):
        raise ValueError
    return {"number": _whole(members["number"]), "digest": digest}


def _feed_beat(members: Mapping[str, object], rule: SigningRules, now: datetime) -> Members:
    at = _whole(members["at"])
    require(abs(at - now.timestamp()) <= MAX_AGE, "clock", "the beat is more than ten minutes off")
    return {"at": at}


def _key_compromised(members: Mapping[str, object], rule: SigningRules, now: datetime) -> Members:
    kid, thumbprint = _text(members["kid"]), _text(members["thumbprint"])
    if not _KID.fullmatch(kid) or len(thumbprint) != 43 or len(jose.b64url_decode(thumbprint)) != 32:
        raise ValueError
    meant: Members = {"kid": kid, "purpose": KeyPurpose(_text(members["purpose"])).value, "thumbprint": thumbprint}
    if "cut_off" in members:
        meant["cut_off"] = _whole(members["cut_off"])
    return meant


def _nothing(members: Mapping[str, object], rule: SigningRules, now: datetime) -> Members:
    return {}


_KINDS: Final[Mapping[str, Callable[[Mapping[str, object], SigningRules, datetime], Members]]] = {
    "credential-issued": _credential_issued,
    "status-changed": _status_changed,
    "trust-list-published": _trust_list_published,
    "snapshot-made": _snapshot_made,
    "feed-beat": _feed_beat,
    "key-compromised": _key_compromised,
    "nothing-public": _nothing,
}


def _text(value: object) -> str:
    if type(value) is not str or not value:
        raise TypeError
    return value


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise TypeError
    return value
