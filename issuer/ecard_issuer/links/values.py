"""What links, claims and the rights under them are, as values. The values of the enumerations stand in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ecard_card.acting import Acting, Ground
from ecard_card.card import HolderProof


class LinkEnd(StrEnum):
    """Why a link ended."""

    RELEASED = "released"  # 解除关联: in the channel itself
    HOLDER = "holder"  # by the holder elsewhere: at a desk, or in another channel
    CARD_ENDED = "card_ended"  # the card was cancelled, and its e-card with it


class LinkNews(StrEnum):
    """What a channel is told about its links (the types of its events)."""

    CLAIMED = "link.claimed"
    PASSWORD = "password.changed"  # noqa: S105 - the name of a type
    LEVEL = "level.changed"
    RELEASED = "link.released"


class ClaimState(StrEnum):
    """How far a claim has come."""

    OPEN = "open"  # waits for its evidence
    PROVEN = "proven"  # the holder was proven; what follows can be repeated until it is done
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Link:
    """A channel's standing right to show one person's e-card. `link_id` (32 hex digits) is random and the channel's
    own; everything else but what `LinkState` tells stays here. `mandate_id`: somebody who acts for the holder claimed
    it, or has a device under it; it shows the e-card, and logs nobody in as the holder."""

    ecard_id: str
    link_id: str
    app_id: str
    holder_ref: str
    proof: HolderProof
    provider: str | None  # who proved the identity, and how, where `proof` says so
    method: str | None
    consent: str
    claim_id: str
    claimed_at: datetime
    ended_at: datetime | None = None
    end: LinkEnd | None = None
    mandate_id: str | None = None


@dataclass(frozen=True, slots=True)
class LinkRight:
    """One right to one credential under a link: for a device key that somebody showed, or for a kept one.

    `enrolment_id` names the proof that the credential is issued on, and so the credential. `family_link_id`: the e-card
    is that of a relative, which the link's holder may show. `proof`: how the holder was proven when this very key was
    bound; None where nobody was, and the link alone was enough.
    """

    link_id: str
    enrolment_id: str
    ecard_id: str
    holder_ref: str  # under whose data key `sealed_key` lies
    device_thumbprint: bytes
    made_at: datetime
    sealed_key: bytes | None = field(default=None, repr=False)
    family_link_id: str | None = None
    ended_at: datetime | None = None
    proof: HolderProof | None = None


@dataclass(frozen=True, slots=True)
class LinkNewsRow:
    """One thing to tell a channel. `about` says no more than a channel may know."""

    app_id: str
    news_id: str  # the same for the same news, however often it is written
    link_id: str
    kind: LinkNews
    about: Mapping[str, object]
    at: datetime
    waiting: bool = True


@dataclass(frozen=True, slots=True)
class IdentificationRow:
    """That a channel named a holder rightly, for a few minutes."""

    identification_id: str
    app_id: str
    holder_ref: str
    made_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim under way. `link_id` is what its link will be called where the channel has none with this e-card yet;
    `linked_id` is what it is called. `device_point` is 65 bytes."""

    claim_id: str
    app_id: str
    holder_ref: str
    card_ref: str
    link_id: str
    enrolment_id: str
    nonce: str
    consent: str
    proof: HolderProof
    device_point: bytes | None
    made_at: datetime
    expires_at: datetime
    state: ClaimState = ClaimState.OPEN
    provider: str | None = None
    method: str | None = None
    linked_id: str | None = None
    ground: Ground = Ground.OWN
    mandate_id: str | None = None

    @property
    def acting(self) -> Acting:
        """Who claims."""
        return Acting(self.ground, self.mandate_id)
