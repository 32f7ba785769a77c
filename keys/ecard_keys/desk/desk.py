"""The signing desk: the one door to the keys of credentials, status lists, events and statements.

Who uses it has no `Signer` and cannot have any bytes signed, only whole drafts of known kinds. The desk reads each
draft as if a stranger had sent it, writes down what it is about to sign, and only then asks the home of keys. It may
be a part of the issuer's process (`LocalDesk`) or a process of its own (`signer_client.RemoteDesk`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput, NotAllowed, NotFound, Unavailable
from ecard_keys.desk.confirmations import judge_confirmation
from ecard_keys.desk.credentials import judge_credentials
from ecard_keys.desk.drafts import Signatory, SigningRules, refused
from ecard_keys.desk.events import judge_event
from ecard_keys.desk.feed_snapshots import judge_feed_snapshot
from ecard_keys.desk.journal import Journal, Outcome
from ecard_keys.desk.logins import judge_login_request, judge_login_token
from ecard_keys.desk.partner_events import judge_partner_event
from ecard_keys.desk.quotas import REFUSED, Quotas, documents
from ecard_keys.desk.settlements import judge_settlement
from ecard_keys.desk.status_deltas import judge_status_delta
from ecard_keys.desk.status_lists import judge_status_list
from ecard_keys.key import KeyPurpose
from ecard_keys.signer import HeldKey, KeyHome, require_messages

__all__ = ["PURPOSE_OF", "LocalDesk", "SigningDesk", "SigningProfile", "SigningRules"]

#: A caller whose clock differs by more than this gets nothing signed (after Boulder's `grpc/skew.go`).
MAX_SKEW: Final = 600
MAX_DRAFTS: Final = 2000
EMBEDDED_CALLER: Final = "issuer"


class SigningProfile(StrEnum):
    """What kind of document is to be signed. Lists and deltas of statuses share their keys, events and snapshots of the
    feed theirs, and so do confirmations, news for partners, the documents of logins and settlement authorizations."""

    CREDENTIAL = "credential"
    STATUS_LIST = "status-list"
    STATUS_DELTA = "status-delta"
    EVENT = "event"
    FEED_SNAPSHOT = "feed-snapshot"
    CONFIRMATION = "confirmation"
    PARTNER_EVENT = "partner-event"
    LOGIN_TOKEN = "login-token"  # noqa: S105 - the name of a profile
    LOGIN_REQUEST = "login-request"
    SETTLEMENT = "settlement"


#: The purpose that a key must have been made for.
PURPOSE_OF: Final = {
    SigningProfile.CREDENTIAL: KeyPurpose.CREDENTIAL,
    SigningProfile.STATUS_LIST: KeyPurpose.STATUS,
    SigningProfile.STATUS_DELTA: KeyPurpose.STATUS,
    SigningProfile.EVENT: KeyPurpose.EVENT,
    SigningProfile.FEED_SNAPSHOT: KeyPurpose.EVENT,
    SigningProfile.CONFIRMATION: KeyPurpose.STATEMENT,
    SigningProfile.PARTNER_EVENT: KeyPurpose.STATEMENT,
    SigningProfile.LOGIN_TOKEN: KeyPurpose.STATEMENT,
    SigningProfile.LOGIN_REQUEST: KeyPurpose.STATEMENT,
    SigningProfile.SETTLEMENT: KeyPurpose.STATEMENT,
}


class SigningDesk(Protocol):
    """Signs whole drafts, after judging them."""

    def sign(self, profile: SigningProfile, key_id: str, drafts: Sequence[bytes], now: datetime) -> list[bytes]:
        """One signature per draft, in order, all or none; an empty batch gives an empty list.

        A draft is a complete signing input: JWS `header.payload` (RFC 7515 §5.1) or COSE Sig_structure (RFC 9052
        §4.4). For `CREDENTIAL` they come in pairs, CWT and SD-JWT of one credential. `now` is the caller's clock,
        aware UTC. Safe in threads.

        Raises `InvalidInput` `draft_refused` (the detail names the rule; nothing was signed), `too_many_drafts`,
        `time_without_zone`; `NotFound` `key_unknown`; `Unavailable` `clock_skew_too_large`, `signing_quota_spent`,
        `signing_journal_unavailable`, `signer_unavailable`, and whatever the home of keys raises.
        """
        ...


class LocalDesk:
    """A desk in this process, over a home of keys.

    `issuers`: whose documents may be signed, `profiles`: which. `caller` is the name under which quotas count and the
    journal writes. `clock` is the desk's own, aware UTC.
    """

    def __init__(
        self,
        home: KeyHome,
        issuers: Sequence[SigningRules],
        journal: Journal,
        quotas: Quotas,
        clock: Callable[[], datetime],
        caller: str = EMBEDDED_CALLER,
        profiles: Collection[SigningProfile] = tuple(SigningProfile),
    ) -> None:
        self._home = home
        self._issuers = tuple(issuers)
        self._journal = journal
        self._quotas = quotas
        self._clock = clock
        self._caller = caller
        self._profiles = frozenset(profiles)
        self._keys: dict[str, HeldKey] = {}

    def sign(self, profile: SigningProfile, key_id: str, drafts: Sequence[bytes], now: datetime) -> list[bytes]:
        """See `SigningDesk.sign`. Raises also `NotAllowed` `signer_right_missing` for a profile not the caller's."""
        drafts = tuple(drafts)
        require_messages(drafts)
        if profile not in self._profiles:
            raise NotAllowed("signer_right_missing", "this caller may not have documents of this kind signed")
        if len(drafts) > MAX_DRAFTS:
            raise InvalidInput("too_many_drafts", f"at most {MAX_DRAFTS} drafts at once")
        own = self._own_time(now)
        if not drafts:
            return []
        try:
            self._judge(profile, key_id, drafts, own)
        except InvalidInput as error:
            refusal = error if error.code == "draft_refused" else refused("form", error.code)
            self._note_refusal(profile, key_id, drafts, own, refusal.detail.partition(":")[0])
            raise refusal from None
        self._quotas.take(self._caller, profile, documents(profile, len(drafts)), own)
        self._write(Outcome.SIGNING, profile, key_id, drafts, own)
        return self._home.sign(key_id, drafts)

    def _own_time(self, now: datetime) -> datetime:
        if now.tzinfo is None:
            raise InvalidInput("time_without_zone", "want an aware time")
        own = self._clock()
        if abs((own - now).total_seconds()) > MAX_SKEW:
            raise Unavailable("clock_skew_too_large", "the clocks of caller and signing desk differ by over 10 minutes")
        return own

    def _judge(self, profile: SigningProfile, key_id: str, drafts: Sequence[bytes], now: datetime) -> None:
        key = self._key(key_id)
        if key.purpose is not PURPOSE_OF[profile]:
            raise refused("purpose", f"the key is for {key.purpose.value}")
        try:
            signatory = Signatory(key_id, Algorithm(key.algorithm))
        except ValueError:
            raise refused("algorithm", "the key is of an algorithm that signs no documents") from None
        match profile:
            case SigningProfile.CREDENTIAL:
                judge_credentials(drafts, self._issuers, signatory, now)
            case SigningProfile.STATUS_LIST:
                for draft in drafts:
                    judge_status_list(draft, self._issuers, signatory, now)
            case SigningProfile.STATUS_DELTA:
                for draft in drafts:
                    judge_status_delta(draft, self._issuers, signatory, now)
            case SigningProfile.EVENT:
                for draft in drafts:
                    judge_event(draft, self._issuers, signatory, now)
            case SigningProfile.FEED_SNAPSHOT:
                for draft in drafts:
                    judge_feed_snapshot(draft, self._issuers, signatory, now)
            case SigningProfile.CONFIRMATION:
                for draft in drafts:
                    judge_confirmation(draft, self._issuers, signatory, now)
            case SigningProfile.PARTNER_EVENT:
                for draft in drafts:
                    judge_partner_event(draft, self._issuers, signatory, now)
            case SigningProfile.LOGIN_TOKEN:
                for draft in drafts:
                    judge_login_token(draft, self._issuers, signatory, now)
            case SigningProfile.LOGIN_REQUEST:
                for draft in drafts:
                    judge_login_request(draft, self._issuers, signatory, now)
            case SigningProfile.SETTLEMENT:
                for draft in drafts:
                    judge_settlement(draft, self._issuers, signatory, now)

    def _key(self, key_id: str) -> HeldKey:
        """What the home says of the key. Purpose and algorithm are for life, so it is asked once."""
        if key_id not in self._keys:
            self._home.public_key(key_id)  # of several homes one may be away: then it says so, and `held` would not
            self._keys = {key.key_id: key for key in self._home.held()}
        key = self._keys.get(key_id)
        if key is None:
            raise NotFound("key_unknown", "this home holds no such key")
        return key

    def _note_refusal(
        self, profile: SigningProfile, key_id: str, drafts: Sequence[bytes], now: datetime, rule: str
    ) -> None:
        """Write down what was refused, within a quota of its own: else whoever has nothing signed fills the disk."""
        try:
            self._quotas.take(self._caller, REFUSED, len(drafts), now)
        except Unavailable as spent:
            if spent.code != "signing_quota_spent":
                raise
        else:
            self._write(Outcome.REFUSED, profile, key_id, drafts, now, rule)

    def _write(
        self,
        outcome: Outcome,
        profile: SigningProfile,
        key_id: str,
        drafts: Sequence[bytes],
        now: datetime,
        reason: str = "",
    ) -> None:
        self._journal.append(
            now=now,
            caller=self._caller,
            profile=profile.value,
            key_id=key_id,
            outcome=outcome,
            drafts=drafts,
            reason=reason,
        )
