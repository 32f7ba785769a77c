"""What is kept of wallets: those that may send people to our page, offers, pushed requests, sessions, batches of keys.

None of it is a secret: what a code, a token or a transaction code must be is computed, or kept as a hash. None names a
person: a proven enrolment leads to the card.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

#: How long an offer, and its code, may be taken up.
OFFER_LIFE: Final = timedelta(minutes=5)
#: Wrong transaction codes, after which an offer is dead.
TRIES: Final = 5
#: How long a pushed authorization request may wait for the person (RFC 9126 §4).
REQUEST_LIFE: Final = timedelta(minutes=10)
#: How long an authorization code may be redeemed (RFC 6749 §4.1.2 wants ten minutes at most).
CODE_LIFE: Final = timedelta(minutes=1)
#: How long an access token is good.
SESSION_LIFE: Final = timedelta(minutes=5)
#: How long a person has to review a request, and the wallet to fetch the outcome.
REVIEW_LIFE: Final = timedelta(days=7)
#: Keys of one session, in one request or in several.
BATCH_SIZE: Final = 10
#: The same where a channel's link is what they hang on: a link has five devices at most, and the app itself is one.
LINK_BATCH_SIZE: Final = 4


class OfferState(StrEnum):
    OPEN = "open"
    TAKEN = "taken"  # its code was redeemed, or a person proved themself with it on our page
    DEAD = "dead"  # too many wrong transaction codes


class RequestState(StrEnum):
    PUSHED = "pushed"
    GRANTED = "granted"  # the person agreed; the code waits
    REDEEMED = "redeemed"
    REFUSED = "refused"  # by the person, or after too many tries


class BatchState(StrEnum):
    GRANTED = "granted"  # may be issued, and again where an answer was lost
    WAITING = "waiting"  # for a person's review
    REFUSED = "refused"


class WalletEvent(StrEnum):
    """What a wallet tells of credentials it received (OpenID4VCI 1.0 §11.1)."""

    ACCEPTED = "credential_accepted"
    FAILURE = "credential_failure"
    DELETED = "credential_deleted"


@dataclass(frozen=True, slots=True)
class Right:
    """On what strength credentials are issued: a proven enrolment, or a channel's link."""

    enrolment_id: str | None
    app_id: str | None = None
    link_id: str | None = None


@dataclass(frozen=True, slots=True)
class WalletClient:
    """A wallet that may use the authorization code flow. Its redirect URIs are compared character by character."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    added_by: str
    added_at: datetime
    ended_by: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OfferRow:
    offer_id: str
    enrolment_id: str | None
    app_id: str | None
    link_id: str | None
    review: bool  # a person looks at it before anything is issued
    made_by: str
    created_at: datetime
    expires_at: datetime
    tries: int = 0
    state: OfferState = OfferState.OPEN

    @property
    def right(self) -> Right:
        return Right(self.enrolment_id, self.app_id, self.link_id)


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A pushed authorization request. The proof is there once the person has given it."""

    request_id: str
    client_id: str
    redirect_uri: str
    code_challenge: str
    wallet_state: str | None
    jkt: str | None
    offer_id: str | None
    identified: bool  # asked by authorization_details: the wallet then asks by credential identifier
    expires_at: datetime
    tries: int = 0
    browser_hash: str | None = None  # of the browser that opened it first
    enrolment_id: str | None = None
    app_id: str | None = None
    link_id: str | None = None
    review: bool = False
    state: RequestState = RequestState.PUSHED


@dataclass(frozen=True, slots=True)
class SessionRow:
    """What an access token stands for. `taken` counts the keys that credentials were asked for."""

    session_id: str
    token_hash: str
    jkt: str | None
    client_id: str | None
    enrolment_id: str | None
    app_id: str | None
    link_id: str | None
    review: bool
    identified: bool
    expires_at: datetime
    taken: int = 0

    @property
    def right(self) -> Right:
        return Right(self.enrolment_id, self.app_id, self.link_id)


@dataclass(frozen=True, slots=True)
class WantedKey:
    """A device key (uncompressed point, hex) and the enrolment that its credential is issued on; none for a link's."""

    point: str
    enrolment_id: str | None


@dataclass(frozen=True, slots=True)
class BatchRow:
    """The keys of one credential request. Its id is the hash of the nonce: so a nonce is good once."""

    batch_id: str
    session_id: str
    request_hash: str
    keys: tuple[WantedKey, ...]
    state: BatchState
    created_at: datetime
    expires_at: datetime
    event: WalletEvent | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str = ""
