"""Challenges given out, and the proofs that consumed them: port `Enrolments`."""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn

from sqlalchemy import Connection, or_, select, update

from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, fixed, insert_new, lock_card, one, take_chip_key
from ecard_issuer.rows import EnrolmentRow
from ecard_issuer.states import EnrolmentState

_enrolment = tables.enrolment


def load_enrolment(connection: Connection, enrolment_id: str) -> EnrolmentRow:
    found = one(connection, EnrolmentRow, select(_enrolment).where(_enrolment.c.enrolment_id == enrolment_id))
    if found is None:
        raise NotFound("enrolment_unknown", "no such enrolment")
    return found


def proven_enrolment(connection: Connection, enrolment_id: str, card_ref: str, now: datetime) -> EnrolmentRow:
    """The enrolment, if it proves this card and may still be spent; raises as `Issuing.plan_issuance` says."""
    found = load_enrolment(connection, enrolment_id)
    if found.state is EnrolmentState.ISSUED:
        raise Conflict("enrolment_already_used", "this enrolment has led to a credential already")
    if found.state is not EnrolmentState.PROVEN or found.card_ref != card_ref:
        raise RuleViolation("enrolment_not_proven", "this enrolment proves no such chip")
    if found.expires_at <= now:
        raise RuleViolation("enrolment_expired", "the proof is too old")
    return found


class SqlEnrolments(Store):
    def open_enrolment(self, enrolment: EnrolmentRow) -> None:
        with self._writing() as connection:
            if not insert_new(connection, _enrolment, **columns(enrolment)):
                raise Conflict("enrolment_exists", "this enrolment was opened before")

    def get_enrolment(self, enrolment_id: str) -> EnrolmentRow:
        with self._reading() as connection:
            return load_enrolment(connection, enrolment_id)

    def prove_enrolment(
        self,
        enrolment_id: str,
        *,
        card_ref: str,
        assurance: ChipAssurance,
        evidence: bytes,
        now: datetime,
        chip_key_ref: str | None = None,
        usable_until: datetime | None = None,
        holder_proof: HolderProof | None = HolderProof.CHIP,
    ) -> EnrolmentRow:
        proof = {
            "state": EnrolmentState.PROVEN,
            "card_ref": card_ref,
            "assurance": assurance,
            "evidence": evidence,
            "holder_proof": holder_proof,
        }
        if usable_until is not None:
            proof["expires_at"] = usable_until
        with self._writing() as connection:
            consumed = connection.execute(
                update(_enrolment)
                .where(
                    _enrolment.c.enrolment_id == enrolment_id,
                    _enrolment.c.state == fixed(EnrolmentState.OPEN),
                    _enrolment.c.expires_at > now,
                    or_(_enrolment.c.card_ref.is_(None), _enrolment.c.card_ref == card_ref),
                )
                .values(proof)
            )
            if consumed.rowcount != 1:
                self._refuse(load_enrolment(connection, enrolment_id), card_ref)
            card = lock_card(connection, card_ref)
            if chip_key_ref is not None and card.chip_key_ref != chip_key_ref:
                if card.chip_key_ref is not None:
                    raise Conflict("chip_key_differs", "the register knows this card by another key")
                take_chip_key(connection, chip_key_ref, card_ref)
                connection.execute(
                    update(tables.card).where(tables.card.c.card_ref == card_ref).values(chip_key_ref=chip_key_ref)
                )
            return load_enrolment(connection, enrolment_id)

    @staticmethod
    def _refuse(found: EnrolmentRow, card_ref: str) -> NoReturn:
        if found.state is not EnrolmentState.OPEN:
            raise Conflict("enrolment_already_used", "this challenge was answered before")
        if found.card_ref not in (None, card_ref):
            raise Conflict("enrolment_of_other_card", "this challenge was made for another card")
        raise RuleViolation("enrolment_expired", "this challenge is too old")
