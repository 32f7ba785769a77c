"""An issuer whose keys are in a home that can fail, two cards, and the verifiers of the first one.

The first card has its e-card before anything happens; the second one's chip is proven and waits. A counter follows the
feed, and an offline verifier has a bundle of that time.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from ecard_card import cwt
from ecard_card.errors import EcardError
from ecard_card.status import CardStatus
from ecard_issuer.assembly import build
from ecard_issuer.chip.judge import Anchor, Anchors
from ecard_issuer.chip.simulator import ChipAuthority, synthetic
from ecard_issuer.config import load
from ecard_issuer.feed_hub import Follower
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.register import tables
from ecard_issuer.states import EnrolmentState, PlanState
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import Bundle, open_bundle
from ecard_verifier.check import check
from ecard_verifier.feed import CredentialIssued, verify_event
from ecard_verifier.mirror import Mirror
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService
from ecard_verifier.trust_source import FixedTrust
from ecard_verifier.verdict import Outcome
from tests.issuer.office import card_of, evidence_of
from tests.issuer.service import ORIGIN, START, Clock, Service

FIRST, SECOND = 1, 2


@dataclass
class Scene:
    """`settings` are those of the issuer that say where its keys are."""

    folder: Path
    settings: dict[str, Any]
    clock: Clock = field(default_factory=Clock)
    authority: ChipAuthority = field(default_factory=lambda: ChipAuthority.create(START))
    device: DeviceKey = field(default_factory=DeviceKey.generate)

    def __post_init__(self) -> None:
        self.mirror = Mirror(":memory:", issuer=ORIGIN)
        self.heard: set[bytes] = set()  # the credentials that the feed has told of
        self.open()
        self.prove(FIRST)
        self.issued = self.issue()
        self.prove(SECOND)
        now, issuer = self.clock(), self.service.issuer
        self.bundle: Bundle = open_bundle(issuer.publisher.bundle(now).body, now, issuer.keys.root())
        self.counter = VerificationService(
            FixedTrust(issuer.keys.trust(now)), self.mirror, self.mirror, ReplayGuard(), clock=self.clock
        )
        self.listen()

    def open(self, **settings: Any) -> None:
        """Start the issuer, with other settings if there are any."""
        self.settings |= settings
        opened = load(
            data_dir=self.folder, public_origin=ORIGIN, regions=("000000",), approvals_needed=0, **self.settings
        )
        anchors = Anchors((Anchor("test: chip CA", self.authority.der),), allow_test=True)
        self.service = Service(build(opened, clock=self.clock, anchors=anchors), self.clock, self.authority)

    def close(self) -> None:
        self.service.issuer.close()
        self.mirror.close()

    def prove(self, serial: int) -> None:
        """Register a card, and have its chip answer."""
        issuer, now = self.service.issuer, self.clock()
        card = card_of(synthetic(serial), "test:piv-p256")
        self.card_ref = issuer.cards.register(card, CardStatus.NORMAL, now)
        opened = issuer.enrolment.begin("desk-1", now)
        self.enrolment_id = opened.enrolment_id
        issuer.enrolment.complete(opened.enrolment_id, evidence_of(self.service.chip(serial), opened), now)

    def issue(self) -> IssuedCredential:
        """The credential of the card proven last."""
        now = self.clock()
        proof = self.device.proof(ORIGIN, self.enrolment_id, now)
        return self.service.issuer.issuing.issue(self.enrolment_id, self.device.point, proof, now)

    def listen(self) -> None:
        """Let the issuer send what it can, and the counter hear it: it stumbles over nothing."""
        issuer = self.service.issuer
        with contextlib.suppress(EcardError):
            issuer.dispatcher.turn()
        for message in Follower(issuer.register, issuer.hub, self.mirror.position).more():
            event = verify_event(message.token, issuer.keys.trust(self.clock()), self.clock())
            self.mirror.apply(event)
            if isinstance(event.body, CredentialIssued):
                self.heard.add(cwt.parse(event.body.cwt).credential_id)

    def verifies(self, credential: IssuedCredential) -> None:
        """Valid at the counter, by a code of either kind; offline too if the bundle can know it."""
        now = self.clock()
        offline = self.device.offline_code(credential.cwt, now)
        assert check(offline, self.bundle.trust, self.bundle.statuses, now).outcome is Outcome.VALID
        for code in (offline, self.device.online_code(credential.cwt, now)):
            verdict = self.counter.verify(code).verdict
            assert (verdict.outcome, verdict.reason) == (Outcome.VALID, "ok")

    def nothing_is_visible(self) -> None:
        """Of the card proven last: no credential, no plan that is open, no chip that is taken; and the feed is whole.

        Read as an auditor would, with eyes of our own.
        """
        self.listen()
        register = self.service.issuer.register
        assert register.credentials_of(self.card_ref) == ()
        assert register.find_binding(self.card_ref) is None
        assert register.get_enrolment(self.enrolment_id).state is EnrolmentState.PROVEN
        with self.service.issuer.engine.connect() as connection:
            plans = connection.execute(select(tables.plan).where(tables.plan.c.card_ref == self.card_ref)).all()
            entries = connection.execute(select(tables.status_entry).where(tables.status_entry.c.value == 1)).all()
        assert {plan.state for plan in plans} <= {PlanState.VOIDED}
        invalid = {(entry.list_id, entry.index) for entry in entries}
        assert {(plan.list_id, plan.index) for plan in plans} <= invalid
        assert self.heard == {self.issued.credential_id}
        assert not {plan.credential_id for plan in plans} & self.heard
