"""The issuing side under attack: desks that lie, clones, odd numbers from senders, names that nobody has."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from ecard_card import jose
from ecard_card.card import Holder
from ecard_card.errors import ChipFault, Conflict, EcardError, InvalidInput, NotFound
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.change_order import MAX_SEQUENCE
from ecard_issuer.chip.certificate import ChipCertificate
from ecard_issuer.chip.evidence import Answer, Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.reading import Reading
from ecard_issuer.chip.simulator import ChipAuthority, synthetic
from ecard_issuer.dispatch import dispatch_once
from ecard_issuer.enrol import OpenEnrolment
from ecard_issuer.event_desk import EventDesk
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.publishing.publisher import Form, Publisher
from ecard_sdk.device import DeviceKey
from ecard_verifier.feed import STREAM, verify_event
from ecard_verifier.statuses import accept_status_token
from tests.attack.kit import device_signer, jws
from tests.issuer.office import ISSUER, NOW, Office, card_of, evidence_of

#: Every run of a test takes chips of its own in the one office.
SERIALS = count(100)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office.open(tmp_path_factory.mktemp("office"))


def reading_of(evidence: Evidence) -> Reading:
    assert evidence.reading is not None
    return evidence.reading


def made_up(office: Office, opened: OpenEnrolment, key: ec.EllipticCurvePrivateKey, serial: int) -> Evidence:
    """Evidence of an on-chip key under a genuine certificate for the code of synthetic chip `serial`."""
    code = synthetic(serial).identification_code
    certificate = office.authority.issue(key.public_key(), code, NOW)
    atr = reading_of(evidence_of(office.signature_chip(serial), opened, answer=False)).atr
    digest = opened.challenge.digest()
    signature = key.sign(digest, ec.ECDSA(Prehashed(SHA256())))
    return Evidence(Reading(atr, certificate=certificate), Answer(digest, signature))


# Desks that lie.


def test_a_desk_cannot_put_another_cards_code_on_its_own_chips_certificate(office: Office) -> None:
    mine, victim = office.signature_chip(1), office.signature_chip(2)
    office.add_card(1, mine)
    office.add_card(2, victim)
    opened = office.enrolment.begin("desk-1", NOW)
    honest = evidence_of(mine, opened)
    files = reading_of(evidence_of(victim, opened, answer=False))
    for reading in (
        replace(files, certificate=reading_of(honest).certificate),
        replace(reading_of(honest), issuer_records=files.issuer_records),
        replace(files, certificate=None),
    ):
        with pytest.raises(ChipFault):
            office.enrolment.complete(opened.enrolment_id, Evidence(reading, honest.answer), NOW)


@pytest.mark.parametrize("ca", ["another authority", "the chip itself"])
def test_a_desk_cannot_make_a_certificate_for_another_card(office: Office, ca: str) -> None:
    serial = next(SERIALS)
    office.add_card(serial)
    opened = office.enrolment.begin("desk-1", NOW)
    own = ChipAuthority.create(NOW) if ca == "another authority" else None
    key = ec.generate_private_key(ec.SECP256R1())
    real = made_up(office, opened, key, serial)
    code = synthetic(serial).identification_code
    certificate = own.issue(key.public_key(), code, NOW) if own else office.authority.der
    for answer in (real.answer, None):
        evidence = Evidence(Reading(reading_of(real).atr, certificate=certificate), answer)
        with pytest.raises(ChipFault):
            office.enrolment.complete(opened.enrolment_id, evidence, NOW)


def test_two_cards_with_one_chip_key_are_not_both_bound(office: Office) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    profile = read_chip(InProcessReader(office.signature_chip(4))).profile.id
    for serial in (4, 5):
        office.desk.register(card_of(synthetic(serial), profile), CardStatus.NORMAL, NOW)
    opened = office.enrolment.begin("desk-1", NOW)
    assert office.enrolment.complete(opened.enrolment_id, made_up(office, opened, key, 4), NOW)
    opened = office.enrolment.begin("desk-1", NOW)
    with pytest.raises(Conflict, match="chip_key_taken"):
        office.enrolment.complete(opened.enrolment_id, made_up(office, opened, key, 5), NOW)


def test_a_second_certificate_of_the_authority_for_a_known_card_is_a_clone_alarm(office: Office) -> None:
    chip = office.signature_chip(6)
    office.add_card(6, chip)
    office.prove(chip)
    opened = office.enrolment.begin("desk-1", NOW)
    clone = made_up(office, opened, ec.generate_private_key(ec.SECP256R1()), 6)
    with pytest.raises(Conflict, match="chip_key_differs"):
        office.enrolment.complete(opened.enrolment_id, clone, NOW)


def test_what_is_stored_of_evidence_is_all_that_was_judged(office: Office) -> None:
    """A desk that hides the code among the holder's records would leave evidence that nobody can judge again."""
    chip = office.challenge_chip(7)
    office.add_card(7, chip)
    opened = office.enrolment.begin("desk-1", NOW)
    honest = reading_of(evidence_of(chip, opened, answer=False))
    code = bytes.fromhex(synthetic(7).identification_code)
    (tag,) = (tag for tag, value in honest.issuer_records.items() if value == code)
    rest = {other: value for other, value in honest.issuer_records.items() if other != tag}
    moved = replace(honest, issuer_records=rest, holder_records={tag: code})
    with pytest.raises(ChipFault):
        office.enrolment.complete(opened.enrolment_id, Evidence(moved), NOW)


