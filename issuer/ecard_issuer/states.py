"""The states that rows of the register pass through. Their values stand in the database: add, never rename."""

from __future__ import annotations

from enum import StrEnum


class EnrolmentState(StrEnum):
    OPEN = "open"  # a challenge was given out
    PROVEN = "proven"  # the chip answered it; may be spent on one issuance
    ISSUED = "issued"


class BindingState(StrEnum):
    RESERVED = "reserved"  # held by one plan; goes when that plan is voided
    AWAITING = "awaiting"  # moved here by a replacement; waits for the new chip's proof
    LIVE = "live"


class PlanState(StrEnum):
    PLANNED = "planned"
    COMMITTED = "committed"
    VOIDED = "voided"


class CredentialState(StrEnum):
    LIVE = "live"
    ENDED = "ended"


class ListState(StrEnum):
    OPEN = "open"  # new entries are allocated here
    FULL = "full"


class OutboxKind(StrEnum):
    STATUS = "status"  # a card's status changed
    ISSUED = "issued"  # a credential was committed
    ENDED = "ended"  # a planned credential was voided: whatever was signed for it is invalid
    REBOUND = "rebound"  # a replacement moved an e-card to this card
    TRUST_LIST = "trust_list"  # a trust list was published
    SNAPSHOT = "snapshot"  # a snapshot of the feed was made
    KEY_COMPROMISED = "key_compromised"  # a signing key was declared stolen or lost


class ApprovalState(StrEnum):
    PENDING = "pending"  # waits for other people
    APPROVED = "approved"  # enough of them agreed: good for one use until it expires
    REFUSED = "refused"  # one of them said no, or one who had a part in it was shut out
    USED = "used"  # the change was made
    EXPIRED = "expired"  # nobody decided in time, or nobody used it


class AccountState(StrEnum):
    """Of a card's bank account: the bank's own, and never the card's."""

    NOT_ACTIVATED = "not_activated"
    ACTIVE = "active"
    LOST = "lost"  # reported at the bank
    CLOSED = "closed"  # final
