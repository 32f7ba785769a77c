"""What a person is shown: everything that is kept about them, and nothing about anybody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecard_card.acting import IN_PERSON, Acting, Ground
from ecard_card.errors import InvalidInput, NotFound, RuleViolation
from ecard_card.status import CardChange
from ecard_issuer.chip.simulator import synthetic
from tests.contracts.register_world import refused
from tests.issuer.privacy.lives import Lives


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    opened = Lives(tmp_path)
    yield opened
    opened.close()


def export(lives: Lives, person: int = 1, export_id: str = "x-1", acting: Acting = IN_PERSON) -> dict[str, Any]:
    now = lives.service.clock()
    document = lives.issuer.privacy.exporting.export(export_id, lives.id_number(person), acting, "desk 1", now)
    read: dict[str, Any] = json.loads(json.dumps(document, ensure_ascii=False))
    return read


def records(document: dict[str, Any], section: str) -> list[dict[str, Any]]:
    (found,) = [item for item in document["sections"] if item["section"] == section]
    rows: list[dict[str, Any]] = found["records"]
    return rows


def test_a_person_is_shown_everything_and_only_their_own(lives: Lives) -> None:
    first, other = lives.card(1), lives.card(3)
    issued = lives.issue(1)
    lives.issue(3)
    lives.service.clock.advance(60)
    second = lives.card(1, 2)
    lives.issuer.lifecycle.change(first, CardChange.REPORT_LOSS, lives.service.clock(), reason="by telephone")
    lives.issuer.lifecycle.replace(first, second, lives.service.clock())
    document = export(lives)

    assert document["format"] == "ecard-subject-data/1"
    data = synthetic(1)
    assert records(document, "person") == [{"id_number": data.id_number, "name": data.name}]
    cards = records(document, "cards")
    assert [(card["card_ref"], card["status"]) for card in cards] == [(first, 9), (second, 1)]
    assert [card["card_number"] for card in cards] == [data.card_number, synthetic(2).card_number]
    assert cards[0]["identification_code"] == data.identification_code
    assert [(event["change"], event["reason"]) for event in records(document, "events")] == [
        ("report_loss", "by telephone"),
        ("replace", ""),
    ]
    (ended, awaiting) = records(document, "bindings")
    assert (ended["card_ref"], ended["state"], awaiting["card_ref"], awaiting["state"]) == (
        first,
        "ended",
        second,
        "awaiting",
    )
    assert ended["ended_at"] is not None
    assert ended["evidence"] == awaiting["evidence"]  # it went with the e-card, and still opens
    assert "evidence" in ended["evidence"]
    (credential,) = records(document, "credentials")
    assert credential["credential_id"] == issued["credential_id"]
    assert (credential["state"], credential["claims"]["name"]) == ("ended", data.name)
    (proof,) = records(document, "enrolments")
    assert (proof["terminal_id"], proof["state"], proof["chip_assurance"]) == ("desk-1", "issued", "signature")
    assert proof["evidence"] == ended["evidence"]

    text = json.dumps(document, ensure_ascii=False)
    assert other not in text
    assert synthetic(3).name not in text
    assert all(item["title"]["en"] and item["title"]["zh"] for item in document["sections"])


def test_each_export_is_on_record_and_a_repeated_one_once(lives: Lives) -> None:
    lives.card(1)
    assert [row["export_id"] for row in records(export(lives), "exports")] == ["x-1"]
    lives.service.clock.advance(60)
    export(lives)
    (first, second) = records(export(lives, export_id="x-2"), "exports")
    assert (first["export_id"], first["caller"], first["ground"]) == ("x-1", "desk 1", "own")
    assert first["made_at"] < second["made_at"]


def test_who_may_not_act_for_the_person_is_shown_nothing_and_leaves_no_record(lives: Lives) -> None:
    lives.card(1)
    for ground in (Ground.MANDATE, Ground.GUARDIAN, Ground.AGENCY):
        with refused(RuleViolation, "mandate_unknown"):
            export(lives, acting=Acting(ground, "m-1"))
    assert [row["export_id"] for row in records(export(lives, export_id="x-2"), "exports")] == ["x-2"]


def test_an_unknown_person_and_an_odd_id_are_refused(lives: Lives) -> None:
    lives.card(1)
    with refused(NotFound, "person_unknown"):
        export(lives, person=2)
    for export_id in ("", "x" * 65, "a b", "导出"):
        with refused(InvalidInput, "bad_export_id"):
            export(lives, export_id=export_id)
