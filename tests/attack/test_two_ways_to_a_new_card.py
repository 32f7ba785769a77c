"""A new card comes by an application or by an order, and the card system speaks of both: none is in the other's way."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest

from ecard_card.acting import IN_PERSON, Channel
from ecard_card.card import IdentificationCode
from ecard_card.errors import RuleViolation
from ecard_card.identity_document import DocumentKind, IdentityDocument
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.applying.values import ApplicationKind, DocumentCopy, NewApplication, Residency
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.life.values import Asked, LossKind, ReplacementReason
from ecard_issuer.life.who import Who
from ecard_verifier.callers import Caller, Role
from tests.issuer.office import card_of
from tests.issuer.people_kit import photo
from tests.issuer.service import Service, open_service
from tests.issuer.test_dispatch import issue

DESK = Caller("desk", Role.DESK)


@dataclass
class Office:
    service: Service
    serials: Iterator[int] = field(default_factory=lambda: count(1))

    def wish(self, serial: int, replaces: str | None) -> NewApplication:
        data = synthetic(serial)
        return NewApplication(
            document=IdentityDocument(DocumentKind.IDENTITY_CARD, data.id_number),
            name=data.name,
            region="000000",
            residency=Residency.REGISTERED,
            channel=Channel.DESK,
            acting=IN_PERSON,
            original_seen=True,
            kind=ApplicationKind.NEW if replaces is None else ApplicationKind.LOST,
            replaces=replaces,
        )

    def waiting(self, serial: int, replaces: str | None = None) -> tuple[str, str]:
        """An application whose card waits to be collected, and that card."""
        desk, now = self.service.issuer.applications.desk, self.service.clock()
        identity = desk.submit(secrets.token_hex(8), self.wish(serial, replaces), "desk", now).application_id
        desk.add_copy(identity, DocumentCopy.PHOTO, "image/jpeg", photo(), "desk", now)
        desk.review(identity, "desk", now)
        desk.approve(identity, "desk", now)
        desk.produce(identity, "desk", now)
        card = card_of(synthetic(serial), "test:piv-p256")
        code = IdentificationCode(f"000000D156000005{next(self.serials) + 900:016X}")
        desk.made(identity, replace(card, chip=replace(card.chip, identification_code=code)), "maker", now)
        row = desk.ready(identity, "zz", "maker", now)
        assert row.card_ref is not None
        return identity, row.card_ref

    def status(self, card_ref: str) -> CardStatus:
        return self.service.issuer.register.get_card(card_ref).status

    def order(self, card_ref: str, reason: ReplacementReason) -> None:
        asked = Asked(secrets.token_hex(8), DESK, Channel.DESK, IN_PERSON)
        life, now = self.service.issuer.life, self.service.clock()
        life.replacements.order(reason, Who(card_ref=card_ref), asked, now)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder: Path = tmp_path_factory.mktemp("two-ways")
    service = open_service(folder)
    yield Office(service)
    service.issuer.close()


def test_a_card_that_its_maker_has_enabled_is_collected(office: Office) -> None:
    issuer, now = office.service.issuer, office.service.clock()
    identity, card_ref = office.waiting(next(office.serials))
    issuer.lifecycle.change(card_ref, CardChange.ENABLE, now, source="county", sequence=1)
    assert issuer.applications.desk.collect(identity, "desk", now).state == "collected"
    assert office.status(card_ref) is CardStatus.NORMAL


def test_a_card_lost_before_it_was_collected_is_not_handed_over_as_usable(office: Office) -> None:
    issuer, now = office.service.issuer, office.service.clock()
    identity, card_ref = office.waiting(next(office.serials))
    issuer.lifecycle.change(card_ref, CardChange.ENABLE, now, source="county", sequence=1)
    issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, now, source="county", sequence=2)
    with pytest.raises(RuleViolation, match="card_change_impossible"):
        issuer.applications.desk.collect(identity, "desk", now)
    assert office.status(card_ref) is CardStatus.LOST


def test_an_ecard_that_waits_goes_on_with_the_card_that_was_applied_for(office: Office) -> None:
    issuer, now, serial = office.service.issuer, office.service.clock(), next(office.serials)
    old, _ = issue(office.service, serial)
    binding = issuer.register.find_binding(old)
    assert binding is not None
    asked = Asked(secrets.token_hex(8), DESK, Channel.DESK, IN_PERSON)
    issuer.life.losses.report(LossKind.FORMAL, Who(card_ref=old), asked, now)
    identity, new = office.waiting(serial, old)
    office.order(old, ReplacementReason.LOSS)
    assert office.status(old) is CardStatus.CANCELLED
    with pytest.raises(RuleViolation, match="card_held_already"):
        issuer.applications.desk.submit("further", office.wish(serial, None), "desk", now)
    assert issuer.applications.desk.collect(identity, "desk", now).state == "collected"
    moved = issuer.register.find_binding(new)
    assert moved is not None
    assert (moved.ecard_id, issuer.register.find_binding(old)) == (binding.ecard_id, None)
    assert not issuer.register.get_card(old).replacing
