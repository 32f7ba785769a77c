"""A region's policy: what its document may say, and what follows from it for the e-card."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.acting import Acting, Channel, Ground
from ecard_card.effective import effective_status
from ecard_card.errors import InvalidInput
from ecard_card.region_policy import (
    STRICT,
    STRICT_EFFECTS,
    FamilyRules,
    LossEnd,
    LossRules,
    PinRules,
    RegionPolicy,
    ReplacementRules,
    Retention,
    read_policy,
    regions_above,
)
from ecard_card.status import CardStatus, EcardStatus, Effect

S = CardStatus

FULL = """
region = "410000"
source = "豫人社规〔2026〕1号"
expired = "allow"
cards_elsewhere = 0

[effects]
temporarily_lost = "consent"

[loss]
temporary_days = 15
temporary_end = "cancel"
holder_may_release = false
formal_may_release = true
channels = ["desk", "hotline"]

[replacement]
requires_formal_loss = false
validity_years = 20
renewal_window_days = 90

[pin]
tries = 6
unlocks = 0

[family]
relatives = 10
of_age = 18

[retention]
applications = "never"
deliveries = 30
"""


def test_a_document_says_what_differs_and_the_rest_is_strict() -> None:
    assert read_policy('region = "000000"') == STRICT
    assert read_policy(FULL) == RegionPolicy(
        region="410000",
        source="豫人社规〔2026〕1号",
        effects={**STRICT_EFFECTS, S.TEMPORARILY_LOST: Effect.CONSENT},
        expired=Effect.ALLOW,
        cards_elsewhere=0,
        loss=LossRules(15, LossEnd.CANCEL, False, True, frozenset({Channel.DESK, Channel.HOTLINE})),
        replacement=ReplacementRules(False, 20, 90),
        pin=PinRules(6, 0),
        family=FamilyRules(10, 18),
        retention=Retention(applications=None, deliveries=30),
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "region"),
        ("region = 410000", "region"),
        ('region = "41"', "region"),
        ("not toml", "document"),
        ("x = " + "[" * 9000, "document"),
        ("#" * 40000, "document"),
        ('region = "410000"\ncolour = "red"', "colour"),
        ('region = "410000"\n[pin]\ntries = 0', "pin.tries"),
        ('region = "410000"\n[pin]\ntries = true', "pin.tries"),
        ('region = "410000"\n[pin]\ntries = 3.0', "pin.tries"),
        ('region = "410000"\n[pin]\ntries = "never"', "pin.tries"),
        ('region = "410000"\n[pin]\nguesses = 3', "pin.guesses"),
        ('region = "410000"\npin = 3', "pin"),
        ('region = "410000"\n[loss]\ntemporary_end = "forget"', "loss.temporary_end"),
        ('region = "410000"\n[loss]\nchannels = ["pigeon"]', "loss.channels"),
        ('region = "410000"\n[loss]\nchannels = "desk"', "loss.channels"),
        ('region = "410000"\n[effects]\nbroken = "deny"', "effects"),
        ('region = "410000"\n[effects]\ncancelled = "deny"', "effects"),
        ('region = "410000"\n[effects]\nlost = "end"', "effects"),
        ('region = "410000"\nexpired = "end"', "expired"),
        ('region = "410000"\nexpired = "maybe"', "expired"),
        ('region = "410000"\n[retention]\napplications = 0', "retention.applications"),
    ],
)
def test_a_wrong_document_is_refused_by_the_name_of_its_setting(text: str, place: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read_policy(text)
    assert refusal.value.code == "bad_region_policy"
    assert refusal.value.detail.startswith(f"{place}: ")


@given(st.text(max_size=300))
def test_whatever_the_document_only_our_errors_come_out(text: str) -> None:
    with suppress(InvalidInput):
        assert read_policy(text).region


def test_the_nearest_regions_policy_comes_first() -> None:
    assert regions_above("410105") == ("410105", "410100", "410000", "000000")
    assert regions_above("410000") == ("410000", "000000")
    assert regions_above("000000") == ("000000",)


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (S.SEALED, EcardStatus.SUSPENDED),
        (S.NORMAL, EcardStatus.VALID),
        (S.LOST, EcardStatus.SUSPENDED),
        (S.LOCKED, EcardStatus.SUSPENDED),
        (S.TEMPORARILY_LOST, EcardStatus.SUSPENDED),
        (S.CANCELLED, EcardStatus.INVALID),
    ],
)
def test_the_strict_policy_makes_only_a_normal_card_usable(card: CardStatus, expected: EcardStatus) -> None:
    assert effective_status(card) is expected
    assert effective_status(card, consented=True) is expected


@pytest.mark.parametrize("card", CardStatus)
@pytest.mark.parametrize("expired", [False, True])
def test_a_holders_lock_suspends_and_never_revives(card: CardStatus, expired: bool) -> None:
    free = effective_status(card, expired=expired)
    locked = effective_status(card, expired=expired, holder_locked=True)
    assert locked is (EcardStatus.SUSPENDED if free is EcardStatus.VALID else free)


def test_a_region_may_leave_a_status_to_the_holder() -> None:
    mild = replace(STRICT, effects={**STRICT_EFFECTS, S.TEMPORARILY_LOST: Effect.CONSENT})
    assert effective_status(S.TEMPORARILY_LOST, policy=mild) is EcardStatus.SUSPENDED
    assert effective_status(S.TEMPORARILY_LOST, policy=mild, consented=True) is EcardStatus.VALID
    assert effective_status(S.TEMPORARILY_LOST, policy=mild, consented=True, holder_locked=True) is (
        EcardStatus.SUSPENDED
    )


@pytest.mark.parametrize("card", CardStatus)
def test_the_last_day_takes_away_and_never_gives(card: CardStatus) -> None:
    lenient = replace(STRICT, expired=Effect.ALLOW)
    assert effective_status(card, policy=lenient, expired=True) is effective_status(card)
    assert effective_status(card, expired=True) is (
        EcardStatus.INVALID if card is S.CANCELLED else EcardStatus.SUSPENDED
    )


def test_everybody_but_the_holder_names_a_mandate() -> None:
    assert Acting(Ground.OWN).mandate_id is None
    for ground, mandate in ((Ground.OWN, "m"), (Ground.GUARDIAN, None), (Ground.AGENCY, None)):
        with pytest.raises(InvalidInput) as refusal:
            Acting(ground, mandate)
        assert refusal.value.code == "bad_acting"
