"""What the agent does with a card: read it, let it answer a server's challenge, change its own PIN.

One act at a time on each reader. Everything here blocks and belongs to a worker thread; each command and each act has
a bound of time. A card that went mute holds its reader's driver until it is pulled; it is not asked again before.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ecard_card.errors import ChipFault, Conflict, InvalidInput
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.pcsc import PcscReader
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.reader import ChipReader
from ecard_issuer.chip.reading import Reading
from ecard_issuer.desk.chip_pin import PinChange, PinOutcome, change_command, change_pin
from ecard_issuer.desk.guarded import ACT, Allowed, GuardedReader, exactly, proving, reading
from ecard_issuer.desk.readers import Card, Change, News, Service, Shown

#: Seconds for one command; the slowest honest one, an on-chip signature, takes about one.
COMMAND: Final = 3.0


class Opened(ChipReader, Protocol):
    """A reader to be closed."""

    def close(self) -> None: ...


def open_pcsc(name: str) -> Opened:
    """Raises `ChipFault` as `PcscReader`."""
    return PcscReader(name, COMMAND)


@dataclass(frozen=True, slots=True)
class Read:
    """What was read in which reader."""

    reader: str
    reading: Reading


class Acts:
    """The acts on this machine's readers. `shown` says which there are now.

    Every act may raise `ChipFault`: `reader_missing`, `reader_unavailable`, `reader_busy` (an act of another page),
    `chip_removed`, `chip_mute`, and those of the act.
    """

    def __init__(self, shown: Callable[[], Shown], open_reader: Callable[[str], Opened] = open_pcsc) -> None:
        self._shown, self._open = shown, open_reader
        self._guard = threading.Lock()
        self._busy: dict[str, threading.Lock] = {}
        self._mute: set[str] = set()
        self._pin_wrong: set[str] = set()

    def heard(self, news: News) -> None:
        """A card that was pulled is no longer mute, and its wrong PIN is history."""
        if news.change in (Change.REMOVED, Change.READER_GONE):
            self._mute.discard(news.reader)
            self._pin_wrong.discard(news.reader)

    def read(self, name: str | None) -> Read:
        """What the chip gives away freely. Raises also what `read_chip` raises."""
        with self._powered(name, reading) as (reader, chip):
            return Read(reader, read_chip(chip))

    def prove(self, name: str | None, digest: bytes) -> tuple[Read, Evidence]:
        """The chip's answer to a server's challenge, as the evidence that the server judges; without the holder's
        data, which no judgement needs. Raises also what `read_chip` and `prove_chip` raise."""
        with self._powered(name, proving(digest)) as (reader, chip):
            read = read_chip(chip)
            return Read(reader, read), Evidence(read, prove_chip(chip, read, digest)).without_holder()

    def change_pin(self, name: str | None, code: str, old: str, new: str) -> PinChange:
        """Change the PIN on the chip whose identification code is `code`: a card that was swapped meanwhile keeps its
        own. After any answer but success the card must be pulled and put in again, whatever it was (chips say that a
        PIN is wrong in more than one way): a page alone burns one try at most.

        Raises also `InvalidInput` as `change_command`; `Conflict` `desk_reinsert_card`, `desk_other_card`.
        """
        command = change_command(old, new)
        with self._powered(name, exactly(command)) as (reader, chip):
            if reader in self._pin_wrong:
                raise Conflict("desk_reinsert_card", "after a wrong PIN the card is pulled and put in again")
            if read_chip(chip).identification_code.text != code:
                raise Conflict("desk_other_card", "another card is in the reader")
            self._pin_wrong.add(reader)
            done = change_pin(chip, command)
            if done.outcome is PinOutcome.CHANGED:
                self._pin_wrong.discard(reader)
            return done

    @contextlib.contextmanager
    def _powered(self, name: str | None, allowed: Allowed) -> Iterator[tuple[str, GuardedReader]]:
        reader = self._chosen(name)
        with self._guard:
            busy = self._busy.setdefault(reader, threading.Lock())
        if not busy.acquire(timeout=ACT):
            raise ChipFault("reader_busy", "another page is at work with this reader")
        try:
            if reader in self._mute:
                raise ChipFault("chip_mute", "the chip went mute and was not pulled since")
            with contextlib.closing(self._open(reader)) as opened:
                yield reader, GuardedReader(opened, allowed)
        except ChipFault as fault:
            if fault.code == "chip_mute":
                self._mute.add(reader)
            raise
        finally:
            busy.release()

    def _chosen(self, name: str | None) -> str:
        """The reader of that name, or the one with a card in it."""
        shown = self._shown()
        if shown.service is not Service.RUNNING:
            raise ChipFault("reader_unavailable", f"the PC/SC service is {shown.service}")
        if name is not None:
            if name not in shown.readers:
                raise ChipFault("reader_missing", "PC/SC knows no reader of that name")
            return name
        with_card = [reader for reader, card in shown.readers.items() if card is not Card.NONE]
        if len(with_card) > 1:
            raise InvalidInput("desk_reader_choice", "several readers have a card: name one")
        if not with_card:
            raise ChipFault("chip_removed" if shown.readers else "reader_missing", "no reader has a card")
        return with_card[0]


def card_facts(read: Read) -> dict[str, Any]:
    """The fields of a card as JSON members. Personal: for the person at the desk, never for a log.

    Raises what `Reading`'s members raise.
    """
    card, holder = read.reading, read.reading.holder
    return {
        "reader": read.reader,
        "profile": card.profile.id,
        "version": card.version,
        "identification_code": card.identification_code.text,
        "card_number": None if card.card_number is None else card.card_number.text,
        "issued_on": None if card.issued_on is None else card.issued_on.isoformat(),
        "expires_on": None if card.expires_on is None else card.expires_on.isoformat(),
        "signs": card.certificate is not None,
        "chip_pin": bool(card.fci),
        "holder": None if holder is None else {"id_number": holder.id_number.text, "name": holder.name},
    }