@pytest.mark.parametrize("version", [0, 1, 3, 4, 5, 127, 255])
def test_a_certificate_of_another_x509_version_is_a_fault_of_the_chip(office: Office, version: int) -> None:
    der = office.authority.issue(
        ec.generate_private_key(ec.SECP256R1()).public_key(), synthetic(8).identification_code, NOW
    )
    place = der.index(bytes.fromhex("a003020102")) + 4
    with pytest.raises(ChipFault, match="chip_certificate_malformed"):
        ChipCertificate.parse(der[:place] + bytes([version]) + der[place + 1 :])


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_only_a_fault_of_the_chip_comes_of_a_damaged_certificate() -> None:
    authority = ChipAuthority.create(NOW)
    public = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    der = authority.issue(public, synthetic(9).identification_code, NOW)
    dice = random.Random(20261123)  # noqa: S311 - a fixed sequence of damages
    for _ in range(3000):
        bent = bytearray(der)
        for _ in range(dice.randint(1, 3)):
            bent[dice.randrange(len(bent))] = dice.randrange(256)
        try:
            certificate = ChipCertificate.parse(bytes(bent))
            assert certificate.public_key_der
            if certificate.check_issued_by(authority.der, NOW):
                assert certificate.identification_code.text == synthetic(9).identification_code
        except ChipFault:
            continue


# Who asks for a credential.


Forge = Callable[[DeviceKey, str], str]


def _proof(claims: dict[str, object], typ: str = "ecard-device-proof+jwt", **header: object) -> Forge:
    def forge(device: DeviceKey, enrolment_id: str) -> str:
        good = {"aud": ISSUER, "nonce": enrolment_id, "iat": int(NOW.timestamp())}
        return jws(device_signer(device), {"alg": "ES256", "typ": typ} | header, good | claims)

    return forge


def test_the_proof_that_these_attacks_bend_is_good(office: Office) -> None:
    chip, device = office.signature_chip(10), DeviceKey.generate()
    office.add_card(10, chip)
    proven = office.prove(chip)
    proof = _proof({})(device, proven.enrolment_id)
    assert office.issuing.issue(proven.enrolment_id, device.point, proof, NOW)


@pytest.mark.parametrize(
    "forge",
    [
        _proof({}, typ="kb+jwt"),
        _proof({}, typ="JWT"),
        _proof({}, jwk={"kty": "EC"}),
        _proof({}, crit=["exp"]),
        _proof({"iat": float(int(NOW.timestamp()))}),
        _proof({"iat": str(int(NOW.timestamp()))}),
        _proof({"iat": True}),
        _proof({"iat": 2**70}),
        _proof({"iat": int(NOW.timestamp()) + 61}),
        _proof({"aud": [ISSUER]}),
        _proof({"aud": ISSUER + "/"}),
        _proof({"nonce": None}),
        lambda device, enrolment: _proof({})(device, enrolment) + "=",
        lambda device, enrolment: _proof({})(device, enrolment) + "\n",
        lambda device, enrolment: device.proof(ISSUER, enrolment.upper(), NOW),
    ],
)
def test_a_proof_that_is_not_exactly_one_gives_no_credential(office: Office, forge: Forge) -> None:
    serial, device = next(SERIALS), DeviceKey.generate()
    chip = office.signature_chip(serial)
    office.add_card(serial, chip)
    proven = office.prove(chip)
    with pytest.raises(InvalidInput):
        office.issuing.issue(proven.enrolment_id, device.point, forge(device, proven.enrolment_id), NOW)


