from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import cbor
from tests.card.support import only_our_errors, params, refused

LEAVES = (
    st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=300) | st.text(max_size=40) | st.booleans() | st.none()
)
KEYS = st.integers(-(1 << 64), (1 << 64) - 1) | st.text(max_size=30)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)


@pytest.mark.parametrize("vector", params("cbor"))
def test_vectors(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    if "value" in vector["expect"]:
        assert cbor.decode(data) == vector["expect"]["value"]
        assert cbor.encode(vector["expect"]["value"]) == data
    else:
        refused(lambda: cbor.decode(data), vector["expect"]["refused"])


@given(VALUES)
def test_there_and_back(value: object) -> None:
    assert cbor.decode(cbor.encode(value), max_depth=20) == value


@given(st.dictionaries(KEYS, st.integers(0, 3), max_size=8))
def test_order_of_insertion_does_not_show(value: dict[object, int]) -> None:
    assert cbor.encode(dict(reversed(value.items()))) == cbor.encode(value)


@given(st.binary(max_size=60))
def test_what_is_read_is_what_would_be_written(data: bytes) -> None:
    def read() -> None:
        assert cbor.encode(cbor.decode(data)) == data

    only_our_errors(read)


@given(VALUES, st.data())
def test_one_changed_byte_never_breaks_the_reader(value: object, data: st.DataObject) -> None:
    message = bytearray(cbor.encode(value))
    message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    only_our_errors(lambda: cbor.decode(bytes(message)))


@pytest.mark.parametrize(
    "data",
    [b"\x81" * 100_000, b"\x81" * 100_000 + b"\x00", b"\xa1\x00" * 100_000 + b"\x00", b"\xd2" * 100_000 + b"\x00"],
    ids=["arrays cut short", "arrays", "maps", "tags"],
)
def test_deep_nesting_is_refused_at_once(data: bytes) -> None:
    refused(lambda: cbor.decode(data, limit=1 << 20), "bad_cbor")


def test_depth_is_counted_in_containers() -> None:
    assert cbor.decode(bytes.fromhex("818100"), max_depth=2) == [[0]]
    refused(lambda: cbor.decode(bytes.fromhex("818100"), max_depth=1), "bad_cbor")


def test_ten_megabytes_are_refused_at_once() -> None:
    refused(lambda: cbor.decode(b"\x5a\x00\x98\x96\x80" + bytes(10_000_000)), "bad_cbor")


@pytest.mark.parametrize(
    "value", [1.5, 1 << 64, -(1 << 64) - 1, b"".join, {b"": 0}, {(): 0}, "\ud800", {1.0: 0}, object()]
)
def test_what_we_do_not_write(value: object) -> None:
    refused(lambda: cbor.encode(value), "bad_cbor")


def test_a_value_that_holds_itself_is_not_written() -> None:
    loop: list[object] = []
    loop.append(loop)
    refused(lambda: cbor.encode(loop), "bad_cbor")


def test_anything_but_bytes_is_refused() -> None:
    refused(lambda: cbor.decode("00"), "bad_cbor")  # type: ignore[arg-type]
