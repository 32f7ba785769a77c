"""The live feed's messages: Security Event Tokens (RFC 8417) that carry every change a verifier must know.

One stream, counted without gaps from 1. The issuer drafts events with this module, verifiers read them with it, so
that the two cannot drift apart. `docs/formats/feed.md` has the wire format.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Protocol, TypeVar

from ecard_card import cwt, jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_card.jose import CompactJws, UnsignedJws
from ecard_card.status import CardChange, EcardStatus
from ecard_keys.key import KeyPurpose
from ecard_keys.status_uri import belongs_to
from ecard_keys.trust.trust import DeniedKey, Trust
from ecard_keys.verify import verify_jws
from ecard_verifier.denials import foreign

EVENT_TYPE: Final = "secevent+jwt"
STREAM: Final = "0"
MAX_EVENT: Final = 16_384  # characters of one JWS
SKEW: Final = 60  # seconds by which clocks may differ
#: `previous` of the first event of a stream.
FIRST: Final = "-"
_PATH: Final = "/secevent/ecard/event-type/"
_MAX_INTEGER: Final = 2**53 - 1
_KID: Final = re.compile(r"[0-9a-f]{8}")
_DIGEST: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class CredentialIssued:
    """A new credential; `cwt` is the compact twin, as a short code names it."""

    cwt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The status of one list entry from now on. `change` and `sequence` say which event of the card it was."""

    status: EcardStatus
    uri: str
    index: int
    change: CardChange
    sequence: int


@dataclass(frozen=True, slots=True)
class TrustListPublished:
    """A newer trust list can be fetched."""

    version: int


@dataclass(frozen=True, slots=True)
class SnapshotMade:
    """A snapshot of the events before this one can be fetched. `digest` is that of its manifest, as `digest_of` makes
    it: a mirror that began with a snapshot believes it once the feed has named it so."""

    number: int
    digest: str


@dataclass(frozen=True, slots=True)
class KeyCompromised:
    """A key of this issuer was stolen or lost: what it signed after `cut_off` (NumericDate; None: ever) is void.

    `thumbprint` (RFC 7638, SHA-256) says which key; `kid` and `purpose` are for people. It needs no root's signature:
    it can only take trust away.
    """

    kid: str
    purpose: KeyPurpose
    thumbprint: bytes
    cut_off: int | None

    @property
    def denied(self) -> DeniedKey:
        """What a trust source takes."""
        return DeniedKey(self.thumbprint, self.cut_off)


@dataclass(frozen=True, slots=True)
class FeedBeat:
    """At `at` (NumericDate) the stream had no event beyond the beat's own `seq`. Not stored, not counted."""

    at: int


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """An event type of a later version. It takes its place in the count and changes no status and no credential."""

    name: str


EventBody = (
    CredentialIssued | StatusChanged | TrustListPublished | SnapshotMade | KeyCompromised | FeedBeat | OtherEvent
)

