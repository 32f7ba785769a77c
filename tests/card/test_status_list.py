from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import jose
from ecard_card.status_list import StatusList
from tests.card.support import only_our_errors, params, refused

BITS = (1, 2, 4, 8)


@pytest.mark.parametrize("vector", params("status_list"))
def test_vectors(vector: dict[str, Any]) -> None:
    entries = {int(index): value for index, value in vector["entries"].items()}
    read = StatusList.from_compressed(jose.b64url_decode(vector["lst"]), vector["bits"])
    assert read.size == vector["size"]
    assert {index: read.get(index) for index in entries} == entries
    made = StatusList(vector["size"], vector["bits"])
    for index, value in entries.items():
        made.set(index, value)
    assert made == read
    if "packed" in vector["expect"]:
        assert made.packed().hex() == vector["expect"]["packed"]
        assert jose.b64url_encode(made.compressed(9)) == vector["lst"]


@given(st.sampled_from(BITS), st.integers(1, 200), st.data())
def test_list_is_an_array_of_small_numbers(bits: int, size: int, data: st.DataObject) -> None:
    model = [0] * size
    statuses = StatusList(size, bits)
    changes = st.tuples(st.integers(0, size - 1), st.integers(0, (1 << bits) - 1))
    for index, value in data.draw(st.lists(changes, max_size=20)):
        model[index] = value
        statuses.set(index, value)
    assert [statuses.get(index) for index in range(size)] == model
    read = StatusList.from_compressed(statuses.compressed(), bits)
    assert [read.get(index) for index in range(size)] == model
    assert StatusList.from_packed(statuses.packed(), bits).packed() == statuses.packed()


@pytest.mark.parametrize("index", [-1, 10, 11, 1 << 40])
def test_index_outside_the_list_is_refused(index: int) -> None:
    statuses = StatusList(10)
    refused(lambda: statuses.get(index), "status_index_out_of_range")
    refused(lambda: statuses.set(index, 1), "status_index_out_of_range")


@pytest.mark.parametrize("value", [-1, 4, 255])
def test_value_of_too_many_bits_is_refused(value: int) -> None:
    statuses = StatusList(10)
    refused(lambda: statuses.set(3, value), "bad_status_list")
    assert statuses == StatusList(10)


@pytest.mark.parametrize(("size", "bits"), [(0, 2), (-1, 2), (10, 0), (10, 3), (10, 16), (10, True)])
def test_impossible_lists_are_refused(size: int, bits: int) -> None:
    refused(lambda: StatusList(size, bits), "bad_status_list")


@pytest.mark.parametrize(
    "lst",
    [b"", b"x", zlib.compress(b""), zlib.compress(bytes(100))[:-1], zlib.compress(bytes(100)) + b"x", bytes(100)],
)
def test_what_is_no_single_stream_is_refused(lst: bytes) -> None:
    refused(lambda: StatusList.from_compressed(lst, 2), "bad_status_list")


@pytest.mark.parametrize("bits", [0, 3, -1, 7, 1 << 40])
def test_impossible_bits_are_refused(bits: int) -> None:
    refused(lambda: StatusList.from_compressed(zlib.compress(bytes(8)), bits), "bad_status_list")


def test_bomb_is_refused_before_it_is_unpacked() -> None:
    squeezer = zlib.compressobj(9)
    bomb = b"".join(squeezer.compress(bytes(1 << 20)) for _ in range(256)) + squeezer.flush()
    assert len(bomb) < 300_000
    refused(lambda: StatusList.from_compressed(bomb, 2), "bad_status_list", within=0.5)
    refused(lambda: StatusList.from_compressed(bomb, 2, limit=1024), "bad_status_list", within=0.05)


def test_limit_is_the_largest_list() -> None:
    lst = zlib.compress(bytes(1024))
    assert StatusList.from_compressed(lst, 1, limit=1024).size == 8192
    refused(lambda: StatusList.from_compressed(lst, 1, limit=1023), "bad_status_list")


@given(st.binary(max_size=80), st.sampled_from(BITS))
def test_only_our_errors_leave_the_reader(lst: bytes, bits: int) -> None:
    only_our_errors(lambda: StatusList.from_compressed(lst, bits))
    only_our_errors(lambda: StatusList.from_compressed(zlib.compress(lst), bits))


def test_equal_lists_have_equal_entries_and_width() -> None:
    assert StatusList(8, 2) == StatusList(8, 2)
    assert StatusList(8, 2) != StatusList(8, 4)
    assert StatusList(8, 2) != "list"
    with pytest.raises(TypeError):
        hash(StatusList(8, 2))
    assert repr(StatusList(8, 2)) == "StatusList(size=8, bits=2)"


def test_packing_is_least_significant_first() -> None:
    statuses = StatusList(4, 2)
    statuses.set(0, 1)
    statuses.set(3, 2)
    assert statuses.packed() == bytes([0b10_00_00_01])
