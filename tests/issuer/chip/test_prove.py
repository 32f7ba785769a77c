"""The bytes with which a chip is asked for an answer, and chips that do not give one."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from ecard_card.errors import ChipFault, InvalidInput
from ecard_issuer.chip.certificate import ChipCertificate
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.reading import Reading
from ecard_issuer.chip.simulator import Cue, FaultyChip, clone, faults, first_generation
from tests.issuer.chip.support import FCI_3DES, PIV, SSSE, Desk, ScriptedReader

DESK = Desk()
DIGEST = bytes(range(32))
R1_R2 = "0001020304050607" + "08090A0B0C0D0E0F"
SIGN = "00 87 11 9E 26 7C 24 82 00 81 20" + DIGEST.hex().upper() + "00"


def reading_of(chip: object) -> Reading:
    with InProcessReader(chip) as reader:  # type: ignore[arg-type]
        return read_chip(reader)


SHARED_KEY = reading_of(DESK.first())
SIGNING = reading_of(DESK.piv())


def code_of(script: list[tuple[str, str]], reading: Reading) -> str:
    with pytest.raises(ChipFault) as fault:
        prove_chip(ScriptedReader(script), reading, DIGEST)
    return fault.value.code


@pytest.mark.parametrize(
    "answers",
    [
        [("0088000010" + R1_R2, "11223344556677889000")],
        [("0088000010" + R1_R2, "6108"), ("00C0000008", "11223344556677889000")],
    ],
)
def test_a_shared_key_chip_is_sent_the_servers_two_numbers(answers: list[tuple[str, str]]) -> None:
    reader = ScriptedReader([(SSSE, "611E"), ("00C000001E", FCI_3DES + "9000"), *answers])
    answer = prove_chip(reader, SHARED_KEY, DIGEST)
    assert not reader.script
    assert (answer.challenge, answer.data.hex()) == (DIGEST, "1122334455667788")


def test_a_signature_chip_is_sent_the_digest_for_its_card_authentication_key() -> None:
    reader = ScriptedReader([(PIV, "9000"), (SIGN, "7C048202AABB9000")])
    assert prove_chip(reader, SIGNING, DIGEST).data == b"\xaa\xbb"
    assert not reader.script


def test_a_simulated_chip_signs_the_digest_itself_under_its_certificate() -> None:
    with InProcessReader(DESK.piv()) as reader:
        reading = read_chip(reader)
        answer = prove_chip(reader, reading, DIGEST)
    assert reading.certificate is not None
    key = ChipCertificate.parse(reading.certificate).public_key
    key.verify(answer.data, DIGEST, ec.ECDSA(Prehashed(SHA256())))


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([(SSSE, "6A82")], "chip_unknown"),
        ([(SSSE, "9000"), ("0088000010" + R1_R2, "6A88")], "chip_refused"),
        ([(SSSE, "9000"), ("0088000010" + R1_R2, "90")], "chip_answer_truncated"),
    ],
)
def test_a_shared_key_chip_that_does_not_answer_is_a_fault(script: list[tuple[str, str]], code: str) -> None:
    assert code_of(script, SHARED_KEY) == code


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("6982", "chip_refused"),
        ("9000", "chip_answer_malformed"),
        ("7C048203AABB9000", "chip_answer_truncated"),
        ("7C108202AABB9000", "chip_answer_truncated"),
        ("7D048202AABB9000", "chip_answer_malformed"),
        ("7C048102AABB9000", "chip_answer_malformed"),
    ],
)
def test_a_signature_that_does_not_come_whole_is_a_fault(answer: str, code: str) -> None:
    assert code_of([(PIV, "9000"), (SIGN, answer)], SIGNING) == code


def test_a_signature_longer_than_one_can_be_is_a_fault() -> None:
    script = [(PIV, "9000"), (SIGN, "7C8201848282 0180".replace(" ", "") + "AA" * 248 + "6188")]
    script.append(("00C0000088", "AA" * 136 + "9000"))
    assert code_of(script, SIGNING) == "chip_answer_malformed"


def test_a_chip_whose_algorithm_has_no_public_recipe_is_not_asked() -> None:
    records = dict(SHARED_KEY.issuer_records)
    records[0x01] = bytes.fromhex("110000" + "D156000005" + "00000001" + "00000000")
    records[0x03] = b"3.00"
    genuine = Reading(SHARED_KEY.atr, bytes.fromhex(FCI_3DES[:-2] + "03"), records)
    assert genuine.recipe is None
    assert code_of([], genuine) == "chip_algorithm_unsupported"


def test_a_clone_without_keys_cannot_answer() -> None:
    with InProcessReader(clone(first_generation())) as reader:
        reading = read_chip(reader)
        with pytest.raises(ChipFault) as fault:
            prove_chip(reader, reading, DIGEST)
    assert fault.value.code == "chip_refused"


@pytest.mark.parametrize(("fault", "code"), [(faults.removal, "chip_removed"), (faults.mute, "chip_mute")])
@pytest.mark.parametrize("kind", ["shared key", "signature"])
def test_a_chip_pulled_or_mute_while_it_answers_is_a_fault(fault: faults.Fault, code: str, kind: str) -> None:
    chip = DESK.first() if kind == "shared key" else DESK.piv()
    ins = 0x88 if kind == "shared key" else 0x87
    with InProcessReader(FaultyChip(chip, fault, Cue(ins=ins))) as reader:
        reading = read_chip(reader)
        with pytest.raises(ChipFault) as raised:
            prove_chip(reader, reading, DIGEST)
    assert raised.value.code == code


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_digest_of_another_length_is_refused_before_anything_is_sent(size: int) -> None:
    with pytest.raises(InvalidInput) as error:
        prove_chip(ScriptedReader([]), SHARED_KEY, bytes(size))
    assert error.value.code == "bad_chip_challenge"
