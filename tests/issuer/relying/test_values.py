"""Claims and masks, the catalogue, services as registered, periods of the calendar."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.card import CardNumber, ChipAssurance, Holder, IdentificationCode, IdNumber
from ecard_card.errors import InvalidInput
from ecard_card.status import CardStatus
from ecard_issuer.card_desk import Identity
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.relying.catalogue import catalogue, read_catalogue
from ecard_issuer.relying.claims import ACCOUNT_CLAIMS, Claim, age_on, disclosed, mask_name, mask_tail
from ecard_issuer.relying.periods import period_of
from ecard_issuer.relying.services import Period, RelyingService, service_from_json
from ecard_issuer.rows import CardRow

START = datetime(2026, 1, 1, tzinfo=UTC)
SERVICE = RelyingService(
    service_id="jobs",
    name_zh="失业登记",
    name_en="Unemployment registration",
    owner="jobs",
    region="410000",
    lines=(82,),
    claims=(Claim.NAME, Claim.REGION),
    proof=ChipAssurance.READ,
    level=1,
    business_types=("03",),
    pin=False,
    starts_at=START,
)


def test_masks_show_what_they_should_and_no_more() -> None:
    assert [mask_name(name) for name in ("张", "张三", "张小三", "阿里木·买买提")] == ["*", "张*", "张*三", "阿*****提"]
    assert mask_tail("000000199001050714") == "**************0714"
    assert mask_tail("0714") == "****"


@given(st.text(min_size=1, max_size=100))
def test_a_masked_name_never_shows_more_than_two_characters(name: str) -> None:
    masked = mask_name(name)
    assert len(masked) == len(name)
    assert sum(shown != "*" for shown in masked) <= 2
    assert "*" in masked


def test_an_age_counts_whole_years() -> None:
    assert age_on(date(2010, 11, 24), date(2026, 11, 23)) == 15
    assert age_on(date(2010, 11, 23), date(2026, 11, 23)) == 16
    assert age_on(date(2008, 2, 29), date(2024, 2, 28)) == 15
    assert age_on(date(2008, 2, 29), date(2025, 3, 1)) == 17


def test_every_claim_has_a_value_and_masked_ones_hide() -> None:
    data = synthetic(7)
    identity = Identity(
        Holder(IdNumber(data.id_number), data.name),
        CardNumber(data.card_number),
        IdentificationCode(data.identification_code),
    )
    card = CardRow(
        card_ref="r",
        region="410100",
        number_mac="m",
        holder_ref="h",
        chip_profile="p",
        sealed_identity=b"",
        status=CardStatus.NORMAL,
        issued_on=date(2024, 1, 2),
        expires_on=date(2034, 1, 2),
        created_at=START,
        updated_at=START,
    )
    told = disclosed(tuple(Claim), identity, card, date(2026, 11, 23))
    assert set(told) == {claim.value for claim in Claim if claim not in ACCOUNT_CLAIMS}
    assert (told["name"], told["region"], told["expiry_date"]) == (data.name, "410100", "2034-01-02")
    masked = disclosed([claim for claim in Claim if claim.value.endswith("_masked")], identity, card, date.today())
    assert not {data.name, data.id_number, data.card_number} & set(map(str, masked.values()))


def test_the_catalogue_has_the_lines_of_the_brochure() -> None:
    by_group: dict[str, list[int]] = {}
    for entry in catalogue().lines:
        by_group.setdefault(entry.category, []).append(entry.line)
    assert by_group == {
        "identity": [64, 65],
        "social_insurance": [*range(71, 79)],
        "payments": [79, 90, 96, 97, 100],
        "employment": [*range(80, 90)],
        "personnel": [*range(91, 96)],
        "labour": [98, 99],
    }


def _catalogue(**said: Any) -> bytes:
    document = json.loads(files("ecard_issuer.relying").joinpath("catalogue.json").read_text(encoding="utf-8"))
    document["lines"][0] |= said
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "said",
    [
        {"line": 105},
        {"line": 71},
        {"claims": ["mother"]},
        {"proof": "sure"},
        {"level": 3},
        {"zh": ""},
        {"more": 1},
        {"business_types": ["05"]},
        {"category": "other"},
        {"business": "training"},
    ],
)
def test_a_catalogue_that_makes_no_sense_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_catalogue(_catalogue(**said))
    assert caught.value.code == "bad_catalogue"


@pytest.mark.parametrize(
    "said",
    [
        {"service_id": "Jobs"},
        {"service_id": "a"},
        {"name_zh": ""},
        {"name_en": "x" * 101},
        {"name_zh": "右\u202e左"},
        {"owner": "失业处"},
        {"region": "41"},
        {"lines": ()},
        {"claims": (Claim.NAME, Claim.NAME)},
        {"level": 3},
        {"business_types": ()},
        {"business_types": ("05",)},
        {"starts_at": datetime(2026, 1, 1)},
        {"ends_at": START},
        {"standing_days": 801},
    ],
)
def test_a_service_out_of_its_bounds_does_not_exist(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        replace(SERVICE, **said)
    assert caught.value.code == "bad_relying_service"


def test_a_service_reads_back_from_its_document() -> None:
    for service in (SERVICE, replace(SERVICE, ends_at=START + timedelta(days=1), period=Period.MONTH)):
        assert service_from_json(json.loads(json.dumps(service.to_json()))) == service
    for wrong in ({}, SERVICE.to_json() | {"more": 1}, SERVICE.to_json() | {"claims": ["mother"]}):
        with pytest.raises(InvalidInput):
            service_from_json(wrong)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)), st.sampled_from(Period))
def test_a_confirmation_outlives_its_own_period_by_one(now: datetime, kind: Period) -> None:
    name, until = period_of(kind, now)
    assert until > now
    assert period_of(kind, until)[0] > name
    assert period_of(kind, until + timedelta(seconds=1))[0] > period_of(kind, until)[0]
    longest = {Period.YEAR: 731, Period.HALF_YEAR: 369, Period.QUARTER: 185, Period.MONTH: 63}
    assert until - now <= timedelta(days=longest[kind])


def test_the_year_begins_in_china() -> None:
    assert period_of(Period.YEAR, datetime(2026, 12, 31, 15, 59, tzinfo=UTC))[0] == "2026"
    assert period_of(Period.YEAR, datetime(2026, 12, 31, 16, 0, tzinfo=UTC))[0] == "2027"
    assert period_of(Period.QUARTER, datetime(2026, 3, 31, 16, 0, tzinfo=UTC))[0] == "2026-Q2"
