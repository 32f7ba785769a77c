"""Enrolment and issuing on a real register: one chip, one e-card, and nothing signed that was not planned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from ecard_card import cwt, sd_jwt
from ecard_card.card import Card, ChipAssurance, HolderProof, IdentificationCode
from ecard_card.errors import ChipFault, Conflict, EcardError, InvalidInput, NotFound, RuleViolation, Unavailable
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.simulator import clone, first_generation, synthetic
from ecard_issuer.chip.simulator.authentication import CardKeys
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.states import PlanState
from ecard_sdk.device import DeviceKey
from ecard_verifier.check import check
from tests.issuer.office import ISSUER, NOW, Office, card_of, evidence_of
from tests.postgres import PostgresServer
from tests.world import NoStatuses


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office.open(tmp_path)


def test_a_signature_chip_becomes_a_credential_in_two_formats(office: Office) -> None:
    chip = office.signature_chip(1)
    card_ref = office.add_card(1, chip)
    device = DeviceKey.generate()
    issued = office.issue(office.prove(chip), device)
    compact, selective = cwt.parse(issued.cwt), sd_jwt.parse(issued.sd_jwt)
    assert compact.assurance is ChipAssurance.SIGNATURE
    assert selective.payload["chip_assurance"] == "signature"
    assert (compact.holder_proof, selective.payload["holder_proof"]) == (HolderProof.CHIP, "chip")
    assert (compact.test_card, "test_card" in selective.payload) == (False, False)
    assert selective.payload["name"] == "测试0001"
    assert compact.status_index == issued.status.index
    binding = office.register.find_binding(card_ref)
    assert binding is not None
    assert binding.ecard_id == issued.ecard_id
    verdict = check(device.offline_code(issued.cwt, NOW), office.ring.trust(NOW), NoStatuses(), NOW)
    assert verdict.reason == "status_unknown"
    assert [line.ok for line in verdict.checks[:9]] == [True] * 9


def test_a_shared_key_chip_is_judged_by_the_key_holder(office: Office) -> None:
    chip = office.challenge_chip(2)
    office.add_card(2, chip)
    proven = office.prove(chip)
    assert proven.assurance is ChipAssurance.CHALLENGE
    assert office.issue(proven, DeviceKey.generate()).assurance is ChipAssurance.CHALLENGE


def test_a_chip_that_was_only_read_is_bound_as_read(office: Office) -> None:
    chip = office.challenge_chip(3)
    office.add_card(3, chip)
    opened = office.enrolment.begin("desk-1", NOW)
    proven = office.enrolment.complete(opened.enrolment_id, evidence_of(chip, opened, answer=False), NOW)
    assert office.issue(proven, DeviceKey.generate()).assurance is ChipAssurance.READ


def test_a_copy_of_a_chip_proves_nothing(office: Office) -> None:
    chip = office.challenge_chip(4)
    office.add_card(4, chip)
    opened = office.enrolment.begin("desk-1", NOW)
    with pytest.raises(ChipFault, match="chip_answer_wrong"):
        office.enrolment.complete(opened.enrolment_id, evidence_of(clone(chip, CardKeys.fresh()), opened), NOW)
    with pytest.raises(ChipFault, match="chip_refused"):  # a copy of the files alone has no key to answer with
        evidence_of(clone(chip), opened)


def test_once_a_chip_is_known_by_its_key_a_mere_reading_is_refused(office: Office) -> None:
    chip = office.signature_chip(5)
    office.add_card(5, chip)
    office.prove(chip)
    opened = office.enrolment.begin("desk-1", NOW)
    with pytest.raises(ChipFault, match="chip_proof_missing"):
        office.enrolment.complete(opened.enrolment_id, evidence_of(chip, opened, answer=False), NOW)


def test_the_same_id_with_another_key_is_a_clone_alarm(office: Office) -> None:
    office.add_card(6, office.signature_chip(6))
    office.prove(office.signature_chip(6))
    with pytest.raises(Conflict, match="chip_key_differs"):
        office.prove(office.signature_chip(6))  # same files and a certificate of the same CA, over another key


def test_a_replayed_answer_is_refused(office: Office) -> None:
    chip = office.signature_chip(7)
    office.add_card(7, chip)
    first = office.enrolment.begin("desk-1", NOW)
    evidence = evidence_of(chip, first)
    second = office.enrolment.begin("desk-1", NOW)
    with pytest.raises(ChipFault, match="chip_answer_replayed"):
        office.enrolment.complete(second.enrolment_id, evidence, NOW)
    office.enrolment.complete(first.enrolment_id, evidence, NOW)
    with pytest.raises(Conflict, match="enrolment_already_used"):
        office.enrolment.complete(first.enrolment_id, evidence, NOW)


def test_a_late_answer_is_refused(office: Office) -> None:
    chip = office.signature_chip(8)
    office.add_card(8, chip)
    opened = office.enrolment.begin("desk-1", NOW)
    with pytest.raises(EcardError, match="expired"):
        office.enrolment.complete(opened.enrolment_id, evidence_of(chip, opened), NOW + timedelta(minutes=20))


def test_an_unregistered_chip_is_not_known(office: Office) -> None:
    chip = office.signature_chip(9)
    with pytest.raises(NotFound, match="card_unknown"):
        office.prove(chip)


@pytest.mark.parametrize("status", [CardStatus.SEALED, CardStatus.LOST, CardStatus.LOCKED, CardStatus.CANCELLED])
def test_only_a_normal_card_gets_an_ecard(office: Office, status: CardStatus) -> None:
    chip = office.signature_chip(10)
    office.add_card(10, chip, status)
    with pytest.raises(RuleViolation, match="card_not_issuable"):
        office.prove(chip)


def test_a_card_lost_between_proof_and_issuing_gets_none(office: Office) -> None:
    chip = office.signature_chip(11)
    card_ref = office.add_card(11, chip)
    proven = office.prove(chip)
    office.register.apply_change(card_ref, CardChange.REPORT_LOSS, event_id="e1", occurred_at=NOW, now=NOW)
    with pytest.raises(RuleViolation, match="card_not_issuable"):
        office.issue(proven, DeviceKey.generate())


def test_a_lost_reply_can_be_asked_for_again_by_the_same_device_only(office: Office) -> None:
    chip = office.signature_chip(12)
    office.add_card(12, chip)
    proven, device = office.prove(chip), DeviceKey.generate()
    first = office.issue(proven, device)
    again = office.issue(proven, device)
    assert (again.cwt, again.sd_jwt, again.ecard_id) == (first.cwt, first.sd_jwt, first.ecard_id)
    with pytest.raises(Conflict, match="enrolment_already_used"):
        office.issue(proven, DeviceKey.generate())


def test_a_bound_chip_gets_no_second_ecard_but_more_devices(office: Office) -> None:
    chip = office.signature_chip(13)
    office.add_card(13, chip)
    first = office.issue(office.prove(chip), DeviceKey.generate())
    with pytest.raises(Conflict, match="chip_already_bound"):
        office.issue(office.prove(chip), DeviceKey.generate())
    second = office.issue(office.prove(chip), DeviceKey.generate(), ecard_id=first.ecard_id)
    assert second.ecard_id == first.ecard_id
    assert second.status.index != first.status.index


def test_one_proof_is_good_for_a_batch_of_keys_of_the_same_ecard(office: Office) -> None:
    chip = office.signature_chip(1)
    office.add_card(1, chip)
    proven = office.prove(chip)
    first = office.issue(proven, DeviceKey.generate())
    copy = office.enrolment.another(proven.enrolment_id, NOW)
    second = office.issuing.issue_to(copy, DeviceKey.generate().point, NOW, ecard_id=first.ecard_id)
    assert (second.ecard_id, second.assurance) == (first.ecard_id, ChipAssurance.SIGNATURE)
    assert second.status != first.status
    assert second.credential_id != first.credential_id
    with pytest.raises(Conflict, match="enrolment_already_used"):  # each is good once
        office.issuing.issue_to(copy, DeviceKey.generate().point, NOW, ecard_id=first.ecard_id)
    with pytest.raises(RuleViolation, match="enrolment_expired"):  # and none outlives the proof
        office.enrolment.another(proven.enrolment_id, proven.usable_until)
    opened = office.enrolment.begin("desk-1", NOW)
    with pytest.raises(RuleViolation, match="enrolment_not_proven"):
        office.enrolment.another(opened.enrolment_id, NOW)


def test_of_two_requests_at_once_one_binds_the_chip(office: Office) -> None:
    chip = office.signature_chip(14)
    card_ref = office.add_card(14, chip)
    proven = [office.prove(chip) for _ in range(8)]

    def attempt(index: int) -> IssuedCredential | EcardError:
        try:
            return office.issue(proven[index], DeviceKey.generate())
        except EcardError as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(attempt, range(8)))
    winners = [result for result in results if isinstance(result, IssuedCredential)]
    losers = [result.code for result in results if isinstance(result, EcardError)]
    assert len(winners) == 1
    assert set(losers) <= {"chip_already_bound", "issuance_in_progress"}
    assert len(office.register.credentials_of(card_ref)) == 1


@pytest.mark.parametrize("renewal", [False, True])
def test_one_device_that_asks_twenty_times_at_once_gets_one_credential(office: Office, renewal: bool) -> None:
    _ask_twenty_times(office, renewal)


@pytest.mark.postgres
def test_one_device_that_asks_twenty_times_at_once_on_postgresql_gets_one_credential(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    _ask_twenty_times(Office.open(tmp_path, database_url=postgres_server.new_register()), False)


def _ask_twenty_times(office: Office, renewal: bool) -> None:
    chip, device = office.signature_chip(24), DeviceKey.generate()
    card_ref = office.add_card(24, chip)
    ecard_id = office.issue(office.prove(chip), DeviceKey.generate()).ecard_id if renewal else None
    proven = office.prove(chip)
    before = len(office.register.credentials_of(card_ref))
    together = Barrier(20)

    def attempt(_: int) -> IssuedCredential | EcardError:
        together.wait(30)
        try:
            return office.issue(proven, device, ecard_id=ecard_id)
        except EcardError as error:
            return error

    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(attempt, range(20)))
    refusals = {result.code for result in results if isinstance(result, EcardError)}
    assert refusals <= {"issuance_in_progress", "register_unavailable"}  # both say: ask again
    again = office.issue(proven, device, ecard_id=ecard_id)
    issued = [again, *(result for result in results if isinstance(result, IssuedCredential))]
    assert len(issued) > 1
    assert len({(one.credential_id, one.cwt, one.sd_jwt, one.ecard_id) for one in issued}) == 1
    assert len(office.register.credentials_of(card_ref)) == before + 1
    assert office.register.stale_plans(NOW, "office") == ()


def _interrupted(folder: Path) -> tuple[Office, dict[str, Callable[[], object]]]:
    """An office, and what shall happen once when an issuance there reaches a step."""
    at: dict[str, Callable[[], object]] = {}

    def reached(step: str) -> None:
        at.pop(step, lambda: None)()

    return Office.open(folder, reached=reached), at


@pytest.mark.parametrize("renewal", [False, True])
@pytest.mark.parametrize("step", ["drafted", "planned"])
def test_a_request_overtaken_by_its_own_repetition_gets_what_that_one_got(
    tmp_path: Path, step: str, renewal: bool
) -> None:
    office, at = _interrupted(tmp_path)
    chip, device = office.signature_chip(25), DeviceKey.generate()
    card_ref = office.add_card(25, chip)
    ecard_id = office.issue(office.prove(chip), DeviceKey.generate()).ecard_id if renewal else None
    proven = office.prove(chip)
    others: list[IssuedCredential | str] = []

    def overtake() -> None:
        try:
            others.append(office.issue(proven, device, ecard_id=ecard_id))
        except Conflict as conflict:
            others.append(conflict.code)

    at[step] = overtake
    issued = office.issue(proven, device, ecard_id=ecard_id)
    must_wait = step == "planned" and not renewal  # the chip is taken by the plan
    assert others == ["issuance_in_progress" if must_wait else issued]
    assert len(office.register.credentials_of(card_ref)) == 1 + renewal


def test_a_request_overtaken_by_another_device_says_so(tmp_path: Path) -> None:
    office, at = _interrupted(tmp_path)
    chip = office.signature_chip(26)
    office.add_card(26, chip)
    proven = office.prove(chip)
    at["drafted"] = lambda: office.issue(proven, DeviceKey.generate())
    with pytest.raises(Conflict, match="enrolment_already_used"):
        office.issue(proven, DeviceKey.generate())


def test_a_chip_that_is_taken_in_the_last_moment_is_being_bound_and_not_bound(tmp_path: Path) -> None:
    class Crash(Exception):
        pass

    def crash() -> None:
        raise Crash

    office, at = _interrupted(tmp_path)
    chip, device = office.signature_chip(27), DeviceKey.generate()
    office.add_card(27, chip)
    proven = office.prove(chip)

    def overtake() -> None:
        at["planned"] = crash
        with pytest.raises(Crash):
            office.issue(proven, device)

    at["drafted"] = overtake
    with pytest.raises(Conflict, match="issuance_in_progress"):
        office.issue(proven, device)


@pytest.mark.parametrize(
    "forge",
    [
        lambda device, enrolment: device.proof("https://elsewhere.example", enrolment, NOW),
        lambda device, enrolment: device.proof(ISSUER, "other", NOW),
        lambda device, enrolment: device.proof(ISSUER, enrolment, NOW - timedelta(minutes=10)),
        lambda device, enrolment: DeviceKey.generate().proof(ISSUER, enrolment, NOW),
        lambda device, enrolment: "",
        lambda device, enrolment: "a.b.c",
    ],
)
def test_whoever_asks_must_hold_the_device_key(office: Office, forge: object) -> None:
    chip = office.signature_chip(15)
    office.add_card(15, chip)
    proven, device = office.prove(chip), DeviceKey.generate()
    proof = forge(device, proven.enrolment_id)  # type: ignore[operator]
    with pytest.raises(InvalidInput):
        office.issuing.issue(proven.enrolment_id, device.point, proof, NOW)


def test_without_a_key_home_the_chip_stays_free(tmp_path: Path) -> None:
    class Down:
        def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
            raise Unavailable("key_home_unavailable", "away")

    office = Office.open(tmp_path, signer=lambda _: Down())
    chip = office.signature_chip(16)
    card_ref = office.add_card(16, chip)
    proven = office.prove(chip)
    with pytest.raises(Unavailable, match="key_home_unavailable"):
        office.issue(proven, DeviceKey.generate())
    assert office.register.find_binding(card_ref) is None
    restarted = Office.open(tmp_path, authority=office.authority)
    assert restarted.issue(proven, DeviceKey.generate()).ecard_id


def test_a_key_home_that_signs_wrongly_is_caught_before_anybody_sees_it(tmp_path: Path) -> None:
    class Wrong:
        def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
            return [bytes(31) + b"\x01" + bytes(31) + b"\x01" for _ in messages]

    office = Office.open(tmp_path, signer=lambda _: Wrong())
    chip = office.signature_chip(17)
    card_ref = office.add_card(17, chip)
    with pytest.raises(Unavailable, match="draft_refused"):
        office.issue(office.prove(chip), DeviceKey.generate())
    assert office.register.credentials_of(card_ref) == ()


def test_replacing_moves_the_ecard_to_the_new_chip(office: Office) -> None:
    old, new = office.signature_chip(18), office.signature_chip(19)
    old_ref = office.add_card(18, old)
    first = office.issue(office.prove(old), DeviceKey.generate())
    # the new card of the same holder: same person, another chip
    new_ref = office.desk.register(_same_holder(), CardStatus.NORMAL, NOW)
    office.register.replace_card(old_ref, new_ref, event_id="r1", occurred_at=NOW, now=NOW)
    second = office.issue(office.prove(new), DeviceKey.generate())
    assert second.ecard_id == first.ecard_id
    assert office.register.card_of_ecard(first.ecard_id) == new_ref
    with pytest.raises(EcardError):
        office.prove(old)


def _same_holder() -> Card:
    person = synthetic(18)
    data = replace(synthetic(19), id_number=person.id_number, name=person.name)
    return card_of(data, "test:piv-p256")


def test_a_crashed_plan_is_voided_and_its_index_never_used_again(tmp_path: Path) -> None:
    class Crash(Exception):
        pass

    def crash(step: str) -> None:
        if step == "signed":
            raise Crash

    office = Office.open(tmp_path, reached=crash)
    chip = office.signature_chip(20)
    card_ref = office.add_card(20, chip)
    proven = office.prove(chip)
    with pytest.raises(Crash):
        office.issue(proven, DeviceKey.generate())
    (plan,) = office.register.stale_plans(NOW, "office")
    restarted = Office.open(tmp_path, authority=office.authority)
    with pytest.raises(Conflict, match="issuance_in_progress"):
        restarted.issue(proven, DeviceKey.generate())
    assert restarted.issuing.settle(NOW, everything=True) == 1
    assert restarted.register.get_plan(card_ref, plan.plan_id).state is PlanState.VOIDED
    assert (plan.index, 1) in restarted.register.status_snapshot(plan.list_id).entries
    assert restarted.issue(proven, DeviceKey.generate()).status.index != plan.index


def test_declared_evidence_is_too_weak_for_this_issuer(office: Office) -> None:
    office.add_card(21)
    opened = office.enrolment.begin("desk-1", NOW)
    declared = Evidence(declared=IdentificationCode(synthetic(21).identification_code))
    with pytest.raises(EcardError):
        office.enrolment.complete(opened.enrolment_id, declared, NOW)


def test_a_genuine_chip_with_another_cards_files_is_refused_once_the_serial_is_registered(office: Office) -> None:
    """The card key answers for the serial in the ATR and not for the identification code: the register knows both."""
    mine, victim = office.challenge_chip(22), synthetic(23)
    office.desk.register(card_of(victim, "test:ssse-1", office.challenge_chip(23).historical), CardStatus.NORMAL, NOW)
    opened = office.enrolment.begin("desk-1", NOW)
    answer = evidence_of(mine, opened).answer
    copied = read_chip(InProcessReader(first_generation(data=victim)))
    forged = replace(copied, atr=mine.atr)
    with pytest.raises(Conflict, match="chip_key_differs"):
        office.enrolment.complete(opened.enrolment_id, Evidence(forged, answer), NOW)
