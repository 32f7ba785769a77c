"""A holder whose number is made from a passport gets an e-card like everybody; nothing is made up about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ecard_card import sd_jwt
from ecard_card.card import Holder, IdNumber
from ecard_card.status import CardStatus
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.simulator import synthetic
from ecard_sdk.device import DeviceKey
from tests.issuer.office import NOW, Office, card_of


@pytest.mark.parametrize("born", [None, date(1990, 2, 3)])
def test_a_passport_holder_gets_an_ecard(tmp_path: Path, born: date | None) -> None:
    office = Office.open(tmp_path)
    chip = office.signature_chip(1)
    card = card_of(synthetic(1), read_chip(InProcessReader(chip)).profile.id)
    holder = Holder(IdNumber("DEU000000G12345678"), "MÜLLER ANNA", born)
    card_ref = office.desk.register(replace(card, holder=holder), CardStatus.NORMAL, NOW)
    assert office.desk.identity(office.register.get_card(card_ref)).holder == holder
    issued = office.issue(office.prove(chip), DeviceKey.generate())
    claims = sd_jwt.parse(issued.sd_jwt).payload
    assert claims["personal_administrative_number"] == "DEU000000G12345678"
    assert claims.get("birthdate") == (born.isoformat() if born else None)
