"""The real thing under the model: one issuer over SQLite, its feed folded by a verifier's mirror, and many cards."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine, bindparam, event, select, tuple_

from ecard_card import cwt
from ecard_card.card import Card, CardNumber, Chip, Holder, IdentificationCode, IdNumber
from ecard_card.errors import EcardError
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.chip.simulator import ChipData, SimulatedChip, piv_style, synthetic
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.policies.values import LEAD
from ecard_issuer.publishing.publisher import Form
from ecard_issuer.register import tables
from ecard_keys.trust.trust import Trust
from ecard_sdk.device import DeviceKey
from ecard_verifier.feed import verify_event
from ecard_verifier.mirror import Mirror
from ecard_verifier.statuses import accept_status_token
from tests.issuer.office import evidence_of
from tests.issuer.service import ORIGIN, START, Service, open_service
from tests.journeys.card_life.model import APPLIED, REPEATED, Report

#: Whether an e-card may be used after a temporary loss is the holder's to say, as in some provinces.
POLICY = 'region = "000000"\n[effects]\ntemporarily_lost = "consent"\n'


# Asked after each of ten thousand steps, so made once.
_CARD, _BINDING, _ENTRY = tables.card.c, tables.binding.c, tables.status_entry.c
_CARDS = (
    select(_CARD.card_ref, _CARD.status, _CARD.holder_locked, _CARD.consented, _CARD.sequence, _BINDING.ecard_id)
    .select_from(tables.card)
    .outerjoin(tables.binding, _CARD.card_ref == _BINDING.card_ref)
    .where(_CARD.card_ref.in_(bindparam("card_refs", expanding=True)))
)
_ENTRIES = select(_ENTRY.credential_id, _ENTRY.value).where(
    tuple_(_ENTRY.list_id, _ENTRY.index).in_(bindparam("places", expanding=True))
)


class Stored(NamedTuple):
    """One card in the register."""

    status: int
    locked: bool
    consented: bool
    events: int
    ecard: str | None


@dataclass
class Stage:
    """Issuer, mirror, and what was issued: places on the lists by credential."""

    service: Service
    mirror: Mirror = field(default_factory=Mirror)
    places: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    _serials: itertools.count[int] = field(default_factory=lambda: itertools.count(0, 2))
    _chips: dict[str, SimulatedChip] = field(default_factory=dict)
    _trust: tuple[bytes, Trust] | None = None  # read again where another list is published

    @classmethod
    def open(cls, folder: Path) -> Stage:
        stage = cls(open_service(folder))
        issuer, soon = stage.service.issuer, stage.now + 2 * LEAD
        issuer.policies.office.set(POLICY, soon, "somebody", stage.now)
        stage.service.clock.advance(5 * LEAD.total_seconds())

        @event.listens_for(stage.service.issuer.engine, "connect")
        def _hurry(connection: object, record: object) -> None:
            connection.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]

        stage.service.issuer.engine.dispose()
        return stage

    @property
    def now(self) -> datetime:
        return self.service.clock()

    def two_cards(self) -> tuple[str, str]:
        """Two cards of one new person."""
        serial = next(self._serials)
        person = synthetic(serial)
        beside = replace(synthetic(serial + 1), id_number=person.id_number, name=person.name)
        return self._card(person), self._card(beside)

    def _card(self, data: ChipData) -> str:
        card = Card(
            chip=Chip(IdentificationCode(data.identification_code), "test:piv-p256"),
            number=CardNumber(data.card_number),
            holder=Holder(IdNumber(data.id_number), data.name),
            issued_on=data.issued_on,
            expires_on=data.expires_on,
        )
        card_ref = self.service.issuer.cards.register(card, CardStatus.NORMAL, self.now)
        self._chips[card_ref] = piv_style(now=START, authority=self.service.authority, data=data)
        return card_ref

    def report(self, card_ref: str, said: Report) -> str:
        """What the register answers, in the model's words."""
        try:
            result = self.service.issuer.register.apply_change(
                card_ref,
                CardChange(said.change),
                event_id=said.name,
                occurred_at=said.at,
                now=self.now,
                source=said.origin,
                sequence=said.number,
            )
        except EcardError as refusal:
            return refusal.code
        return APPLIED if result.applied else REPEATED

    def replace(self, old: str, new: str, said: Report) -> str:
        try:
            result = self.service.issuer.register.replace_card(
                old, new, event_id=said.name, occurred_at=said.at, now=self.now
            )
        except EcardError as refusal:
            return refusal.code
        return APPLIED if result.applied else REPEATED

    def issue(self, card_ref: str, ecard_id: str | None) -> tuple[str, IssuedCredential | None]:
        """A new credential, of a new e-card or of one that is bound here; `APPLIED` or the code of a refusal."""
        issuer, device = self.service.issuer, DeviceKey.generate()
        try:
            opened = issuer.enrolment.begin("desk-1", self.now)
            issuer.enrolment.complete(opened.enrolment_id, evidence_of(self._chips[card_ref], opened), self.now)
            proof = device.proof(ORIGIN, opened.enrolment_id, self.now)
            issued = issuer.issuing.issue(opened.enrolment_id, device.point, proof, self.now, ecard_id=ecard_id)
        except EcardError as refusal:
            return refusal.code, None
        read = cwt.parse(issued.cwt)
        self.places[issued.credential_id] = (read.status_list, read.status_index)
        return APPLIED, issued

    def stored(self, card_refs: Sequence[str]) -> list[Stored]:
        """What the register's rows say of these cards."""
        with self.engine.connect() as connection:
            rows = connection.execute(_CARDS, {"card_refs": card_refs})
            found = {row.card_ref: Stored(int(row.status), *row[2:]) for row in rows}
        return [found[card_ref] for card_ref in card_refs]

    def entries(self, credentials: Sequence[bytes]) -> list[int]:
        """The credentials' entries in the register."""
        with self.engine.connect() as connection:
            rows = connection.execute(_ENTRIES, {"places": [self.places[item] for item in credentials]})
            found = {bytes(row.credential_id): int(row.value) for row in rows}
        return [found[item] for item in credentials]

    @property
    def engine(self) -> Engine:
        return self.service.issuer.engine

    def fold(self) -> None:
        """Let the dispatcher tell everything, and the mirror hear it."""
        issuer = self.service.issuer
        issuer.dispatcher.turn()
        document = issuer.keys.document()
        if self._trust is None or self._trust[0] != document:
            self._trust = (document, issuer.keys.trust(self.now))
        trust = self._trust[1]
        while rows := issuer.register.read_feed("0", self.mirror.position):
            for row in rows:
                self.mirror.apply(verify_event(row.token, trust, self.now))
        beat = next(message for message in reversed(issuer.hub._messages) if message.kind == "beat")
        self.mirror.apply(verify_event(beat.token, trust, self.now))

    def heard(self, credential_id: bytes) -> int:
        """What an online verifier knows."""
        list_id, index = self.places[credential_id]
        return self.mirror.read(f"{ORIGIN}/status-lists/{list_id}", index).value

    def published(self, credentials: Sequence[bytes]) -> list[int]:
        """What an offline verifier reads in the lists signed now."""
        issuer = self.service.issuer
        trust, lists = issuer.keys.trust(self.now), {}
        for list_id in {self.places[item][0] for item in credentials}:
            token = issuer.publisher.status_list(list_id, Form.JWT, self.now, oldest=0).body.decode()
            lists[list_id] = accept_status_token(token, trust, self.now).statuses
        return [lists[self.places[item][0]].get(self.places[item][1]) for item in credentials]
