"""A re-issue job that kills itself at a given point. Arguments: folder, key, the point, at which batch it dies, the
register's URL; at the point `timer` it dies that many milliseconds after it began."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ecard_issuer.assembly import build
from ecard_issuer.config import load
from tests.issuer.service import ORIGIN, START

BATCH = 5


def main() -> None:
    folder, key_id, point, fatal, database_url = sys.argv[1:6]
    seen = 0

    def reached(step: str) -> None:
        nonlocal seen
        if step == point:
            seen += 1
            if seen > int(fatal):
                os.kill(os.getpid(), signal.SIGKILL)

    settings = load(data_dir=Path(folder), public_origin=ORIGIN, database_url=database_url)
    issuer = build(settings, create=False, clock=lambda: START, reached=reached)
    if point == "timer":
        signal.setitimer(signal.ITIMER_REAL, int(fatal) / 1000)  # unhandled, so the kernel ends the process
    done = issuer.reissue.run(key_id, lambda: START, batch=BATCH, pause=lambda seconds: None).done
    sys.stdout.write(str(done))


if __name__ == "__main__":
    main()
