"""The order of changes from several origins, as pure rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.errors import EcardError, InvalidInput, RuleViolation
from ecard_card.status import ALLOWED_CHANGES, CardChange, CardStatus
from ecard_issuer.change_order import MAX_AHEAD, MAX_MISSED, OWN, Past, Reported, is_echo, next_event
from ecard_issuer.rows import CardEventRow, CardRow
from tests.contracts.register_world import NOW, refused

CARD = CardRow("c", "350100", "n", "h", "gen3", b"", CardStatus.NORMAL, date(2024, 1, 1), date(2034, 1, 1), NOW, NOW)
CHANGES = st.sampled_from([change for change in ALLOWED_CHANGES if change is not CardChange.REPLACE])
MINUTES = st.integers(-100, 5).map(lambda minutes: NOW + timedelta(minutes=minutes))


def outcome(card: CardRow, reported: Reported, past: Past) -> CardEventRow | str:
    """The event, or the code of the refusal."""
    try:
        event = next_event(card, reported, past, NOW)
    except EcardError as refusal:
        return refusal.code
    assert isinstance(event, CardEventRow)
    return event


@given(
    status=st.sampled_from(CardStatus),
    change=CHANGES,
    source=st.sampled_from([OWN, "s"]),
    at=MINUTES,
    newest=st.none() | MINUTES,
)
def test_no_late_event_of_a_sender_makes_a_card_usable(
    status: CardStatus, change: CardChange, source: str, at: object, newest: object
) -> None:
    card = replace(CARD, status=status)
    event = outcome(card, Reported(change, "e", at, source), Past(newest=newest))  # type: ignore[arg-type]
    if isinstance(event, str):
        assert event in ("card_change_impossible", "card_change_superseded")
        assert event == "card_change_impossible" or source != OWN
        return
    assert (event.sequence, event.missed, is_echo(card, event)) == (
        1,
        0,
        source != OWN and event.previous is event.status,
    )
    freed = event.status is CardStatus.NORMAL and status is not CardStatus.NORMAL
    assert not (freed and source != OWN and newest is not None and at < newest)  # type: ignore[operator]


@given(number=st.integers(1, 2**53 - 1), last=st.integers(0, 2**53 - 1))
def test_a_number_is_newer_by_a_bounded_gap_or_refused(number: int, last: int) -> None:
    reported = Reported(CardChange.LOCK, "e", NOW, "s", number)
    event = outcome(CARD, reported, Past(last=last))
    if isinstance(event, str):
        assert event == ("card_change_superseded" if number <= last else "bad_card_sequence")
        assert number <= last or number - last > MAX_MISSED
    else:
        assert 0 <= event.missed == number - last - 1 < MAX_MISSED


def test_our_desks_give_no_numbers_and_nobody_reports_the_future() -> None:
    with refused(InvalidInput, "bad_card_sequence"):
        Reported(CardChange.LOCK, "e", NOW, OWN, 1)
    ahead = Reported(CardChange.LOCK, "e", NOW + MAX_AHEAD, "s")
    next_event(CARD, ahead, Past(), NOW)
    with pytest.raises(RuleViolation, match="card_event_from_future"):
        next_event(CARD, ahead, Past(), NOW - timedelta(seconds=1))
