"""Base45 against RFC 9285, and one to one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.errors import InvalidInput
from ecard_qr import base45

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/qr/base45.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["text"])
def test_the_vectors_of_the_rfc(vector: dict[str, str]) -> None:
    if "expect" in vector:
        with pytest.raises(InvalidInput, match=vector["expect"]):
            base45.decode(vector["text"])
    else:
        assert base45.encode(bytes.fromhex(vector["hex"])) == vector["text"]
        assert base45.decode(vector["text"]).hex() == vector["hex"]


@given(st.binary(max_size=300))
def test_what_was_encoded_is_decoded(data: bytes) -> None:
    assert base45.decode(base45.encode(data)) == data


@given(st.text(base45.ALPHABET, max_size=40) | st.text(max_size=40))
def test_a_text_is_refused_or_the_only_text_of_its_bytes(text: str) -> None:
    try:
        data = base45.decode(text)
    except InvalidInput:
        return
    assert base45.encode(data) == text


def test_every_group_of_three_that_exceeds_two_bytes_is_refused() -> None:
    for value in (0, 65535, 65536, 45**3 - 1):
        text = "".join(base45.ALPHABET[value // 45**place % 45] for place in range(3))
        if value < 65536:
            assert base45.decode(text) == value.to_bytes(2, "big")
        else:
            with pytest.raises(InvalidInput, match="bad_base45"):
                base45.decode("000" + text + "000")
