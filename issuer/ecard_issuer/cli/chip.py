"""`ecard chip`: list readers, read the chip in one, and serve a simulated chip to the virtual reader driver."""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.serialization import Encoding

from ecard_card.errors import ChipFault, InvalidInput, Unavailable
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.pcsc import PcscReader, list_readers
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.reading import Reading
from ecard_issuer.chip.simulator import (
    CardKeys,
    ChipAuthority,
    ChipData,
    SimulatedChip,
    card_keys,
    first_generation,
    piv_style,
    synthetic,
    third_generation,
)
from ecard_issuer.chip.simulator.authentication import ALGORITHM_3DES, ALGORITHM_SM4, KEY_NAMES
from ecard_issuer.chip.simulator.data import historical_bytes
from ecard_issuer.chip.vpcd import DEFAULT_PORT, VpcdLink
from ecard_issuer.cli.common import whole_number

_PIV = "test:piv-p256"
_T = TypeVar("_T")
_Make = Callable[[ChipData, CardKeys], SimulatedChip]
_SYMMETRIC: Mapping[str, tuple[int, _Make]] = {
    "test:ssse-1": (ALGORITHM_3DES, lambda data, keys: first_generation(data=data, keys=keys)),
    "test:ssse-2": (ALGORITHM_3DES, lambda data, keys: first_generation(data=data, keys=keys, version="2.01")),
    "test:ssse-3": (ALGORITHM_SM4, lambda data, keys: third_generation(data=data, keys=keys)),
}
PROFILES = (*_SYMMETRIC, _PIV)
_POLL_SECONDS = 0.2


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `chip` with its three commands."""
    chip = subparsers.add_parser("chip", help="read chips, list readers, simulate a chip")
    commands = chip.add_subparsers(title="commands", metavar="COMMAND", required=True)

    simulate = commands.add_parser("simulate", help="put a simulated test chip into the virtual reader (vpcd)")
    simulate.add_argument(
        "--profile", choices=PROFILES, default=PROFILES[0], help="the kind of chip (default %(default)s)"
    )
    simulate.add_argument("--host", default="127.0.0.1", help="where vpcd listens (default %(default)s)")
    simulate.add_argument("--port", type=_port, default=DEFAULT_PORT, help="its port (default %(default)s)")
    simulate.add_argument(
        "--serial", type=_serial, default=1, help="which synthetic card, 0 to 9999 (default %(default)s)"
    )
    simulate.add_argument(
        "--master-key-file",
        type=Path,
        metavar="FILE",
        help="32 hex digits that the card's keys are derived from (default: fresh keys)",
    )
    simulate.add_argument("--json", action="store_true", help="one JSON document")
    simulate.set_defaults(func=_simulate)

    readers = commands.add_parser("readers", help="list the readers that PC/SC knows")
    readers.add_argument("--json", action="store_true", help="one JSON document")
    readers.set_defaults(func=_readers)

    read = commands.add_parser("read", help="read what the chip in a reader gives away freely")
    read.add_argument(
        "--reader", metavar="NAME", help="as `ecard chip readers` prints it (default: the first with a chip)"
    )
    read.add_argument("--holder", action="store_true", help="show the holder's number and name too")
    read.add_argument("--json", action="store_true", help="the evidence document that a desk sends")
    read.set_defaults(func=_read)


def make_chip(
    profile: str, serial: int, now: datetime, master_key: bytes | None = None
) -> tuple[SimulatedChip, ChipData, ChipAuthority | None]:
    """A simulated chip of that profile with synthetic data, and for a chip that signs the authority made for it."""
    data = synthetic(serial)
    if profile == _PIV:
        authority = ChipAuthority.create(now)
        return piv_style(now=now, authority=authority, data=data), data, authority
    algorithm, make = _SYMMETRIC[profile]
    if master_key is None:
        keys = CardKeys.fresh(secrets.token_bytes)
    else:
        keys = card_keys(dict.fromkeys(KEY_NAMES, master_key), data.region, historical_bytes(data), algorithm)
    return make(data, keys), data, None


def _simulate(options: argparse.Namespace) -> int:
    """Serve until SIGINT, SIGTERM, or the driver hangs up (which is a runtime fault)."""
    master_key = None if options.master_key_file is None else _master_key(options.master_key_file)
    chip, data, authority = make_chip(options.profile, options.serial, datetime.now(UTC), master_key)
    link = VpcdLink(chip, options.host, options.port)
    link.connect()
    facts = {
        "profile": options.profile,
        "atr": chip.atr.hex().upper(),
        "identification_code": data.identification_code,
        "card_number": data.card_number,
    }
    if authority is not None:
        facts["authority"] = authority.certificate.public_bytes(Encoding.PEM).decode()
    _show(facts, as_json=options.json)
    print(f"chip inserted at {options.host}:{options.port}; Ctrl-C pulls it", file=sys.stderr)
    stop = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        link.start()
        while link.alive and not stop.wait(_POLL_SECONDS):
            pass
    finally:
        link.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)
    if stop.is_set():
        return 0
    print("the virtual reader driver hung up", file=sys.stderr)
    return 3


def _readers(options: argparse.Namespace) -> int:
    names = _list_readers()
    if options.json:
        print(json.dumps({"readers": names}, ensure_ascii=False))
    else:
        print(*names, sep="\n") if names else print("no reader is connected", file=sys.stderr)
    return 0


def _read(options: argparse.Namespace) -> int:
    with _open(options.reader) as reader:
        reading = read_chip(reader)
    shown = reading if options.holder else reading.without_holder()
    if options.json:
        print(Evidence(shown).to_json())
        return 0
    _show(_facts(reading, with_holder=options.holder), as_json=False)
    return 0


def _facts(reading: Reading, *, with_holder: bool) -> dict[str, str]:
    holder = reading.holder
    facts = {
        "profile": reading.profile.id,
        "version": reading.version,
        "identification_code": reading.identification_code.text,
        "card_number": reading.card_number.text if reading.card_number else "",
        "issued_on": str(reading.issued_on or ""),
        "expires_on": str(reading.expires_on or ""),
        "certificate": "present" if reading.certificate else "none",
        "holder": "closed" if holder is None else "readable (--holder shows it)",
    }
    if with_holder and holder is not None:
        facts |= {"holder": holder.name, "id_number": holder.id_number.text}
    return facts


def _open(name: str | None) -> PcscReader:
    """That reader, or the first one with a chip in it."""
    if name is not None:
        return _available(lambda: PcscReader(name))
    for candidate in _list_readers():
        try:
            return PcscReader(candidate)
        except ChipFault as fault:
            if fault.code != "chip_removed":
                print(f"{candidate}: {fault.code}", file=sys.stderr)
    raise ChipFault("chip_removed", "there is no chip in any reader")


def _list_readers() -> list[str]:
    return _available(list_readers)


def _available(call: Callable[[], _T]) -> _T:
    """A PC/SC service that is not there is our side's fault, and not the chip's: exit status 3."""
    try:
        return call()
    except ChipFault as fault:
        if fault.code == "reader_unavailable":
            raise Unavailable("reader_unavailable", fault.detail) from None
        raise


def _show(facts: Mapping[str, str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts, ensure_ascii=False), flush=True)
        return
    width = max(map(len, facts))
    print(*(f"{name:<{width}}  {value}" for name, value in facts.items()), sep="\n", flush=True)


def _master_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except OSError:
        raise Unavailable("chip_key_holder_unavailable", "the master key file cannot be read") from None
    except ValueError:
        key = b""
    if len(key) != 16:
        raise InvalidInput("bad_chip_key", "the master key file holds 32 hex digits")
    return key


def _port(text: str) -> int:
    return whole_number(text, 1, 0xFFFF)


def _serial(text: str) -> int:
    return whole_number(text, 0, 9999)
