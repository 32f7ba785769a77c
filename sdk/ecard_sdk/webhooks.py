"""Webhooks of the authority, as their receiver reads them: who sent it, is it new, what does it say.

By Standard Webhooks 1.0. A receiver answers 2xx once it has stored the event, and knows a repeated one by its `id`;
of two events of one card the one with the higher `sequence` is the newer.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ecard_card import jose
from ecard_sdk.channel_models import CardWord, EventType
from ecard_sdk.errors import InvalidRequestError, SignatureVerificationError

#: Seconds by which the sender's clock may differ, and for which a message may be repeated by whoever saw it.
TOLERANCE: Final = 300
_LIMIT: Final = 65_536
_MAX_SIGNATURES: Final = 16
_SECRET, _PUBLIC = "whsec_", "whpk_"
_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_STATUSES: Final = ("valid", "invalid", "suspended")


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """A card's status changed. `card` is what you, and nobody else, call the card; `status` is that of its e-card.

    `sequence` counts the card's changes. `card_status` is of code table AAZ502. `successor` is the card that takes the
    place of this one.
    """

    card: str
    sequence: int
    event: str
    status: str
    card_status: int
    successor: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """You asked whether the webhook works."""

    state: str | None = None


@dataclass(frozen=True, slots=True)
class StreamUpdated:
    """The authority changed the webhook's own status."""

    status: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """An event of a later version: store it or leave it, and answer 2xx."""

    type: str


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """Something happened to one of an app's links, or to its card: `type` says what (`ecard_sdk.channel_models`).

    `status` is what the link's e-card is after it. `action_type` and `scene_type` are those of the national callbacks,
    where one fits.
    """

    type: EventType
    link_id: str
    status: CardWord
    action_type: str | None = None
    scene_type: str | None = None


Body = LinkChanged | StatusChanged | Verification | StreamUpdated | OtherEvent


@dataclass(frozen=True, slots=True)
class Event:
    """One verified message. `id` is the same whenever it is sent; `number` counts the webhook's events from 1."""

    id: str
    stream: str
    number: int
    occurred_at: datetime
    body: Body


def unwrap(body: bytes, headers: Mapping[str, str], secrets: Iterable[str], *, now: datetime | None = None) -> Event:
    """The event in a request, once a signature by one of `secrets` holds.

    `body` is the request's body as received, before any parsing. `secrets` are shared secrets (`whsec_…`) or public
    keys (`whpk_…`): all that may be in use, two during a rotation. `now` is aware UTC; by default the clock's.

    Raises `SignatureVerificationError` `webhook_signature_invalid`, `webhook_too_old`, `webhook_from_future`;
    `InvalidRequestError` `bad_webhook` for a form that is none of ours, `bad_webhook_secret`.
    """
    named = {name.lower(): value for name, value in headers.items()}
    identity, stamp, signatures = (named.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
    if len(body) > _LIMIT or not _ID.fullmatch(identity) or not re.fullmatch(r"[0-9]{1,12}", stamp):
        raise InvalidRequestError("bad_webhook", "the body is too long, or webhook-id or webhook-timestamp is missing")
    content = f"{identity}.{stamp}.".encode() + body
    given = signatures.split(" ", _MAX_SIGNATURES)[:_MAX_SIGNATURES]
    if not any(_holds(content, given, secret) for secret in secrets):
        raise SignatureVerificationError("webhook_signature_invalid", "no signature by a known secret")
    seconds = int((now or datetime.now(UTC)).timestamp())
    if seconds - int(stamp) > TOLERANCE:
        raise SignatureVerificationError("webhook_too_old", "sent more than five minutes ago")
    if int(stamp) - seconds > TOLERANCE:
        raise SignatureVerificationError("webhook_from_future", "dated more than five minutes ahead")
    return _event(identity, body)


def _holds(content: bytes, given: list[str], secret: str) -> bool:
    if secret.startswith(_PUBLIC):
        public = _decoded(secret[len(_PUBLIC) :])
        return any(_signed(public, content, item[4:]) for item in given if item[:4] == "v1a,")
    wanted = hmac.digest(_decoded(secret.removeprefix(_SECRET)), content, "sha256")
    found = [item[3:] for item in given if item[:3] == "v1,"]
    return any(hmac.compare_digest(base64.b64encode(wanted), item.encode()) for item in found)


def _signed(public: bytes, content: bytes, signature: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signature, validate=True), content)
    except (InvalidSignature, binascii.Error):
        return False
    except ValueError:
        raise InvalidRequestError("bad_webhook_secret", "not an Ed25519 public key") from None
    return True


def _decoded(text: str) -> bytes:
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not 24 <= len(secret) <= 64:
        raise InvalidRequestError("bad_webhook_secret", "a secret is whsec_ or whpk_ and 24 to 64 bytes of base64")
    return secret


def _event(identity: str, body: bytes) -> Event:
    document = jose.parse_json(body, limit=_LIMIT, max_depth=8)
    try:
        match document:
            case {"type": str(kind), "timestamp": str(timestamp), "data": dict(data)}:
                occurred = datetime.fromisoformat(timestamp)
                if occurred.tzinfo is None:
                    raise ValueError
                return Event(identity, _text(data["stream"]), _whole(data["number"]), occurred, _body(kind, data))
    except (KeyError, TypeError, ValueError):
        pass
    raise InvalidRequestError("bad_webhook", "a member is missing or of another type")


def _body(kind: str, data: Mapping[str, object]) -> Body:
    match kind:
        case "card.status_changed":
            status = _text(data["status"])
            if status not in _STATUSES:
                raise ValueError
            return StatusChanged(
                card=_text(data["card"]),
                sequence=_whole(data["sequence"]),
                event=_text(data["event"]),
                status=status,
                card_status=_whole(data["card_status"]),
                successor=_text(data["successor"]) if "successor" in data else None,
            )
        case "stream.verification":
            return Verification(_text(data["state"]) if "state" in data else None)
        case "stream.updated":
            return StreamUpdated(_text(data["status"]), _text(data["reason"]) if "reason" in data else None)
        case _ if "link_id" in data:
            return LinkChanged(
                EventType(kind),
                _text(data["link_id"]),
                CardWord(_text(data["status"])),
                _text(data["action_type"]) if "action_type" in data else None,
                _text(data["scene_type"]) if "scene_type" in data else None,
            )
        case _:
            return OtherEvent(kind)


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError
    return value


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError
    return value
