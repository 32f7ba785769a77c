"""From an acknowledged loss to a refusal at a counter in another process, while that counter has others to serve."""

from __future__ import annotations

import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ecard_card.status import CardChange
from ecard_demo.services import running, until
from ecard_demo.stage import Desk, Phone, PlasticCard
from ecard_issuer.chip.simulator import ChipAuthority, piv_style, synthetic
from ecard_sdk.authority import AuthorityClient
from tests.benchmarks.measure import row

CHANGES = 1000
LOSERS, BYSTANDERS = 20, 10
RATE = 50.0  # verifications of other people's cards per second, meanwhile
LIMIT_MS = 1000.0


def run() -> list[dict[str, object]]:
    """p50, p95 and p99 of `CHANGES` losses, in milliseconds; each is found and valid again before its next one."""
    with tempfile.TemporaryDirectory() as folder:
        waits, rate = _measure(Path(folder))
    print(
        f"revocation: {len(waits)} losses at {rate:.0f} other verifications/s, longest {waits[-1]:.0f} ms",
        file=sys.stderr,
    )
    against = f"the promised second, {len(waits)} losses, {rate:.0f} other verifications/s"
    names = {"revocation": 0.99, "revocation_p95": 0.95, "revocation_p50": 0.5}
    return [
        row(name, value := waits[int(share * len(waits))], "ms", against, value / LIMIT_MS)
        for name, share in names.items()
    ]


def _measure(folder: Path) -> tuple[list[float], float]:
    now = datetime.now(UTC)
    authority = ChipAuthority.create(now)
    with (
        running(folder, authority, now) as services,
        AuthorityClient(services.issuer_url, services.operator_token) as client,
        AuthorityClient(services.issuer_url, services.counter_token, verifier_url=services.verifier_url) as counter,
        AuthorityClient(services.issuer_url, services.counter_token, verifier_url=services.verifier_url) as other,
    ):
        desk = Desk(client, services.issuer_url, client)
        people = [_issued(desk, authority, serial) for serial in range(LOSERS + BYSTANDERS)]
        for _, phone in people:
            _until_valid(counter, phone)
        waits: list[float] = []
        with _queue(other, [phone for _, phone in people[LOSERS:]]) as served:
            started = time.monotonic()
            for turn in range(CHANGES):
                card_ref, phone = people[turn % LOSERS]
                client.change_card(card_ref, CardChange.REPORT_TEMPORARY_LOSS)
                waits.append(_until_refused(counter, phone) * 1000)
                client.change_card(card_ref, CardChange.RELEASE)
                _until_valid(counter, phone)
            rate = len(served) / (time.monotonic() - started)
    return sorted(waits), rate


def _until_refused(counter: AuthorityClient, phone: Phone) -> float:
    """Seconds until the answer that refuses. Each question counts in full: the answer is what a counter has."""
    acknowledged = time.monotonic()
    while (verdict := counter.verify(phone.short_code())).outcome != "invalid":
        if time.monotonic() - acknowledged > 30:
            raise RuntimeError(f"a lost card was still {verdict.outcome} after 30 s")
    return time.monotonic() - acknowledged


def _until_valid(counter: AuthorityClient, phone: Phone) -> None:
    if until(lambda: counter.verify(phone.short_code()).outcome, lambda seen: seen == "valid", 30) != "valid":
        raise RuntimeError("a good card was not accepted within 30 s")


def _issued(desk: Desk, authority: ChipAuthority, serial: int) -> tuple[str, Phone]:
    data = synthetic(serial)
    card, phone = PlasticCard(piv_style(now=datetime.now(UTC), authority=authority, data=data), data), Phone()
    card_ref = desk.register(card, desk.read(card))
    desk.issue(desk.prove(card), phone)
    return card_ref, phone


@contextmanager
def _queue(counter: AuthorityClient, phones: list[Phone]) -> Iterator[list[str]]:
    """Other people's codes at a steady `RATE`, all of them good; the outcomes so far."""
    served: list[str] = []
    stop = threading.Event()

    def serve() -> None:
        due = time.monotonic()
        for phone in itertools.cycle(phones):
            due += 1 / RATE
            if stop.wait(max(0.0, due - time.monotonic())):
                return
            served.append(counter.verify(phone.whole_code()).outcome)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        stop.set()
        thread.join(10)
    if set(served) != {"valid"}:
        raise RuntimeError(f"other people's good cards were refused: {sorted(set(served))}")
