"""The register's contract, part one: cards and enrolments."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ecard_card.card import ChipAssurance
from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_issuer.ports import Register
from ecard_issuer.rows import HolderRow
from ecard_issuer.states import EnrolmentState
from tests.contracts.register_world import NOW, World, ref, refused


class CardsContract:
    def test_a_card_is_found_by_each_of_its_references(self, register: Register, world: World) -> None:
        card = world.card()
        assert register.get_card(card.card_ref) == card
        assert register.cards_by_number(card.number_mac) == (card,)
        assert register.cards_of_holder(card.holder_ref) == (card,)
        assert register.find_holder(card.holder_ref) == HolderRow(card.holder_ref, b"wrapped key", b"sealed person")

    def test_what_is_not_there_is_not_found(self, register: Register) -> None:
        with refused(NotFound, "card_unknown"):
            register.get_card(ref())
        lists = (register.cards_by_number, register.cards_of_holder, register.events_of, register.ended_bindings)
        singles = (register.find_holder, register.find_binding, register.card_of_ecard, register.card_of_chip_key)
        assert [find(ref()) for find in lists] == [()] * 4
        assert [find(ref()) for find in singles] == [None] * 4
        assert register.find_credential(bytes(16)) is None

    def test_a_card_is_added_once(self, register: Register, world: World) -> None:
        card = world.card()
        holder = register.find_holder(card.holder_ref)
        assert holder is not None
        with refused(Conflict, "card_exists"):
            register.add_card(card, holder)

    def test_a_known_holder_keeps_the_data_key(self, register: Register, world: World) -> None:
        card = world.card()
        other = replace(card, card_ref=ref())
        with refused(Conflict, "holder_exists"):
            register.add_card(other, HolderRow(card.holder_ref, b"another key", b"sealed otherwise"))
        assert register.cards_of_holder(card.holder_ref) == (card,)

    def test_a_person_is_stored_before_any_card_and_once(self, register: Register) -> None:
        person = HolderRow(ref(), b"first key", b"sealed person")
        assert register.add_holder(person) == person
        assert register.add_holder(replace(person, wrapped_data_key=b"second key")) == person
        assert register.find_holder(person.holder_ref) == person

    def test_a_chip_key_belongs_to_one_card(self, register: Register, world: World) -> None:
        card = world.card()
        keyed = replace(card, card_ref=ref(), holder_ref=ref(), chip_key_ref=ref())
        register.add_card(keyed, HolderRow(keyed.holder_ref, b"k", b"s"))
        clone = replace(keyed, card_ref=ref(), holder_ref=ref())
        with refused(Conflict, "chip_key_taken"):
            register.add_card(clone, HolderRow(clone.holder_ref, b"k", b"s"))
        assert keyed.chip_key_ref is not None
        assert register.card_of_chip_key(keyed.chip_key_ref) == keyed.card_ref
        assert register.find_holder(clone.holder_ref) is None


class EnrolmentContract:
    def test_a_challenge_is_consumed_once(self, register: Register, world: World) -> None:
        card, enrolment = world.card(), world.open()
        proof = {"card_ref": card.card_ref, "assurance": ChipAssurance.SIGNATURE, "evidence": b"e", "now": NOW}
        proven = register.prove_enrolment(enrolment.enrolment_id, **proof)  # type: ignore[arg-type]
        assert (proven.state, proven.card_ref, proven.assurance, proven.evidence, proven.challenge) == (
            EnrolmentState.PROVEN,
            card.card_ref,
            ChipAssurance.SIGNATURE,
            b"e",
            b"challenge",
        )
        assert register.get_enrolment(enrolment.enrolment_id) == proven
        with refused(Conflict, "enrolment_already_used"):
            register.prove_enrolment(enrolment.enrolment_id, **proof)  # type: ignore[arg-type]
        with refused(NotFound, "enrolment_unknown"):
            register.prove_enrolment(ref(), **proof)  # type: ignore[arg-type]
        with refused(Conflict, "enrolment_exists"):
            register.open_enrolment(enrolment)

    def test_a_late_answer_or_one_for_another_card_is_refused(self, register: Register, world: World) -> None:
        card, other = world.card(), world.card()
        enrolment = world.open(card.card_ref)

        def prove(card_ref: str, after: timedelta) -> None:
            register.prove_enrolment(
                enrolment.enrolment_id,
                card_ref=card_ref,
                assurance=ChipAssurance.READ,
                evidence=b"",
                now=NOW + after,
            )

        with refused(RuleViolation, "enrolment_expired"):
            prove(card.card_ref, timedelta(minutes=10))
        with refused(Conflict, "enrolment_of_other_card"):
            prove(other.card_ref, timedelta())
        unknown = world.open()
        with refused(NotFound, "card_unknown"):
            register.prove_enrolment(
                unknown.enrolment_id, card_ref=ref(), assurance=ChipAssurance.READ, evidence=b"", now=NOW
            )
        assert register.get_enrolment(unknown.enrolment_id).state is EnrolmentState.OPEN
        prove(card.card_ref, timedelta(minutes=9))

    def test_the_first_proof_ties_the_chip_key_to_the_card(self, register: Register, world: World) -> None:
        card, clone, key = world.card(), world.card(), ref()

        def prove(card_ref: str, chip_key_ref: str) -> None:
            register.prove_enrolment(
                world.open().enrolment_id,
                card_ref=card_ref,
                assurance=ChipAssurance.SIGNATURE,
                evidence=b"",
                now=NOW,
                chip_key_ref=chip_key_ref,
            )

        prove(card.card_ref, key)
        prove(card.card_ref, key)
        assert register.get_card(card.card_ref).chip_key_ref == key
        with refused(Conflict, "chip_key_differs"):
            prove(card.card_ref, ref())
        with refused(Conflict, "chip_key_taken"):
            prove(clone.card_ref, key)
