"""Challenges: what a counter asks is what is signed, to the last character; sizes; what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.errors import InvalidInput
from ecard_qr import picture
from ecard_qr.challenge import MAX_AMOUNT, MAX_NAME, Challenge, Transaction, parse_challenge
from ecard_qr.frame import draft_offline, draft_online
from ecard_qr.payload import Form, parse, to_text
from tests.qr import make_vectors, samples
from tests.qr.make_vectors import ASKED, PAID

VECTOR_FILE = Path(__file__).parents[1] / "vectors/qr/challenge.json"
VECTORS = json.loads(VECTOR_FILE.read_text(encoding="utf-8"))

transactions = st.builds(
    Transaction,
    st.integers(1, MAX_AMOUNT),
    st.from_regex(r"[a-z0-9][a-z0-9-]{1,62}[a-z0-9]", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9._/-]{1,64}", fullmatch=True),
)
challenges = st.builds(
    Challenge,
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64),
    st.text(min_size=1, max_size=MAX_NAME).filter(lambda name: name.isprintable() and name == name.strip()),
    st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True),
    st.integers(0, 2**33),
    st.binary(min_size=16, max_size=16),
    st.none() | transactions,
)


def test_the_vector_file_is_what_the_code_makes() -> None:
    assert make_vectors.challenges() == VECTOR_FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, object]) -> None:
    text = str(vector["text"])
    if "expect" in vector:
        with pytest.raises(InvalidInput) as refused:
            parse_challenge(text)
        assert refused.value.code == vector["expect"]
        return
    read = parse_challenge(text)
    assert (read.text, read.frame.hex(), read.digest.hex()) == (text, vector["frame"], vector["digest"])
    assert read == {"asked": ASKED, "paid": PAID}[str(vector["name"])]


@given(challenges)
def test_every_challenge_is_read_as_it_was_written(asked: Challenge) -> None:
    assert parse_challenge(asked.text) == asked


@given(challenges, challenges)
def test_two_challenges_have_one_digest_only_where_they_are_one(first: Challenge, second: Challenge) -> None:
    assert (first.digest == second.digest) == (first == second)


@given(st.text(max_size=200) | st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", max_size=200).map("ECQ:".__add__))
def test_any_text_is_a_challenge_or_refused_with_a_code(text: str) -> None:
    try:
        assert parse_challenge(text).text == text
    except InvalidInput as error:
        assert error.code in {"unreadable_code", "code_damaged", "bad_challenge"}  # noqa: PT017 - any text may be fine


def test_an_answer_is_signed_over_the_digest_and_fits_the_versions_of_codes() -> None:
    whole = draft_offline(samples.credential(), samples.LAST_TIME, samples.NONCE, challenge=PAID.digest)
    short = draft_online(samples.CREDENTIAL_ID, samples.LAST_TIME, samples.NONCE, challenge=PAID.digest)
    texts = [
        to_text(draft.complete(samples.sign(samples.KEYS.device, draft.signing_input)), form)
        for draft, form in ((whole, Form.OFFLINE), (short, Form.ONLINE))
    ]
    assert [picture.version_of(text) for text in texts] == [13, 8]
    for frame in map(parse, texts):
        assert frame.challenge == PAID.digest
        assert PAID.digest in frame.signing_input
        r, s = int.from_bytes(frame.signature[:32], "big"), int.from_bytes(frame.signature[32:], "big")
        key = samples.KEYS.device.public_key()
        key.verify(encode_dss_signature(r, s), frame.signing_input, ec.ECDSA(hashes.SHA256()))


def test_an_answer_names_no_audience_besides() -> None:
    with pytest.raises(InvalidInput, match="no audience besides"):
        draft_offline(samples.credential(), 1, samples.NONCE, "desk-7", challenge=PAID.digest)


def test_the_longest_challenge_is_a_code_that_a_phone_reads_at_once() -> None:
    longest = replace(
        PAID,
        counter="c" * 64,
        name="国" * MAX_NAME,
        purpose="p" * 32,
        transaction=Transaction(MAX_AMOUNT, "p" * 64, "R" * 64),
    )
    assert parse_challenge(longest.text) == longest
    assert (picture.version_of(ASKED.text), picture.version_of(PAID.text)) == (5, 6)
    assert picture.version_of(longest.text) <= 17
