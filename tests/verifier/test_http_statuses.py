"""Fetched status lists: only from whom the trust list names, only what is signed, and never `valid` from nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import httpx2
import pytest

from ecard_card.errors import EcardError
from ecard_card.status import EcardStatus
from ecard_card.status_list import StatusList
from ecard_card.status_token import jwt_draft
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.trust.trust import DeniedKey, Trust
from ecard_sdk.device import DeviceKey
from ecard_verifier.check import check
from ecard_verifier.config import FetchStatuses
from ecard_verifier.denials import thumbprints
from ecard_verifier.http_statuses import COOL_DOWN, LONGEST_TTL, MAX_OF_ISSUER, MEDIA_TYPE, HttpStatuses
from ecard_verifier.policy import ONLINE_POLICY
from ecard_verifier.trust_source import FixedTrust
from ecard_verifier.verdict import Outcome
from tests.verifier.feed_kit import wait_for
from tests.world import NOW, World, seconds

WORLD = World()
URI = "https://issuer.example/status-lists/1"


class Host:
    """Answers every request with `answer`, and counts."""

    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response] | str) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.now = NOW
        self.seconds = 0.0
        self.trust = FixedTrust(WORLD.trust())

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(str(request.url))
        if isinstance(self.answer, str):
            return httpx2.Response(
                200, headers={"Content-Type": MEDIA_TYPE}, stream=httpx2.ByteStream(self.answer.encode())
            )
        return self.answer(request)

    def clock(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def lists(self, allowed: FetchStatuses = FetchStatuses.HTTPS, max_lists: int = 4) -> HttpStatuses:
        return HttpStatuses(
            self.trust,
            self.clock,
            allowed=allowed,
            max_lists=max_lists,
            monotonic=self.monotonic,
            transport=httpx2.MockTransport(self),
        )


def refusal(lists: HttpStatuses, uri: str = URI, index: int = 7) -> str:
    with pytest.raises(EcardError) as caught:
        lists.read(uri, index)
    return str(caught.value)


def test_a_list_is_fetched_once_for_its_ttl_and_dated_by_its_own_iat() -> None:
    host = Host(WORLD.status_token({7: EcardStatus.SUSPENDED}, issued_at=NOW - timedelta(seconds=90)))
    lists = host.lists()
    for second in (0, 30, 59):
        host.seconds = second
        reading = lists.read(URI, 7)
        assert (reading.value, reading.as_of) == (EcardStatus.SUSPENDED, seconds(NOW) - 90)
        assert lists.read(URI, 8).value == EcardStatus.VALID
    assert host.asked == [URI]
    host.seconds = 60
    lists.read(URI, 7)
    assert len(host.asked) == 2


@pytest.mark.parametrize(("age", "reason"), [(3, "ok"), (600, "status_aging"), (1200, "status_stale")])
def test_the_policy_says_what_an_old_list_is_worth(age: int, reason: str) -> None:
    host = Host(WORLD.status_token(issued_at=NOW - timedelta(seconds=age)))
    device = DeviceKey.generate()
    code = device.offline_code(WORLD.compact(WORLD.credential(device)), NOW)
    assert check(code, WORLD.trust(), host.lists(), NOW, ONLINE_POLICY).reason == reason


def odd(status: int = 200, media: str = MEDIA_TYPE, body: str = "", **headers: str) -> Callable[..., httpx2.Response]:
    content = {"Content-Type": media, **headers}
    return lambda request: httpx2.Response(status, headers=content, stream=httpx2.ByteStream(body.encode()))


class Endless(httpx2.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield bytes(1 << 16)


def away(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectTimeout("no route")


FOREIGN = World()
ODD = {
    "away": away,
    "404": odd(404),
    "502": odd(502),
    "redirect": odd(302, Location="https://issuer.example/status-lists/2"),
    "not a token": odd(media="text/html", body="<html>"),
    "garbage": odd(body="a.b.c"),
    "not ASCII": odd(body="é"),
    "endless": lambda request: httpx2.Response(200, headers={"Content-Type": MEDIA_TYPE}, stream=Endless()),
    "signed by a stranger": FOREIGN.status_token(),
    "signed by a stranger under our kid": WORLD.status_token(signer=EphemeralSigner(WORLD.status_key.key_id)),
    "signed by the wrong key of ours": WORLD.status_token(signer=WORLD.credential_key),
    "another list of ours": WORLD.status_token(list_id=2),
    "somebody else's list": WORLD.status_token(uri="https://other.example/status-lists/1"),
    "expired": WORLD.status_token(issued_at=NOW - timedelta(days=3)),
    "from the future": WORLD.status_token(issued_at=NOW + timedelta(hours=1)),
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD.keys())
def test_whatever_is_wrong_with_a_list_leaves_the_card_undecided(answer: object) -> None:
    host = Host(answer)  # type: ignore[arg-type]
    lists, device = host.lists(), DeviceKey.generate()
    code = device.offline_code(WORLD.compact(WORLD.credential(device)), NOW)
    verdict = check(code, WORLD.trust(), lists, NOW, ONLINE_POLICY)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "status_unknown")
    refusal(lists)
    assert len(host.asked) == 1, "and a failure counts as an attempt"
    host.seconds, host.answer = COOL_DOWN, WORLD.status_token()
    assert lists.read(URI, 7).value == EcardStatus.VALID


def test_a_host_that_fails_later_leaves_the_last_list_as_old_as_it_is() -> None:
    host = Host(WORLD.status_token())
    lists = host.lists()
    lists.read(URI, 7)
    host.answer, host.seconds = away, 3600
    assert lists.read(URI, 7).as_of == seconds(NOW)
    late, device = NOW + timedelta(days=2), DeviceKey.generate()
    code = device.offline_code(WORLD.compact(WORLD.credential(device)), late)
    assert check(code, WORLD.trust(), lists, late, ONLINE_POLICY).reason == "status_expired"


def test_an_older_list_never_takes_the_place_of_a_newer_one() -> None:
    host = Host(WORLD.status_token({7: EcardStatus.INVALID}))
    lists = host.lists()
    lists.read(URI, 7)
    host.answer, host.seconds = WORLD.status_token(issued_at=NOW - timedelta(hours=1)), 1000
    assert lists.read(URI, 7).value == EcardStatus.INVALID
    host.answer, host.seconds = WORLD.status_token(), 2000
    assert lists.read(URI, 7).value == EcardStatus.INVALID, "of two lists of one second the worse counts"


def test_a_list_whose_key_was_stolen_since_is_dropped() -> None:
    host = Host(WORLD.status_token())
    lists = host.lists()
    lists.read(URI, 7)
    (entry,) = WORLD.trust().issuers
    stolen = next(thumb for thumb, record in thumbprints(entry).items() if record.purpose is KeyPurpose.STATUS)
    host.trust.deny(WORLD.issuer, [DeniedKey(stolen, None)])
    assert "key_compromised" in refusal(lists)


@pytest.mark.parametrize(
    "uri",
    [
        "https://issuer.example/admin",
        "https://issuer.example/status-lists/1?x=/status-lists/1",
        "https://other.example/status-lists/1",
        "https://issuer.example@other.example/status-lists/1",
        "http://169.254.169.254/status-lists/1",
        "file:///etc/passwd",
        "",
    ],
)
def test_nothing_is_fetched_that_the_trust_list_does_not_name(uri: str) -> None:
    host = Host(WORLD.status_token())
    assert "status_unknown" in refusal(host.lists(FetchStatuses.LOOPBACK), uri)
    assert host.asked == []


@pytest.mark.parametrize(
    ("template", "allowed", "fetched"),
    [
        ("https://a.example/{list}", FetchStatuses.HTTPS, True),
        ("https://a.example/{list}", FetchStatuses.NO, False),
        ("https://user:secret@a.example/{list}", FetchStatuses.HTTPS, False),
        ("http://a.example/{list}", FetchStatuses.HTTPS, False),
        ("http://a.example/{list}", FetchStatuses.LOOPBACK, False),
        ("http://127.0.0.1:9/{list}", FetchStatuses.HTTPS, False),
        ("http://127.0.0.1:9/{list}", FetchStatuses.LOOPBACK, True),
        ("http://[::1]:9/{list}", FetchStatuses.LOOPBACK, True),
        ("http://127.0.0.1.a.example/{list}", FetchStatuses.LOOPBACK, False),
    ],
)
def test_of_listed_hosts_only_https_is_asked_unless_this_machine_is_allowed(
    template: str, allowed: FetchStatuses, fetched: bool
) -> None:
    world = replace(WORLD, status_uri=template)
    host = Host(world.status_token())
    host.trust = FixedTrust(world.trust())
    lists = host.lists(allowed)
    if fetched:
        assert lists.read(template.replace("{list}", "1"), 7).value == EcardStatus.VALID
    else:
        refusal(lists, template.replace("{list}", "1"))
    assert bool(host.asked) is fetched


def test_no_more_lists_are_kept_than_allowed() -> None:
    host = Host("")
    host.answer = lambda request: httpx2.Response(
        200,
        headers={"Content-Type": MEDIA_TYPE},
        stream=httpx2.ByteStream(WORLD.status_token(list_id=int(request.url.path.rpartition("/")[2])).encode()),
    )
    lists = host.lists(max_lists=2)
    for number in (1, 2, 1, 3, 1, 2):
        lists.read(URI[:-1] + str(number), 7)
    assert [url[-1] for url in host.asked] == ["1", "2", "3", "2"], "the one unused for longest went"


def test_fifty_threads_fetch_one_list_once_and_all_have_it() -> None:
    arrived, release = threading.Event(), threading.Event()
    token = WORLD.status_token()

    def slow(request: httpx2.Request) -> httpx2.Response:
        arrived.set()
        release.wait(10)
        return odd(body=token)(request)

    host = Host(slow)
    lists = host.lists()
    with ThreadPoolExecutor(50) as pool:
        readings = [pool.submit(lists.read, URI, 7) for _ in range(50)]
        assert arrived.wait(10)
        release.set()
        assert {reading.result(10).value for reading in readings} == {0}
    assert len(host.asked) == 1


def test_hanging_hosts_take_a_bounded_number_of_threads() -> None:
    release = threading.Event()

    def hanging(request: httpx2.Request) -> httpx2.Response:
        release.wait(10)
        return odd(502)(request)

    host = Host(hanging)
    lists = host.lists(max_lists=64)
    with ThreadPoolExecutor(MAX_OF_ISSUER) as pool:
        stuck = [pool.submit(refusal, lists, URI[:-1] + str(number)) for number in range(10, 10 + MAX_OF_ISSUER)]
        wait_for(lambda: len(host.asked) == MAX_OF_ISSUER)
        assert "status_unavailable" in refusal(lists)
        release.set()
        assert all("status_unknown" in answer.result(10) for answer in stuck)
    assert len(host.asked) == MAX_OF_ISSUER


def test_a_list_that_wants_to_be_kept_for_ever_is_not() -> None:
    statuses = StatusList(1024)
    end = seconds(NOW) + 86400
    draft = jwt_draft(URI, statuses, WORLD.status_key.key_id, seconds(NOW), end, 10**9)
    host = Host(str(draft.complete(WORLD.status_key.sign(WORLD.status_key.key_id, [draft.signing_input])[0])))
    lists = host.lists()
    lists.read(URI, 7)
    host.seconds = LONGEST_TTL
    lists.read(URI, 7)
    assert len(host.asked) == 2


def test_without_trust_nothing_is_fetched_and_an_index_past_the_end_is_refused() -> None:
    host = Host(WORLD.status_token())
    assert "status_index_out_of_range" in refusal(host.lists(), index=1 << 22)
    host.trust = FixedTrust(None)
    assert "status_unknown" in refusal(host.lists())
    retired = replace(WORLD.status_key.record(KeyPurpose.STATUS), state=KeyState.RETIRED)
    host.trust = FixedTrust(Trust.of(WORLD.trust_list([retired])))
    assert "key_retired" in refusal(host.lists())
