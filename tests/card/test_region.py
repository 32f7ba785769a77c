"""Which region codes cover which: the rule that bounds an issuer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.region import covers, is_region, to_number
from tests.card.support import refused

REGIONS = st.integers(0, 999_999).map("{:06d}".format)


@pytest.mark.parametrize(
    ("code", "region", "expected"),
    [
        ("000000", "330102", True),
        ("000000", "000000", True),
        ("330000", "330102", True),
        ("330000", "330000", True),
        ("330000", "340102", False),
        ("330100", "330102", True),
        ("330100", "330100", True),
        ("330100", "330202", False),
        ("330102", "330102", True),
        ("330102", "330103", False),
        ("330102", "330100", False),  # the whole is more than a part
        ("330100", "330000", False),
        ("330000", "000000", False),
        ("331000", "331000", True),
        ("331000", "331100", False),  # pairs of digits, never single ones
        ("331000", "331002", True),
        ("330010", "330010", True),
        ("330010", "330011", False),
        ("003300", "003301", True),
        ("003300", "330000", False),
    ],
)
def test_trailing_pairs_of_zeros_stand_for_all_below(code: str, region: str, expected: bool) -> None:
    assert covers(code, region) is expected


@pytest.mark.parametrize("odd", ["", "00", "0000000", "33010x", "33 100", "３３０１００", "-00000", "00000\n"])
def test_what_is_no_region_covers_nothing_and_is_not_covered(odd: str) -> None:
    assert not is_region(odd)
    assert not covers(odd, "330100")
    assert not covers("000000", odd)
    refused(lambda: to_number(odd), "bad_region")


@given(REGIONS, REGIONS)
def test_covering_means_the_same_pairs_up_to_the_zeros(code: str, region: str) -> None:
    pairs = [code[0:2], code[2:4], code[4:6]]
    while pairs and pairs[-1] == "00":
        pairs.pop()
    assert covers(code, region) is (region.startswith("".join(pairs)))
    assert covers(code, code)
    assert f"{to_number(region):06d}" == region
