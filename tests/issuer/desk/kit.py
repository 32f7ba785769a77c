"""The agent in this process, over readers that are a table and chips that are simulated."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from ecard_card.errors import ChipFault
from ecard_issuer.chip.in_process import InProcessChip, InProcessReader
from ecard_issuer.desk.acts import Acts, Opened
from ecard_issuer.desk.app import DeskAgent
from ecard_issuer.desk.pairing import PairingDesk, PairingFile
from ecard_issuer.desk.readers import LookFailed, ReaderWatch
from ecard_issuer.desk.server import server
from tests.device_pcsc.agent_kit import ORIGIN, Agent
from tests.verifier.http_kit import serving_thread

PRESENT = 0x20


class Table:
    """Readers and cards as a PC/SC service would tell of them: `put`, `pull`, `plug`, `unplug`, `die`, `revive`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.words: dict[str, int] = {}
        self.chips: dict[str, InProcessChip] = {}
        self.alive = True

    def plug(self, reader: str) -> None:
        with self._changed:
            self.words[reader] = 0
            self._changed.notify_all()

    def unplug(self, reader: str) -> None:
        with self._changed:
            del self.words[reader]
            self._changed.notify_all()

    def put(self, reader: str, chip: InProcessChip) -> None:
        self.chips[reader] = chip
        self._set(reader, PRESENT)

    def pull(self, reader: str) -> None:
        self.chips.pop(reader, None)
        self._set(reader, 0)

    def swap(self, reader: str, chip: InProcessChip) -> None:
        """Out and in between two looks: the count of changes alone tells."""
        self.chips[reader] = chip
        with self._changed:
            self.words[reader] += 2 << 16
            self._changed.notify_all()

    def die(self) -> None:
        with self._changed:
            self.alive = False
            self._changed.notify_all()

    def revive(self) -> None:
        self.alive = True

    def _set(self, reader: str, flags: int) -> None:
        with self._changed:
            count = (self.words[reader] >> 16) + 1
            self.words[reader] = count << 16 | flags
            self._changed.notify_all()

    # what a `Looking` offers

    def connect(self) -> Table:
        if not self.alive:
            raise LookFailed
        return self

    def readers(self) -> list[str]:
        if not self.alive:
            raise LookFailed
        return list(self.words)

    def states(self, known: Mapping[str, int], seconds: float) -> dict[str, int]:
        with self._changed:
            self._changed.wait_for(lambda: not self.alive or dict(known) != self.words, seconds)
            if not self.alive:
                raise LookFailed
            return {name: word for name, word in self.words.items() if name in known}

    def close(self) -> None:
        pass

    def open(self, name: str) -> Opened:
        if name not in self.chips:
            raise ChipFault("chip_removed", "no chip")
        return InProcessReader(self.chips[name])


@contextlib.contextmanager
def agent_over(table: Table, folder: Path, origins: tuple[str, ...] = (ORIGIN,), port: int = 0) -> Iterator[Agent]:
    """A served agent, as `ecard desk` makes it but for the readers."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        agent = Agent(listener.getsockname()[1], folder)
        pairings = PairingFile(folder)
        pairing = PairingDesk(pairings, agent.hear, lambda: 0.0)
        made = DeskAgent(
            pairings,
            pairing,
            watch=lambda listener: ReaderWatch(listener, table.connect),
            acts=lambda shown: Acts(shown, table.open),
        )
        pairing.show()
        with serving_thread(server(made.app(origins, agent.port)), listener):
            yield agent
