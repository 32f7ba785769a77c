"""Manifests and chunks of snapshots: one spelling, bounds on everything, and only our errors come out."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import feed_snapshot, jose
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_card.feed_snapshot import Chunk, Kind, Manifest

T = 1_795_000_000
DIGEST = jose.b64url_encode(bytes(32))
MANIFEST = Manifest(
    issuer="https://issuer.example",
    issued_at=T,
    stream="0",
    number=3,
    status_uri="https://issuer.example/status-lists/{list}",
    seq=9,
    digest=DIGEST,
    as_of=T - 5,
    chunks=(
        Chunk(Kind.CREDENTIALS, 1 << 20, DIGEST),
        Chunk(Kind.CREDENTIALS, 7, DIGEST),
        Chunk(Kind.STATUSES, 5, DIGEST),
        Chunk(Kind.DENIED_KEYS, 40, DIGEST),
    ),
)


def written(manifest: Manifest) -> str:
    return feed_snapshot.draft(manifest, "0a1b2c3d").complete(bytes(64))


def test_what_is_written_is_what_is_read() -> None:
    sealed = feed_snapshot.sealed(written(MANIFEST))
    assert (sealed.kid, sealed.open()) == ("0a1b2c3d", MANIFEST)
    assert sealed.digest == feed_snapshot.sealed(written(MANIFEST)[:-4] + "AAAA").digest


@pytest.mark.parametrize(
    "about",
    [
        {"number": 0},
        {"seq": 0},
        {"seq": 2**53},
        {"as_of": T + 1},
        {"issued_at": 2**52},
        {"digest": "-"},
        {"digest": "!" * 43},
        {"issuer": ""},
        {"stream": "x" * 513},
        {"chunks": (Chunk(Kind.CREDENTIALS, 0, DIGEST),)},
        {"chunks": (Chunk(Kind.CREDENTIALS, (1 << 20) + 1, DIGEST),)},
        {"chunks": (Chunk(Kind.STATUSES, (1 << 18) + 1, DIGEST),)},
        {"chunks": (Chunk(Kind.CREDENTIALS, 1, "short"),)},
        {"chunks": (Chunk(Kind.CREDENTIALS, 1, DIGEST),) * 32_769},
    ],
)
def test_what_makes_no_sense_is_neither_written_nor_read(about: dict[str, object]) -> None:
    manifest = replace(MANIFEST, **about)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="bad_feed_snapshot"):
        feed_snapshot.draft(manifest, "0a1b2c3d")
    claims = manifest.claims()
    header = {"alg": "ES256", "kid": "0a1b2c3d", "typ": feed_snapshot.TYP}
    token = jose.UnsignedJws(jose.compact_signing_input(header, claims)).complete(bytes(64))
    with pytest.raises(InvalidInput, match="bad_feed_snapshot"):
        feed_snapshot.sealed(token).open()


def test_the_largest_manifest_is_within_the_limit() -> None:
    chunks = (Chunk(Kind.CREDENTIALS, 1 << 20, DIGEST),) * feed_snapshot.MAX_CHUNKS
    token = written(replace(MANIFEST, chunks=chunks))
    assert len(token) <= feed_snapshot.LIMIT
    assert feed_snapshot.sealed(token).open().chunks == chunks
    with pytest.raises(InvalidInput, match="bad_feed_snapshot"):
        feed_snapshot.sealed(token + "A" * feed_snapshot.LIMIT)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_text_is_refused_in_our_own_words(text: str) -> None:
    with pytest.raises(InvalidInput):
        feed_snapshot.sealed(text).open()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=50),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(sorted(MANIFEST.claims())),
)
def test_any_member_of_any_kind_is_read_or_refused(value: object, name: str) -> None:
    claims = MANIFEST.claims() | {name: value}
    header = {"alg": "ES256", "kid": "0a1b2c3d", "typ": feed_snapshot.TYP}
    try:
        token = jose.UnsignedJws(jose.compact_signing_input(header, claims)).complete(bytes(64))
    except UnicodeEncodeError:
        return
    try:
        manifest = feed_snapshot.sealed(token).open()
    except InvalidInput:
        return
    assert manifest.claims() == claims


@given(st.lists(st.binary(min_size=1, max_size=1536), max_size=30))
def test_credentials_come_back_as_they_went(credentials: list[bytes]) -> None:
    chunks = list(feed_snapshot.credential_chunks(credentials))
    assert [one for chunk in chunks for one in feed_snapshot.read_credentials(chunk)] == credentials


@given(st.sets(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, (1 << 20) - 1)), max_size=50), st.integers(0, 2))
def test_statuses_come_back_as_they_went(places: set[tuple[int, int]], value: int) -> None:
    statuses = [(*place, value) for place in sorted(places)]
    chunks = list(feed_snapshot.status_chunks(statuses))
    assert [one for chunk in chunks for one in feed_snapshot.read_statuses(chunk)] == statuses


@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(0, 2**53 - 1)), max_size=20))
def test_denied_keys_come_back_as_they_went(keys: list[tuple[bytes, int]]) -> None:
    chunks = list(feed_snapshot.denied_chunks(keys))
    assert [one for chunk in chunks for one in feed_snapshot.read_denied(chunk)] == keys


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (feed_snapshot.read_credentials, feed_snapshot.read_statuses, feed_snapshot.read_denied):
        with contextlib.suppress(InvalidInput):
            list(read(data))


def test_chunks_are_as_long_as_they_may_be_and_no_longer() -> None:
    drawn = random.Random(1)  # noqa: S311 - sizes of a test
    credentials = (bytes(drawn.randrange(1, 1537)) for _ in range(4000))
    sizes = [len(chunk) for chunk in feed_snapshot.credential_chunks(credentials)]
    assert max(sizes) <= feed_snapshot.MAX_CHUNK
    assert all(size > feed_snapshot.MAX_CHUNK - 1539 for size in sizes[:-1])
    far = ((number * 40_000, 5, 1) for number in range(50_000))
    assert all(len(chunk) <= feed_snapshot.MAX_STATUS_CHUNK for chunk in feed_snapshot.status_chunks(far))
    many = ((number.to_bytes(32, "big"), 0) for number in range(30_000))
    assert [len(chunk) <= feed_snapshot.MAX_CHUNK for chunk in feed_snapshot.denied_chunks(many)] == [True, True]
    with pytest.raises(InvalidInput, match="bad_feed_snapshot"):
        list(feed_snapshot.credential_chunks([bytes(1537)]))


def test_chunks_are_read_one_row_at_a_time_as_they_come() -> None:
    """A reader of rows has one chunk in its memory, however many there are."""
    taken = 0

    def rows() -> object:
        nonlocal taken
        for _ in range(10_000):
            taken += 1
            yield bytes(1000)

    first = next(feed_snapshot.credential_chunks(rows()))  # type: ignore[arg-type]
    assert len(first) // 1002 == taken - 1


def test_a_chunk_is_known_by_its_length_and_digest() -> None:
    chunk = Chunk.of(Kind.STATUSES, b"abc")
    chunk.require(b"abc")
    for other in (b"abd", b"ab", b"abcd", b""):
        with pytest.raises(CheckFailed, match="feed_snapshot_altered"):
            chunk.require(other)
