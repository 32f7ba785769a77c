"""No table that something of a person hangs on is forgotten: by an export, by an erasure, or by the page for people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, Table

from ecard_card import messages
from ecard_issuer.privacy.inventory import HOLDER_REFERENCES, INVENTORY, OTHER_NAMES, OTHER_REFERENCES
from ecard_issuer.register.schema import metadata
from tests.issuer.service import Service

PAGE = Path(__file__).parents[3] / "docs/privacy.md"


def hangs_on_a_person(table: Table) -> bool:
    names = {column.name for column in table.columns}
    known = HOLDER_REFERENCES | OTHER_REFERENCES | OTHER_NAMES
    return bool(known & names) or any(name.startswith("sealed") for name in names)


PERSONAL = sorted(table.name for table in metadata.sorted_tables if hangs_on_a_person(table))


def test_every_such_table_is_in_the_inventory_and_no_other() -> None:
    assert sorted(INVENTORY) == PERSONAL


def test_a_table_is_shown_by_a_section_or_it_is_said_why_not(service: Service) -> None:
    sections = [room.section for room in service.issuer.privacy.exporting.sections]
    assert len(set(sections)) == len(sections)
    assert {kept.section for kept in INVENTORY.values()} - {None} == set(sections)
    assert {f"section_{section}" for section in sections} <= messages.codes()
    assert all(len(kept.why) > 10 for kept in INVENTORY.values() if kept.section is None)


@pytest.mark.parametrize("name", PERSONAL)
def test_each_binary_column_is_sealed_or_known_not_to_be(name: str) -> None:
    table, kept = metadata.tables[name], INVENTORY[name]
    binary = {column.name for column in table.columns if isinstance(column.type, LargeBinary)}
    assert sorted((*kept.sealed, *kept.plain, *kept.foreign)) == sorted(binary)
    assert not kept.foreign or not (HOLDER_REFERENCES | OTHER_REFERENCES) & set(table.columns.keys())
    assert not any(column.startswith("sealed") for column in kept.plain)


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_a_new_kind_of_reference_needs_a_decision(table: Table) -> None:
    """An erasure changes those of a person; whoever names one by another column says so in the inventory."""
    references = {column.name for column in table.columns if column.name.endswith("_ref")}
    assert references <= HOLDER_REFERENCES | OTHER_REFERENCES


def test_the_page_for_people_lists_every_table() -> None:
    listed = re.findall(r"^\| `([a-z_]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == PERSONAL
