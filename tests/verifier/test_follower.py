"""The follower: catches up, comes back, and stops believing rather than believe too much."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from ecard_card.errors import CheckFailed, Unavailable
from ecard_card.status import EcardStatus
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyState
from ecard_sdk.device import DeviceKey
from ecard_verifier.feed import FeedBeat, FeedSource, TrustListPublished
from ecard_verifier.follower import Follower
from ecard_verifier.http_feed import HttpFeed
from ecard_verifier.mirror import Mirror
from ecard_verifier.policy import ONLINE_POLICY
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService
from ecard_verifier.statuses import accept_status_token
from ecard_verifier.trust_source import FixedTrust, HttpTrustList, TrustProvider, TrustSource
from ecard_verifier.verdict import Outcome
from tests.verifier.feed_kit import ScriptedFeed, beat, change, denial, signed, wait_for
from tests.verifier.http_kit import FeedServer, running
from tests.world import NOW, World

LIST_1 = "https://issuer.example/status-lists/1"


@pytest.fixture(scope="module")
def world() -> World:
    return World(now=datetime.now(UTC).replace(microsecond=0))


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def following(mirror: Mirror, source: FeedSource, trust: TrustProvider) -> Iterator[Follower]:
    follower = Follower(mirror, source, trust, now, jitter=lambda: 0.0)
    follower.start()
    try:
        yield follower
    finally:
        if isinstance(source, ScriptedFeed):
            source.stop.set()
        follower.stop()


def played(
    world: World, *scripts: list[str | Unavailable], trust: TrustProvider | None = None
) -> tuple[Mirror, list[int], str | None]:
    """What a mirror, the connections and the last error are after all scripts were played."""
    mirror, feed = Mirror(issuer=world.issuer), ScriptedFeed(*scripts)
    with following(mirror, feed, trust or FixedTrust(world.trust())) as follower:
        assert feed.finished.wait(10)
        return mirror, feed.asked, follower.state.last_error


def test_a_broken_connection_goes_on_from_the_last_event(world: World) -> None:
    one, two = (
        signed(world, change(world, status), seq)
        for seq, status in ((1, EcardStatus.SUSPENDED), (2, EcardStatus.VALID))
    )
    mirror, asked, _ = played(
        world, [beat(world, 0), one, Unavailable("feed_unavailable")], [], [one, two, beat(world, 2)]
    )
    assert (mirror.position, mirror.read(LIST_1, 7).value) == (2, EcardStatus.VALID)
    assert asked == [0, 0, 0, 1]


def test_a_gap_ends_the_connection_and_nothing_after_it_is_folded(world: World) -> None:
    mirror, _, error = played(world, [beat(world, 0), signed(world, change(world, EcardStatus.SUSPENDED), 2)])
    assert (mirror.position, error) == (0, "feed_gap")
    assert mirror.live is False


def test_a_forged_event_ends_the_connection(world: World) -> None:
    forger = EphemeralSigner(world.event_key.key_id)
    release = signed(world, change(world, EcardStatus.VALID), 2, signer=forger)
    lost = signed(world, change(world, EcardStatus.SUSPENDED), 1)
    mirror, _, error = played(world, [lost, beat(world, 1), release, beat(world, 2)])
    assert (mirror.position, error) == (1, "bad_signature")
    assert mirror.read(LIST_1, 7).value == EcardStatus.SUSPENDED


def test_an_event_of_another_issuer_ends_the_connection(world: World) -> None:
    text = signed(world, change(world, EcardStatus.SUSPENDED), 1, issuer="https://other.example")
    mirror, _, error = played(world, [beat(world, 0), text])
    assert (mirror.position, error) == (0, "issuer_mismatch")


@pytest.mark.parametrize("text", ["", "garbage", "a.b.c", "é" * 100, "x" * 20_000])
def test_garbage_ends_the_connection(world: World, text: str) -> None:
    mirror, _, error = played(world, [beat(world, 0), text])
    assert (mirror.position, error) == (0, "bad_jws")


def test_without_trust_nothing_is_folded(world: World) -> None:
    mirror, _, error = played(world, [beat(world, 0)], trust=FixedTrust(None))
    assert (mirror.as_of, error) == (None, "trust_missing")


def test_a_stream_that_was_set_back_is_noticed_on_the_next_connection(world: World) -> None:
    one = signed(world, change(world, EcardStatus.SUSPENDED), 1)
    of_one = beat(world, 1)
    other = signed(world, change(world, EcardStatus.VALID), 1, event_id="after-the-restore")
    mirror, asked, error = played(world, [one, of_one], [other, beat(world, 1)])
    assert (asked[:2], error) == ([0, 0], "feed_rolled_back")
    assert mirror.read(LIST_1, 7).value == EcardStatus.SUSPENDED


def test_an_unknown_event_key_makes_the_follower_ask_for_a_newer_list(world: World) -> None:
    fresh = EphemeralSigner()
    first = world.trust_list()
    second = replace(
        world.trust_list([*world.records(), fresh.record(KeyPurpose.EVENT)]), version=2, previous=first.digest
    )
    documents = [world.trust_document(first), world.trust_document(second)]
    elapsed = count(0, 11)
    trust = TrustSource(world.root, lambda: documents.pop(0), now, monotonic=lambda: float(next(elapsed)))
    mirror, _, error = played(
        world, [signed(world, change(world, EcardStatus.SUSPENDED), 1, signer=fresh)], trust=trust
    )
    assert (mirror.position, error) == (1, None)


def test_over_http_a_change_arrives_and_a_lost_connection_is_taken_up_again(world: World) -> None:
    server, mirror = FeedServer(world.trust_document()), Mirror(issuer=world.issuer)
    with running(server.app) as url:
        trust = TrustSource(world.root, HttpTrustList(url + "/.well-known/ecard-trust-list"), now)
        with following(mirror, HttpFeed(url + "/v1/feed", "secret"), trust) as follower:
            wait_for(lambda: server.connected == 1)
            server.say(beat(world, 0, now()))
            wait_for(lambda: mirror.live)
            assert follower.state.connected
            server.store(1, signed(world, change(world, EcardStatus.SUSPENDED), 1, at=now()))
            wait_for(lambda: mirror.position == 1)
            assert mirror.read(LIST_1, 7).value == EcardStatus.SUSPENDED

            server.hang_up()
            wait_for(lambda: len(server.asked) >= 2 and server.connected == 1)
            server.store(2, signed(world, change(world, EcardStatus.VALID), 2, at=now()))
            server.say(beat(world, 2, now()))
            wait_for(lambda: mirror.position == 2 and mirror.live)
            assert follower.state.last_error is None

            server.write(b"event: set\ndata: " + b"x" * 100_000)
            wait_for(lambda: follower.state.last_error == "feed_unavailable")
            wait_for(lambda: server.connected == 1)
            server.hang_up()
    assert not follower.state.connected


def test_over_http_a_wrong_token_or_a_dead_host_is_a_state_and_not_a_crash(world: World) -> None:
    server, mirror = FeedServer(world.trust_document()), Mirror(issuer=world.issuer)
    with (
        running(server.app) as url,
        following(mirror, HttpFeed(url + "/v1/feed", "wrong"), FixedTrust(world.trust())) as follower,
    ):
        wait_for(lambda: follower.state.last_error == "feed_unavailable")
    with following(mirror, HttpFeed(url + "/v1/feed", "secret"), FixedTrust(world.trust())) as follower:
        wait_for(lambda: follower.state.reconnects >= 2)
        assert follower.state.last_error == "feed_unavailable"
    with pytest.raises(CheckFailed):
        mirror.read(LIST_1, 7)


class StumblingFeed(ScriptedFeed):
    """Fails in a way that nobody foresaw, once."""

    def events(self, since: int, /) -> Iterator[str]:
        if not self.asked:
            self.asked.append(since)
            raise ZeroDivisionError
        return super().events(since)


def test_an_unforeseen_fault_does_not_end_the_following(world: World) -> None:
    mirror, feed = Mirror(issuer=world.issuer), StumblingFeed([beat(world, 0)])
    with following(mirror, feed, FixedTrust(world.trust())):
        assert feed.finished.wait(10)
    assert mirror.as_of is not None


def test_each_change_of_state_is_one_line_of_codes(world: World, caplog: pytest.LogCaptureFixture) -> None:
    away = Unavailable("feed_unavailable", "a secret of the connection")
    with caplog.at_level(logging.INFO, "ecard.feed"):
        played(world, [away], [away], [beat(world, 0), beat(world, 0), away], [beat(world, 0)])
    lines = [record.getMessage() for record in caplog.records if record.name == "ecard.feed"]
    assert lines[:6] == [
        "feed: not connected, last error: feed_unavailable",  # and a second try says nothing new
        "feed: connected, last error: feed_unavailable",
        "feed: connected, last error: none",
        "feed: not connected, last error: feed_unavailable",
        "feed: connected, last error: feed_unavailable",
        "feed: connected, last error: none",
    ]
    assert "secret" not in caplog.text


def test_a_published_trust_list_is_fetched_before_the_next_event(world: World) -> None:
    fresh = EphemeralSigner()
    first = world.trust_list()
    second = world.trust_list([*world.records(), fresh.record(KeyPurpose.EVENT)])
    documents = [world.trust_document(first), world.trust_document(replace(second, version=2, previous=first.digest))]
    trust = TrustSource(world.root, lambda: documents.pop(0), now)
    mirror, _, error = played(
        world,
        [
            signed(world, TrustListPublished(2), 1),
            signed(world, change(world, EcardStatus.SUSPENDED), 2, signer=fresh),
            signed(world, FeedBeat(int(NOW.timestamp())), 2, signer=fresh),
        ],
        trust=trust,
    )
    assert mirror.position == 2
    assert error is None


def online(world: World, mirror: Mirror, trust: TrustProvider) -> VerificationService:
    return VerificationService(trust, mirror, mirror, ReplayGuard(), ONLINE_POLICY, now)


def shown(world: World, device: DeviceKey) -> str:
    compact = world.compact(world.credential(device))
    return device.offline_code(compact, now())


def test_a_stolen_credential_key_is_refused_at_once_and_after_a_restart_without_any_list_saying_so(
    world: World, tmp_path: Path
) -> None:
    device, path = DeviceKey.generate(), tmp_path / "mirror"
    server = FeedServer(world.trust_document())
    mirror, trust = Mirror(path, issuer=world.issuer), FixedTrust(world.trust())
    with running(server.app) as url, following(mirror, HttpFeed(url + "/v1/feed", "secret"), trust):
        wait_for(lambda: server.connected == 1)
        server.say(beat(world, 0, now()))
        wait_for(lambda: mirror.live)
        service = online(world, mirror, trust)
        assert service.verify(shown(world, device)).verdict.reason == "ok"
        began = time.monotonic()
        server.store(1, signed(world, denial(world.credential_key, KeyPurpose.CREDENTIAL), 1, at=now()))
        wait_for(lambda: service.verify(shown(world, device)).verdict.reason == "key_compromised", 1)
        assert time.monotonic() - began < 1
    mirror.close()
    again, unaware = Mirror(path, issuer=world.issuer), FixedTrust(world.trust())
    with following(again, ScriptedFeed(), unaware):
        verdict = online(world, again, unaware).verify(shown(world, device)).verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "key_compromised")


def test_a_cut_off_spares_what_was_signed_before_it(world: World) -> None:
    device, trust = DeviceKey.generate(), FixedTrust(world.trust())
    a_day_ago = int(world.now.timestamp()) - 86400
    mirror = Mirror(issuer=world.issuer)
    spared = denial(world.credential_key, KeyPurpose.CREDENTIAL, a_day_ago + 1)
    feed = ScriptedFeed([signed(world, spared, 1), beat(world, 1, now())])
    with following(mirror, feed, trust):
        assert feed.finished.wait(10)
        assert online(world, mirror, trust).verify(shown(world, device)).verdict.reason == "ok"
    feed = ScriptedFeed(
        [
            signed(world, denial(world.credential_key, KeyPurpose.CREDENTIAL, a_day_ago - 1), 2),
            beat(world, 2, now()),
        ]
    )
    with following(mirror, feed, trust):
        assert feed.finished.wait(10)
        assert online(world, mirror, trust).verify(shown(world, device)).verdict.reason == "key_compromised"


def test_a_stolen_event_key_is_denied_by_its_announced_successor_and_its_own_beats_then_say_nothing() -> None:
    world, fresh = World(now=datetime.now(UTC).replace(microsecond=0)), EphemeralSigner()
    announced = replace(fresh.record(KeyPurpose.EVENT), state=KeyState.NEXT)
    trust = FixedTrust(world.trust([*world.records(), announced]))
    mirror, feed = (
        Mirror(issuer=world.issuer),
        ScriptedFeed(
            [
                signed(world, change(world, EcardStatus.SUSPENDED), 1),
                signed(world, denial(world.event_key, KeyPurpose.EVENT), 2, signer=fresh),
                signed(world, FeedBeat(int(world.now.timestamp())), 2, signer=fresh),
                beat(world, 2, world.now + timedelta(seconds=1)),  # the thief's
            ]
        ),
    )
    with following(mirror, feed, trust) as follower:
        assert feed.finished.wait(10)
        assert follower.state.last_error == "key_compromised"
    assert mirror.read(LIST_1, 7).value == EcardStatus.SUSPENDED
    assert mirror.as_of == int(world.now.timestamp())


def test_a_denied_status_key_signs_no_list_any_more(world: World) -> None:
    trust, mirror = FixedTrust(world.trust()), Mirror(issuer=world.issuer)
    token = world.status_token()
    held = trust.current()
    assert held is not None
    accept_status_token(token, held, now())
    feed = ScriptedFeed([signed(world, denial(world.status_key, KeyPurpose.STATUS), 1)])
    with following(mirror, feed, trust):
        assert feed.finished.wait(10)
    restricted = trust.current()
    assert restricted is not None
    with pytest.raises(CheckFailed, match="key_compromised"):
        accept_status_token(token, restricted, now())
