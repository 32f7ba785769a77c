"""Frames: what is laid out is read again, and nothing else is."""

from __future__ import annotations

from dataclasses import astuple

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import cose, cwt
from ecard_card.credential import Unsigned
from ecard_card.errors import InvalidInput
from ecard_qr.frame import (
    MAX_TIME,
    OfflineFrame,
    OnlineFrame,
    draft_offline,
    draft_online,
    parse_offline,
    parse_online,
)
from tests.qr import samples


def holds(frame: OfflineFrame | OnlineFrame) -> None:
    r, s = int.from_bytes(frame.signature[:32], "big"), int.from_bytes(frame.signature[32:], "big")
    samples.KEYS.device.public_key().verify(encode_dss_signature(r, s), frame.signing_input, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("audience", [None, "x", samples.LONGEST_AUDIENCE, "a" * 64])
def test_an_offline_frame_is_read_as_it_was_laid_out(audience: str | None) -> None:
    frame = parse_offline(samples.offline(audience, issued_at=1790000000))
    assert (frame.issued_at, frame.nonce, frame.audience) == (1790000000, samples.NONCE, audience)
    assert frame.credential == samples.credential()
    assert cwt.parse(frame.credential).credential_id == samples.CREDENTIAL_ID
    holds(frame)


def test_an_online_frame_is_read_as_it_was_laid_out() -> None:
    frame = parse_online(samples.online(issued_at=1790000000))
    assert astuple(frame)[:3] == (samples.CREDENTIAL_ID, 1790000000, samples.NONCE)
    assert frame.signing_input == b"ecard-qr-0" + cbor2.dumps([1, samples.CREDENTIAL_ID, 1790000000, samples.NONCE])
    holds(frame)


def test_another_cbor_reader_sees_a_cose_message_with_the_credential_message_in_kcwt() -> None:
    outer = cbor2.loads(samples.offline())
    assert outer.tag == 18
    headers = cbor2.loads(outer.value[0])
    assert headers[1] == -9
    assert cbor2.dumps(headers[13]) == samples.credential()
    assert headers[13].tag == 18
    assert cbor2.loads(outer.value[2]) == {3: samples.LONGEST_AUDIENCE, 6: samples.LAST_TIME, 39: samples.NONCE}
    signed = cbor2.dumps(["Signature1", outer.value[0], b"ecard-qr-1", outer.value[2]])
    assert parse_offline(samples.offline()).signing_input == signed


def test_the_two_forms_never_sign_the_same_bytes() -> None:
    drafts: list[Unsigned] = [
        draft_offline(samples.credential(), 1, samples.NONCE),
        draft_online(samples.CREDENTIAL_ID, 1, samples.NONCE),
    ]
    assert b"ecard-qr-1" in drafts[0].signing_input
    assert drafts[1].signing_input.startswith(b"ecard-qr-0")
    assert not drafts[0].signing_input.startswith(b"ecard-qr-0")


def test_representations_show_neither_nonce_nor_credential() -> None:
    shown = repr(parse_offline(samples.offline())) + repr(parse_online(samples.online()))
    assert "credential" not in shown
    assert "nonce" not in shown


@pytest.mark.parametrize("issued_at", [-1, MAX_TIME + 1, True, 1.0, None])
def test_a_time_that_is_no_date_is_not_laid_out(issued_at: int) -> None:
    with pytest.raises(InvalidInput, match="bad_code"):
        draft_offline(samples.credential(), issued_at, samples.NONCE)
    with pytest.raises(InvalidInput, match="bad_code"):
        draft_online(samples.CREDENTIAL_ID, issued_at, samples.NONCE)


@pytest.mark.parametrize("audience", ["", "a" * 65, "two words", "柜台", "tab\t", "nul\0", "\x7f"])
def test_an_audience_that_could_look_like_another_is_not_laid_out(audience: str) -> None:
    with pytest.raises(InvalidInput, match="bad_code"):
        draft_offline(samples.credential(), 1, samples.NONCE, audience)


def test_wrong_lengths_are_not_laid_out() -> None:
    with pytest.raises(InvalidInput, match="bad_code"):
        draft_offline(samples.credential(), 1, bytes(7))
    with pytest.raises(InvalidInput, match="bad_code"):
        draft_offline(samples.credential()[:-1], 1, samples.NONCE)
    with pytest.raises(InvalidInput, match="bad_code"):
        draft_online(bytes(15), 1, samples.NONCE)
    with pytest.raises(InvalidInput, match="bad_code"):
        draft_online(samples.CREDENTIAL_ID, 1, samples.NONCE).complete(bytes(63))
    with pytest.raises(InvalidInput, match="bad_code"):
        draft_offline(samples.credential(), 1, samples.NONCE).complete(bytes(65))


def sign1(protected: object, payload: object, unprotected: object = None, signature: object = bytes(64)) -> bytes:
    """A message with any parts; `bytes` go in as they are, all else is encoded first."""
    parts = [part if isinstance(part, bytes) else cbor2.dumps(part) for part in (protected, payload)]
    return cbor2.dumps(cbor2.CBORTag(18, [parts[0], unprotected or {}, parts[1], signature]))


KCWT = cbor2.loads(samples.credential())
GOOD_HEADERS = {1: -9, 13: KCWT}
GOOD_CLAIMS = {6: 1, 39: samples.NONCE}


def test_the_hand_made_frame_of_these_tests_is_good() -> None:
    assert parse_offline(sign1(GOOD_HEADERS, GOOD_CLAIMS)).issued_at == 1


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xd2",
        b"\xd2\x84",
        samples.offline()[1:],  # no tag
        b"\xd1" + samples.offline()[1:],  # another tag: COSE_Mac0
        b"\xd8\x12" + samples.offline()[1:],  # tag 18 in a longer form
        samples.offline() + b"\0",
        samples.offline()[:-1],
        sign1({1: -7, 13: KCWT}, GOOD_CLAIMS),
        sign1({1: -9}, GOOD_CLAIMS),
        sign1({13: KCWT}, GOOD_CLAIMS),
        sign1(GOOD_HEADERS | {4: b"kid!"}, GOOD_CLAIMS),
        sign1({13: KCWT, 1: -9}, GOOD_CLAIMS),  # not in deterministic order
        sign1({1: -9, 13: samples.credential()}, GOOD_CLAIMS),  # inside a byte string
        sign1({1: -9, 13: 5}, GOOD_CLAIMS),
        sign1(bytes.fromhex("a201280dd284") + bytes(1100), GOOD_CLAIMS),
        sign1(GOOD_HEADERS, {6: 1}),
        sign1(GOOD_HEADERS, {39: samples.NONCE}),
        sign1(GOOD_HEADERS, {6: True, 39: samples.NONCE}),
        sign1(GOOD_HEADERS, {6: 1.5, 39: samples.NONCE}),
        sign1(GOOD_HEADERS, {6: -1, 39: samples.NONCE}),
        sign1(GOOD_HEADERS, {6: MAX_TIME + 1, 39: samples.NONCE}),
        sign1(GOOD_HEADERS, {39: samples.NONCE, 6: 1}),  # not in deterministic order
        sign1(GOOD_HEADERS, {6: 1, 39: bytes(9)}),
        sign1(GOOD_HEADERS, {6: 1, 39: "12345678"}),
        sign1(GOOD_HEADERS, {3: None, 6: 1, 39: samples.NONCE}),
        sign1(GOOD_HEADERS, {3: ["a"], 6: 1, 39: samples.NONCE}),
        sign1(GOOD_HEADERS, {3: "a b", 6: 1, 39: samples.NONCE}),
        sign1(GOOD_HEADERS, {4: 2, 6: 1, 39: samples.NONCE}),
        sign1(GOOD_HEADERS, [6, 1, 39, samples.NONCE]),
        sign1(GOOD_HEADERS, b"\xff"),
        sign1(GOOD_HEADERS, GOOD_CLAIMS, unprotected={4: b"kid!"}),
        sign1(GOOD_HEADERS, GOOD_CLAIMS, signature=bytes(63)),
        sign1(GOOD_HEADERS, GOOD_CLAIMS, signature=None),
        cbor2.dumps(cbor2.CBORTag(18, [1, {}, 2, 3])),
        cbor2.dumps(cbor2.CBORTag(18, [b"", {}, b"", None])),
        b"\xd2\x84" * 5000,
    ],
)
def test_anything_but_an_offline_frame_is_a_bad_code(frame: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_offline(frame)
    assert caught.value.code == "bad_code"


PARTS = [1, samples.CREDENTIAL_ID, 1, samples.NONCE, bytes(64)]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        samples.online() + b"\0",
        samples.online()[:-1],
        samples.offline(),
        b"\x98\x05" + cbor2.dumps(PARTS)[1:],  # the array's length in a longer form
        b"\x9f" + cbor2.dumps(PARTS)[1:] + b"\xff",  # indefinite length
        *(
            cbor2.dumps(parts)
            for parts in (
                PARTS[:4],
                [*PARTS, 0],
                dict(enumerate(PARTS)),
                [2, *PARTS[1:]],
                [True, *PARTS[1:]],
                [1, bytes(17), *PARTS[2:]],
                [1, "x" * 16, *PARTS[2:]],
                [1, PARTS[1], -1, *PARTS[3:]],
                [1, PARTS[1], 1.0, *PARTS[3:]],
                [1, PARTS[1], 1, bytes(7), PARTS[4]],
                [*PARTS[:4], bytes(63)],
                [*PARTS[:4], [0] * 64],
                cbor2.CBORTag(18, PARTS),
            )
        ),
    ],
)
def test_anything_but_an_online_frame_is_a_bad_code(frame: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_online(frame)
    assert caught.value.code == "bad_code"


@given(st.binary(max_size=400), st.sampled_from([b"", b"\xd2\x84", b"\x85\x01\x50"]))
def test_only_our_errors_leave_when_bytes_are_random(data: bytes, start: bytes) -> None:
    for parse in (parse_offline, parse_online):
        with pytest.raises(InvalidInput, match="bad_code"):
            parse(start + data)


@given(st.integers(0, 4000), st.integers(1, 255))
def test_a_changed_bit_is_refused_or_changes_what_was_signed_or_the_signature(place: int, flip: int) -> None:
    good = samples.offline()
    bad = bytearray(good)
    bad[place % len(bad)] ^= flip
    try:
        frame = parse_offline(bytes(bad))
    except InvalidInput:
        return
    before = parse_offline(good)
    assert (frame.signing_input, frame.signature) != (before.signing_input, before.signature)
    assert cose.encode_sign1(
        bytes.fromhex("a201280d") + frame.credential, *_payload_and_signature(bytes(bad))
    ) == bytes(bad)


def _payload_and_signature(frame: bytes) -> tuple[bytes, bytes]:
    value = cbor2.loads(frame).value
    return value[2], value[3]
