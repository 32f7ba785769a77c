"""Re-issuing end to end on one core: the whole job over a register in a file, with plans, checks, signing journal and
outbox, against the two bare signatures that each credential needs at least."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.benchmarks.measure import row
from tests.issuer.reissuing import issue, promote
from tests.issuer.service import Service, open_service

CARDS = 300
ROUNDS = 5
_ECDSA = ec.ECDSA(hashes.SHA256())


def run() -> list[dict[str, object]]:
    """Credentials per second, the best of `ROUNDS` jobs."""
    with tempfile.TemporaryDirectory() as folder:
        service = open_service(Path(folder))
        try:
            ours, limit = _best(service)
        finally:
            service.issuer.close()
    return [row("reissue", ours, "1/s", f"two raw P-256 signatures {limit:.0f}/s", ours / limit)]


def _best(service: Service) -> tuple[float, float]:
    """The best rate of the job, and of pairs of bare signatures made between the jobs."""
    issue(service, CARDS)
    private = ec.generate_private_key(ec.SECP256R1())
    ours = limit = 0.0
    for _ in range(ROUNDS):
        old = promote(service)
        service.clock.advance(1)
        ours = max(ours, service.issuer.reissue.run(old, service.clock).rate)
        started = time.perf_counter()
        for _ in range(CARDS):
            private.sign(b"x" * 200, _ECDSA)
            private.sign(b"x" * 600, _ECDSA)
        limit = max(limit, CARDS / (time.perf_counter() - started))
    return ours, limit
