"""A process that issues credentials and kills itself at a given point; started again on the same folder, it goes on.

`issue` takes the folder, the first serial number, how many cards, the point to die at, at which card, and the
register's URL. At the point `timer` it dies at any moment: that many milliseconds after it began to issue.
The journal (JSON lines, synced) says what was attempted and what was acknowledged.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from ecard_card.errors import Conflict
from ecard_keys.signer import Signer
from ecard_sdk.device import DeviceKey
from tests.issuer.office import NOW, Office


def issue(folder: Path, first: int, count: int, point: str, fatal: int, database_url: str) -> None:
    issued = 0

    def reached(step: str) -> None:
        if step == point and issued == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    class Journalled:
        """Signs, and leaves word of every signature before anybody can use it."""

        def __init__(self, inner: Signer) -> None:
            self._inner = inner

        def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
            signatures = self._inner.sign(key_id, messages)
            for message in messages:
                note(folder / "signed.jsonl", {"sha256": hashlib.sha256(message).hexdigest()})
            reached("signing")
            return signatures

    office = Office.open(folder, signer=Journalled, reached=reached, database_url=database_url)
    if point == "timer":
        signal.setitimer(signal.ITIMER_REAL, fatal / 1000)  # unhandled, so the kernel ends the process
    settled = office.issuing.settle(NOW, everything=True)
    note(folder / "settled.jsonl", {"settled": settled})
    for enrolment_id in unfinished(folder):
        try:
            finish(office, folder, enrolment_id)
        except Conflict as conflict:  # the chip got its e-card by another enrolment meanwhile
            note(folder / "journal.jsonl", {"refused": enrolment_id, "code": conflict.code})
    for serial in range(first, first + count):
        chip = office.signature_chip(serial)
        office.add_card(serial, chip)
        proven = office.prove(chip)
        note(folder / "journal.jsonl", {"proven": proven.enrolment_id, "card_ref": proven.card_ref})
        finish(office, folder, proven.enrolment_id)
        issued += 1


def finish(office: Office, folder: Path, enrolment_id: str) -> None:
    device = device_of(enrolment_id)
    proof = device.proof("https://issuer.example", enrolment_id, NOW)
    credential = office.issuing.issue(enrolment_id, device.point, proof, NOW)
    note(
        folder / "journal.jsonl",
        {"acked": enrolment_id, "credential_id": credential.credential_id.hex(), "ecard_id": credential.ecard_id},
    )


def device_of(enrolment_id: str) -> DeviceKey:
    """The phone keeps its key when the server dies: here it follows from the enrolment's name."""
    number = int.from_bytes(hashlib.sha256(enrolment_id.encode()).digest()[:31], "big")
    return DeviceKey(ec.derive_private_key(number, ec.SECP256R1()))


def unfinished(folder: Path) -> list[str]:
    lines = read(folder / "journal.jsonl")
    done = {line.get("acked") or line.get("refused") for line in lines}
    return [line["proven"] for line in lines if "proven" in line and line["proven"] not in done]


def note(path: Path, record: dict[str, object]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
