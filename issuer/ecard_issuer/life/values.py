"""Cases: what was asked about a card, by whom, by which way and on which ground, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ecard_card.acting import Acting, Channel, Ground
from ecard_card.region_policy import LossEnd
from ecard_card.status import CardStatus, EcardStatus
from ecard_verifier.callers import Caller


class CaseKind(StrEnum):
    """What is asked. The values stand in the database: add, never rename."""

    LOSS = "loss"  # 挂失
    RELEASE = "release"  # 解挂
    REPLACEMENT = "replacement"  # 补换卡
    CANCELLATION = "cancellation"  # 注销
    HOLDER_LOCK = "holder_lock"
    CONSENT = "consent"


class CaseState(StrEnum):
    """How far it has come."""

    DONE = "done"
    OPEN = "open"  # a temporary loss whose term runs
    ENDED = "ended"  # a temporary loss that its term, or something else, has ended
    ORDERED = "ordered"
    MADE = "made"  # 制卡
    READY = "ready"  # 待领卡
    COLLECTED = "collected"  # 已领卡
    WITHDRAWN = "withdrawn"


#: The states of a replacement that is on its way.
UNDER_WAY = frozenset({CaseState.ORDERED, CaseState.MADE, CaseState.READY})


class LossKind(StrEnum):
    TEMPORARY = "temporary"  # 临时挂失
    FORMAL = "formal"  # 正式挂失


class ReplacementReason(StrEnum):
    LOSS = "loss"  # 丢失
    DAMAGE = "damage"  # 损坏
    CHANGED_DATA = "changed_data"  # 卡片个人信息变更
    EXPIRY = "expiry"  # 到期换卡
    OTHER = "other"


class CancellationCause(StrEnum):
    EMIGRATION = "emigration"  # 出国（境）定居
    DEATH = "death"  # 死亡
    END_OF_BUSINESS = "end_of_business"  # 终止本省人力资源社会保障业务


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, by which way, on which ground, under which id of their own choice."""

    request_id: str
    caller: Caller
    channel: Channel
    acting: Acting


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case as stored. `steps` are (state, RFC 3339 time, caller); `sealed` is under the holder's data key."""

    card_ref: str
    case_id: str
    kind: CaseKind
    state: CaseState
    why: str  # the kind of loss, the reason or cause, the word
    fingerprint: str  # of the whole request, so that the same id with another content is seen
    caller: str
    channel: Channel
    ground: Ground
    mandate_id: str | None
    applied: bool  # whether it changed anything: a card that is lost already can be reported again
    opened_at: datetime
    changed_at: datetime
    due_at: datetime | None = None  # when a temporary loss ends by itself
    due_end: LossEnd | None = None  # and how
    new_card_ref: str | None = None
    new_holder_ref: str | None = None  # where a changed number makes the holder another person of the register
    steps: tuple[tuple[str, str, str], ...] = ()
    sealed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case, and what card and e-card are now."""

    case: CaseRow
    region: str
    status: CardStatus
    effect: EcardStatus
    before: CardStatus  # of the card, when the case was opened or went on; the same for a repetition
    also: tuple[str, ...] = ()  # further cards that the same case changed
    left: tuple[str, ...] = ()  # after a cancellation: cards of the person that are not cancelled
