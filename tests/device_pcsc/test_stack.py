"""pcscd, vpcd and pyscard against our simulated cards: raw APDUs, power, removal, silence, speed."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ecard_issuer.chip.simulator import (
    ChipAuthority,
    Cue,
    FaultyChip,
    SimulatedChip,
    VirtualChip,
    first_generation,
    piv_style,
    synthetic,
    third_generation,
)
from ecard_issuer.chip.simulator.faults import mute, removal
from ecard_issuer.chip.vpcd import VpcdLink
from tests.device_pcsc.conftest import Desk, DeskError
from tests.device_pcsc.daemon import Daemon, Slot
from tests.issuer.simulator.support import SELECT_SSSE

pytestmark = pytest.mark.pcsc
Insert = Callable[[VirtualChip], VpcdLink]
NOW = datetime.now(UTC)
READ_VERSION = "00B2032806"


def _piv() -> SimulatedChip:
    return piv_style(now=NOW, authority=ChipAuthority.create(NOW), data=synthetic(3))


def test_the_daemon_is_private(pcsc: Daemon, desk: Desk) -> None:
    """Its socket lies in our folder and it shows our two readers and no others."""
    assert desk.ask("readers") == [slot.reader for slot in pcsc.slots]
    assert pcsc.socket_path.is_socket()
    assert not str(pcsc.socket_path).startswith("/run")
    os.kill(pcsc.pid, 0)


@pytest.mark.parametrize(
    ("make", "version"),
    [
        pytest.param(first_generation, "1.00", id="1.00"),
        pytest.param(lambda: first_generation(version="2.01"), "2.01", id="2.01"),
        pytest.param(third_generation, "3.00", id="3.00-contact"),
        pytest.param(lambda: third_generation(contactless=True), "3.00", id="3.00-contactless"),
        pytest.param(_piv, "3.00", id="piv"),
    ],
)
def test_pyscard_sees_the_simulated_card_byte_for_byte(
    make: Callable[[], SimulatedChip], version: str, desk: Desk, slot: Slot, insert: Insert
) -> None:
    """ATR, SELECT and READ RECORD arrive through the stack as the chip sent them."""
    chip = make()
    insert(chip)
    assert desk.ask("connect", reader=slot.reader) == chip.atr.hex().upper()
    selected = desk.ask("transmit", apdu=SELECT_SSSE)
    if selected == "611E":
        selected = desk.ask("transmit", apdu="00C000001E")
    assert selected.startswith("6F1C840F7378312E73682EC9E7BBE1B1A3D5CF")
    assert desk.ask("transmit", apdu=READ_VERSION) == "0304" + version.encode().hex().upper() + "9000"
    assert desk.ask("transmit", apdu="00B2032800") == "6C06"
    assert desk.ask("transmit", apdu="00B2083014").endswith("9000" if version != "3.00" else "6982")
    desk.ask("disconnect")


def test_both_slots_hold_their_own_card(pcsc: Daemon, desk: Desk, insert: Insert) -> None:
    """Two cards in two readers of one daemon keep apart."""
    one, two = first_generation(data=synthetic(1)), first_generation(data=synthetic(2))
    insert(one)
    with VpcdLink(two, port=pcsc.slots[1].port):
        assert desk.ask("connect", reader=pcsc.slots[0].reader) == one.atr.hex().upper()
        desk.ask("disconnect")
        assert desk.ask("connect", reader=pcsc.slots[1].reader) == two.atr.hex().upper()
        desk.ask("disconnect")


def test_a_card_pulled_in_mid_command_is_an_error_and_the_next_card_works(
    desk: Desk, slot: Slot, insert: Insert
) -> None:
    """The APDU under way fails with pyscard's exception, later ones too; a new card in the same reader is read."""
    pulled = insert(FaultyChip(first_generation(), removal, Cue(ins=0xB2)))
    desk.ask("connect", reader=slot.reader)
    desk.ask("transmit", apdu=SELECT_SSSE)
    with pytest.raises(DeskError, match="CardConnectionException"):
        desk.ask("transmit", apdu=READ_VERSION)
    with pytest.raises(DeskError):
        desk.ask("transmit", apdu=READ_VERSION)
    pulled.stop()
    desk.ask("disconnect")
    desk.ask("await_removal", reader=slot.reader)
    fresh = first_generation(data=synthetic(9))
    insert(fresh)
    assert desk.ask("connect", reader=slot.reader) == fresh.atr.hex().upper()
    desk.ask("disconnect")


def test_a_mute_card_blocks_until_it_is_pulled(desk: Desk, slot: Slot, insert: Insert) -> None:
    """The stack waits without limit; pulling the card ends the wait with an error."""
    link = insert(FaultyChip(first_generation(), mute, Cue(ins=0xB2)))
    desk.ask("connect", reader=slot.reader)
    desk.ask("transmit", apdu=SELECT_SSSE)
    desk.begin("transmit", apdu=READ_VERSION)
    with pytest.raises(TimeoutError):
        desk.result(seconds=1.0)
    link.stop()
    with pytest.raises(DeskError):
        desk.result()


def test_power_off_forgets_what_was_proven(desk: Desk, slot: Slot, insert: Insert) -> None:
    """PIN proven, file open; after a disconnect the card is reset and the file closed."""
    insert(first_generation(t0_answers=False))
    open_file = ("00A4040006D15600000500", "0020000003123456", "00B2243005")
    desk.ask("connect", reader=slot.reader)
    assert [desk.ask("transmit", apdu=apdu)[-4:] for apdu in open_file] == ["9000"] * 3
    desk.ask("disconnect")
    desk.ask("connect", reader=slot.reader)
    assert desk.ask("transmit", apdu=open_file[0])[-4:] == "9000"
    assert desk.ask("transmit", apdu=open_file[2]) == "6982"
    desk.ask("disconnect")


def test_round_trips_are_not_delayed_by_the_wire(desk: Desk, slot: Slot, insert: Insert) -> None:
    """Without quick acknowledgement each APDU would cost some 44 ms; the median stays under 5."""
    insert(first_generation())
    desk.ask("connect", reader=slot.reader)
    desk.ask("transmit", apdu=SELECT_SSSE)
    times = sorted(desk.ask("clock", apdu=READ_VERSION, count=300))
    desk.ask("disconnect")
    assert statistics.median(times) < 5, f"median {statistics.median(times):.2f} ms, p99 {times[296]:.2f} ms"
