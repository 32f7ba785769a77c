"""An issuer and two verifiers as processes, on the real clock: keys turn and one is stolen while both counters scan."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import httpx2
import pytest

from ecard_demo.services import Services, running, until
from ecard_demo.stage import Desk, Phone, PlasticCard, signing_key
from ecard_issuer.chip.simulator import ChipAuthority, piv_style, synthetic
from ecard_sdk.authority import AuthorityClient
from ecard_sdk.errors import ECardError
from ecard_sdk.models import Key, ProvenChip
from ecard_verifier.feed import FeedBeat, parse_event
from ecard_verifier.http_feed import HttpFeed

PEOPLE = 8
THREADS = 2  # for each counter
LEAST = 50.0  # verifications per second
BOUND = 1.0  # seconds until every verifier refuses what a stolen key signed
Record = Callable[[str, object], None]


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Scan:
    """One verification: when it was asked and answered, where, and whose signature it was."""

    asked: float
    answered: float
    counter: int
    kid: str
    outcome: str
    reason: str


@dataclass
class Queue:
    """People in line at both counters; `whole` ones show codes that need no feed."""

    phones: list[tuple[Phone, bool]] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def scan(self, number: int, client: AuthorityClient) -> None:
        for turn in itertools.count(number):
            if self._stop.is_set():
                return
            phone, whole = self.phones[turn % len(self.phones)]
            credential = phone.credential
            code = phone.whole_code(credential) if whole or turn % 2 else phone.short_code(credential)
            asked = monotonic()
            try:
                verdict = client.verify(code, counter=f"counter {number}")
                outcome, reason = verdict.outcome, verdict.reason
            except ECardError as error:
                outcome, reason = "error", error.code
            self.scans.append(Scan(asked, monotonic(), number, signing_key(credential), outcome, reason))

    @contextmanager
    def moving(self, counters: list[AuthorityClient]) -> Iterator[None]:
        threads = [
            threading.Thread(target=self.scan, args=(number, client), daemon=True)
            for number, client in enumerate(counters)
            for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(20)


@dataclass
class Town:
    services: Services
    desk: Desk
    counters: list[AuthorityClient]
    authority: ChipAuthority
    folder: Path
    people: list[tuple[PlasticCard, Phone, str]] = field(default_factory=list)

    @property
    def client(self) -> AuthorityClient:
        return self.desk.client

    def settle(self, serial: int) -> Phone:
        """A person with a card that was proven, and an e-card known at both counters."""
        data = synthetic(serial)
        card, phone = PlasticCard(piv_style(now=now(), authority=self.authority, data=data), data), Phone()
        self.desk.register(card, self.desk.read(card))
        issued = self.desk.issue(self.desk.prove(card), phone)
        self.people.append((card, phone, issued.ecard_id))
        self.known(phone)
        return phone

    def renewed(self, place: int) -> Phone:
        """The same e-card on a further phone, signed by whatever key signs now."""
        card, _, ecard_id = self.people[place]
        phone, proven = Phone(), self.desk.prove(card)
        assert isinstance(proven, ProvenChip)
        self.desk.issue(proven, phone, ecard_id)
        return phone

    def known(self, phone: Phone) -> None:
        """Wait until both counters resolve its short codes: the feed needs a moment."""
        for counter in self.counters:
            seen = until(lambda at=counter: at.verify(phone.short_code()), lambda verdict: verdict.outcome == "valid")  # type: ignore[misc]
            assert seen.outcome == "valid", seen.reason

    def active(self, purpose: str) -> Key:
        known = self.client.keys()
        return next(key for key in known if (key.purpose, key.state) == (purpose, "active"))

    def event_signer(self) -> str:
        """The key of the beat of this moment, as a new follower hears it."""
        feed = HttpFeed(f"{self.services.issuer_url}/v1/feed", (self.folder / "feed-token").read_text())
        moment = int(now().timestamp())
        heard = map(parse_event, feed.events(0))
        return next(
            str(event.jws.header["kid"])
            for event in heard
            if isinstance(event.body, FeedBeat) and event.body.at >= moment
        )


@contextmanager
def second_verifier(folder: Path, services: Services) -> Iterator[str]:
    """Another `ecard serve verifier` with a directory of its own; yields its URL when it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "ECARD_VERIFIER_DATA": str(folder / "verifier-2"),
        "ECARD_VERIFIER_PORT": str(port),
        "ECARD_VERIFIER_ISSUER_URL": services.issuer_url,
        "ECARD_VERIFIER_FEED_TOKEN_FILE": str(folder / "feed-token"),
        "ECARD_VERIFIER_TRUST_ROOT": str(folder / "root.json"),
        "ECARD_VERIFIER_TOKENS": str(folder / "callers.json"),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ECARD_")}
    with (folder / "verifier-2.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ecard_sdk.cli", "serve", "verifier"],
            env={**inherited, **settings},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        assert until(lambda: process.poll() is None and _answers(url), bool, 30), (
            folder / "verifier-2.log"
        ).read_text()
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health/ready", timeout=2, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    authority = ChipAuthority.create(now())
    with ExitStack() as stack:
        services = stack.enter_context(running(tmp_path, authority, now()))
        other = stack.enter_context(second_verifier(tmp_path, services))
        client = stack.enter_context(AuthorityClient(services.issuer_url, services.operator_token))
        keeper = stack.enter_context(AuthorityClient(services.issuer_url, services.second_operator_token))
        counters = [
            stack.enter_context(AuthorityClient(services.issuer_url, services.counter_token, verifier_url=url))
            for url in (services.verifier_url, other)
        ]
        yield Town(services, Desk(client, services.issuer_url, keeper), counters, authority, tmp_path)


