from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import cbor, cose, cwt
from ecard_card.algorithm import COSE_ALGORITHM, Algorithm
from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.credential import MAX_NUMERIC_DATE, Credential, StatusRef
from tests.card.support import SIGNATURE, holds, load, only_our_errors, params, refused, sample

OURS = load("credential")["vectors"][0]
ALGORITHMS = st.sampled_from([Algorithm.ES256, Algorithm.SM2])
U32 = st.integers(0, (1 << 32) - 1)


def credentials() -> st.SearchStrategy[Credential]:
    return st.builds(
        sample,
        st.binary(min_size=64, max_size=64).map(b"\x04".__add__),
        credential_id=st.binary(min_size=16, max_size=16),
        issued_at=st.integers(0, 1 << 32),
        expires_at=st.integers((1 << 32) + 1, MAX_NUMERIC_DATE),
        status=st.builds(StatusRef, st.just("https://s.example/1"), U32, U32),
        assurance=st.sampled_from(ChipAssurance),
        region=st.integers(0, 999_999).map("{:06d}".format),
        device_algorithm=ALGORITHMS,
        holder_proof=st.none() | st.sampled_from(HolderProof),
        test_card=st.booleans(),
    )


@given(credentials(), st.binary(min_size=4, max_size=4), ALGORITHMS)
def test_there_and_back(credential: Credential, kid: bytes, algorithm: Algorithm) -> None:
    unsigned = cwt.draft(credential, kid, algorithm)
    read = cwt.parse(unsigned.complete(SIGNATURE))
    assert read == cwt.CwtCredential(
        kid,
        credential.issued_at,
        credential.expires_at,
        credential.credential_id,
        cose.compress_point(credential.device_key),
        credential.status.list_id,
        credential.status.index,
        credential.assurance,
        credential.region,
        algorithm,
        credential.device_algorithm,
        unsigned.signing_input,
        SIGNATURE,
        credential.holder_proof,
        credential.test_card,
    )
    assert cbor.decode(unsigned.payload)


@pytest.mark.parametrize("number", [0, 23, 24, 255, 256, 65535, 65536, (1 << 32) - 1])
def test_every_length_of_a_number_is_read(number: int) -> None:
    status = StatusRef("https://s.example/1", number, number)
    credential = sample(status=status, issued_at=number, expires_at=number + 1)
    read = cwt.parse(cwt.draft(credential, b"abcd").complete(SIGNATURE))
    assert (read.status_list, read.status_index, read.issued_at, read.expires_at) == (number,) * 3 + (number + 1,)


@pytest.mark.parametrize("vector", load("credential")["vectors"], ids=lambda vector: vector["algorithm"])
def test_our_vectors(vector: dict[str, Any]) -> None:
    given_, algorithm = vector["input"], Algorithm(vector["algorithm"])
    device_algorithm = Algorithm(given_["device_algorithm"])
    credential = sample(bytes.fromhex(given_["device_key"]), device_algorithm=device_algorithm)
    unsigned = cwt.draft(credential, bytes.fromhex(vector["kid"]), algorithm)
    assert unsigned.signing_input.hex() == vector["cwt"]["signing_input"]
    read = cwt.parse(bytes.fromhex(vector["cwt"]["message"]))
    assert read.signing_input == unsigned.signing_input
    assert (read.algorithm, read.device_algorithm, read.region) == (algorithm, device_algorithm, given_["region"])
    if algorithm is Algorithm.ES256:
        assert holds(bytes.fromhex(vector["issuer_key"]), read.signing_input, read.signature)
    assert (read.status_list, read.status_index, read.assurance.label) == (
        given_["status"]["list"],
        given_["status"]["index"],
        given_["chip_assurance"],
    )


def test_the_credential_is_small_enough_for_an_offline_code() -> None:
    assert len(bytes.fromhex(OURS["cwt"]["message"])) <= 186


@pytest.mark.parametrize("vector", params("cwt_refused"))
def test_refused_messages(vector: dict[str, Any]) -> None:
    refused(lambda: cwt.parse(bytes.fromhex(vector["message"])), vector["expect"])


