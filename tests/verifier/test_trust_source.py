"""Trust lists over time: when a verifier asks, and what it keeps when asking fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from ecard_card.errors import EcardError, Unavailable
from ecard_verifier.trust_source import HttpTrustList, TrustSource
from tests.world import NOW, World


@pytest.fixture(scope="module")
def world() -> World:
    return World()


class Host:
    """A host of trust lists that counts and can fail; and the clocks."""

    def __init__(self, document: bytes | None) -> None:
        self.document = document
        self.asked = 0
        self.now = NOW
        self.seconds = 0.0

    def __call__(self) -> bytes | None:
        self.asked += 1
        if self.document is None:
            raise Unavailable("trust_unavailable")
        return self.document

    def clock(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def source(self, world: World, cache: Path | None = None) -> TrustSource:
        return TrustSource(world.root, self, self.clock, cache=cache, monotonic=self.monotonic)


def next_version(world: World) -> bytes:
    first = world.trust_list()
    return world.trust_document(replace(first, version=2, previous=first.digest))


def test_it_asks_when_there_is_none_and_then_at_half_of_the_lists_life(world: World) -> None:
    host = Host(world.trust_document())
    source = host.source(world)
    assert source.current() is None
    for _ in range(3):
        source.maintain()
    assert host.asked == 1
    host.now = NOW + timedelta(days=4)
    host.seconds = 100
    source.maintain()
    assert host.asked == 2


def test_unknown_keys_make_it_ask_once_in_ten_seconds(world: World) -> None:
    host = Host(world.trust_document())
    source = host.source(world)
    assert source.refresh() is True
    for second in range(10):
        host.seconds = second
        assert source.refresh() is False
    assert host.asked == 1
    host.seconds, host.document = 10.5, next_version(world)
    assert source.refresh() is True
    assert source.current() is not None
    assert getattr(source.current(), "version", 0) == 2


def test_a_failed_attempt_keeps_the_last_good_list_and_counts_as_an_attempt(world: World) -> None:
    host = Host(world.trust_document())
    source = host.source(world)
    source.maintain()
    host.document, host.seconds = None, 20
    assert source.refresh() is False
    host.seconds = 25
    assert source.refresh() is False
    assert (host.asked, source.last_error) == (2, "trust_unavailable")
    assert source.current() is not None


def test_a_forged_or_older_list_changes_nothing(world: World) -> None:
    host = Host(next_version(world))
    source = host.source(world)
    source.maintain()
    for document, code in (
        (World().trust_document(), "trust_undersigned"),
        (world.trust_document(), "trust_rolled_back"),
        (b"<html>maintenance</html>", "trust_malformed"),
    ):
        host.document = document
        host.seconds += 20
        assert source.refresh() is False
        assert source.last_error == code
        assert getattr(source.current(), "version", 0) == 2


def test_a_published_list_is_fetched_at_once_and_an_old_news_is_not(world: World) -> None:
    host = Host(world.trust_document())
    source = host.source(world)
    source.maintain()
    source.published(1)
    assert host.asked == 1
    host.document = next_version(world)
    source.published(2)
    assert (host.asked, getattr(source.current(), "version", 0)) == (2, 2)


def test_a_published_list_that_was_not_there_yet_is_asked_for_again(world: World) -> None:
    host = Host(world.trust_document())
    source = host.source(world)
    source.maintain()
    source.published(2)
    host.document, host.seconds = next_version(world), 11
    source.maintain()
    assert getattr(source.current(), "version", 0) == 2


def test_a_history_of_publications_does_not_hammer_a_dead_host(world: World) -> None:
    host = Host(world.trust_document())
    source = host.source(world)
    source.maintain()
    host.document = None
    for version in range(2, 50):
        source.published(version)
    assert host.asked == 2


def test_many_threads_ask_once(world: World) -> None:
    arrived, release = threading.Event(), threading.Event()

    class SlowHost(Host):
        def __call__(self) -> bytes | None:
            arrived.set()
            release.wait(10)
            return super().__call__()

    host = SlowHost(world.trust_document())
    source = host.source(world)
    first = threading.Thread(target=source.maintain)
    first.start()
    arrived.wait(10)
    assert [source.refresh() for _ in range(20)] == [False] * 20
    release.set()
    first.join()
    assert host.asked == 1


def test_the_last_good_list_survives_a_restart_without_a_network(world: World, tmp_path: Path) -> None:
    cache = tmp_path / "trust-list.json"
    Host(world.trust_document()).source(world, cache).maintain()
    assert Host(None).source(world, cache).current() is not None
    cache.write_bytes(b"torn")
    torn = Host(None).source(world, cache)
    assert (torn.current(), torn.last_error) == (None, "trust_malformed")
    assert [path.name for path in tmp_path.iterdir()] == ["trust-list.json"]


def fetcher(answer: httpx2.Response) -> HttpTrustList:
    return HttpTrustList("http://127.0.0.1/x", transport=httpx2.MockTransport(lambda request: answer))


class Endless(httpx2.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield bytes(1 << 16)


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(404),
        httpx2.Response(502),
        httpx2.Response(302, headers={"Location": "http://127.0.0.1/elsewhere"}),
        httpx2.Response(200, stream=Endless()),
    ],
)
def test_an_odd_answer_is_unavailable(answer: httpx2.Response) -> None:
    with pytest.raises(EcardError) as caught:
        fetcher(answer)()
    assert caught.value.code == "trust_unavailable"


def test_unchanged_is_said_by_the_etag() -> None:
    seen: list[str | None] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers.get("if-none-match"))
        if seen[-1]:
            return httpx2.Response(304)
        return httpx2.Response(200, headers={"ETag": '"v1"'}, stream=httpx2.ByteStream(b"{}"))

    fetch = HttpTrustList("http://127.0.0.1/x", transport=httpx2.MockTransport(answer))
    assert (fetch(), fetch()) == (b"{}", None)
    fetch.forget()
    assert fetch() == b"{}"
    assert seen == [None, '"v1"', None]
