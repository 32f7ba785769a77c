"""What may be done for a holder, by the card as it is and the policy of its region. Pure: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ecard_card.acting import Channel
from ecard_card.china import china_date
from ecard_card.errors import Conflict, RuleViolation
from ecard_card.region_policy import LossEnd, RegionPolicy
from ecard_card.status import CardChange, CardStatus, Effect
from ecard_issuer.card_effect import is_expired
from ecard_issuer.life.values import CaseState, LossKind, ReplacementReason
from ecard_issuer.rows import CardRow

_LOST = frozenset({CardStatus.LOST, CardStatus.TEMPORARILY_LOST})


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows for the card: a change, or that a new card is (no longer) being made for it."""

    state: CaseState = CaseState.DONE
    change: CardChange | None = None
    replacing: bool | None = None
    due_at: datetime | None = None
    due_end: LossEnd | None = None

    @property
    def applied(self) -> bool:
        return self.change is not None or self.replacing is not None


def require_channel(channel: Channel, policy: RegionPolicy) -> None:
    """Raises `RuleViolation` `channel_not_permitted`. The authority itself needs no permission of the policy."""
    if channel is not Channel.AUTHORITY and channel not in policy.loss.channels:
        raise RuleViolation("channel_not_permitted", f"not by {channel.value} in this region")


def loss(kind: LossKind, card: CardRow, policy: RegionPolicy, now: datetime) -> Decision:
    """挂失. A card that is lost already, as strictly as is asked, stays as it is: reporting it again is no mistake."""
    if kind is LossKind.FORMAL:
        return Decision(change=None if card.status is CardStatus.LOST else CardChange.REPORT_LOSS)
    if card.status in _LOST:
        return Decision()
    days = policy.loss.temporary_days
    if days is None:
        return Decision(CaseState.OPEN, CardChange.REPORT_TEMPORARY_LOSS)
    due = now + timedelta(days=days)
    return Decision(CaseState.OPEN, CardChange.REPORT_TEMPORARY_LOSS, due_at=due, due_end=policy.loss.temporary_end)


def release(card: CardRow, policy: RegionPolicy) -> Decision:
    """解挂. Raises `Conflict` `replacement_under_way`; `RuleViolation` `release_not_permitted`, `replacement_only`."""
    if card.replacing:
        raise Conflict("replacement_under_way", "a new card is being made for this one")
    if card.status is CardStatus.TEMPORARILY_LOST and not policy.loss.holder_may_release:
        raise RuleViolation("release_not_permitted", "this region releases no temporary loss")
    if card.status is CardStatus.LOST and not policy.loss.formal_may_release:
        raise RuleViolation("replacement_only", "a formal loss ends by a new card in this region")
    return Decision(change=CardChange.RELEASE)


def order(reason: ReplacementReason, card: CardRow, policy: RegionPolicy, now: datetime) -> Decision:
    """补换卡. A lost card is cancelled at once, any other when the new one is collected; its e-card waits.

    Raises `Conflict` `replacement_under_way`; `RuleViolation` `card_change_impossible` (cancelled, or never enabled),
    `formal_loss_needed`, `renewal_too_early`.
    """
    if card.replacing:
        raise Conflict("replacement_under_way", "a new card is being made for this one")
    if card.status in (CardStatus.CANCELLED, CardStatus.SEALED):
        raise RuleViolation("card_change_impossible", "this card is cancelled, or was never enabled")
    if reason is ReplacementReason.LOSS:
        if policy.replacement.requires_formal_loss and card.status is not CardStatus.LOST:
            raise RuleViolation("formal_loss_needed", "this region wants a formal loss before a new card is made")
        return Decision(CaseState.ORDERED, CardChange.CANCEL, replacing=True)
    if reason is ReplacementReason.EXPIRY and not renewable(card, policy, china_date(now)):
        raise RuleViolation("renewal_too_early", "outside the window before the card's last day")
    return Decision(CaseState.ORDERED, replacing=True)


def renewable(card: CardRow, policy: RegionPolicy, today: date) -> bool:
    """Whether the card may be renewed today: within the window before its last day, or after that."""
    return today >= policy.replacement.renewable_from(card.expires_on)


def cancel(card: CardRow) -> Decision:
    """注销. What waits for a new card ends with it. Raises `RuleViolation` `card_change_impossible`."""
    if card.status is CardStatus.CANCELLED:
        if not card.replacing:
            raise RuleViolation("card_change_impossible", "this card is cancelled")
        return Decision(replacing=False)
    return Decision(change=CardChange.CANCEL, replacing=False if card.replacing else None)


def lock(locked: bool, card: CardRow) -> Decision:
    """The holder shuts or opens their e-card; saying it twice is no mistake."""
    if card.holder_locked is locked and card.status is not CardStatus.CANCELLED:
        return Decision()
    return Decision(change=CardChange.HOLDER_LOCK if locked else CardChange.HOLDER_UNLOCK)


def consent(given: bool, card: CardRow, policy: RegionPolicy, now: datetime) -> Decision:
    """The holder permits the e-card's use in the card's present status, or takes that back.

    Raises `RuleViolation` `consent_not_asked` where the policy does not leave it to them.
    """
    if card.consented is given and card.status is not CardStatus.CANCELLED:
        return Decision()
    left = {policy.effects[card.status]} | ({policy.expired} if is_expired(card, now) else set())
    if given and (Effect.CONSENT not in left or left & {Effect.DENY, Effect.END}):
        raise RuleViolation("consent_not_asked", "the region's policy does not leave this to the holder")
    return Decision(change=CardChange.CONSENT if given else CardChange.WITHDRAW_CONSENT)


def step(state: CaseState, to: CaseState) -> bool:
    """Whether a replacement moves to `to`; False where it is there already.

    Raises `RuleViolation` `replacement_step_impossible`.
    """
    if state is to:
        return False
    if state not in _BEFORE[to]:
        raise RuleViolation("replacement_step_impossible", f"from {state.value} to {to.value}")
    return True


#: From which states a replacement comes into each. A card made on the spot is collected without having waited.
_BEFORE = {
    CaseState.MADE: frozenset({CaseState.ORDERED}),
    CaseState.READY: frozenset({CaseState.MADE}),
    CaseState.COLLECTED: frozenset({CaseState.MADE, CaseState.READY}),
    CaseState.WITHDRAWN: frozenset({CaseState.ORDERED, CaseState.MADE, CaseState.READY}),
}
#: What a temporary loss becomes when its term is over.
TERM: dict[LossEnd, CardChange] = {
    LossEnd.RELEASE: CardChange.RELEASE,
    LossEnd.ESCALATE: CardChange.REPORT_LOSS,
    LossEnd.CANCEL: CardChange.CANCEL,
}
