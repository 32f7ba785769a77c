"""Timing two things side by side: turn by turn in one run, so that both see the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable

ROUNDS = 15


def per_second(*work: Callable[[], object], seconds: float = 0.08) -> list[float]:
    """How often each of `work` runs per second: the best of `ROUNDS` turns of about `seconds` each."""
    counts = [_calibrate(one, seconds) for one in work]
    best = [0.0] * len(work)
    for _ in range(ROUNDS):
        for position, (one, count) in enumerate(zip(work, counts, strict=True)):
            start = time.perf_counter()
            for _ in range(count):
                one()
            best[position] = max(best[position], count / (time.perf_counter() - start))
    return best


def _calibrate(work: Callable[[], object], seconds: float) -> int:
    work()
    start = time.perf_counter()
    work()
    return max(3, int(seconds / max(time.perf_counter() - start, 1e-6)))


def row(name: str, value: float, unit: str, against: str, ratio: float) -> dict[str, object]:
    """A row of `build/bench.json`."""
    return {"name": name, "value": round(value, 2), "unit": unit, "against": against, "ratio": round(ratio, 3)}
