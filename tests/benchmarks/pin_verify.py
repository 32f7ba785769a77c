"""Comparing a PIN, alone and on all cores: the whole comparison with its two transactions on a register in a file,
against bare argon2id of the same cost on as many threads."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from argon2 import Type, low_level

from ecard_issuer.levels.business import BusinessType
from ecard_issuer.pins.hashing import MIN_MEMORY_KIB, MIN_ROUNDS
from ecard_issuer.pins.secret import Secret
from tests.benchmarks.measure import row
from tests.issuer.holding import DESK, Held, card_of
from tests.issuer.service import Service, open_service

COUNT = 60
ROUNDS = 5
_PIN = Secret("739184")


def run() -> list[dict[str, object]]:
    """Comparisons per second on as many threads as there are cores, the best of `ROUNDS` turns."""
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        service = open_service(Path(folder))
        try:
            cards = [_with_pin(service) for _ in range(cores)]
            ours = limit = 0.0
            for _ in range(ROUNDS):
                ours = max(ours, _rate(cores, lambda number: _verify(service, cards[number % cores])))
                limit = max(limit, _rate(cores, lambda number: _bare()))
        finally:
            service.issuer.close()
    return [row("pin_verify", ours, "1/s", f"bare argon2id on {cores} threads {limit:.0f}/s", ours / limit)]


def _rate(cores: int, work: Callable[[int], object]) -> float:
    with ThreadPoolExecutor(cores) as pool:
        started = time.perf_counter()
        list(pool.map(work, range(COUNT)))
        return COUNT / (time.perf_counter() - started)


def _with_pin(service: Service) -> Held:
    held = card_of(service)
    service.issuer.holders.pins.change(held.card_ref, Secret("123456"), _PIN, DESK, service.clock())
    return held


def _verify(service: Service, held: Held) -> None:
    service.issuer.holders.pins.verify(held.card_ref, _PIN, BusinessType.PAYMENT, DESK, service.clock())


def _bare() -> None:
    low_level.hash_secret_raw(bytes(32), bytes(16), MIN_ROUNDS, MIN_MEMORY_KIB, 1, 32, Type.ID)
