"""Identifying and claiming: what proves a holder, what does not, and what is settled. Each test has people of its
own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import event

from ecard_card import cwt
from ecard_card.acting import Acting, Ground
from ecard_card.card import ChipAssurance, HolderProof, IdNumber, id_number_check
from ecard_card.errors import (
    CheckFailed,
    Conflict,
    EcardError,
    InvalidInput,
    NotAllowed,
    NotFound,
    RuleViolation,
    Unavailable,
)
from ecard_card.region_policy import STRICT, ClaimRules
from ecard_card.status import CardChange
from ecard_issuer.links.identifying import TRIES
from ecard_issuer.pins.secret import Secret
from ecard_keys.protect import FileProtector
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Caller, Role
from tests.contracts.register_world import refused
from tests.issuer.holding import card_of, number_of
from tests.issuer.links_kit import (
    CONSENT,
    IdentityService,
    app_of,
    claim,
    claimed,
    evidence,
    identified,
    judged,
    mandated,
    opened,
    person,
    prove,
)
from tests.issuer.service import Service, open_service

BANK, TOWN = "ek_live_" + "b" * 24, "ek_live_" + "t" * 24
DESK = Caller("outlet 1", Role.DESK)
PIN = Secret("270415")


def chosen_pin(service: Service, serial: int) -> None:
    """The holder has chosen a PIN."""
    who, now = person(service, serial), service.clock()
    service.issuer.holders.pins.change(who.card_ref, Secret("123456"), PIN, DESK, now)


def test_a_card_is_offered_by_a_handle_that_is_good_for_one_identification(service: Service) -> None:
    who, identifying = person(service, 1), service.issuer.linking.identifying
    first = identifying.identify(who.id_number, who.name, app_of(BANK), service.clock())
    second = identifying.identify(who.id_number, who.name, app_of(BANK), service.clock())
    (card,) = first.cards
    assert (card.proofs, card.has_ecard, card.linked) == (frozenset({HolderProof.CHIP}), False, False)
    assert card.handle != second.cards[0].handle
    assert who.card_ref not in repr(first)
    claimed(service, BANK, 1)
    (bank,) = identifying.identify(who.id_number, who.name, app_of(BANK), service.clock()).cards
    (town,) = identifying.identify(who.id_number, who.name, app_of(TOWN), service.clock()).cards
    assert (bank.linked, town.linked) == (True, False)
    assert bank.proofs == frozenset(HolderProof)


def test_a_wrong_name_and_an_unknown_number_are_one_answer_and_lock_alike(service: Service) -> None:
    identifying, caller = service.issuer.linking.identifying, app_of("ek_live_" + "g" * 24)
    known, unknown = person(service, 2), replace(person(service, 3), id_number=person(service, 4).id_number)
    number = unknown.id_number.__class__("110105194912310038")
    for guessed, name in ((known.id_number, "别人"), (number, known.name)):
        for _ in range(TRIES):
            with refused(CheckFailed, "holder_not_identified"):
                identifying.identify(guessed, name, caller, service.clock())
        with refused(RuleViolation, "identification_locked"):
            identifying.identify(guessed, name, caller, service.clock())
    with refused(RuleViolation, "identification_locked"):  # the right name, from another app: the number is locked
        identifying.identify(known.id_number, known.name, app_of(TOWN), service.clock())
    later = service.clock() + timedelta(days=1)
    assert identifying.identify(known.id_number, known.name, app_of(TOWN), later).cards


def test_an_identification_is_one_channels_and_does_not_last(service: Service) -> None:
    claiming, now = service.issuer.linking.claiming, service.clock()
    nonce = identified(service, BANK, 5)
    handle = service.issuer.linking.identifying.handle(nonce, person(service, 5).card_ref)
    with refused(NotFound, "identification_unknown"):
        claiming.open(nonce, handle, HolderProof.CHIP, CONSENT, app_of(TOWN), now)
    with refused(NotFound, "card_handle_unknown"):
        claiming.open(nonce, "0" * 32, HolderProof.CHIP, CONSENT, app_of(BANK), now)
    with refused(InvalidInput, "bad_consent"):
        claiming.open(nonce, handle, HolderProof.CHIP, "no such name", app_of(BANK), now)
    with refused(RuleViolation, "identification_expired"):
        claiming.open(nonce, handle, HolderProof.CHIP, CONSENT, app_of(BANK), now + timedelta(minutes=10))


def test_a_claim_is_one_channels_and_wants_its_own_evidence_in_time(service: Service) -> None:
    waiting = opened(service, BANK, 6)
    answer = evidence(service, 6, waiting.challenge or b"")
    with refused(NotFound, "claim_unknown"):
        prove(service, TOWN, waiting, answer)
    with refused(InvalidInput, "claim_evidence_differs"):
        prove(service, BANK, waiting, PIN)
    with refused(RuleViolation, "claim_expired"):
        service.issuer.linking.claiming.prove(
            waiting.row.claim_id, answer, app_of(BANK), service.clock() + timedelta(minutes=10)
        )
    assert prove(service, BANK, waiting, answer).link.proof is HolderProof.CHIP


def test_another_persons_chip_proves_nothing_and_ends_nothing(service: Service) -> None:
    person(service, 8)
    waiting = opened(service, BANK, 7)
    with refused(Conflict, "enrolment_of_other_card"):
        prove(service, BANK, waiting, evidence(service, 8, waiting.challenge or b""))
    assert service.issuer.register.find_binding(person(service, 8).card_ref) is None
    assert prove(service, BANK, waiting, evidence(service, 7, waiting.challenge or b"")).link.link_id


@pytest.mark.parametrize(
    ("serial", "changes"),
    [
        (10, [CardChange.REPORT_LOSS]),
        (11, [CardChange.REPORT_TEMPORARY_LOSS]),
        (12, [CardChange.LOCK]),
        (13, [CardChange.CANCEL]),
    ],
)
def test_a_card_that_is_lost_locked_or_cancelled_is_not_claimed(
    service: Service, serial: int, changes: list[CardChange]
) -> None:
    before, late = opened(service, BANK, serial), identified(service, BANK, serial)
    for change in changes:
        service.issuer.lifecycle.change(person(service, serial).card_ref, change, service.clock())
    handle = service.issuer.linking.identifying.handle(late, person(service, serial).card_ref)
    with refused(RuleViolation, "card_not_issuable"):
        service.issuer.linking.claiming.open(late, handle, HolderProof.CHIP, CONSENT, app_of(BANK), service.clock())
    with refused(RuleViolation, "card_not_issuable"):  # it happened after the claim was opened
        prove(service, BANK, before, evidence(service, serial, before.challenge or b""))
    offered = service.issuer.linking.identifying.identify(
        person(service, serial).id_number, person(service, serial).name, app_of(BANK), service.clock()
    )
    assert not any(card.proofs for card in offered.cards)


def test_the_same_device_gets_the_same_and_another_one_its_own_under_the_same_link(service: Service) -> None:
    phone, tablet = DeviceKey.generate(), DeviceKey.generate()
    first, again = claim(service, BANK, 20, device=phone), claim(service, BANK, 20, device=phone)
    other = claim(service, BANK, 20, device=tablet)
    assert first.link == again.link == other.link
    assert first.issued is not None
    assert again.issued is not None
    assert other.issued is not None
    assert first.issued.credential_id == again.issued.credential_id != other.issued.credential_id
    assert cwt.parse(first.issued.cwt).holder_proof is HolderProof.CHIP
    now = service.clock()
    for device, issued in ((phone, first.issued), (tablet, other.issued)):
        assert judged(service, device.offline_code(issued.cwt, now)).reason == "ok"


def test_a_finished_claim_answers_the_same_until_its_link_is_released(service: Service) -> None:
    phone = DeviceKey.generate()
    waiting = opened(service, BANK, 21, device=phone)
    answer = evidence(service, 21, waiting.challenge or b"")
    done, again = prove(service, BANK, waiting, answer), prove(service, BANK, waiting, answer)
    assert done.link == again.link
    assert done.issued is not None
    assert again.issued is not None
    assert done.issued.credential_id == again.issued.credential_id
    service.issuer.links.release(done.link, service.clock())
    with refused(RuleViolation, "link_released"):
        prove(service, BANK, waiting, answer)


def test_a_device_key_is_shown_to_be_there(service: Service) -> None:
    phone, thief = DeviceKey.generate(), DeviceKey.generate()
    thief.point = phone.point
    with refused(InvalidInput, "bad_device_proof"):
        opened(service, BANK, 22, device=thief)


def test_a_first_ecard_wants_the_chip_and_a_further_claim_may_be_by_pin(service: Service) -> None:
    with refused(RuleViolation, "first_claim_needs_chip"):
        opened(service, BANK, 23, HolderProof.PIN)
    bound = claim(service, TOWN, 23)
    phone = DeviceKey.generate()
    waiting = opened(service, BANK, 23, HolderProof.PIN, device=phone)
    with refused(RuleViolation, "pin_initial"):
        prove(service, BANK, waiting, Secret("123456"))
    chosen_pin(service, 23)
    with refused(CheckFailed, "pin_wrong"):
        prove(service, BANK, waiting, Secret("135790"))
    done = prove(service, BANK, waiting, PIN)
    assert done.link.ecard_id == bound.link.ecard_id
    assert done.link.proof is HolderProof.PIN
    assert done.issued is not None
    said = cwt.parse(done.issued.cwt)
    binding = service.issuer.register.find_binding(person(service, 23).card_ref)
    assert binding is not None
    assert (said.holder_proof, said.assurance) == (HolderProof.PIN, binding.assurance)
    (code,) = service.issuer.links.codes(done.link, 1, service.clock())
    assert judged(service, code.text).reason == "ok"


def test_wrong_pins_lock_the_pin_in_every_app(service: Service) -> None:
    claimed(service, TOWN, 24)
    chosen_pin(service, 24)
    waiting = opened(service, BANK, 24, HolderProof.PIN)
    codes = []
    for _ in range(4):
        with pytest.raises(EcardError) as told:
            prove(service, BANK, waiting, Secret("135790"))
        codes.append(told.value.code)
    assert codes == ["pin_wrong", "pin_wrong", "pin_locked", "pin_locked"]
    with refused(RuleViolation, "pin_locked"):
        prove(service, BANK, opened(service, BANK, 24, HolderProof.PIN), PIN)


def test_an_identity_service_that_two_operators_registered_proves_the_holder(service: Service) -> None:
    claimed(service, TOWN, 25)
    claimed(service, TOWN, 26)
    face, now = IdentityService(), service.clock()
    waiting, number = opened(service, BANK, 25, HolderProof.IDENTITY), person(service, 25).id_number
    with refused(NotAllowed, "identity_provider_not_registered"):
        prove(service, BANK, waiting, face.statement(waiting.row, number, now))
    service.issuer.linking.providers.save(face.provider, "operator", now)
    stranger = IdentityService(face.provider_id)
    for statement, code in (
        (stranger.statement(waiting.row, number, now), "identity_proof_wrong"),
        (face.statement(waiting.row, number, now, aud="https://other.example"), "identity_proof_wrong"),
        (face.statement(waiting.row, number, now, nonce="another"), "identity_proof_wrong"),
        (face.statement(waiting.row, number, now, method="guess"), "identity_proof_wrong"),
        (face.statement(waiting.row, number, now + timedelta(minutes=10)), "identity_proof_early"),
        (face.statement(waiting.row, number, now - timedelta(minutes=10)), "identity_proof_expired"),
        (face.statement(waiting.row, number, now, exp=int(now.timestamp()) + 601), "identity_proof_expired"),
        (face.statement(waiting.row, person(service, 26).id_number, now), "identity_proof_of_other_person"),
    ):
        with refused(CheckFailed, code):
            prove(service, BANK, waiting, statement)
    for wrong in ("", "a.b.c", face.statement(waiting.row, number, now, jti=None), "x" * 5000):
        with refused(InvalidInput, "bad_identity_proof"):
            prove(service, BANK, waiting, wrong)
    good = face.statement(waiting.row, number, now + timedelta(seconds=50), jti="one")
    done = prove(service, BANK, waiting, good)
    assert (done.link.proof, done.link.provider, done.link.method) == (HolderProof.IDENTITY, face.provider_id, "face")
    again = opened(service, BANK, 25, HolderProof.IDENTITY)
    with refused(CheckFailed, "identity_proof_wrong"):  # made for the claim before
        prove(service, BANK, again, good)
    with refused(CheckFailed, "identity_proof_used"):
        prove(service, BANK, again, face.statement(again.row, number, now, jti="one"))
    service.issuer.linking.providers.remove(face.provider_id, "operator", now)
    with refused(NotAllowed, "identity_provider_not_registered"):
        prove(service, BANK, again, face.statement(again.row, number, now))


def test_more_claims_than_admitted_are_refused(service: Service) -> None:
    small = "ek_live_" + "s" * 24
    for _ in range(2):
        opened(service, small, 27, quota=2)
    with refused(NotAllowed, "claims_used_up"):
        opened(service, small, 27, quota=2)


def test_twenty_claims_of_one_card_at_once_make_one_link(service: Service) -> None:
    waiting = [opened(service, BANK, 30) for _ in range(10)] + [opened(service, TOWN, 30) for _ in range(10)]
    answers = [evidence(service, 30, one.challenge or b"") for one in waiting]
    together = threading.Barrier(8)

    def bring(number: int) -> str:
        if number < 8:
            together.wait(10)
        while True:
            try:
                return prove(service, waiting[number].row.app_id, waiting[number], answers[number]).link.link_id
            except EcardError as error:
                if error.code != "claim_in_progress":
                    return error.code

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(bring, range(20)))
    assert len(set(ids[:10])) == len(set(ids[10:])) == 1
    links = service.issuer.links
    assert {link.link_id for link in links.links_of_ecard(links.get(BANK, ids[0]).ecard_id)} == {ids[0], ids[19]}
    now = service.clock()
    for app, link_id in ((BANK, ids[0]), (TOWN, ids[19])):
        (code,) = links.codes(links.get(app, link_id), 1, now)
        assert judged(service, code.text).reason == "ok"
        links.release(links.get(app, link_id), now)
        assert judged(service, code.text).reason == "ended"
    of_card = service.issuer.register.credentials_of(person(service, 30).card_ref)
    assert {row.state.value for row in of_card} == {"ended"}, "nothing outlives the links"


@pytest.fixture(scope="module")
def steps() -> list[Callable[[], object]]:
    """What happens when the next credential was signed and is not stored yet."""
    return []


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory, steps: list[Callable[[], object]]) -> Iterator[Service]:
    """A service of a region that believes every proof, and permits five codes at once."""
    everything = ClaimRules(first_proofs=frozenset(HolderProof), codes_ahead=5)

    def reached(step: str) -> None:
        if step == "signed" and steps:
            steps.pop()()

    policy = replace(STRICT, claims=everything)
    opened_service = open_service(
        tmp_path_factory.mktemp("lenient"), policy_of=lambda region, now: policy, reached=reached
    )
    yield opened_service
    opened_service.issuer.close()


def test_a_region_may_let_a_first_ecard_be_claimed_by_pin_as_declared(lenient: Service) -> None:
    service = lenient
    person(service, 1)
    chosen_pin(service, 1)
    done = prove(service, BANK, opened(service, BANK, 1, HolderProof.PIN), PIN)
    binding = service.issuer.register.find_binding(person(service, 1).card_ref)
    assert binding is not None
    assert (binding.ecard_id, binding.assurance) == (done.link.ecard_id, ChipAssurance.DECLARED)
    codes = service.issuer.links.codes(done.link, 5, service.clock())
    for code in codes:
        service.clock.now = code.good_from
        assert judged(service, code.text).reason == "ok"
    assert codes[4].good_from - codes[0].good_from == timedelta(minutes=4)
    claim(service, TOWN, 1)  # the chip itself: the binding knows it better now
    better = service.issuer.register.find_binding(person(service, 1).card_ref)
    assert better is not None
    assert better.assurance > ChipAssurance.DECLARED


def test_what_is_being_issued_while_its_link_is_released_comes_to_nothing(
    lenient: Service, steps: list[Callable[[], object]]
) -> None:
    links, now = lenient.issuer.links, lenient.clock()
    link = links.get(BANK, claimed(lenient, BANK, 2))
    steps.append(lambda: links.release(link, now))
    with refused(RuleViolation, "link_released"):
        links.issue_to(link, DeviceKey.generate().point, now)
    assert not steps
    of_card = lenient.issuer.register.credentials_of(person(lenient, 2).card_ref)
    assert {row.state.value for row in of_card} == {"ended"}


def test_a_claim_that_a_crash_cut_short_goes_on_from_there(lenient: Service, steps: list[Callable[[], object]]) -> None:
    phone = DeviceKey.generate()
    waiting = opened(lenient, BANK, 3, device=phone)
    answer = evidence(lenient, 3, waiting.challenge or b"")

    def stop() -> None:
        raise KeyboardInterrupt

    steps.append(stop)
    with pytest.raises(KeyboardInterrupt):
        prove(lenient, BANK, waiting, answer)
    with refused(Unavailable, "claim_in_progress"):  # the plan of the one that stopped holds the chip
        prove(lenient, BANK, waiting, answer)
    assert lenient.issuer.issuing.settle(lenient.clock.advance(31), everything=False) == 1
    done = prove(lenient, BANK, waiting, answer)
    assert done.issued is not None
    assert judged(lenient, phone.offline_code(done.issued.cwt, lenient.clock())).reason == "ok"
    (right,) = lenient.issuer.links.store.rights_of(done.link.link_id)
    assert right.ecard_id == done.link.ecard_id


def test_a_wrong_name_takes_the_work_of_an_unknown_number(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    identifying, caller, who = service.issuer.linking.identifying, app_of(TOWN), person(service, 40)
    statements: list[str] = []
    event.listen(service.issuer.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    unwrap = FileProtector.unwrap

    def counted(protector: FileProtector, wrapped: bytes, *, context: bytes) -> bytes:
        statements.append("a data key is opened")
        return unwrap(protector, wrapped, context=context)

    monkeypatch.setattr(FileProtector, "unwrap", counted)

    def asked(number: IdNumber) -> list[str]:
        statements.clear()
        with refused(CheckFailed, "holder_not_identified"):
            identifying.identify(number, "别人", caller, service.clock())
        return list(statements)

    unknown = IdNumber("11010519491231006" + id_number_check("11010519491231006"))
    for number in (who.id_number, unknown):  # a first try makes its row
        asked(number)
    assert asked(who.id_number) == asked(unknown)


def test_a_childs_ecard_is_claimed_by_their_guardian(service: Service) -> None:
    child = card_of(service, region="110000", person=number_of(date(2015, 3, 4)))
    issuer, now, caller = service.issuer, service.clock(), app_of(BANK)
    row = issuer.people.find(child.id_number)
    assert row is not None
    found = issuer.linking.identifying.identify(child.id_number, issuer.people.person(row).name, caller, now)
    asked = (found.row.identification_id, found.cards[0].handle, HolderProof.CHIP, CONSENT, caller, now)
    with refused(RuleViolation, "guardian_needed"):
        issuer.linking.claiming.open(*asked)
    with refused(RuleViolation, "mandate_unknown"):
        issuer.linking.claiming.open(*asked, acting=Acting(Ground.GUARDIAN, "none"))


def test_a_key_bound_by_a_weaker_proof_does_not_borrow_the_links_better_one(service: Service) -> None:
    """Whoever knows the PIN only has no phone that says "the chip was there", also where the app's link says so."""
    first = claim(service, BANK, 60, device=DeviceKey.generate())
    chosen_pin(service, 60)
    waiting = opened(service, BANK, 60, HolderProof.PIN, device=DeviceKey.generate())
    done, again = prove(service, BANK, waiting, PIN), prove(service, BANK, waiting, PIN)
    assert (done.link, done.link.proof) == (first.link, HolderProof.CHIP)
    assert done.issued is not None
    assert again.issued is not None
    assert again.issued.credential_id == done.issued.credential_id
    assert cwt.parse(done.issued.cwt).holder_proof is HolderProof.PIN


