"""Issuer, worker, receivers and a verifier are killed, stopped and cut off at random under a stream of changes.

Afterwards every subscriber has every change: no number missing, no card out of order. And the verifier never called a
lost card's code valid later than its policy allows after the change was acknowledged; cut off, it says `check`.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ecard_card.errors import EcardError, Unavailable
from ecard_card.jose import dump_json
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.assembly import Issuer, build
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.judge import Anchor, Anchors
from ecard_issuer.chip.simulator import ChipAuthority
from ecard_issuer.config import load
from ecard_issuer.partners.office import Wanted
from ecard_issuer.partners.streams import DeliveryState, Method, Stream
from ecard_issuer.partners.webhook_signature import secret_text
from ecard_issuer.web.models import NewCard
from ecard_keys.trust.root import root_to_json
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from ecard_verifier.feed import STREAM
from ecard_verifier.policy import ONLINE_POLICY
from ecard_verifier.service import utc_now
from tests.faults import chaos_children
from tests.faults.chaos_children import Places
from tests.faults.forked import CONTEXT
from tests.faults.tcp_proxy import TcpProxy
from tests.issuer.service import Clock, Service

CHILDREN = ("issuer", "worker", "receiver", "poller", "verifier")
#: How often each fault happens. Most leave the process alive.
PLAN = (
    [("pause", name) for name in CHILDREN for _ in range(23)]
    + [("cut", name) for name in ("feed", "poll", "push") for _ in range(24)]
    + [("kill", name) for name, times in zip(CHILDREN, (3, 5, 7, 5, 2), strict=True) for _ in range(times)]
)
BOUND = ONLINE_POLICY.status_fresh  # seconds
BUSY_CARDS = 5  # lost and found again and again
VICTIMS = 8  # lost once, and for good
_HOLD = 0.2  # seconds that a fault lasts at most, or until there were changes
_CUTS = 2  # long enough for the verifier to notice
_SETTLE = 45.0  # seconds in which all must have arrived in the end


@dataclass
class Holder:
    """A card with an e-card on a phone. Times are those of one clock, in seconds."""

    card_ref: str
    cwt: bytes
    device: DeviceKey
    lost_at: float | None = None  # acknowledged, and not found again
    sequence: int = 0


@dataclass
class Scene:
    """Everything that runs, and what was seen."""

    places: Places
    issuer: Issuer
    streams: dict[str, Stream]
    holders: list[Holder]
    proxies: dict[str, TcpProxy]
    processes: dict[str, Any] = field(default_factory=dict)
    changes: int = 0
    progress: threading.Condition = field(default_factory=threading.Condition)
    over: threading.Event = field(default_factory=threading.Event)
    outcomes: Counter[str] = field(default_factory=Counter)
    late: list[str] = field(default_factory=list)  # acceptances beyond the bound
    judged_late: int = 0  # verdicts on cards lost for longer than the bound
    faults: list[BaseException] = field(default_factory=list)

    def start(self, name: str) -> None:
        process = CONTEXT.Process(target=getattr(chaos_children, name), args=(self.places,), daemon=True)
        process.start()
        self.processes[name] = process

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].join(10)

    def wait_for_changes(self, more: int, seconds: float) -> None:
        with self.progress:
            wanted = self.changes + more
            self.progress.wait_for(lambda: self.changes >= wanted, seconds)

    def change(self, holder: Holder, change: CardChange) -> None:
        """Repeated until it is acknowledged, as a card system would."""
        event_id = secrets.token_hex(8)
        if change is CardChange.RELEASE:
            holder.lost_at = None
        while True:
            try:
                result = self.issuer.lifecycle.change(holder.card_ref, change, utc_now(), event_id=event_id)
                break
            except Unavailable:
                continue  # somebody was stopped while it wrote
        holder.sequence = result.event.sequence
        if change is CardChange.REPORT_LOSS:
            holder.lost_at = time.monotonic()
        with self.progress:
            self.changes += 1
            self.progress.notify_all()


def test_no_gap_and_no_late_acceptance_whatever_is_killed_stopped_or_cut(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(10**9))
    dice = random.Random(seed)  # noqa: S311 - a run that can be repeated
    with ExitStack() as ending:
        scene = _open(tmp_path, ending)
        threads = [threading.Thread(target=_guarded, args=(scene, work)) for work in (_write, _scan)]
        for name in CHILDREN:
            scene.start(name)
        _await(lambda: _verdict(scene, scene.holders[0]) == "valid", 30, "the verifier knows a card")
        for thread in threads:
            thread.start()
        try:
            began = time.monotonic()
            counts = _torment(scene, dice)
        finally:
            scene.over.set()
            for thread in threads:
                thread.join(60)
        lasted = time.monotonic() - began
        assert not scene.faults, scene.faults
        _await(lambda: not _missing(scene), _SETTLE, lambda: f"seed {seed}: {_missing(scene)}")
        for holder in scene.holders:
            _await(partial(_as_registered, scene, holder), 15, f"seed {seed}: the verifier has the last status")
        numbers = {name: len(set(_numbers(scene, name))) for name in scene.streams}
        figures = {
            "seed": seed,
            "faults": sum(counts.values()),
            **{f"{kind}s": count for kind, count in sorted(counts.items())},
            "seconds": round(lasted),
            "changes": scene.changes,
            **{f"events by {name}": count for name, count in numbers.items()},
            "gaps": 0,
            "out of order": sum(map(len, (_disorder(scene, name) for name in scene.streams))),
            "repeated": sum(len(_numbers(scene, name)) - numbers[name] for name in scene.streams),
            "verdicts": sum(scene.outcomes.values()),
            "on cards lost for longer than the bound": scene.judged_late,
            "accepted beyond it": len(scene.late),
            "check while cut off": scene.outcomes["check"],
        }
        record_property("counts", ", ".join(f"{name} {count}" for name, count in figures.items()))
        assert sum(counts.values()) >= 200
        assert scene.late == [], f"seed {seed}"
        assert scene.judged_late > 0
        assert scene.outcomes["check"] > 0
        for name in scene.streams:
            assert _disorder(scene, name) == [], f"seed {seed}: {name}"


def _open(folder: Path, ending: ExitStack) -> Scene:
    issuer_port, receiver_port, verifier_port = _free_ports(3)
    origin = f"http://127.0.0.1:{issuer_port}"
    authority = ChipAuthority.create(utc_now())
    anchors = Anchors((Anchor("test: chip CA", authority.der),), allow_test=True)
    settings = load(
        data_dir=folder / "issuer",
        public_origin=origin,
        regions=("000000",),
        partner_networks=("127.0.0.0/8",),
        approvals_needed=0,
    )
    issuer = build(settings, anchors=anchors)
    ending.callback(issuer.close)
    (folder / "root.json").write_text(json.dumps(root_to_json(issuer.keys.root())))
    proxies = {
        name: ending.enter_context(TcpProxy(port))
        for name, port in (("feed", issuer_port), ("poll", issuer_port), ("push", receiver_port))
    }
    way = f"http://127.0.0.1:{proxies['push'].port}"
    office, now = issuer.partners.office, utc_now()
    streams = {
        "push": office.create("bank", Wanted(Method.PUSH, f"{way}/push"), now),
        "webhook": office.create("bank", Wanted(Method.WEBHOOK, f"{way}/hook"), now),
        "poll": office.create("bank", Wanted(Method.POLL), now),
    }
    service = Service(issuer, Clock(now), authority)
    holders = [_holder(service, serial) for serial in range(1, BUSY_CARDS + VICTIMS + 1)]
    for stream in streams.values():
        for holder in holders:
            office.add_card(stream, holder.card_ref, now)
    places = Places(
        folder=folder,
        origin=origin,
        issuer_port=issuer_port,
        feed_way=proxies["feed"].port,
        poll_way=proxies["poll"].port,
        receiver_port=receiver_port,
        verifier_port=verifier_port,
        feed_token=issuer.operators.add("verifier", Role.VERIFIER, now).token,
        partner_token=issuer.operators.add("bank", Role.PARTNER, now).token,
        poll_stream=streams["poll"].stream_id,
        secret=secret_text(office.secrets_of(streams["webhook"]).keys[0]),
    )
    scene = Scene(places, issuer, streams, holders, proxies)
    ending.callback(_end, scene)
    return scene


def _end(scene: Scene) -> None:
    for process in scene.processes.values():
        process.kill()
    for process in scene.processes.values():
        process.join(10)


def _holder(service: Service, serial: int) -> Holder:
    issuer, now = service.issuer, utc_now()
    card = NewCard.model_validate(service.card_body(serial)).to_card()
    card_ref = issuer.cards.register(card, CardStatus.NORMAL, now)
    opened = issuer.enrolment.begin("desk", now)
    evidence = Evidence.from_json(dump_json(service.evidence(serial, opened.challenge.digest())))
    proven = issuer.enrolment.complete(opened.enrolment_id, evidence, now)
    device = DeviceKey.generate()
    proof = device.proof(issuer.identity.issuer, proven.enrolment_id, now)
    return Holder(card_ref, issuer.issuing.issue(proven.enrolment_id, device.point, proof, now).cwt, device)


def _torment(scene: Scene, dice: random.Random) -> Counter[str]:
    """All of the plan in random order; a victim's card is lost from time to time, twice just after a long cut began."""
    plan = dice.sample(PLAN, len(PLAN))
    victims = iter(scene.holders[BUSY_CARDS:])
    cuts = {len(plan) * (part + 1) // (_CUTS + 2) for part in range(_CUTS)}
    ordinary = VICTIMS - _CUTS
    losses = {len(plan) * (part + 1) // (ordinary + 2) for part in range(ordinary)}
    counts: Counter[str] = Counter()
    with ExitStack() as long_cut:
        for step, (kind, target) in enumerate(plan):
            if step in losses:
                scene.change(next(victims), CardChange.REPORT_LOSS)
            if step in cuts:
                scene.proxies["feed"].cut()
                victim = next(victims)
                scene.change(victim, CardChange.REPORT_LOSS)
                before = scene.outcomes["check"]
                watcher = threading.Thread(target=_mend_when_noticed, args=(scene, before))
                watcher.start()
                long_cut.callback(watcher.join, 40)
                counts["cut"] += 1
            _inflict(scene, kind, target)
            counts[kind] += 1
            scene.wait_for_changes(1, _HOLD)
    return counts


def _mend_when_noticed(scene: Scene, before: int) -> None:
    """A cut as long as it takes until the verifier says `check`."""
    with scene.progress:
        noticed = scene.progress.wait_for(lambda: scene.outcomes["check"] > before, 30)
    scene.proxies["feed"].mend()
    if not noticed:
        scene.faults.append(AssertionError("cut off, and the verifier never said check"))


def _inflict(scene: Scene, kind: str, target: str) -> None:
    if kind == "cut":
        held = scene.proxies[target]._cut
        scene.proxies[target].cut()
        scene.wait_for_changes(2, _HOLD)
        if not held:  # else a long cut goes on
            scene.proxies[target].mend()
    elif kind == "pause":
        process = scene.processes[target]
        os.kill(process.pid, signal.SIGSTOP)
        try:
            scene.wait_for_changes(2, _HOLD)
        finally:
            os.kill(process.pid, signal.SIGCONT)
    else:
        scene.kill(target)
        scene.start(target)


def _guarded(scene: Scene, work: Callable[[Scene], None]) -> None:
    try:
        work(scene)
    except BaseException as error:  # noqa: BLE001 - shown by the test itself
        scene.faults.append(error)


def _write(scene: Scene) -> None:
    """A stream of changes to the busy cards, as fast as the slowest of several writers."""
    pace = threading.Event()
    while not scene.over.is_set():
        for holder in scene.holders[:BUSY_CARDS]:
            change = CardChange.REPORT_LOSS if holder.lost_at is None else CardChange.RELEASE
            scene.change(holder, change)
            pace.wait(0.06)  # so that the machine does something else too
            if scene.over.is_set():
                return


def _scan(scene: Scene) -> None:
    """Codes shown to the verifier without a pause; each verdict is compared with what was acknowledged before it."""
    dice = random.Random(1)  # noqa: S311
    while not scene.over.is_set():
        holder = dice.choice(scene.holders[BUSY_CARDS:] * 3 + scene.holders[:BUSY_CARDS])
        lost, asked = holder.lost_at, time.monotonic()
        outcome = _verdict(scene, holder)
        if outcome is None:
            continue
        with scene.progress:
            scene.outcomes[outcome] += 1
            scene.progress.notify_all()
        if lost is not None and lost == holder.lost_at and asked - lost > BOUND:
            scene.judged_late += 1
            if outcome == "valid":
                scene.late.append(f"{asked - lost:.2f} s")


def _verdict(scene: Scene, holder: Holder) -> str | None:
    """What the verifier says of a fresh code; None while it does not answer."""
    code = holder.device.online_code(holder.cwt, utc_now())
    try:
        response = httpx2.post(
            f"http://127.0.0.1:{scene.places.verifier_port}/v1/verifications",
            json={"code": code, "counter": "counter 1"},
            headers={"Authorization": "Bearer x"},
            timeout=3,
            trust_env=False,
        )
        return str(response.json()["outcome"]) if response.status_code == 200 else None
    except (httpx2.HTTPError, ValueError):
        return None


def _missing(scene: Scene) -> dict[str, object]:
    """What a subscriber lacks of what the register says was to be told."""
    found: dict[str, object] = {}
    with suppress(EcardError):
        head = scene.issuer.register.feed_head(STREAM)
        pending = scene.issuer.register.oldest_pending()
        if pending is not None:
            found["dispatcher"] = str(pending)
        for name, stream in scene.streams.items():
            now = scene.issuer.partners.office.any(stream.stream_id)
            expected = scene.changes * len(now.events)
            lacking = set(range(1, expected + 1)) - set(_numbers(scene, name))
            if lacking or now.numbered != expected or now.cursor != head:
                dead = len(scene.issuer.partners.office.log(now, 100, DeliveryState.DEAD))
                found[name] = {
                    "lacks": sorted(lacking)[:5],
                    "of": expected,
                    "numbered": now.numbered,
                    "dead": dead,
                    "status": now.status.value,
                }
        return found
    return {"register": "away"}


def _lines(scene: Scene, name: str) -> list[dict[str, Any]]:
    path = scene.places.folder / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _numbers(scene: Scene, name: str) -> list[int]:
    return [int(line["number"]) for line in _lines(scene, name)]


def _disorder(scene: Scene, name: str) -> list[str]:
    """Cards whose changes were first heard in another order than they happened, or of which one is missing."""
    first: dict[str, list[int]] = defaultdict(list)
    for line in _lines(scene, name):
        if "sequence" in line and line["sequence"] not in first[line["card"]]:
            first[line["card"]].append(line["sequence"])
    return [card for card, heard in first.items() if heard != list(range(1, len(heard) + 1))]


def _as_registered(scene: Scene, holder: Holder) -> bool:
    """Whether the verifier says what the register does."""
    normal = scene.issuer.register.get_card(holder.card_ref).status is CardStatus.NORMAL
    return _verdict(scene, holder) == ("valid" if normal else "invalid")


def _await(good: Callable[[], bool], seconds: float, what: str | Callable[[], str]) -> None:
    end, pause = time.monotonic() + seconds, threading.Event()
    while not good():
        if time.monotonic() > end:
            pytest.fail(what if isinstance(what, str) else what())
        pause.wait(0.05)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]
    finally:
        for item in sockets:
            item.close()
