"""Regions of addresses: the smallest network wins, and what the table does not say is not said."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecard_card.errors import InvalidInput
from ecard_issuer.login.regions import NetworkRegions
from tests.contracts.register_world import refused


def test_the_smallest_network_of_an_address_names_its_region(tmp_path: Path) -> None:
    table = tmp_path / "regions.csv"
    table.write_text("# 示例\n8.8.0.0/16,河南\n8.8.8.0/24, 河南郑州\n\n2001:4860::/32,河南\n", encoding="utf-8")
    regions = NetworkRegions.read(table)
    assert [regions(address) for address in ("8.8.8.8", "8.8.9.9", "9.9.9.9", "2001:4860::1", "2001:db8::1")] == [
        "河南郑州",
        "河南",
        None,
        "河南",
        None,
    ]


@pytest.mark.parametrize(
    "text", ["8.8.8.8/24,x\n", "8.8.8.0/24\n", "x,y\n", "8.8.8.0/24,a\n8.8.8.0/24,b\n", "1.0.0.0/8,\x07\n"]
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    table = tmp_path / "regions.csv"
    table.write_text(text, encoding="utf-8")
    with refused(InvalidInput, "bad_region_table"):
        NetworkRegions.read(table)
    with refused(InvalidInput, "bad_region_table"):
        NetworkRegions.read(tmp_path / "none.csv")