_NAMES: Final[Mapping[type, str]] = {
    CredentialIssued: "credential-issued",
    StatusChanged: "status-changed",
    TrustListPublished: "trust-list-published",
    SnapshotMade: "snapshot-made",
    KeyCompromised: "key-compromised",
    FeedBeat: "feed-beat",
}


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One message of the feed. `status_uri` is its issuer's template, set by `verify_event`.

    `previous` is the digest of the event before it; in a beat, of the event that it follows. `proven` is False, set
    by `verify_event`, where the signature is that of a key stolen since: then only a later message under a good key,
    chained onto this one, can vouch for it.
    """

    issuer: str
    event_id: str
    issued_at: int
    seq: int
    body: EventBody
    previous: str
    jws: CompactJws = field(repr=False, compare=False)
    stream: str = STREAM
    status_uri: str = ""
    proven: bool = True

    @property
    def digest(self) -> str:
        """What the next event calls this one."""
        return digest_of(self.jws.signing_input)


class FeedSource(Protocol):
    """Where the messages come from."""

    def events(self, since: int, /) -> Iterator[str]:
        """Every event after `since` in order and beats between, each a compact JWS, until the connection ends.

        Raises `Unavailable` `feed_unavailable`.
        """
        ...


def draft_event(
    body: EventBody,
    *,
    issuer: str,
    kid: str,
    event_id: str,
    issued_at: int,
    seq: int,
    previous: str,
    stream: str = STREAM,
    algorithm: Algorithm = Algorithm.ES256,
) -> UnsignedJws:
    """The unsigned SET of `body`: sign `signing_input` with an `event` key of `algorithm` and `complete` it.

    `event_id` (`jti`) is new for each event; `issued_at` is a NumericDate; a beat's `seq` is the highest stored one.
    `previous` is `digest_of` the event before (for a beat: of event `seq`), `FIRST` where there is none.
    Raises `InvalidInput` `bad_event` for what a follower would refuse to read: once stored, it would stop them all.
    """
    _body(_name(body), _members(body))
    claims = {
        "iss": issuer,
        "jti": event_id,
        "iat": issued_at,
        "feed": {"stream": stream, "seq": seq, "prev": previous},
        "events": {issuer + _PATH + _name(body): _members(body)},
    }
    header = {"alg": algorithm.value, "kid": kid, "typ": EVENT_TYPE}
    return UnsignedJws(jose.compact_signing_input(header, claims))


def digest_of(signing_input: bytes) -> str:
    """base64url of SHA-256 over an event's header and claims as signed, without the signature.

    Each event names the one before it: who holds an old key cannot write another past, since the first event or beat
    under the present key refutes it. Without the signature, so that a batch is chained before it is signed.
    """
    return jose.b64url_encode(hashlib.sha256(signing_input).digest())


def digest_of_token(token: str) -> str:
    """`digest_of` for an event as stored."""
    return digest_of(token.rpartition(".")[0].encode())


def parse_event(text: str) -> FeedEvent:
    """Reads a message strictly; unknown members are left alone, for later versions. Believes nothing yet.

    Raises `InvalidInput` `bad_event`, or the codes of `ecard_card.jose.parse_compact`.
    """
    jws = jose.parse_compact(text, typ=EVENT_TYPE, limit=MAX_EVENT)
    claims = _typed(jose.parse_json(jws.payload, limit=MAX_EVENT), dict)
    feed = _typed(claims.get("feed"), dict)
    events = _typed(claims.get("events"), dict)
    issuer = _text(claims.get("iss"))
    if len(events) != 1:
        raise InvalidInput("bad_event", "want exactly one event in a token")
    ((name, members),) = events.items()
    if not name.startswith(issuer + _PATH):
        raise InvalidInput("bad_event", "the event type is not one of the issuer's")
    body = _body(name[len(issuer + _PATH) :], _typed(members, dict))
    seq = _whole(feed.get("seq"))
    if seq == 0 and not isinstance(body, FeedBeat):
        raise InvalidInput("bad_event", "events are counted from 1")
    return FeedEvent(
        issuer=issuer,
        event_id=_text(claims.get("jti")),
        issued_at=_whole(claims.get("iat")),
        seq=seq,
        body=body,
        previous=_text(feed.get("prev")),
        jws=jws,
        stream=_text(feed.get("stream")),
    )


def verify_event(text: str, trust: Trust | None, now: datetime) -> FeedEvent:
    """The event, once its signature, signer, time and subject hold. `now` is aware UTC.

    A feed keeps what a key signed before it was stolen, and whoever reads it from the beginning must get past that:
    such an event comes back as not `proven`. A beat by such a key is refused.

    Raises `InvalidInput` for its form; `CheckFailed` `trust_missing`, `trust_expired`, `unknown_key`,
    `bad_signature`, the key's own reason, `issuer_mismatch` (also for the denial of another issuer's key),
    `event_from_future`, `status_list_foreign`.
    """
    event = parse_event(text)
    seconds = int(now.timestamp())
    if trust is None:
        raise CheckFailed("trust_missing", "this verifier has no trust list")
    if trust.expires_at < seconds - SKEW:
        raise CheckFailed("trust_expired", "the trust list has expired")
    candidates = trust.candidates(_text(event.jws.header.get("kid")), KeyPurpose.EVENT)
    if not candidates:
        raise CheckFailed("unknown_key", "no issuer on the trust list has this event key")
    # The issuer's own key first: for a given signature another one is easily computed, and could be listed elsewhere.
    signer = next(
        (
            key
            for key in sorted(candidates, key=lambda key: key.issuer.issuer != event.issuer)
            if key.record.algorithm == event.jws.algorithm and verify_jws(event.jws, key.loaded())
        ),
        None,
    )
    if signer is None:
        raise CheckFailed("bad_signature", "the event is not signed by the key it names")
    body = event.body
    # A beat speaks of the present: it needs a key that may sign at `at`, whatever `iat` its signer wrote.
    refusal = signer.accepts(max(event.issued_at, body.at) if isinstance(body, FeedBeat) else event.issued_at)
    proven = refusal is None
    if refusal is not None and (refusal != "key_compromised" or isinstance(body, FeedBeat)):
        raise CheckFailed(refusal, "the key may not have signed this event then")
    if event.issuer != signer.issuer.issuer:
        raise CheckFailed("issuer_mismatch", "iss is not the issuer that the signing key belongs to")
    if max(event.issued_at, body.at if isinstance(body, FeedBeat) else 0) > seconds + SKEW:
        raise CheckFailed("event_from_future", "the event is dated ahead of our clock")
    if isinstance(body, StatusChanged) and not belongs_to(body.uri, signer.issuer.status_uri):
        raise CheckFailed("status_list_foreign", "the event speaks of a list that is not its signer's")
    if isinstance(body, KeyCompromised) and foreign(body.thumbprint, event.issuer, trust.issuers):
        raise CheckFailed("issuer_mismatch", "an issuer can deny its own keys only")
    return replace(event, status_uri=signer.issuer.status_uri, proven=proven)


def _name(body: EventBody) -> str:
    return body.name if isinstance(body, OtherEvent) else _NAMES[type(body)]


def _members(body: EventBody) -> dict[str, object]:
    match body:
        case CredentialIssued(data):
            return {"cwt": jose.b64url_encode(data)}
        case StatusChanged(status, uri, index, change, sequence):
            where = {"uri": uri, "idx": index}
            return {"status": int(status), "status_list": where, "card_event": change.value, "sequence": sequence}
        case TrustListPublished(version):
            return {"version": version}
        case SnapshotMade(number, digest):
            return {"number": number, "digest": digest}
        case KeyCompromised(kid, purpose, thumbprint, cut_off):
            named: dict[str, object] = {
                "kid": kid,
                "purpose": purpose.value,
                "thumbprint": jose.b64url_encode(thumbprint),
            }
            return named if cut_off is None else {**named, "cut_off": cut_off}
        case FeedBeat(at):
            return {"at": at}
        case OtherEvent():
            return {}


def _body(name: str, members: Mapping[str, object]) -> EventBody:
    match name:
        case "credential-issued":
            data = jose.b64url_decode(_text(members.get("cwt"), 2048))
            cwt.parse(data)
            return CredentialIssued(data)
        case "status-changed":
            reference = _typed(members.get("status_list"), dict)
            try:
                status = EcardStatus(_whole(members.get("status")))
                change = CardChange(_text(members.get("card_event")))
            except ValueError:
                raise InvalidInput("bad_event", "a status or change that does not exist") from None
            uri, index = _text(reference.get("uri")), _whole(reference.get("idx"))
            return StatusChanged(status, uri, index, change, _whole(members.get("sequence")))
        case "trust-list-published":
            return TrustListPublished(_whole(members.get("version")))
        case "snapshot-made":
            digest = _text(members.get("digest"), 43)
            if not _DIGEST.fullmatch(digest):
                raise InvalidInput("bad_event", "want a SHA-256")
            return SnapshotMade(_whole(members.get("number")), digest)
        case "key-compromised":
            return _key_compromised(members)
        case "feed-beat":
            return FeedBeat(_whole(members.get("at")))
        case _:
            return OtherEvent(name)


def _key_compromised(members: Mapping[str, object]) -> KeyCompromised:
    kid = _text(members.get("kid"))
    thumbprint = jose.b64url_decode(_text(members.get("thumbprint")))
    if not _KID.fullmatch(kid) or len(thumbprint) != 32:
        raise InvalidInput("bad_event", "want a kid of 8 hex digits and a SHA-256 thumbprint")
    try:
        purpose = KeyPurpose(_text(members.get("purpose")))
    except ValueError:
        raise InvalidInput("bad_event", "a purpose that does not exist") from None
    # Only a missing cut-off means "everything": a member that cannot be read must not be taken for one.
    cut_off = _whole(members["cut_off"]) if "cut_off" in members else None
    return KeyCompromised(kid, purpose, thumbprint, cut_off)


_T = TypeVar("_T")


def _typed(value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        raise InvalidInput("bad_event", "a member is missing or of another type")
    return value


def _text(value: object, limit: int = 512) -> str:
    text = _typed(value, str)
    if not 1 <= len(text) <= limit:
        raise InvalidInput("bad_event", "a text is empty or too long")
    return text


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_INTEGER:
        raise InvalidInput("bad_event", "want a whole number")
    return value
