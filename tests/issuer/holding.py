"""People with cards and e-cards, of any birth date and region, at a service in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import count

from ecard_card.card import Card, CardNumber, Chip, Holder, IdentificationCode, IdNumber, id_number_check
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.simulator import piv_style, synthetic
from ecard_issuer.chip.simulator.data import ChipData
from ecard_issuer.pins.comparing import Comparing, GuessLimits
from ecard_issuer.pins.hashing import HashCost, SecretHash
from ecard_issuer.pins.secret import Guesses, Purpose, Secret, Secrets
from ecard_issuer.pins.slots import Slots
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Caller, Role
from tests.issuer.service import Service

DESK = Caller("outlet 1", Role.DESK)
HOSPITAL = Caller("hospital 1", Role.INSTITUTION)
APP = Caller("app 1", Role.CHANNEL)


@dataclass(frozen=True)
class Held:
    """A person's card and, where its chip was proven, e-card."""

    card_ref: str
    id_number: IdNumber
    ecard_id: str = ""
    code: str = field(default="", repr=False)


def number_of(born: date, serial: int = 7) -> IdNumber:
    """A synthetic ID number of somebody born then."""
    body = f"000000{born:%Y%m%d}{serial:03d}"
    return IdNumber(body + id_number_check(body))


def card_of(
    service: Service,
    *,
    region: str = "000000",
    person: IdNumber | None = None,
    issued_on: date = date(2024, 1, 2),
    status: CardStatus = CardStatus.NORMAL,
) -> Held:
    """A registered card without an e-card."""
    return _registered(service, _data(region, person), issued_on, status)


def ecard_of(service: Service, *, region: str = "000000", person: IdNumber | None = None) -> Held:
    """A card whose chip was proven, with an e-card."""
    issuer, now = service.issuer, service.clock()
    data = _data(region, person)
    held = _registered(service, data, date(2024, 1, 2), CardStatus.NORMAL)
    with InProcessReader(piv_style(now=now, authority=service.authority, data=data)) as reader:
        opened = issuer.enrolment.begin("desk-1", now)
        reading = read_chip(reader)
        evidence = Evidence(reading, prove_chip(reader, reading, opened.challenge.digest()))
        issuer.enrolment.complete(opened.enrolment_id, evidence, now)
    device = DeviceKey.generate()
    proof = device.proof(issuer.identity.issuer, opened.enrolment_id, now)
    issued = issuer.issuing.issue(opened.enrolment_id, device.point, proof, now)
    return replace(held, ecard_id=issued.ecard_id)


def change(service: Service, held: Held, what: CardChange) -> None:
    service.issuer.lifecycle.change(held.card_ref, what, service.clock())


_serials = count(1)  # so that tests may share a service


def _data(region: str, person: IdNumber | None) -> ChipData:
    data = synthetic(next(_serials))
    data = replace(data, identification_code=region + data.identification_code[6:])
    if person is None or person.birth_date is None:
        return data
    return replace(data, id_number=person.text, birth_date=person.birth_date)


def _registered(service: Service, data: ChipData, issued_on: date, status: CardStatus) -> Held:
    card = Card(
        chip=Chip(IdentificationCode(data.identification_code), "test:piv-p256"),
        number=CardNumber(data.card_number),
        holder=Holder(IdNumber(data.id_number), data.name),
        issued_on=issued_on,
        expires_on=date(2044, 1, 2),
    )
    card_ref = service.issuer.cards.register(card, status, service.clock())
    return Held(card_ref, card.holder.id_number, code=data.identification_code)


class PlainPepper:
    """A `Pepper` without a secret."""

    def apply(self, label: str, data: bytes) -> bytes:
        return (label.encode() + data).ljust(32, b"-")


class CountingHash(SecretHash):
    """Compares at once and counts; `before` runs first. Stored hashes are plain texts."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        super().__init__(PlainPepper(), HashCost())
        self.comparisons = 0
        self._before = before

    def make(self, purpose: Purpose, subject: str, secret: Secret) -> str:
        return f"{purpose.value}/{subject}/{secret.text}"

    def holds(self, purpose: Purpose, subject: str, secret: Secret, stored: str | None) -> bool:
        self._before()
        self.comparisons += 1
        return secret.text == "123456" if stored is None else stored == self.make(purpose, subject, secret)

    def outdated(self, stored: str) -> bool:
        return False


def comparing(store: Secrets, guesses: Guesses, hashing: SecretHash, limits: GuessLimits | None = None) -> Comparing:
    """With room for as many at once as a test likes."""
    return Comparing(store, guesses, hashing, limits or GuessLimits(10_000, 10_000), Slots(64, 2000, 30.0))
