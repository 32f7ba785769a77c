"""Trust lists over time: when a verifier asks, and what it keeps when asking fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from ecard_card import jose
from ecard_card.errors import EcardError, Unavailable
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.trust.root_chain import RootDraft, assemble_root, walk_roots
from ecard_keys.trust.trust import DeniedKey
from ecard_keys.trust.trust_list import TrustRoot
from ecard_sdk.device import DeviceKey
from ecard_verifier.check import check
from ecard_verifier.trust_source import MOST_STEPS, HttpTrustList, TrustSource, TrustState
from ecard_verifier.verdict import Outcome
from tests.twins import twins
from tests.verifier.feed_kit import wait_for
from tests.world import NOW, World, seconds


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


def test_fifty_threads_ask_once_and_all_have_the_answer(world: World) -> None:
    arrived, release = threading.Event(), threading.Event()

    class SlowHost(Host):
        def __call__(self) -> bytes | None:
            arrived.set()
            release.wait(10)
            return super().__call__()

    host = SlowHost(world.trust_document())
    source = host.source(world)
    with ThreadPoolExecutor(50) as pool:
        answers = [pool.submit(source.refresh) for _ in range(50)]
        assert arrived.wait(10)
        release.set()
        assert [answer.result(10) for answer in answers].count(True) >= 1
    assert host.asked == 1
    assert source.current() is not None


def test_who_comes_while_another_asks_learns_what_that_one_learnt(world: World) -> None:
    arrived, release = threading.Event(), threading.Event()

    class SlowHost(Host):
        def __call__(self) -> bytes | None:
            arrived.set()
            release.wait(10)
            return super().__call__()

    host = SlowHost(world.trust_document())
    source = host.source(world)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(source.refresh)
        assert arrived.wait(10)
        second = pool.submit(source.refresh)
        wait_for(second.running)
        release.set()
        assert first.result(10) is True
        second.result(10)
    assert host.asked == 1


def test_a_key_that_is_taken_off_the_list_is_gone_after_the_next_refresh_though_no_kid_was_unknown(
    world: World,
) -> None:
    host = Host(world.trust_document())
    source = host.source(world)
    source.maintain()
    credential, *others = world.records()
    first = world.trust_list()
    host.document = world.trust_document(replace(world.trust_list(others), version=2, previous=first.digest))
    host.seconds = 3599
    source.maintain()
    assert candidates(source, credential.kid) == 1
    host.seconds = 3600
    source.maintain()
    assert (host.asked, candidates(source, credential.kid)) == (2, 0)


def candidates(source: TrustSource, kid: str, purpose: KeyPurpose = KeyPurpose.CREDENTIAL) -> int:
    trust = source.current()
    assert trust is not None
    return len(trust.candidates(kid, purpose))


def test_a_host_that_is_away_is_said_and_the_last_list_is_used_until_it_expires(world: World) -> None:
    host = Host(world.trust_document())
    source = host.source(world)
    source.maintain()
    assert source.state == TrustState(version=1, root_version=1, age=0, last_error=None)
    host.document, host.seconds, host.now = None, 7200.0, NOW + timedelta(days=8)
    source.maintain()
    assert source.state == TrustState(version=1, root_version=1, age=7200, last_error="trust_unavailable")
    device = DeviceKey.generate()
    credential = world.compact(world.credential(device))
    verdict = check(device.offline_code(credential, host.now), source.current(), world.statuses(), host.now)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "trust_expired")


def test_an_odd_key_hides_no_other_and_two_keys_of_one_kid_are_both_tried(world: World) -> None:
    world.credential_key, twin = twins()
    nowhere = b"\x04" + bytes(64)
    no_point = KeyRecord(jose.key_id(nowhere), KeyPurpose.CREDENTIAL, KeyState.ACTIVE, "ES256", nowhere, 0)
    content = world.trust_list([no_point, twin.record(KeyPurpose.CREDENTIAL), *world.records()])
    host = Host(world.trust_document(content))
    source = host.source(world)
    source.maintain()
    assert candidates(source, world.credential_key.key_id) == 2
    device = DeviceKey.generate()
    for signer in (twin, world.credential_key):
        compact = world.compact(world.credential(device), signer)
        verdict = check(device.offline_code(compact, NOW), source.current(), world.statuses(), NOW)
        assert (verdict.outcome, verdict.reason) == (Outcome.VALID, "ok")


def test_several_hosts_are_asked_in_turn_and_one_good_one_is_enough(world: World) -> None:
    away, old, good = Host(None), Host(world.trust_document()), Host(next_version(world))
    forged = Host(World().trust_document())
    source = TrustSource(world.root, [away, forged, old, good], old.clock, monotonic=old.monotonic)
    source.maintain()
    assert (source.state.version, source.last_error) == (1, None)
    assert [host.asked for host in (away, forged, old, good)] == [1, 1, 1, 0]
    source.published(2)
    assert source.state.version == 2, "a host that does not have it yet keeps nobody from the one that does"


def test_a_denied_key_is_refused_under_every_later_list_too(world: World) -> None:
    host = Host(world.trust_document())
    source = host.source(world)
    source.maintain()
    record = world.credential_key.record(KeyPurpose.CREDENTIAL)
    source.deny(world.issuer, [DeniedKey(thumbprint_of(record), None)])
    assert refusal(source, record) == "key_compromised"
    host.document, host.seconds = next_version(world), 4000
    source.maintain()
    assert source.state.version == 2
    assert refusal(source, record) == "key_compromised"


def test_a_denial_before_the_first_list_waits_for_it_and_one_by_another_issuer_does_nothing(world: World) -> None:
    host = Host(world.trust_document())
    source = host.source(world)
    credential, status, event = world.records()
    source.deny("https://other.example", [DeniedKey(thumbprint_of(credential), None)])
    source.deny(world.issuer, [DeniedKey(thumbprint_of(status), None), DeniedKey(thumbprint_of(event), None)])
    source.maintain()
    assert [refusal(source, record) for record in (credential, status, event)] == [
        None,
        "key_compromised",
        "key_compromised",
    ]


def test_of_two_denials_the_stricter_stands_in_either_order(world: World) -> None:
    host = Host(world.trust_document())
    record = world.credential_key.record(KeyPurpose.CREDENTIAL)
    early, late = (DeniedKey(thumbprint_of(record), seconds(NOW) - ago) for ago in (3600, 10))
    for order in ((early, late), (late, early)):
        source = host.source(world)
        source.maintain()
        for denial in order:
            source.deny(world.issuer, [denial])
        assert refusal(source, record, seconds(NOW) - 60) == "key_compromised"
        assert refusal(source, record, seconds(NOW) - 3600) is None


def thumbprint_of(record: KeyRecord) -> bytes:
    return jose.thumbprint(jose.jwk_of(record.public))


def refusal(source: TrustSource, record: KeyRecord, at: int = seconds(NOW)) -> str | None:
    trust = source.current()
    assert trust is not None
    return trust.candidates(record.kid, record.purpose)[0].accepts(at)


class RootHost(Host):
    """Serves roots too."""

    def __init__(self, document: bytes, roots: dict[int, bytes]) -> None:
        super().__init__(document)
        self.roots, self.asked_roots = roots, list[int]()

    def root(self, version: int) -> bytes:
        self.asked_roots.append(version)
        if version not in self.roots:
            raise Unavailable("trust_unavailable")
        return self.roots[version]

    def forget(self) -> None:
        pass


def changed_roots(world: World, steps: int) -> tuple[dict[int, bytes], TrustRoot]:
    """Roots 2, 3, … of the same three holders, each signed by all; and the last one."""
    root, documents = world.root, dict[int, bytes]()
    for version in range(2, steps + 2):
        after = TrustRoot(root.holders, root.threshold, version, root.digest)
        draft = RootDraft(after)
        pairs = {holder.public: holder.sign(draft.signing_inputs(holder.public)) for holder in world.roots}
        documents[version], root = assemble_root(draft, pairs), after
    return documents, root


def list_under(world: World, root_version: int, version: int = 2) -> bytes:
    return world.trust_document(
        replace(world.trust_list(), version=version, previous=world.trust_list().digest, root_version=root_version)
    )


def test_a_list_under_a_newer_root_makes_it_walk_the_chain_and_a_restart_remembers(
    world: World, tmp_path: Path
) -> None:
    documents, _ = changed_roots(world, 3)
    cache = tmp_path / "trust-list.json"
    host = RootHost(world.trust_document(), documents)
    source = host.source(world, cache)
    source.maintain()
    assert host.asked_roots == [], "no root is asked for while the list is under ours"
    host.document, host.seconds = list_under(world, 4), 4000
    source.maintain()
    assert (source.state.version, source.state.root_version, source.last_error) == (2, 4, None)
    assert host.asked_roots == [2, 3, 4]
    restarted = Host(None).source(world, cache)
    assert (restarted.state.version, restarted.state.root_version) == (2, 4)
    pinned_later = TrustSource(walk_roots(world.root, [documents[2]]), Host(None), lambda: NOW, cache=cache)
    assert pinned_later.state.root_version == 4


def test_a_forged_root_or_a_gap_in_the_chain_leaves_the_list_as_it_was(world: World) -> None:
    strangers, _ = changed_roots(World(), 1)
    documents, _ = changed_roots(world, 3)
    for roots, code in (
        (strangers, "root_undersigned"),
        ({2: documents[3]}, "root_unlinked"),
        ({2: documents[2], 4: documents[4]}, "trust_unavailable"),
        ({2: b"{}"}, "root_malformed"),
    ):
        host = RootHost(world.trust_document(), roots)
        source = host.source(world)
        source.maintain()
        host.document, host.seconds = list_under(world, 4), 4000
        source.maintain()
        assert (source.state.version, source.last_error) == (1, code)


def test_one_attempt_walks_a_bounded_number_of_roots_and_the_next_goes_on_from_there(world: World) -> None:
    documents, _ = changed_roots(world, MOST_STEPS + 3)
    host = RootHost(list_under(world, MOST_STEPS + 4), documents)
    source = host.source(world)
    source.maintain()
    assert (source.current(), len(host.asked_roots)) == (None, MOST_STEPS)
    host.seconds = 20
    source.maintain()
    assert source.state.root_version == MOST_STEPS + 4
    assert source.current() is not None


def test_a_slow_host_does_not_hold_up_whoever_maintains_in_the_background(world: World) -> None:
    release = threading.Event()

    class SlowHost(Host):
        def __call__(self) -> bytes | None:
            if self.asked:
                release.wait(10)
            return super().__call__()

    host = SlowHost(world.trust_document())
    source = TrustSource(world.root, host, host.clock, monotonic=host.monotonic, background=True)
    source.maintain()
    host.seconds, host.document = 4000, next_version(world)
    source.maintain()
    assert source.state.version == 1
    release.set()
    wait_for(lambda: source.state.version == 2)


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
