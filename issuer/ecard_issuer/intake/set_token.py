"""Reading a Security Event Token (RFC 8417) of a source: strict form first, then signature, then claims.

One event to a token. What it says about people is read once and kept nowhere but sealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

from ecard_card.card import Card, CardNumber, Chip, Holder, IdentificationCode, IdNumber
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_card.jose import CompactJws, b64url_decode, parse_compact, parse_json
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.intake.event import CardEvent, CardRegistered, Subject
from ecard_issuer.intake.sources import Source
from ecard_keys.verify import algorithm_of, verify_jws

MAX_SET: Final = 16384
SKEW: Final = timedelta(seconds=60)
SUBJECT_FORMAT: Final = "urn:ecard:card"
STATUS_CHANGED: Final = "urn:ecard:secevent:event-type:card-status-changed"
REGISTERED: Final = "urn:ecard:secevent:event-type:card-registered"
_CLAIMS: Final = frozenset({"iss", "aud", "iat", "jti", "toe", "txn", "sub_id", "events"})
_MAX_ID: Final = 256
_CARD: Final = frozenset(
    {"card_number", "profile", "id_number", "name", "issued_on", "expires_on", "status"}
    | {"chip_public_key", "atr_historical"}
)


def read_set(token: str, source: Source, now: datetime) -> CardEvent | CardRegistered:
    """The event of a token that `source` signed.

    Raises `InvalidInput`: those of `parse_compact`, `bad_card_event` (a claim missing, twice, of another form, or not
    known), `unknown_event_type`, and those of what it names (`bad_identification_code`, `bad_card_number`, …);
    `CheckFailed`: `event_key_unknown`, `bad_signature`, `wrong_event_issuer`, `wrong_event_audience`,
    `card_event_from_future` (`iat` more than 60 s ahead of `now`).
    """
    jws = parse_compact(token, typ="secevent+jwt", limit=MAX_SET)
    claims = _verified(jws, source)
    if claims.get("iss") != source.issuer:
        raise CheckFailed("wrong_event_issuer", "iss is not this source's")
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or len(named) > 16 or source.audience not in named:
        raise CheckFailed("wrong_event_audience", "aud is not us")
    unknown = set(claims) - _CLAIMS
    if unknown:  # exp, nbf and sub among them: a SET is no token to get in with (RFC 8417 §2.2, §4.5)
        raise InvalidInput("bad_card_event", "claims other than iss, aud, iat, jti, toe, txn, sub_id and events")
    issued_at = _time(claims.get("iat"))
    if issued_at > now + SKEW:
        raise CheckFailed("card_event_from_future", "iat is more than a minute ahead")
    occurred_at = _time(claims["toe"]) if "toe" in claims else issued_at
    jti, txn = claims.get("jti"), claims.get("txn", "-")
    if not (isinstance(jti, str) and 1 <= len(jti) <= _MAX_ID and isinstance(txn, str) and len(txn) <= _MAX_ID):
        raise InvalidInput("bad_card_event", "jti is a text of 1 to 256 characters, txn one of at most 256")
    event_id = event_id_of(source.issuer, jti)
    kind, body = _event(claims.get("events"))
    subject = _subject(claims.get("sub_id"))
    if kind == STATUS_CHANGED:
        return _changed(event_id, subject, body, occurred_at)
    if kind == REGISTERED:
        return _registered(event_id, subject, body)
    raise InvalidInput("unknown_event_type", "an event type that is not known here")


def event_id_of(issuer: str, jti: str) -> str:
    """What the register calls the event: 32 hex digits, the same whenever the token is repeated."""
    return hashlib.sha256(f"{issuer}\n{jti}".encode()).hexdigest()[:32]


def _verified(jws: CompactJws, source: Source) -> Mapping[str, object]:
    key = source.key(jws.header.get("kid"))
    if key is None:
        raise CheckFailed("event_key_unknown", "kid names no key of this source")
    if jws.header.get("alg") != algorithm_of(key) or not verify_jws(jws, key):
        raise CheckFailed("bad_signature", "not signed by the source's key")
    try:
        claims = parse_json(jws.payload, limit=MAX_SET, max_depth=6)
    except InvalidInput as error:
        raise InvalidInput("bad_card_event", error.detail) from None
    if not isinstance(claims, dict):
        raise InvalidInput("bad_card_event", "the claims are not an object")
    return claims


def _time(value: object) -> datetime:
    """Whole seconds since 1970, however old, for events may be late. A `toe` ahead of us is the register's to judge."""
    if type(value) is not int or not 0 < value < 1 << 33:
        raise InvalidInput("bad_card_event", "iat and toe are whole seconds since 1970")
    return datetime.fromtimestamp(value, UTC)


def _event(events: object) -> tuple[str, Mapping[str, object]]:
    if not isinstance(events, dict) or len(events) != 1:
        raise InvalidInput("bad_card_event", "events holds exactly one event")
    ((kind, body),) = events.items()
    if not isinstance(body, dict):
        raise InvalidInput("bad_card_event", "the event is not an object")
    return kind, body


def _subject(value: object) -> Subject:
    if not isinstance(value, dict) or value.get("format") != SUBJECT_FORMAT:
        raise InvalidInput("bad_card_event", f"sub_id has the format {SUBJECT_FORMAT}")
    match value:
        case {"format": _, "identification_code": str(code)} if len(value) == 2:
            return Subject(code=IdentificationCode(code))
        case {"format": _, "card_number": str(number), "region": str(region)} if len(value) == 3:
            return Subject(number=CardNumber(number), stated_region=region)
    raise InvalidInput("bad_card_event", "sub_id: identification_code, or card_number and region")


def _changed(event_id: str, subject: Subject, body: Mapping[str, object], occurred_at: datetime) -> CardEvent:
    sequence, change = body.get("sequence"), body.get("change")
    if not set(body) <= {"sequence", "change", "successor"} or type(sequence) is not int:
        raise InvalidInput("bad_card_event", "a change has change, sequence and perhaps successor")
    try:
        named = CardChange(change)  # type: ignore[arg-type]
    except ValueError:
        raise InvalidInput("unknown_card_change", "a change that is not known here") from None
    successor = _subject(body["successor"]) if "successor" in body else None
    return CardEvent(event_id, subject, named, sequence, occurred_at, successor)


def _registered(event_id: str, subject: Subject, body: Mapping[str, object]) -> CardRegistered:
    optional = {"chip_public_key", "atr_historical"}
    if subject.code is None or not _CARD - optional <= set(body) <= _CARD:
        raise InvalidInput("bad_card_event", "a new card has an identification code and all that belongs to it")
    texts = {name: value for name, value in body.items() if isinstance(value, str)}
    if len(texts) != len(body) - 1 or type(body["status"]) is not int:
        raise InvalidInput("bad_card_event", "everything about a new card is text, but its status")
    try:
        card = Card(
            chip=Chip(
                subject.code,
                texts["profile"],
                b64url_decode(texts["chip_public_key"]) if "chip_public_key" in texts else None,
                bytes.fromhex(texts["atr_historical"]) if "atr_historical" in texts else None,
            ),
            number=CardNumber(texts["card_number"]),
            holder=Holder(IdNumber(texts["id_number"]), texts["name"]),
            issued_on=date.fromisoformat(texts["issued_on"]),
            expires_on=date.fromisoformat(texts["expires_on"]),
        )
        return CardRegistered(event_id, card, CardStatus(body["status"]))
    except ValueError:
        raise InvalidInput("bad_card_event", "a date, a status or a hexadecimal text that is none") from None
