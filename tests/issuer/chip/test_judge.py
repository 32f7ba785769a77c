"""The level follows from the evidence alone; an answer that does not hold is a fault and never a lower level."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.card import ChipAssurance, IdentificationCode
from ecard_card.errors import ChipFault, EcardError, InvalidInput, NotAllowed, Unavailable
from ecard_issuer.chip.evidence import Answer, Challenge, Evidence
from ecard_issuer.chip.judge import Anchor, Anchors, judge, shared_key_reference
from ecard_issuer.chip.reading import Reading
from ecard_issuer.chip.simulator import CardKeys, ChipAuthority, Cue, FaultyChip, clone, faults, piv_style, synthetic
from ecard_keys.chip_key import ChipAnswer, ChipStatement, LocalChipKeyHolder, open_statement
from tests.issuer.chip.support import NOW, Desk, challenge

DESK = Desk()
CHALLENGE = challenge()
KINDS: dict[str, Callable[[], Evidence]] = {
    "first": lambda: DESK.evidence(DESK.first(), CHALLENGE),
    "second": lambda: DESK.evidence(DESK.first(version="2.01"), CHALLENGE),
    "third": lambda: DESK.evidence(DESK.third(), CHALLENGE),
    "piv": lambda: DESK.evidence(DESK.piv(), CHALLENGE),
    "piv without files": lambda: DESK.evidence(DESK.piv(with_files=False), CHALLENGE),
}
LEVELS = {kind: ChipAssurance.SIGNATURE if "piv" in kind else ChipAssurance.CHALLENGE for kind in KINDS}
EVIDENCE = {kind: make() for kind, make in KINDS.items()}
CODE = "000000" + "D156000005" + "00000001" + "00000000"


def reading(evidence: Evidence) -> Reading:
    assert evidence.reading is not None
    return evidence.reading


def answer(evidence: Evidence) -> Answer:
    assert evidence.answer is not None
    return evidence.answer


def code_of(
    evidence: Evidence, asked: Challenge | None = CHALLENGE, anchors: Anchors = DESK.anchors, now: datetime = NOW
) -> str:
    with pytest.raises(EcardError) as error:
        judge(evidence, asked, anchors, DESK.holder, now)
    return error.value.code


def test_a_declared_code_is_declared() -> None:
    judgement = DESK.judge(Evidence(declared=IdentificationCode(CODE)), None)
    assert (judgement.assurance, judgement.chip.profile) == (ChipAssurance.DECLARED, "declared")
    assert (judgement.key_reference, judgement.statement, judgement.chip.public_key) == (None, None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reading_without_an_answer_is_read(kind: str) -> None:
    judgement = DESK.judge(Evidence(EVIDENCE[kind].reading), CHALLENGE)
    assert (judgement.assurance, judgement.key_reference) == (ChipAssurance.READ, None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_answer_proves_the_chip(kind: str) -> None:
    judgement = DESK.judge(EVIDENCE[kind], CHALLENGE)
    assert judgement.assurance is LEVELS[kind]
    assert judgement.chip.identification_code.text == CODE
    assert judgement.chip.profile == reading(EVIDENCE[kind]).profile.id
    if judgement.assurance is ChipAssurance.SIGNATURE:
        assert judgement.chip.public_key is not None
        assert judgement.key_reference == hashlib.sha256(judgement.chip.public_key).digest()
        assert judgement.statement is None
    else:
        assert judgement.chip.public_key is None
        assert judgement.statement is not None
        assert judgement.statement.count(".") == 2


def test_a_statement_can_be_read_again_later_and_names_no_card() -> None:
    judgement = DESK.judge(EVIDENCE["first"], CHALLENGE)
    digest = CHALLENGE.digest()
    asked = ChipAnswer(
        CODE,
        reading(EVIDENCE["first"]).atr_historical,
        "ssse-3des-region-card",
        digest[:8],
        digest[8:16],
        answer(EVIDENCE["first"]).data,
    )
    assert judgement.statement is not None
    assert open_statement(judgement.statement, asked, DESK.anchors.statement_keys).genuine


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_answer_is_a_fault(kind: str) -> None:
    honest = answer(EVIDENCE[kind])
    wrong = bytearray(honest.data)
    wrong[-1] ^= 1
    assert code_of(Evidence(reading(EVIDENCE[kind]), Answer(honest.challenge, bytes(wrong)))) == "chip_answer_wrong"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_truncated_answer_is_a_fault(kind: str, size: int) -> None:
    honest = answer(EVIDENCE[kind])
    cut = Evidence(reading(EVIDENCE[kind]), Answer(honest.challenge, honest.data[:size]))
    assert code_of(cut) == "chip_answer_truncated"


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_to_another_challenge_is_a_fault(kind: str) -> None:
    later = challenge()
    assert code_of(EVIDENCE[kind], later) == "chip_answer_replayed"
    relabelled = Evidence(reading(EVIDENCE[kind]), Answer(later.digest(), answer(EVIDENCE[kind]).data))
    assert code_of(relabelled, later) == "chip_answer_wrong"


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_with_no_challenge_open_is_a_fault(kind: str) -> None:
    assert code_of(EVIDENCE[kind], None) == "chip_challenge_missing"


@pytest.mark.parametrize(("seconds", "fits"), [(-61, False), (-60, True), (0, True), (300, True), (301, False)])
def test_a_challenge_lives_five_minutes(seconds: int, fits: bool) -> None:
    now = NOW + timedelta(seconds=seconds)
    for kind, evidence in EVIDENCE.items():
        if fits:
            assert DESK.judge(evidence, CHALLENGE, now).assurance is LEVELS[kind]
        else:
            assert code_of(evidence, now=now) == "chip_challenge_expired"


def test_a_clone_of_a_signature_chip_signs_with_another_key() -> None:
    assert code_of(DESK.evidence(clone(DESK.piv()), CHALLENGE)) == "chip_answer_wrong"


def test_a_clone_with_keys_of_its_own_answers_wrong() -> None:
    assert code_of(DESK.evidence(clone(DESK.first(), CardKeys.fresh()), CHALLENGE)) == "chip_answer_wrong"


def test_a_chip_that_repeats_an_old_answer_answers_wrong() -> None:
    for chip, ins, parts in ((DESK.first(), 0x88, 2), (DESK.piv(), 0x87, 1)):
        replaying = FaultyChip(chip, faults.Replay(parts), Cue(ins=ins))
        first, second = DESK.evidence(replaying, CHALLENGE), challenge()
        assert DESK.judge(first, CHALLENGE).assurance >= ChipAssurance.CHALLENGE
        assert code_of(DESK.evidence(replaying, second), second) == "chip_answer_wrong"


def test_two_chips_with_one_code_have_two_key_references() -> None:
    one, two = (DESK.judge(DESK.evidence(DESK.piv(), CHALLENGE), CHALLENGE) for _ in range(2))
    assert one.chip.identification_code == two.chip.identification_code
    assert one.key_reference != two.key_reference


def test_a_relayed_foreign_card_shows_its_own_key_reference() -> None:
    """Diversification authenticates the ATR's serial: the register must see that it is not this card's."""
    other = DESK.evidence(DESK.first(synthetic(2)), CHALLENGE)
    forged = replace(reading(other), issuer_records=reading(EVIDENCE["first"]).issuer_records)
    judgement = DESK.judge(Evidence(forged, other.answer), CHALLENGE)
    honest = DESK.judge(EVIDENCE["first"], CHALLENGE)
    assert judgement.chip.identification_code == honest.chip.identification_code
    assert judgement.key_reference != honest.key_reference
    own = DESK.judge(other, CHALLENGE)
    assert judgement.key_reference == own.key_reference
    historical = reading(EVIDENCE["first"]).atr_historical
    assert honest.key_reference == shared_key_reference(CODE, historical)


def test_a_certificate_of_an_unknown_authority_is_refused_even_for_reading() -> None:
    stranger = ChipAuthority.create(NOW, "test: chip CA")
    forged = DESK.evidence(piv_style(now=NOW, authority=stranger), CHALLENGE)
    assert code_of(forged) == "chip_certificate_untrusted"
    assert code_of(Evidence(forged.reading)) == "chip_certificate_untrusted"


def test_an_expired_certificate_is_refused() -> None:
    for days in (-1, 4000):
        late = NOW + timedelta(days=days)
        asked = challenge(late)
        evidence = DESK.evidence(DESK.piv(), asked)
        assert code_of(evidence, asked, now=late) == "chip_certificate_expired"


def certificate(key: ec.EllipticCurvePrivateKey, *, ca: bool, signing: bool, code: str = CODE) -> bytes:
    name = [x509.NameAttribute(NameOID.COMMON_NAME, "test: x"), x509.NameAttribute(NameOID.SERIAL_NUMBER, code)]
    usage = [False] * 9
    usage[0] = signing
    builder = x509.CertificateBuilder(issuer_name=DESK.authority.certificate.subject, subject_name=x509.Name(name))
    builder = builder.public_key(key.public_key()).serial_number(7)
    builder = builder.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca, None), True).add_extension(x509.KeyUsage(*usage), True)
    private = DESK.authority._private_key
    return builder.sign(private, hashes.SHA256()).public_bytes(Encoding.DER)


def signed(der: bytes, key: ec.EllipticCurvePrivateKey) -> Evidence:
    digest = CHALLENGE.digest()
    honest = Reading(reading(EVIDENCE["piv"]).atr, certificate=der)
    return Evidence(honest, Answer(digest, key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))))


def test_only_an_end_entity_that_may_sign_is_a_chip() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    good = DESK.judge(signed(certificate(key, ca=False, signing=True), key), CHALLENGE)
    assert good.assurance is ChipAssurance.SIGNATURE
    for ca, signing in ((True, True), (False, False)):
        der = certificate(key, ca=ca, signing=signing)
        assert code_of(signed(der, key)) == "chip_certificate_untrusted"


def test_a_certificate_with_another_curve_or_no_code_is_malformed() -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    assert code_of(signed(certificate(other, ca=False, signing=True), other)) == "chip_certificate_malformed"
    key = ec.generate_private_key(ec.SECP256R1())
    assert code_of(signed(certificate(key, ca=False, signing=True, code="7"), key)) == "chip_certificate_malformed"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answered", [True, False])
def test_production_refuses_test_chips_at_every_level(kind: str, answered: bool) -> None:
    evidence = EVIDENCE[kind] if answered else Evidence(EVIDENCE[kind].reading)
    with pytest.raises(NotAllowed) as error:
        judge(evidence, CHALLENGE, replace(DESK.anchors, allow_test=False), DESK.holder, NOW)
    assert error.value.code == "test_chip_refused"


def test_production_refuses_a_test_authority_whatever_its_chip_says() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    real = "110000" + "D156000005" + "00000001" + "00000000"
    evidence = signed(certificate(key, ca=False, signing=True, code=real), key)
    assert reading(evidence).profile.id == "piv-p256"
    strict = replace(DESK.anchors, allow_test=False)
    assert code_of(evidence, anchors=strict) == "test_chip_refused"
    believed = replace(strict, certificates=(Anchor("a province", DESK.authority.der),))
    assert judge(evidence, CHALLENGE, believed, None, NOW).assurance is ChipAssurance.SIGNATURE


def real_first() -> Evidence:
    """A card of region 110000 under our master key, as its evidence would be."""
    data = replace(synthetic(3), identification_code="110000" + "D156000005" + "00000003" + "00000000")
    return DESK.evidence(DESK.first(data), CHALLENGE)


def test_production_refuses_the_word_of_a_test_key_holder() -> None:
    evidence = real_first()
    assert reading(evidence).profile.id == "ssse-1"
    assert DESK.judge(evidence, CHALLENGE).assurance is ChipAssurance.CHALLENGE
    assert code_of(evidence, anchors=replace(DESK.anchors, allow_test=False)) == "test_chip_refused"


def test_an_answer_without_a_key_holder_cannot_be_judged() -> None:
    with pytest.raises(Unavailable) as error:
        judge(EVIDENCE["first"], CHALLENGE, DESK.anchors, None, NOW)
    assert error.value.code == "chip_key_holder_unavailable"


def test_an_answer_that_no_recipe_covers_is_a_fault() -> None:
    third = reading(EVIDENCE["third"])
    ssf33 = replace(third, fci=third.fci[:-1] + b"\x02")
    assert code_of(Evidence(ssf33, EVIDENCE["third"].answer)) == "chip_algorithm_unsupported"


class WordOf:
    """A key holder that says what it was told to say."""

    def __init__(self, token: str) -> None:
        self.token = token

    def judge(self, answer: ChipAnswer, *, now: datetime) -> ChipStatement:
        return ChipStatement("test:holder", True, 0, self.token)


def test_a_key_holder_is_believed_by_its_signature_only() -> None:
    good = DESK.judge(EVIDENCE["first"], CHALLENGE).statement
    assert good is not None
    stranger = LocalChipKeyHolder("test:holder", DESK.master_key, kid=DESK.signer.key_id, sign=Desk().sign)
    later = challenge()
    other = DESK.judge(DESK.evidence(DESK.first(), later), later).statement
    assert other is not None
    for holder in (stranger, WordOf("garbage"), WordOf(good[:-1]), WordOf(other), WordOf("")):
        with pytest.raises(ChipFault) as fault:
            judge(EVIDENCE["first"], CHALLENGE, DESK.anchors, holder, NOW)
        assert fault.value.code == "chip_statement_invalid"
    nobody = replace(DESK.anchors, statement_keys={})
    assert code_of(EVIDENCE["first"], anchors=nobody) == "chip_statement_invalid"


def test_an_answer_for_a_chip_with_an_unusual_atr_is_a_fault() -> None:
    first = EVIDENCE["first"]
    for atr, expected in (("3B00", "chip_atr_malformed"), ("", "chip_atr_malformed")):
        odd = replace(reading(first), atr=bytes.fromhex(atr))
        assert code_of(Evidence(odd, first.answer)) == expected


@settings(deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.binary(max_size=80))
def test_no_answer_but_the_chips_own_ever_proves_it(kind: str, data: bytes) -> None:
    with pytest.raises(ChipFault):
        DESK.judge(Evidence(reading(EVIDENCE[kind]), Answer(CHALLENGE.digest(), data)), CHALLENGE)


def test_an_anchor_is_a_certificate() -> None:
    with pytest.raises(InvalidInput) as error:
        Anchor("a province", b"garbage")
    assert error.value.code == "bad_chip_anchor"
