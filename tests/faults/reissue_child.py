"""A re-issue job that kills itself at a given point. `reissue` takes the folder, the key, the point, at which batch it
dies, the register's URL; at the point `timer` it dies that many milliseconds after it began."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from ecard_issuer.assembly import build
from ecard_issuer.config import load
from tests.issuer.service import ORIGIN, START

BATCH = 5


def reissue(folder: Path, key_id: str, point: str, fatal: int, database_url: str) -> None:
    seen = 0

    def reached(step: str) -> None:
        nonlocal seen
        if step == point:
            seen += 1
            if seen > fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    settings = load(data_dir=folder, public_origin=ORIGIN, database_url=database_url)
    issuer = build(settings, create=False, clock=lambda: START, reached=reached)
    if point == "timer":
        signal.setitimer(signal.ITIMER_REAL, fatal / 1000)  # unhandled, so the kernel ends the process
    issuer.reissue.run(key_id, lambda: START, batch=BATCH, pause=lambda seconds: None)
