"""Code texts: sizes, one text per frame, what a scanner may do to a code and what not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ecard_card.errors import InvalidInput
from ecard_qr import payload
from ecard_qr.base45 import ALPHABET
from ecard_qr.frame import OfflineFrame, OnlineFrame
from ecard_qr.payload import Form, parse, to_text
from tests.qr import make_vectors, samples

BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
VECTOR_FILE = Path(__file__).parents[1] / "vectors/qr/code.json"
VECTORS = json.loads(VECTOR_FILE.read_text(encoding="utf-8"))
TEXTS = {"EC1": samples.OFFLINE_TEXT, "EC0": samples.ONLINE_TEXT}


def code_of(text: str) -> str:
    """The error code that `parse` answers with, or `fine`."""
    try:
        parse(text)
    except InvalidInput as error:
        return error.code
    return "fine"


def full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) for char in text)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, str | int | None]) -> None:
    text = str(vector["text"])
    if "expect" in vector:
        assert code_of(text) == vector["expect"]
        return
    frame = parse(text)
    form = Form(text[:4])
    assert to_text(bytes.fromhex(str(vector["frame"])), form) == text
    assert frame.issued_at == vector["issued_at"]
    assert frame.nonce.hex() == vector["nonce"]
    assert frame.signing_input.hex() == vector["signing_input"]
    assert frame.signature.hex() == vector["signature"]
    assert (None if frame.challenge is None else frame.challenge.hex()) == vector.get("challenge")
    if isinstance(frame, OfflineFrame):
        assert frame.credential.hex() == vector["credential"]
        assert frame.audience == vector["audience"]
    else:
        assert frame.credential_id.hex() == vector["credential_id"]


def test_the_vector_file_is_what_the_code_makes() -> None:
    assert make_vectors.document() == VECTOR_FILE.read_text(encoding="utf-8")


def test_the_page_on_the_format_shows_these_vectors() -> None:
    page = (Path(__file__).parents[2] / "docs/formats/code.md").read_text(encoding="utf-8")
    unwrapped = page.replace("\n", "")
    for vector in VECTORS[:2]:
        for member in ("text", "frame"):
            assert str(vector[member]) in unwrapped


def test_both_forms_are_read_from_their_prefix() -> None:
    assert isinstance(parse(samples.OFFLINE_TEXT), OfflineFrame)
    assert isinstance(parse(samples.ONLINE_TEXT), OnlineFrame)


def test_each_form_keeps_to_its_alphabet() -> None:
    assert set(samples.OFFLINE_TEXT) <= set(ALPHABET)
    assert set(samples.ONLINE_TEXT) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ:/.-")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("template", ["{}\n", "{}\r\n", "\r\n{}\r\n", "  {}\t", "{} ", "\u3000{}\u3000"])
def test_what_scanners_add_around_a_code_is_dropped(template: str, text: str) -> None:
    assert parse(template.format(text)) == parse(text)


@pytest.mark.parametrize("change", [str.lower, str.swapcase, full_width, lambda text: full_width(text.lower())])
def test_an_online_code_survives_caps_lock_and_a_full_width_input_method(change: object) -> None:
    assert callable(change)
    assert parse(change(samples.ONLINE_TEXT)) == parse(samples.ONLINE_TEXT)
    assert code_of(change(samples.OFFLINE_TEXT)) == "unreadable_code"


@pytest.mark.parametrize("place", range(4, len(samples.ONLINE_TEXT)))
def test_a_dropped_doubled_or_changed_character_of_an_online_code_is_named(place: int) -> None:
    text = samples.ONLINE_TEXT
    other = BASE32[(BASE32.index(text[place]) + 1) % 32]
    assert code_of(text[:place] + text[place + 1 :]) == "code_damaged"
    assert code_of(text[:place] + text[place] + text[place:]) == "code_damaged"
    assert code_of(text[:place] + other + text[place + 1 :]) == "code_damaged"


@given(st.integers(4, len(samples.ONLINE_TEXT) - 2), st.integers(4, len(samples.ONLINE_TEXT) - 2))
def test_a_character_dropped_here_and_doubled_there_is_named(drop: int, double: int) -> None:
    text = samples.ONLINE_TEXT[:drop] + samples.ONLINE_TEXT[drop + 1 :]
    text = text[:double] + text[double] + text[double:]
    assert code_of(text) == ("fine" if text == samples.ONLINE_TEXT else "code_damaged")


@given(st.integers(4, len(samples.OFFLINE_TEXT) - 1))
def test_a_dropped_character_of_an_offline_code_is_refused(place: int) -> None:
    text = samples.OFFLINE_TEXT
    assert code_of(text[:place] + text[place + 1 :]) in ("code_damaged", "bad_code", "unreadable_code")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "unreadable_code"),
        ("hello", "unreadable_code"),
        ("EC1", "unreadable_code"),
        ("EC2:AAAA", "unreadable_code"),
        ("ec1:AAAA", "unreadable_code"),
        ("https://pay.example/q/123", "unreadable_code"),
        ("EC1:", "bad_code"),
        ("EC0:", "code_damaged"),
        ("EC0:A", "code_damaged"),
        ("EC0:AE", "code_damaged"),
        ("EC0:777Q", "bad_code"),  # no bytes, and their checksum
        ("EC0:777Q====", "unreadable_code"),
        ("EC0:777R", "code_damaged"),  # a set bit after the last byte
        ("EC0:7A7 7Q", "unreadable_code"),
        ("EC0:1890", "unreadable_code"),
        ("EC0:ſſſſ", "unreadable_code"),  # str.upper() would make S of it
        ("EC0:ıııı", "unreadable_code"),
        ("EC0:\ud800", "unreadable_code"),
        ("EC1:GGW", "code_damaged"),
        ("EC1:A", "code_damaged"),
        ("EC1:aaa", "unreadable_code"),
        ("EC1:" + "0" * 4092, "bad_code"),
        ("EC1:" + "0" * 4093, "unreadable_code"),
        (" " * 4097, "unreadable_code"),
        (samples.OFFLINE_TEXT + samples.OFFLINE_TEXT, "code_damaged"),
        (samples.ONLINE_TEXT + samples.ONLINE_TEXT, "unreadable_code"),
        ("EC1:" + samples.ONLINE_TEXT[4:], "code_damaged"),
    ],
)
def test_what_is_no_code_gets_a_stable_answer(text: str, code: str) -> None:
    assert code_of(text) == code


@given(st.sampled_from(Form), st.binary(max_size=400))
def test_every_frame_has_a_text_that_gives_it_back(form: Form, frame: bytes) -> None:
    assert payload.decode(to_text(frame, form)) == (form, frame)


@given(st.sampled_from(Form), st.text(ALPHABET, max_size=30) | st.text(BASE32, max_size=30) | st.text(max_size=30))
@example(Form.ONLINE, "777R")
def test_no_second_text_gives_the_same_frame(form: Form, body: str) -> None:
    text = form + body
    try:
        found, frame = payload.decode(text)
    except InvalidInput:
        return
    assert to_text(frame, found) == text


@given(st.text(max_size=200) | st.builds(str.__add__, st.sampled_from(["EC0:", "EC1:", "ec0:"]), st.text(max_size=99)))
def test_only_our_errors_leave(text: str) -> None:
    assert code_of(text) in ("unreadable_code", "code_damaged", "bad_code")


@given(st.binary(max_size=300), st.sampled_from(Form))
def test_well_written_texts_of_random_frames_are_bad_codes(frame: bytes, form: Form) -> None:
    assert code_of(to_text(frame, form)) == "bad_code"


def test_a_frame_that_no_code_can_hold_gets_no_text() -> None:
    assert len(to_text(bytes(2728), Form.OFFLINE)) == 4096
    for form in Form:
        with pytest.raises(InvalidInput, match="bad_code"):
            to_text(bytes(2730), form)


def test_the_checksum_is_the_catalogued_one() -> None:
    # CRC-16/IBM-3740 of "123456789" is 29B1: the text ends in the base32 of these two bytes.
    frame = b"123456789"
    assert to_text(frame, Form.ONLINE) == "EC0:GEZDGNBVGY3TQOJJWE"
    assert payload.decode("EC0:GEZDGNBVGY3TQOJJWE") == (Form.ONLINE, frame)
