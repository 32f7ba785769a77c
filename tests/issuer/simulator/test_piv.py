"""The signing application: commands of SP 800-73-4, and a signature that anyone can check."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ecard_issuer.chip.simulator import ChipAuthority, ChipData, SimulatedChip, clone, piv_style
from tests.issuer.simulator.support import SELECT_PIV, SELECT_SSSE, fetch, send

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GET_9E, GET_9A = "00CB3FFF055C035FC10100", "00CB3FFF055C035FC10500"


@pytest.fixture
def authority() -> ChipAuthority:
    return ChipAuthority.create(NOW)


@pytest.fixture
def chip(authority: ChipAuthority) -> SimulatedChip:
    made = piv_style(now=NOW, authority=authority)
    made.power_on()
    fetch(made, SELECT_PIV)
    return made


def certificate(chip: SimulatedChip, command: str = GET_9E) -> x509.Certificate:
    """The certificate in 53 { 70 … , 71 00, FE }, whose lengths take three bytes."""
    answer = bytes.fromhex(fetch(chip, command))
    assert answer[-2:] == b"\x90\0"
    assert answer[:2] == b"\x53\x82"
    assert int.from_bytes(answer[2:4], "big") == len(answer) - 6
    assert answer[4:6] == b"\x70\x82"
    end = 8 + int.from_bytes(answer[6:8], "big")
    assert answer[end:-2].hex().upper() == "710100FE00"
    return x509.load_der_x509_certificate(answer[8:end])


def sign(chip: SimulatedChip, digest: bytes, key: str = "9E") -> str:
    return fetch(chip, f"008711{key}267C2482008120{digest.hex()}00")


def signature_of(answer: str) -> bytes:
    raw = bytes.fromhex(answer)
    assert raw[0] == 0x7C
    assert raw[1] == len(raw) - 4
    assert raw[2] == 0x82
    assert raw[3] == len(raw) - 6
    return raw[4:-2]


def test_card_authentication_key_signs_without_pin(authority: ChipAuthority, chip: SimulatedChip) -> None:
    """The signature over the digest verifies with the key of the certificate, which the test CA signed."""
    leaf = certificate(chip)
    leaf.verify_directly_issued_by(authority.certificate)
    signature = signature_of(sign(chip, hashlib.sha256(b"challenge").digest()))
    public_key = leaf.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    public_key.verify(signature, b"challenge", ec.ECDSA(hashes.SHA256()))


def test_certificate_names_the_chip_and_says_test(authority: ChipAuthority, chip: SimulatedChip) -> None:
    """subject serialNumber is the identification code; both names begin with `test:`."""
    leaf = certificate(chip)
    serial = leaf.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    assert [attribute.value for attribute in serial] == [ChipData().identification_code]
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME) + leaf.issuer.get_attributes_for_oid(
        NameOID.COMMON_NAME
    )
    assert [str(name.value)[:5] for name in names] == ["test:", "test:"]
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is True


def test_second_key_needs_the_pin(chip: SimulatedChip) -> None:
    """9A: 6982 before VERIFY, a signature after it, 6982 again after SELECT; three wrong PINs block."""
    digest = bytes(32)
    assert sign(chip, digest, "9A") == "6982"
    assert send(chip, "0020008008" + "313233343536FFFF") == "9000"
    assert sign(chip, digest, "9A").endswith("9000")
    fetch(chip, SELECT_PIV)
    assert sign(chip, digest, "9A") == "6982"
    wrong = "0020008008" + "363534333231FFFF"
    assert [send(chip, wrong) for _ in range(4)] == ["63C2", "63C1", "63C0", "6983"]
    assert send(chip, "00200080") == "63C0"
    assert certificate(chip, GET_9A).public_key() != certificate(chip).public_key()


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("00A4040004A0000003", "6A82"),
        ("00CB3FFF055C035FC10200", "6A82"),
        ("00CB3FFF035C035F00", "6A80"),
        ("00CB0000055C035FC10100", "6A86"),
        ("0087079E267C2482008120" + "00" * 32 + "00", "6A86"),
        ("0087119C267C2482008120" + "00" * 32 + "00", "6A88"),
        ("0087119E257C238200811F" + "00" * 31 + "00", "6A80"),
        ("0087119E267C2582008120" + "00" * 32 + "00", "6A80"),
        ("0087119E247C228120" + "00" * 32 + "00", "6A80"),
        ("00200080031234", "6700"),
        ("0084000008", "6D00"),
    ],
)
def test_signing_application_refuses(chip: SimulatedChip, command: str, status: str) -> None:
    """Unknown names, objects, algorithms, keys and malformed templates each have their status word."""
    assert send(chip, command) == status


def test_application_and_files_live_side_by_side(chip: SimulatedChip) -> None:
    """The whole AID and its truncations select the application; SSSE is still there; a bare one has no files."""
    assert fetch(chip, "00A404000BA000000308000010000100") == "61114F0600001000010079074F05A0000003089000"
    assert fetch(chip, "00A4040009A00000030800001000").endswith("9000")
    assert fetch(chip, SELECT_SSSE).endswith("9000")
    assert send(chip, "00B2012812")[4:36] == ChipData().identification_code
    bare = piv_style(now=NOW, authority=ChipAuthority.create(NOW), with_files=False)
    bare.power_on()
    assert fetch(bare, SELECT_SSSE) == "6A82"
    assert send(bare, "00A40000023F00") == "6A86"


def test_a_clone_carries_the_certificate_but_not_its_key(chip: SimulatedChip) -> None:
    """The copied certificate does not verify what the copy signs."""
    copy = clone(chip)
    copy.power_on()
    fetch(copy, SELECT_PIV)
    leaf = certificate(copy)
    assert leaf == certificate(chip)
    public_key = leaf.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    signature = signature_of(sign(copy, hashlib.sha256(b"challenge").digest()))
    with pytest.raises(InvalidSignature):
        public_key.verify(signature, b"challenge", ec.ECDSA(hashes.SHA256()))


def test_two_chips_may_be_given_one_key(authority: ChipAuthority) -> None:
    """The defect that a register must notice: different codes, the same public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    leaves = []
    for serial in ("00000001", "00000002"):
        code = "000000" + "D156000005" + serial + "00000000"
        made = piv_style(now=NOW, authority=authority, private_key=key, data=ChipData(identification_code=code))
        made.power_on()
        fetch(made, SELECT_PIV)
        leaves.append(certificate(made))
    assert leaves[0].public_key() == leaves[1].public_key()
    assert leaves[0].subject != leaves[1].subject
