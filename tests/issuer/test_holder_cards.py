"""Two cards in two places: which one a counter meets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import InvalidInput
from ecard_card.status import CardChange, CardStatus, EcardStatus
from ecard_issuer.holder_cards import HeldCard, met_by
from ecard_issuer.rows import CardRow
from tests.contracts.register_world import NOW, ref, refused
from tests.issuer.holding import card_of, change, number_of
from tests.issuer.service import Service, open_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("service"))
    yield opened
    opened.issuer.close()


def held(region: str, status: CardStatus = CardStatus.NORMAL, issued_on: date = date(2024, 1, 2)) -> HeldCard:
    card = CardRow(ref(), region, ref(), ref(), "gen3", b"", status, issued_on, date(2044, 1, 2), NOW, NOW)
    effects = {CardStatus.NORMAL: EcardStatus.VALID, CardStatus.CANCELLED: EcardStatus.INVALID}
    return HeldCard(card, effects.get(status, EcardStatus.SUSPENDED))


def region_met(cards: list[HeldCard], region: str) -> str | None:
    met = met_by(cards, region)
    return met.card.region if met else None


@pytest.mark.parametrize(
    ("counter", "met"),
    [("410105", "410105"), ("410106", "410105"), ("410300", "410105"), ("330106", "330100"), ("650000", "330100")],
)
def test_a_counter_meets_the_card_of_the_nearest_place(counter: str, met: str) -> None:
    cards = [held("410105"), held("330100", issued_on=date(2025, 1, 1))]
    assert region_met(cards, counter) == met
    assert region_met(cards[::-1], counter) == met


def test_a_card_that_can_be_used_comes_before_a_nearer_one_that_cannot() -> None:
    assert region_met([held("410105", CardStatus.LOST), held("330100")], "410105") == "330100"
    assert region_met([held("410105", CardStatus.LOST), held("330100", CardStatus.LOCKED)], "410105") == "410105"
    assert region_met([held("410105", CardStatus.CANCELLED), held("330100", CardStatus.SEALED)], "410105") == "330100"
    assert region_met([held("410105", CardStatus.CANCELLED)], "410105") is None
    assert region_met([], "410105") is None


@pytest.mark.parametrize("region", ["", "41010", "4101055", "41010五", "４１０１０５", " 41010"])
def test_a_region_that_is_none_is_refused(region: str) -> None:
    with refused(InvalidInput, "bad_region"):
        met_by([held("410105")], region)


@given(
    st.lists(st.tuples(st.from_regex("[0-9]{6}", fullmatch=True), st.sampled_from(CardStatus)), max_size=6),
    st.from_regex("[0-9]{6}", fullmatch=True),
)
@settings(max_examples=100, deadline=None)
def test_some_live_card_is_met_wherever_the_counter_is(cards: list[tuple[str, CardStatus]], region: str) -> None:
    listed = [held(where, status) for where, status in cards]
    met = met_by(listed, region)
    assert (met is None) is all(status is CardStatus.CANCELLED for _, status in cards)


def test_cards_are_listed_by_region_with_what_they_make_of_the_ecard(service: Service) -> None:
    person = number_of(date(1985, 5, 6))
    here, there = card_of(service, region="410105", person=person), card_of(service, region="330100", person=person)
    change(service, here, CardChange.REPORT_LOSS)
    listed = service.issuer.holders.cards.of(person, service.clock())
    assert [(one.card.card_ref, one.effect) for one in listed] == [
        (there.card_ref, EcardStatus.VALID),
        (here.card_ref, EcardStatus.SUSPENDED),
    ]
    assert not service.issuer.holders.cards.of(number_of(date(1985, 5, 7)), service.clock())
