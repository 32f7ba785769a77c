"""What a test of a `Register` needs around it: cards, proofs, plans and credentials with ids of their own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from ecard_card.card import ChipAssurance
from ecard_card.errors import EcardError
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.ports import Register
from ecard_issuer.rows import (
    CardRow,
    ChangeResult,
    CredentialRow,
    EnrolmentRow,
    FeedEntry,
    HolderRow,
    OutboxRow,
    PlanRow,
    SigningKeyRow,
)

NOW = datetime(2026, 11, 20, 9, 30, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def refused(kind: type[EcardError], code: str) -> pytest.RaisesExc[EcardError]:
    return pytest.RaisesExc(kind, check=lambda error: error.code == code)


def ref() -> str:
    return secrets.token_hex(16)


@dataclass
class World:
    """A register, and short ways to bring it into a state. Every helper goes through the port's own verbs."""

    register: Register

    def card(self, status: CardStatus = CardStatus.NORMAL, holder: HolderRow | None = None) -> CardRow:
        person = holder or HolderRow(ref(), b"wrapped key", b"sealed person")
        card = CardRow(
            card_ref=ref(),
            region="350100",
            number_mac=ref(),
            holder_ref=person.holder_ref,
            chip_profile="gen3",
            sealed_identity=b"sealed card",
            status=status,
            issued_on=date(2024, 1, 1),
            expires_on=date(2034, 1, 1),
            created_at=NOW,
            updated_at=NOW,
        )
        self.register.add_card(card, person)
        return card

    def second_card(self, first: CardRow, status: CardStatus = CardStatus.NORMAL) -> CardRow:
        """Another card of the same holder."""
        holder = self.register.find_holder(first.holder_ref)
        assert holder is not None
        return self.card(status, holder)

    def signing_key(self) -> str:
        """The key that signs credentials; made where there is none."""
        keys = self.register.list_keys(["credential"])
        active = next((key.kid for key in keys if key.state == "active"), None)
        if active is None:
            active = f"{len(keys):08x}"
            self.register.add_key(key_row(active, "active"))
        return active

    def open(self, card_ref: str | None = None) -> EnrolmentRow:
        enrolment = EnrolmentRow(ref(), "desk-1", b"challenge", NOW + timedelta(minutes=10), card_ref=card_ref)
        self.register.open_enrolment(enrolment)
        return enrolment

    def prove(self, card: CardRow, assurance: ChipAssurance = ChipAssurance.CHALLENGE) -> EnrolmentRow:
        return self.register.prove_enrolment(
            self.open().enrolment_id, card_ref=card.card_ref, assurance=assurance, evidence=b"evidence", now=NOW
        )

    def draft(self, card: CardRow, enrolment: EnrolmentRow, ecard_id: str | None = None) -> PlanRow:
        """A plan that is not recorded yet."""
        slot = self.register.free_slot(NOW)
        return PlanRow(
            card_ref=card.card_ref,
            plan_id=ref(),
            enrolment_id=enrolment.enrolment_id,
            ecard_id=ecard_id or ref(),
            card_status=card.status,
            profile="standard",
            profile_hash="00" * 32,
            list_id=slot.list_id,
            index=slot.index,
            credential_id=secrets.token_bytes(16),
            draft_hashes=("11" * 32, "22" * 32),
            key_id=self.signing_key(),
            device_key_thumbprint=secrets.token_bytes(32),
            owner="process-1",
            expires_at=NOW + timedelta(minutes=2),
            created_at=NOW,
        )

    def plan(self, card: CardRow) -> PlanRow:
        plan = self.draft(card, self.prove(card))
        self.register.plan_issuance(plan, NOW)
        return plan

    def commit(self, plan: PlanRow) -> CredentialRow:
        credential = credential_of(plan)
        body = {"credential_id": plan.credential_id.hex()}
        self.register.commit_issuance(plan.card_ref, plan.plan_id, credential, body, NOW)
        return credential

    def issue(self, card: CardRow) -> CredentialRow:
        return self.commit(self.plan(card))

    def renew(self, card: CardRow, ecard_id: str, assurance: ChipAssurance = ChipAssurance.READ) -> CredentialRow:
        plan = replace(self.draft(card, self.prove(card, assurance), ecard_id), renewal=True)
        self.register.plan_issuance(plan, NOW)
        return self.commit(plan)

    def change(
        self,
        card: CardRow,
        change: CardChange,
        sequence: int | None = None,
        event_id: str | None = None,
        *,
        source: str = "",
        at: datetime = NOW,
    ) -> ChangeResult:
        return self.register.apply_change(
            card.card_ref,
            change,
            event_id=event_id or ref(),
            occurred_at=at,
            now=LATER,
            source=source,
            sequence=sequence,
        )

    def replaced(
        self, old: CardRow, new: CardRow, enrolment_id: str | None = None, *, source: str = ""
    ) -> ChangeResult:
        return self.register.replace_card(
            old.card_ref,
            new.card_ref,
            event_id=ref(),
            occurred_at=NOW,
            now=LATER,
            source=source,
            enrolment_id=enrolment_id,
        )

    def value(self, list_id: int, index: int) -> int:
        """What the published list would say."""
        return dict(self.register.status_snapshot(list_id).entries).get(index, 0)

    def outbox(self, now: datetime = LATER) -> list[OutboxRow]:
        """All that waits, in the order of dispatch; takes and settles it."""
        taken: list[OutboxRow] = []
        while rows := self.register.claim_outbox(now, lease=timedelta(seconds=30)):
            taken += rows
            head = self.register.feed_head("t")
            self.register.append_feed("t", head, [feed_entry(row) for row in rows], now)
        return taken


def key_row(kid: str, state: str = "next", purpose: str = "credential") -> SigningKeyRow:
    return SigningKeyRow(purpose, kid, state, b"\x04" + bytes(64), "ES256", "local", NOW)


def credential_of(plan: PlanRow) -> CredentialRow:
    return CredentialRow(
        card_ref=plan.card_ref,
        credential_id=plan.credential_id,
        ecard_id=plan.ecard_id,
        list_id=plan.list_id,
        index=plan.index,
        key_id=plan.key_id,
        cwt=b"cwt",
        sealed_sd_jwt=b"sealed",
        assurance=ChipAssurance.CHALLENGE,
        device_key_thumbprint=plan.device_key_thumbprint,
        issued_at=NOW,
        expires_at=NOW + timedelta(days=30),
    )


def feed_entry(row: OutboxRow) -> FeedEntry:
    return FeedEntry(row.card_ref, row.outbox_id, f"token {row.outbox_id}")