@given(credentials(), ALGORITHMS, st.data())
def test_a_changed_byte_is_refused_or_read_as_it_stands(
    credential: Credential, algorithm: Algorithm, data: st.DataObject
) -> None:
    """Whatever is accepted encodes to the very bytes that were read: the pattern is the encoder's mirror."""
    message = bytearray(cwt.draft(credential, b"abcd", algorithm).complete(SIGNATURE))
    message[data.draw(st.integers(0, len(message) - 1))] ^= data.draw(st.integers(1, 255))

    def read() -> None:
        got = cwt.parse(bytes(message))
        claims = {
            4: got.expires_at,
            6: got.issued_at,
            7: got.credential_id,
            8: {1: cose.cose_key(got.device_key, got.device_algorithm)},
            -70001: [got.status_list, got.status_index],
            -70002: got.assurance + 4 * (got.holder_proof or 0) + 16 * got.test_card,
            -70003: int(got.region),
        }
        protected = cose.encode_protected({1: COSE_ALGORITHM[got.algorithm], 4: got.kid})
        assert cose.encode_sign1(protected, cbor.encode(claims), got.signature) == bytes(message)

    only_our_errors(read)


@pytest.mark.parametrize("number", [-7, -8, -35, -48, -49, -50, -65536, -65538, 9, 0])
def test_other_algorithms_are_refused_by_name(number: int) -> None:
    unsigned = cwt.draft(sample(), b"abcd")
    protected = cose.encode_protected({1: number, 4: b"abcd"})
    refused(lambda: cwt.parse(cose.encode_sign1(protected, unsigned.payload, SIGNATURE)), "algorithm_not_allowed")


@pytest.mark.parametrize(
    "change",
    [
        {-70003: 1_000_000},
        {-70003: -1},
        {-70003: "330100"},
        {-70003: None},
        {8: {1: {1: 2, -1: -65538, -2: bytes(32), -3: True}}},
        {8: {1: {1: 2, -1: 2, -2: bytes(32), -3: True}}},
    ],
    ids=["seven digits", "negative", "text", "null", "unknown private curve", "P-384"],
)
def test_odd_regions_and_curves_are_refused(change: dict[int, object]) -> None:
    unsigned = cwt.draft(sample(), b"abcd")
    claims = cbor.decode(unsigned.payload)
    assert isinstance(claims, dict)
    message = cose.encode_sign1(unsigned.protected, cbor.encode({**claims, **change}), SIGNATURE)
    refused(lambda: cwt.parse(message), "bad_cwt")
    del claims[-70003]
    refused(lambda: cwt.parse(cose.encode_sign1(unsigned.protected, cbor.encode(claims), SIGNATURE)), "bad_cwt")


@given(st.binary(max_size=200))
def test_only_our_errors_leave_the_reader(data: bytes) -> None:
    for candidate in (data, b"\xd2\x84" + data, cose.encode_sign1(data, data, SIGNATURE)):
        only_our_errors(lambda candidate=candidate: cwt.parse(candidate))  # type: ignore[misc]


def test_ten_megabytes_are_refused_at_once() -> None:
    refused(lambda: cwt.parse(b"\xd2\x84" + bytes(10_000_000)), "bad_cwt")
    refused(lambda: cwt.parse(b"\xd2" + b"\x81" * 100_000), "bad_cwt")


def test_a_signature_over_a_credential_is_no_signature_over_anything_else() -> None:
    unsigned = cwt.draft(sample(), b"abcd")
    assert cose.signing_input(unsigned.protected, unsigned.payload, b"") != unsigned.signing_input
    assert b"ecard-cred-1" in unsigned.signing_input


@pytest.mark.parametrize("kid", [b"", b"abc", b"abcde"])
def test_key_id_has_four_bytes(kid: bytes) -> None:
    refused(lambda: cwt.draft(sample(), kid), "bad_cwt")


@pytest.mark.parametrize(
    "changes",
    [
        {"credential_id": bytes(15)},
        {"device_key": b"\x02" + bytes(32)},
        {"device_key": bytes(65)},
        {"expires_at": 1},
        {"issued_at": -1},
        {"expires_at": MAX_NUMERIC_DATE + 1},
        {"issuer": ""},
        {"vct": ""},
        {"claims": {"exp": "9999999999"}},
        {"claims": {"_sd": "x"}},
        {"claims": {"card_issuing_region": "330100"}},
        {"region": ""},
        {"region": "33010"},
        {"region": "3301000"},
        {"region": "33010x"},
        {"region": "３３０１００"},
        {"region": 330100},
        {"device_algorithm": Algorithm.ML_DSA_65},
    ],
)
def test_impossible_credentials_are_refused(changes: dict[str, Any]) -> None:
    refused(lambda: sample(**changes), "bad_credential")


@pytest.mark.parametrize(
    "parts", [("", 1, 1), ("u" * 2049, 1, 1), ("u", -1, 1), ("u", 1, -1), ("u", 1 << 32, 1), ("u", 1, 1 << 32)]
)
def test_impossible_status_references_are_refused(parts: tuple[str, int, int]) -> None:
    refused(lambda: StatusRef(*parts), "bad_credential")


def test_repr_shows_no_claim() -> None:
    assert "张测试" not in repr(sample())
