"""Mandates as values, and the port that keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final, Protocol

from ecard_card.acting import Act, Ground
from ecard_card.card import Holder
from ecard_card.life import LifeStatus

MAX_EVIDENCE: Final = 500


class MandateCause(StrEnum):
    """Why the holder does not act themselves."""

    MINOR = "minor"  # 未满十六周岁
    INCAPABLE = "incapable"  # 不具有完全民事行为能力
    ELDERLY = "elderly"  # 行动不便的老年人
    DISABLED = "disabled"  # 残疾人
    ABSENT = "absent"  # 异地长期居住
    FAMILY = "family"  # 亲情服务
    OTHER = "other"
    CONSENT = "consent"  # to an agency's application


class AgentRelation(StrEnum):
    """What the agent is to the holder."""

    PARENT = "parent"
    GRANDPARENT = "grandparent"
    SPOUSE = "spouse"
    CHILD = "child"
    GRANDCHILD = "grandchild"
    SIBLING = "sibling"
    APPOINTED = "appointed"  # a guardian by a court or a residents' committee
    AGENT = "agent"
    ORGANISATION = "organisation"


class Form(StrEnum):
    """How a wish was given."""

    WRITTEN = "written"  # 委托书, signed consent
    ONLINE = "online"  # in an app, after signing in
    RECORDED = "recorded"  # a recording of the spoken word
    OFFICIAL = "official"  # household register, court decision, certificate


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that a mandate was given. `reference` names a paper or record; it is sealed at rest.

    `given_by` is `holder` or `guardian`.
    """

    form: Form
    reference: str = field(repr=False)
    given_at: datetime
    given_by: str = "holder"


@dataclass(frozen=True, slots=True)
class NewMandate:
    """A mandate as a clerk has it before them. `ends_at` is exclusive; None: until it is revoked."""

    holder: Holder
    agent: Holder
    ground: Ground
    cause: MandateCause
    relation: AgentRelation
    acts: frozenset[Act]
    starts_at: datetime
    ends_at: datetime | None
    proof: Proof
    region: str


@dataclass(frozen=True, slots=True)
class MandateRow:
    """A mandate as kept. The agent is a person (`agent_ref`) or a caller of role agency (`agency`)."""

    mandate_id: str
    holder_ref: str
    agent_ref: str | None
    agency: str | None
    ground: Ground
    cause: MandateCause
    relation: AgentRelation
    acts: tuple[str, ...]
    starts_at: datetime
    closes_at: datetime | None
    sealed: bytes = field(repr=False)
    content_mac: str = field(repr=False)
    checked_by: str
    created_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None

    def state_at(self, now: datetime) -> str:
        """`waiting`, `live`, `ended` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.closes_at is not None and self.closes_at <= now:
            return "ended"
        return "live" if self.starts_at <= now else "waiting"


@dataclass(frozen=True, slots=True)
class MandateDocumentRow:
    mandate_id: str
    media_type: str
    size: int
    sealed: bytes = field(repr=False)
    added_at: datetime


@dataclass(frozen=True, slots=True)
class LifeRow:
    """What was last said of a person's life. `since` is a date in China."""

    holder_ref: str
    life: LifeStatus
    since: date
    recorded_by: str
    recorded_at: datetime


class MandateStore(Protocol):
    """Keeps mandates."""

    def add(self, row: MandateRow) -> MandateRow:
        """Store a mandate; the one stored before under the same id, if it says the same. `Conflict`
        `mandate_differs`."""
        ...

    def find(self, mandate_id: str) -> MandateRow | None: ...

    def of_holder(self, holder_ref: str) -> tuple[MandateRow, ...]:
        """Oldest first; at most 1,000."""

    def of_agent(self, agent_ref: str) -> tuple[MandateRow, ...]:
        """Oldest first; at most 1,000."""

    def revoke(self, mandate_id: str, by: str, now: datetime) -> MandateRow:
        """End it now; a mandate that was revoked before stays as it is. `NotFound` `mandate_unknown`."""
        ...

    def add_document(self, row: MandateDocumentRow) -> None:
        """Put a document to a mandate, in place of the one before."""

    def find_document(self, mandate_id: str) -> MandateDocumentRow | None: ...

    def purge(self, before: datetime, limit: int) -> int:
        """Delete at most `limit` mandates that closed before then, oldest first; says how many."""
        ...


class LifeStore(Protocol):
    """Keeps what is known of people's lives."""

    def find_life(self, holder_ref: str) -> LifeRow | None: ...

    def record_life(self, row: LifeRow) -> LifeRow:
        """Keep it unless something recorded later stands there; returns what stands there."""
        ...
