"""The rules of a card's life as properties: whatever the card and the region, some things never happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.acting import Channel
from ecard_card.errors import Conflict, EcardError, InvalidInput, RuleViolation
from ecard_card.region_policy import STRICT, LossEnd, LossRules, RegionPolicy, ReplacementRules
from ecard_card.status import ALLOWED_CHANGES, CardChange, CardStatus, EcardStatus, Effect
from ecard_issuer.card_effect import card_effect
from ecard_issuer.change_order import Past, Reported, card_after, next_event
from ecard_issuer.life import rules
from ecard_issuer.life.office import channel_of
from ecard_issuer.life.rules import Decision
from ecard_issuer.life.values import CaseState, LossKind, ReplacementReason
from ecard_issuer.life.who import Who
from ecard_issuer.rows import CardEventRow, CardRow
from ecard_verifier.callers import Caller, Role
from tests.contracts.register_world import NOW, refused
from tests.issuer.test_change_order import CARD

EFFECTS = [Effect.ALLOW, Effect.CONSENT, Effect.DENY]


@st.composite
def policies(draw: st.DrawFn) -> RegionPolicy:
    effects = {status: draw(st.sampled_from(EFFECTS)) for status in CardStatus} | {CardStatus.CANCELLED: Effect.END}
    return RegionPolicy(
        effects=effects,
        expired=draw(st.sampled_from(EFFECTS)),
        loss=LossRules(
            temporary_days=draw(st.none() | st.integers(1, 3650)),
            temporary_end=draw(st.sampled_from(LossEnd)),
            holder_may_release=draw(st.booleans()),
            formal_may_release=draw(st.booleans()),
        ),
        replacement=ReplacementRules(
            requires_formal_loss=draw(st.booleans()), renewal_window_days=draw(st.integers(0, 3650))
        ),
    )


CARDS = st.builds(
    lambda status, expires, locked, consented, replacing: replace(
        CARD, status=status, expires_on=expires, holder_locked=locked, consented=consented, replacing=replacing
    ),
    st.sampled_from(CardStatus),
    st.dates(date(2026, 1, 1), date(2036, 1, 1)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


def decided(card: CardRow, policy: RegionPolicy, what: int) -> Decision | str:
    wishes: list[Callable[[], Decision]] = [
        partial(rules.loss, LossKind.TEMPORARY, card, policy, NOW),
        partial(rules.loss, LossKind.FORMAL, card, policy, NOW),
        partial(rules.release, card, policy),
        *(partial(rules.order, reason, card, policy, NOW) for reason in ReplacementReason),
        partial(rules.cancel, card),
        *(partial(rules.lock, locked, card) for locked in (True, False)),
        *(partial(rules.consent, given, card, policy, NOW) for given in (True, False)),
    ]
    try:
        return wishes[what % len(wishes)]()
    except EcardError as refusal:
        return refusal.code


@given(card=CARDS, policy=policies(), what=st.integers(0, 12))
def test_a_decision_is_one_that_the_status_table_permits_or_it_is_refused(
    card: CardRow, policy: RegionPolicy, what: int
) -> None:
    decision = decided(card, policy, what)
    if isinstance(decision, str) or decision.change is None:
        return
    after = card if decision.replacing is None else replace(card, replacing=decision.replacing)
    origins, _ = ALLOWED_CHANGES.get(decision.change, (frozenset(CardStatus) - {CardStatus.CANCELLED}, None))
    if card.status not in origins:
        with refused(RuleViolation, "card_change_impossible"):
            next_event(after, Reported(decision.change, "e", NOW), Past(), NOW)
        return
    event = next_event(after, Reported(decision.change, "e", NOW), Past(), NOW)
    assert isinstance(event, CardEventRow)
    moved = card_after(after, event)
    if decision.change is CardChange.CANCEL:
        assert card_effect(moved, policy, NOW) is EcardStatus.INVALID
    if card.status is CardStatus.LOST and not policy.loss.formal_may_release:
        assert moved.status in (CardStatus.LOST, CardStatus.CANCELLED)
    if moved.status is not card.status:
        assert moved.consented is False
    assert moved.holder_locked is card.holder_locked or decision.change in (
        CardChange.HOLDER_LOCK,
        CardChange.HOLDER_UNLOCK,
    )


@given(card=CARDS, policy=policies())
def test_a_cancelled_card_and_a_locked_ecard_are_never_usable(card: CardRow, policy: RegionPolicy) -> None:
    effect = card_effect(card, policy, NOW)
    assert (effect is EcardStatus.INVALID) is (card.status is CardStatus.CANCELLED)
    assert not (card.holder_locked and effect is EcardStatus.VALID)
    expired = card.expires_on < date(2026, 11, 20)
    assert not (expired and policy.expired is Effect.DENY and effect is EcardStatus.VALID)


@given(card=CARDS, policy=policies())
def test_a_term_is_the_regions_and_its_end_is_possible_from_a_temporary_loss(
    card: CardRow, policy: RegionPolicy
) -> None:
    decision = rules.loss(LossKind.TEMPORARY, card, policy, NOW)
    days = policy.loss.temporary_days
    if decision.change is None or days is None:
        assert decision.due_at is None
        return
    assert (decision.due_at, decision.due_end) == (NOW + timedelta(days=days), policy.loss.temporary_end)
    origins, _ = ALLOWED_CHANGES[rules.TERM[policy.loss.temporary_end]]
    assert CardStatus.TEMPORARILY_LOST in origins


STEPS = [CaseState.MADE, CaseState.READY, CaseState.COLLECTED]


@given(state=st.sampled_from(CaseState), to=st.sampled_from(STEPS))
def test_a_replacement_goes_forward_only(state: CaseState, to: CaseState) -> None:
    order = [CaseState.ORDERED, *STEPS]
    try:
        moved: bool | None = rules.step(state, to)
    except RuleViolation:
        moved = None
    if moved is None:
        assert state not in order or order.index(state) >= order.index(to) or to is not order[order.index(state) + 1]
    else:
        assert moved is (state is not to)
        assert order.index(state) <= order.index(to)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("channel", [None, *Channel])
def test_nobody_speaks_for_a_channel_of_another(role: Role, channel: Channel | None) -> None:
    caller = Caller("c", role)
    serving = {Role.DESK: "desk kiosk", Role.HOTLINE: "hotline"}
    try:
        spoken: Channel | str = channel_of(caller, channel)
    except EcardError as refusal:
        spoken = refusal.code
    if isinstance(spoken, Channel):
        assert spoken is channel or channel is None
        assert role in (Role.OPERATOR, Role.CHANNEL) or spoken.value in serving[role]
    else:
        usual = role in (Role.DESK, Role.HOTLINE)
        assert spoken == ("channel_needed" if channel is None and not usual else "channel_not_yours")
        assert role is not Role.OPERATOR


def test_a_card_is_named_in_one_way() -> None:
    for card_ref, ecard_id, region in ((None, None, None), ("a", "b", None), ("a", None, "410000")):
        with refused(InvalidInput, "bad_search"):
            Who(card_ref, ecard_id, None, region)


def test_the_window_of_a_renewal() -> None:
    policy = RegionPolicy(replacement=ReplacementRules(renewal_window_days=60))
    card = replace(CARD, expires_on=date(2027, 1, 19))  # sixty days after the day of NOW
    assert rules.renewable(card, policy, date(2026, 11, 20))
    assert not rules.renewable(card, policy, date(2026, 11, 19))
    assert rules.renewable(card, policy, date(2030, 1, 1))
    with refused(Conflict, "replacement_under_way"):
        rules.order(ReplacementReason.OTHER, replace(card, replacing=True), STRICT, NOW)
