"""Files into the register on one core: cards sealed person by person, and changes, over a register in a file. Against
what each card needs at least: five keyed hashes, and a person's three sealings with their key derivation."""

from __future__ import annotations

import resource
import secrets
import tempfile
import time
from pathlib import Path

from ecard_issuer.intake.files.importing import import_file
from ecard_issuer.intake.files.layout import FileKind
from ecard_keys import protect
from tests.benchmarks.measure import per_second, row
from tests.issuer.intake.files import CHANGES, HEADER, card_rows, change_row, write
from tests.issuer.service import Service, open_service

ROWS = 50_000


def run() -> list[dict[str, object]]:
    """Rows per second of each kind, and the peak memory of the process in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        service = open_service(Path(folder) / "data")
        try:
            cards = write(Path(folder) / "cards.csv", HEADER, card_rows(ROWS))
            changes = write(Path(folder) / "changes.csv", CHANGES, (change_row(n, "lock", 1) for n in range(ROWS)))
            took_cards = _take(service, cards, FileKind.CARDS)
            took_changes = _take(service, changes, FileKind.CHANGES)
            (least,) = per_second(lambda: _least(service))
        finally:
            service.issuer.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    against = f"hashes and seals alone {least:.0f}/s"
    return [
        row("import_cards", ROWS / took_cards, "1/s", against, ROWS / took_cards / least),
        row("import_changes", ROWS / took_changes, "1/s", "import_cards", took_cards / took_changes),
        row("import_memory", peak, "MiB", "peak of the process", 1.0),
    ]


def _take(service: Service, path: Path, kind: FileKind) -> float:
    """Seconds for a file."""
    office = service.issuer.intake
    profile = "test:piv-p256" if kind is FileKind.CARDS else None
    started = time.perf_counter()
    rows = office.rows(kind, profile=profile)
    report = import_file(path, kind, "file", rows, office.store, service.clock)
    assert report.refused == 0
    assert report.rows == ROWS
    return time.perf_counter() - started


def _least(service: Service) -> None:
    mac = service.issuer.people.references.pairwise
    for _ in range(5):
        mac("bench", "0" * 32)
    key = secrets.token_bytes(32)
    service.issuer.intake.sources._protector.wrap(key, context=b"0" * 32)
    for _ in range(2):
        protect.seal(key, b"x" * 64, context=b"0" * 40)