def test_keys_turn_and_one_is_stolen_while_two_counters_scan(town: Town, record_property: Record) -> None:
    queue = Queue([(town.settle(serial), False) for serial in range(1, PEOPLE + 1)])
    first = town.active("credential").kid
    began = monotonic()
    with queue.moving(town.counters):
        made = [town.client.create_key(purpose) for purpose in ("credential", "status", "event")]
        for key in made:
            ready = key.next_change_from
            assert ready is not None
            assert until(lambda at=ready: now() >= at, bool, 10)  # type: ignore[misc]
            town.desk.agreed(lambda kid=key.kid: town.client.promote_key(kid))  # type: ignore[misc]
        second = town.active("credential").kid
        assert second == made[0].kid
        for place in range(PEOPLE):
            phone = town.renewed(place)
            queue.phones.append((phone, True))  # good from this moment on wherever the code is whole
            town.known(phone)
            queue.phones.append((phone, False))
        assert until(town.event_signer, lambda kid: kid == made[2].kid, 20) == made[2].kid
        turned = monotonic()
        rotation = list(queue.scans)

        town.desk.agreed(lambda: town.client.compromise_key(second, None))
        told = monotonic()
        refused = until(lambda: _refusing(queue.scans, second), lambda seen: len(seen) == len(town.counters), 10)
        third = [town.renewed(place) for place in range(PEOPLE)]
        for phone in third:
            queue.phones.append((phone, True))
            town.known(phone)
        seen = len(queue.scans)
        assert until(lambda: len(queue.scans), lambda count: count > seen + 200, 20) > seen
    ended = monotonic()

    rate, sustained = len(rotation) / (turned - began), len(queue.scans) / (ended - began)
    waits = {counter: max(0.0, at - told) for counter, at in sorted(refused.items())}
    taken = [scan for scan in queue.scans if scan.kid == second and scan.outcome == "valid"]
    late = [scan for scan in taken if scan.asked > told + BOUND]
    again = [scan for scan in taken if scan.asked > refused.get(scan.counter, told + BOUND)]
    voided = sum(scan.reason == "key_compromised" for scan in queue.scans)
    record_property(
        "counts",
        f"rotation: {len(rotation)} verifications over HTTP at 2 verifiers, {rate:.0f}/s, keys"
        f" {Counter(scan.kid for scan in rotation)}, refused {sum(scan.outcome != 'valid' for scan in rotation)};"
        f" theft: first refusal {', '.join(f'{wait * 1000:.0f} ms' for wait in waits.values())} after the answer,"
        f" {voided} refused, {len(again)} accepted afterwards; {sustained:.0f}/s in all",
    )
    wrong = [scan for scan in rotation if scan.outcome != "valid"]
    assert not wrong, wrong[:5]
    assert {first, second} <= {scan.kid for scan in rotation}
    assert len(waits) == len(town.counters)
    assert max(waits.values()) < BOUND
    assert not late, late[:5]
    assert not again, again[:5]
    others = [scan for scan in queue.scans if scan.kid != second and scan.outcome != "valid"]
    assert not others, others[:5]
    assert min(rate, sustained) >= LEAST


def _refusing(scans: list[Scan], kid: str) -> dict[int, float]:
    """When each counter first refused what that key signed."""
    first: dict[int, float] = {}
    for scan in list(scans):
        if scan.kid == kid and scan.reason == "key_compromised":
            first.setdefault(scan.counter, scan.answered)
    return first
