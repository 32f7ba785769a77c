"""In whatever order and however often one card's events come, the card ends as it would have in order, or a person
sees an exception; and what is shown of an event never hides one that was applied."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.status import ALLOWED_CHANGES, CardChange, CardStatus
from tests.issuer.intake.kit import CardSystem, add_card
from tests.issuer.service import START, Service, open_service

_SERIALS = iter(range(1, 10_000))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("order"))
    yield opened
    opened.issuer.close()


@st.composite
def histories(draw: st.DrawFn) -> list[CardChange]:
    """What may happen to a card that was normal, in the order in which it happened."""
    status = CardStatus.NORMAL
    changes: list[CardChange] = []
    for _ in range(draw(st.integers(1, 6))):
        possible = sorted(
            change
            for change, (origins, _) in ALLOWED_CHANGES.items()
            if status in origins and change is not CardChange.REPLACE
        )
        if not possible:
            break
        changes.append(draw(st.sampled_from(possible)))
        status = ALLOWED_CHANGES[changes[-1]][1]
    return changes


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_order_and_repetition_ends_as_the_order_itself_or_is_shown(service: Service, data: st.DataObject) -> None:
    history = data.draw(histories())
    sent = list(range(len(history)))
    arrivals = data.draw(st.permutations(sent + data.draw(st.lists(st.sampled_from(sent), max_size=3))))
    system, serial = CardSystem(name=f"system {next(_SERIALS)}"), next(_SERIALS)
    card_ref, source = add_card(service, serial), system.source()
    intake, register = service.issuer.intake, service.issuer.register
    intake.sources.put(source, "admin", START)
    tokens = [
        system.changed(START, serial, change, n + 1, toe=int((START - timedelta(hours=9 - n)).timestamp()))
        for n, change in enumerate(history)
    ]
    for place in arrivals:
        intake.events.receive(source, tokens[place], START)
    wanted = CardStatus.NORMAL
    for change in history:
        wanted = ALLOWED_CHANGES[change][1]
    shown = intake.store.waiting_for(card_ref, register.get_card(card_ref).number_mac)
    assert register.get_card(card_ref).status is wanted or shown
    events = register.events_of(card_ref)
    numbers = [event.source_sequence or 0 for event in events]
    assert numbers == sorted(set(numbers))  # each once, and never an older one after a newer one
    assert set(numbers) | {row.sequence for row in shown} == set(range(1, len(history) + 1))
    assert not set(numbers) & {row.sequence for row in shown}
    # No gap is left: every number has arrived.
    assert [gap for gap in intake.store.gaps(system.name) if gap.card_ref == card_ref] == []
    if arrivals[: len(sent)] == sent and len(arrivals) == len(sent):
        assert not shown