@pytest.mark.parametrize("bend", [
    lambda point: (b"\x03" if point[64] & 1 else b"\x02") + point[1:33],
    lambda point: b"", lambda point: b"\x00", lambda point: point + b"\x00", lambda point: b"\x06" + point[1:],
    lambda point: b"\x04" + bytes(64), lambda point: b"\x04" + b"\xff" * 64,
])  # fmt: skip
def test_another_form_of_device_key_gives_our_error_and_leaves_the_chip_free(
    office: Office, bend: Callable[[bytes], bytes]
) -> None:
    serial, device = next(SERIALS), DeviceKey.generate()
    chip = office.signature_chip(serial)
    card_ref = office.add_card(serial, chip)
    proven = office.prove(chip)
    proof = device.proof(ISSUER, proven.enrolment_id, NOW)
    with pytest.raises(InvalidInput):
        office.issuing.issue(proven.enrolment_id, bend(device.point), proof, NOW)
    assert office.register.find_binding(card_ref) is None
    assert office.issue(proven, device)


def test_a_proof_stays_with_the_enrolment_it_was_made_for(office: Office) -> None:
    device, thief = DeviceKey.generate(), DeviceKey.generate()
    chips = [office.signature_chip(serial) for serial in (13, 14)]
    for serial, chip in zip((13, 14), chips, strict=True):
        office.add_card(serial, chip)
    mine, other = (office.prove(chip) for chip in chips)
    proof = device.proof(ISSUER, mine.enrolment_id, NOW)
    with pytest.raises(InvalidInput, match="bad_device_proof"):
        office.issuing.issue(other.enrolment_id, device.point, proof, NOW)
    with pytest.raises(InvalidInput, match="bad_device_proof"):
        office.issuing.issue(mine.enrolment_id, thief.point, proof, NOW)


# What a sender can do to the feed, and to a card.


def published(office: Office, now: datetime = NOW) -> list[str]:
    desk = EventDesk(office.signing, office.ring, office.ring.identity)
    while dispatch_once(office.register, desk, now):
        continue
    return [row.token for row in office.register.read_feed(STREAM, 0)]


def bound_card(office: Office, serial: int) -> str:
    chip = office.signature_chip(serial)
    card_ref = office.add_card(serial, chip)
    office.issue(office.prove(chip), DeviceKey.generate())
    return card_ref


def test_no_number_that_a_sender_gives_makes_an_event_that_every_follower_refuses(office: Office) -> None:
    """One such event would stop every verifier at its place in the stream, for ever."""
    card_ref = bound_card(office, 15)
    life = LifeCycle(office.register, lambda: None)
    for change, sequence in (
        (CardChange.REPORT_LOSS, MAX_SEQUENCE),
        (CardChange.RELEASE, None),
        (CardChange.LOCK, MAX_SEQUENCE),
        (CardChange.UNLOCK, None),
        (CardChange.CANCEL, None),
    ):
        try:
            life.change(card_ref, change, NOW, sequence=sequence)
        except EcardError:
            continue
    trust = office.ring.trust(NOW)
    for number, token in enumerate(published(office), 1):
        assert verify_event(token, trust, NOW).seq == number


def test_one_huge_number_does_not_make_a_card_impossible_to_report_as_lost(office: Office) -> None:
    card_ref = bound_card(office, 16)
    life = LifeCycle(office.register, lambda: None)
    try:
        life.change(card_ref, CardChange.LOCK, NOW, sequence=MAX_SEQUENCE)
        life.change(card_ref, CardChange.UNLOCK, NOW)
    except InvalidInput:
        pass  # the number is refused, and the card has not moved
    assert life.change(card_ref, CardChange.REPORT_LOSS, NOW).applied