def test_a_key_bound_by_the_chip_says_so_under_a_link_of_a_weaker_proof(service: Service) -> None:
    claim(service, TOWN, 61)
    chosen_pin(service, 61)
    link = prove(service, BANK, opened(service, BANK, 61, HolderProof.PIN), PIN).link
    done = claim(service, BANK, 61, device=DeviceKey.generate())
    assert (done.link.link_id, done.link.proof) == (link.link_id, HolderProof.PIN)
    assert done.issued is not None
    assert cwt.parse(done.issued.cwt).holder_proof is HolderProof.CHIP


def test_a_mandate_that_is_revoked_between_the_steps_claims_nothing(service: Service) -> None:
    acting = mandated(service, 62)
    waiting = opened(service, BANK, 62, acting=acting)
    answer = evidence(service, 62, waiting.challenge or b"")
    service.issuer.acting.revoke(acting.mandate_id or "", "desk", service.clock())
    with refused(RuleViolation, "mandate_ended"):
        prove(service, BANK, waiting, answer)
    assert service.issuer.links.store.links_of_holder(waiting.row.holder_ref) == ()


def test_a_link_says_on_which_mandate_it_was_claimed(service: Service) -> None:
    acting = mandated(service, 63)
    waiting = opened(service, BANK, 63, acting=acting)
    done = prove(service, BANK, waiting, evidence(service, 63, waiting.challenge or b""))
    (kept,) = service.issuer.links.store.links_of_holder(done.link.holder_ref)
    assert kept.mandate_id == done.link.mandate_id == acting.mandate_id
    assert claim(service, BANK, 63).link.mandate_id == acting.mandate_id  # the agent's devices stay under it
    service.issuer.links.release(done.link, service.clock())
    assert claim(service, BANK, 63).link.mandate_id is None
