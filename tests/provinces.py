"""Issuers of several provinces for tests: simulated chips of their regions, and the way from a chip to an e-card."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

from ecard_card.card import Card, CardNumber, Chip, Holder, IdentificationCode, IdNumber
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.assembly import Issuer
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.simulator import ChipAuthority, SimulatedChip, piv_style, synthetic
from ecard_sdk.device import DeviceKey


@dataclass(frozen=True)
class Holding:
    """A person's card and phone."""

    card_ref: str
    device: DeviceKey
    compact: bytes

    def code(self, at: datetime) -> str:
        return self.device.offline_code(self.compact, at)

    def short_code(self, at: datetime) -> str:
        return self.device.online_code(self.compact, at)


def chip_of(region: str, serial: int, authority: ChipAuthority, now: datetime) -> SimulatedChip:
    data = synthetic(serial)
    local = replace(data, identification_code=region + data.identification_code[6:])
    return piv_style(now=now, authority=authority, data=local)


def issue(issuer: Issuer, region: str, serial: int, authority: ChipAuthority, now: datetime) -> Holding:
    """Register a card of `region`, prove its chip and issue the e-card, as a desk of that province does."""
    chip, data, device = chip_of(region, serial, authority, now), synthetic(serial), DeviceKey.generate()
    with InProcessReader(chip) as reader:
        profile = read_chip(reader).profile.id
        code = IdentificationCode(region + data.identification_code[6:])
        card = Card(
            chip=Chip(code, profile),
            number=CardNumber(data.card_number),
            holder=Holder(IdNumber(data.id_number), data.name),
            issued_on=date(2024, 1, 2),
            expires_on=date(2034, 1, 2),
        )
        card_ref = issuer.cards.register(card, CardStatus.NORMAL, now)
        opened = issuer.enrolment.begin("desk-1", now)
        reading = read_chip(reader)
        evidence = Evidence(reading, prove_chip(reader, reading, opened.challenge.digest()))
        issuer.enrolment.complete(opened.enrolment_id, evidence, now)
    proof = device.proof(issuer.identity.issuer, opened.enrolment_id, now)
    issued = issuer.issuing.issue(opened.enrolment_id, device.point, proof, now)
    issuer.wake.ring()
    return Holding(card_ref, device, issued.cwt)


def lose(issuer: Issuer, holding: Holding, now: datetime) -> None:
    issuer.lifecycle.change(holding.card_ref, CardChange.REPORT_LOSS, now)
