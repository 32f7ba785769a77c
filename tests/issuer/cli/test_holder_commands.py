"""`ecard pin` and `ecard family`, run as `ecard` runs them."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest

from ecard_card.errors import InvalidInput, NotAllowed, NotFound, RuleViolation
from ecard_issuer.cli import family, pin
from ecard_issuer.family.family import Consent
from ecard_issuer.family.link import Relation
from ecard_issuer.levels.business import BusinessType
from tests.issuer.holding import DESK, Held, ecard_of
from tests.issuer.pins.typed import WRONG
from tests.issuer.service import open_service


@pytest.fixture
def people(tmp_path: Path) -> tuple[Held, Held]:
    """Two people who are linked; the PIN of the first is locked. The service is closed again."""
    service = open_service(tmp_path)
    viewer, mother, own, now = ecard_of(service), ecard_of(service), service.issuer.holders, service.clock()
    consent = Consent("family-1", document=mother.id_number)
    own.family.link(viewer.id_number, mother.id_number, Relation.PARENT, consent, DESK, now)
    for _ in range(3):
        with pytest.raises(Exception, match="pin_"):
            own.pins.verify(viewer.card_ref, WRONG, BusinessType.QUERY, DESK, now)
    service.issuer.close()
    return viewer, mother


@pytest.fixture
def ecard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "0")

    def run(*arguments: str, stdin: object = None, exit_code: int = 0, as_json: bool = True) -> Any:
        parser = argparse.ArgumentParser()
        commands = parser.add_subparsers(required=True)
        for module in (pin, family):
            module.register(commands)
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(stdin)))
        options = parser.parse_args([*arguments, "--data-dir", str(tmp_path), *(["--json"] if as_json else [])])
        assert options.func(options) == exit_code
        output = capsys.readouterr().out
        return json.loads(output) if as_json else output

    return run


def test_a_pin_is_looked_at_unlocked_and_reset(ecard: Any, people: tuple[Held, Held]) -> None:
    held, other = people
    assert ecard("pin", "show", held.card_ref)["locked"]
    document = {"card_ref": held.card_ref, "document_number": held.id_number.text}
    with pytest.raises(NotAllowed, match="document_of_other_person"):
        ecard("pin", "unlock", "-", stdin=document | {"document_number": other.id_number.text})
    assert ecard("pin", "unlock", "-", stdin=document)["act"] == "unlock"
    assert not ecard("pin", "show", held.card_ref)["locked"]
    with pytest.raises(RuleViolation, match="secret_repeats"):
        ecard("pin", "reset", "-", stdin=document | {"new_pin": "888888"})
    assert ecard("pin", "reset", "-", stdin=document | {"new_pin": "739184"})["act"] == "reset"
    assert not ecard("pin", "show", held.card_ref)["initial"]
    with pytest.raises(NotFound, match="card_unknown"):
        ecard("pin", "show", "ab" * 16)
    with pytest.raises(InvalidInput, match="invalid_request") as wrong:
        ecard("pin", "reset", "-", stdin=document | {"pin": "739184"})
    assert "739184" not in str(wrong.value)


def test_links_are_listed_from_either_side(ecard: Any, people: tuple[Held, Held]) -> None:
    viewer, mother = people
    (link,) = ecard("family", "list", "-", stdin={"id_number": viewer.id_number.text})["links"]
    (seen,) = ecard("family", "list", "-", stdin={"id_number": mother.id_number.text})["links"]
    assert (link["side"], seen["side"], link["link_id"]) == ("viewer", "relative", seen["link_id"])
    line = ecard("family", "list", "-", stdin={"id_number": viewer.id_number.text}, as_json=False)
    assert line == f"{link['link_id']}  viewer  parent  holds\n"
    nobody = {"id_number": "000000199001050714"}
    assert ecard("family", "list", "-", stdin=nobody, exit_code=5) == {"links": []}
