"""Photos: what the national rule wants, and what is sent instead."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import EcardError, InvalidInput
from ecard_issuer.applying.photo import NATIONAL, require_photo
from ecard_issuer.documents import MAX_COPY, require_copy
from tests.issuer.people_kit import photo


def test_a_photo_by_the_rule_is_taken() -> None:
    require_photo(photo())
    require_photo(photo(background=(215, 225, 235)))


def bomb(side: int) -> bytes:
    """A JPEG whose header claims `side` by `side` pixels."""
    real = bytearray(photo())
    at = real.index(b"\xff\xc0")
    real[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(real)


def png_bomb() -> bytes:
    header = struct.pack(">IIBBBBB", 50000, 50000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    body = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + body + bytes(9000)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"", "photo_bytes_refused", id="empty"),
        pytest.param(photo() + bytes(80 << 10), "photo_bytes_refused", id="large"),
        pytest.param(bytes(20 << 10), "photo_not_jpeg", id="zeros"),
        pytest.param(photo()[: 9 << 10], "photo_not_jpeg", id="cut"),
        pytest.param(photo((100, 120), form="PNG") + bytes(8 << 10), "photo_not_jpeg", id="png"),
        pytest.param(png_bomb(), "photo_not_jpeg", id="png bomb"),
        pytest.param(bomb(8000), "photo_pixels_refused", id="large by its header"),
        pytest.param(bomb(65500), "photo_not_jpeg", id="jpeg bomb"),
        pytest.param(photo((441, 358)), "photo_pixels_refused", id="lying"),
        pytest.param(photo((300, 400)), "photo_pixels_refused", id="small"),
        pytest.param(photo(mode="L"), "photo_not_colour", id="grey mode"),
        pytest.param(photo(grey=True), "photo_not_colour", id="grey content"),
        pytest.param(photo(face=False) + bytes(8 << 10), "photo_blank", id="blank"),
        pytest.param(photo(background=(60, 110, 200)), "photo_background_refused", id="blue"),
    ],
)
def test_another_photo_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(InvalidInput, match=code):
        require_photo(content)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8000), st.integers(0, 255)), min_size=1, max_size=40))
def test_only_our_errors_leave_a_damaged_photo(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(photo())
    for place, value in changes:
        damaged[place % len(damaged)] = value
    with suppress(EcardError):
        require_photo(bytes(damaged))


@pytest.mark.parametrize(
    ("media_type", "content", "code"),
    [
        ("image/jpeg", b"\x89PNG\r\n\x1a\n" + bytes(200), "document_type_refused"),
        ("text/html", b"<html>" + bytes(200), "document_type_refused"),
        ("application/pdf", b"MZ" + bytes(200), "document_type_refused"),
        ("application/pdf", b"%PDF-", "document_size_refused"),
        ("application/pdf", b"%PDF-" + bytes(MAX_COPY), "document_size_refused"),
    ],
)
def test_other_files_are_refused(media_type: str, content: bytes, code: str) -> None:
    with pytest.raises(InvalidInput, match=code):
        require_copy(media_type, content)


def test_the_bounds_are_those_of_the_national_rule() -> None:
    assert (NATIONAL.width, NATIONAL.height) == (358, 441)
    assert NATIONAL.least_bytes <= 14 << 10 < 40 << 10 <= NATIONAL.most_bytes