@pytest.mark.parametrize(
    "details",
    [
        {"reason": "\ud800"},
        {"event_id": "\ud800"},
        {"event_id": "１"},
        {"occurred_at": datetime(1, 1, 1, tzinfo=UTC)},
        {"occurred_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))},
        {"occurred_at": datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=14)))},
        {"sequence": 0},
        {"sequence": 2**63},
        {"sequence": 2**53},
    ],
    ids=ascii,
)
def test_odd_details_of_a_change_give_our_error_or_an_event_that_followers_read(
    office: Office, details: dict[str, object]
) -> None:
    card_ref = bound_card(office, next(SERIALS))
    life = LifeCycle(office.register, lambda: None)
    try:
        life.change(card_ref, CardChange.REPORT_LOSS, NOW, **details)  # type: ignore[arg-type]
    except EcardError:
        return
    trust = office.ring.trust(NOW)
    for token in published(office):
        assert verify_event(token, trust, NOW)


def test_a_repeated_event_id_does_not_swallow_another_change(office: Office) -> None:
    card_ref = bound_card(office, 18)
    life = LifeCycle(office.register, lambda: None)
    life.change(card_ref, CardChange.LOCK, NOW, event_id="one")
    with pytest.raises(Conflict, match="card_event_differs"):
        life.change(card_ref, CardChange.REPORT_LOSS, NOW, event_id="one")
    other = bound_card(office, 19)
    assert life.change(other, CardChange.REPORT_LOSS, NOW, event_id="one").applied


# Names that no key finds.


@pytest.mark.parametrize("name", ["\ud800", "x" * 101, "", "\x00", "\x7f", "a\ud800\udc00b"], ids=ascii)
def test_a_name_that_cannot_be_written_is_refused_with_our_error(office: Office, name: str) -> None:
    card = card_of(synthetic(next(SERIALS)), "test:piv-1")
    with pytest.raises(EcardError):
        office.desk.register(replace(card, holder=Holder(card.holder.id_number, name)), CardStatus.NORMAL, NOW)


@pytest.mark.parametrize("name", ["\ud800", "\x00", "x" * 10_000, "' OR '1'='1", "", "％"], ids=ascii)
def test_a_name_that_stands_nowhere_is_not_found(office: Office, name: str) -> None:
    evidence = Evidence(read_chip(InProcessReader(office.signature_chip(21))))
    life = LifeCycle(office.register, lambda: None)
    for call in (
        lambda: office.enrolment.complete(name, evidence, NOW),
        lambda: office.issuing.issue(name, b"", "", NOW),
        lambda: life.change(name, CardChange.LOCK, NOW),
        lambda: office.ring.promote(name, NOW),
    ):
        with pytest.raises(EcardError):
            call()
    with pytest.raises(EcardError):
        office.enrolment.begin("\ud800" + name, NOW)


@pytest.mark.parametrize("number", [-1, 2**31, 2**63, 2**64, 10**40])
def test_a_status_list_of_any_number_is_served_or_not_found(office: Office, number: int) -> None:
    publisher = Publisher(office.register, office.ring, office.signing)
    for form in Form:
        with pytest.raises(NotFound):
            publisher.status_list(number, form, NOW)


def test_the_issuers_two_forms_of_a_list_say_the_same(office: Office) -> None:
    card_ref = bound_card(office, 22)
    LifeCycle(office.register, lambda: None).change(card_ref, CardChange.REPORT_LOSS, NOW)
    (row,) = office.register.credentials_of(card_ref)
    publisher, trust = Publisher(office.register, office.ring, office.signing), office.ring.trust(NOW)
    text = accept_status_token(publisher.status_list(row.list_id, Form.JWT, NOW).body.decode(), trust, NOW)
    binary = accept_status_token(publisher.status_list(row.list_id, Form.CWT, NOW).body, trust, NOW)
    assert text.statuses == binary.statuses
    assert text.statuses.get(row.index) == 2
    assert jose.b64url_encode(text.statuses.packed()).strip("A")
