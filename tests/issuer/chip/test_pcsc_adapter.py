"""The PC/SC adapter against a stand-in for pyscard that fails in every way pyscard does."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType

import pytest

from ecard_card.errors import ChipFault
from ecard_issuer.chip.pcsc import PcscReader, list_readers
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.simulator import SimulatedChip, first_generation

NAME = "Example Reader 00 00"
T0, T1 = 1, 2
EXCLUSIVE = 1


class SmartcardException(Exception):
    def __init__(self, message: str = "", hresult: int = 0) -> None:
        super().__init__(message)
        self.hresult = hresult


class NoCardException(SmartcardException):
    pass


class BaseSCardException(Exception):
    """The second family: shares nothing with the first, as in pyscard."""

    def __init__(self, hresult: int = -1) -> None:
        super().__init__("PC/SC")
        self.hresult = hresult


class Stack:
    """The PC/SC stack: one reader with one chip. Each step can be replaced by one that fails."""

    def __init__(self) -> None:
        self.chip: SimulatedChip = first_generation()
        self.names = [NAME]
        self.protocol = T0
        self.sent: list[bytes] = []
        self.released = 0
        self.on_readers: Callable[[], None] = lambda: None
        self.on_connect: Callable[[], None] = lambda: None
        self.on_transmit: Callable[[], None] = lambda: None

    def readers(self) -> list[_Reader]:
        self.on_readers()
        return [_Reader(self, name) for name in self.names]

    # What pyscard calls a connection.
    def connect(self, mode: int) -> None:
        assert mode == EXCLUSIVE
        self.on_connect()
        self.chip.power_on()

    def getProtocol(self) -> int:
        return self.protocol

    def getATR(self) -> list[int]:
        return list(self.chip.atr)

    def transmit(self, command: list[int]) -> tuple[list[int], int, int]:
        self.sent.append(bytes(command))
        self.on_transmit()
        *data, sw1, sw2 = self.chip.transceive(bytes(command))
        return data, sw1, sw2

    def release(self) -> None:
        self.released += 1
        self.chip.power_off()


class _Reader:
    def __init__(self, stack: Stack, name: str) -> None:
        self._stack = stack
        self._name = name

    def __str__(self) -> str:
        return self._name

    def createConnection(self) -> Stack:
        return self._stack


class _CardConnection:
    T0_protocol = T0


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    stack = Stack()
    parts: dict[str, dict[str, object]] = {
        "smartcard": {},
        "smartcard.CardConnection": {"CardConnection": _CardConnection},
        "smartcard.Exceptions": {"SmartcardException": SmartcardException},
        "smartcard.pcsc": {},
        "smartcard.pcsc.PCSCExceptions": {"BaseSCardException": BaseSCardException},
        "smartcard.scard": {"SCARD_SHARE_EXCLUSIVE": EXCLUSIVE},
        "smartcard.System": {"readers": stack.readers},
    }
    for name, members in parts.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    return stack


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ChipFault) as fault:
        call()
    return fault.value.code


def test_a_chip_is_read_through_the_stack_and_powered_off_at_the_end(stack: Stack) -> None:
    with PcscReader(NAME) as reader:
        assert reader.atr == stack.chip.atr
        assert read_chip(reader).version == "1.00"
    assert stack.released == 1
    assert code_of(lambda: reader.transceive(b"\0\xa4\0\0")) == "reader_unavailable"


def test_t0_has_no_frame_for_data_and_le_together(stack: Stack) -> None:
    command = bytes.fromhex("00A4040005A00000030800")
    for protocol, expected in ((T0, command[:-1]), (T1, command)):
        stack.protocol = protocol
        with PcscReader(NAME) as reader:
            reader.transceive(command)
            reader.transceive(bytes.fromhex("00B2010012"))
        assert stack.sent[-2:] == [expected, bytes.fromhex("00B2010012")]


def test_readers_are_listed_by_name(stack: Stack) -> None:
    stack.names = ["a", "b"]
    assert list_readers() == ["a", "b"]


@pytest.mark.parametrize("error", [SmartcardException(), BaseSCardException(-2146435043)])
def test_a_service_that_is_not_there_is_reported_in_either_family(stack: Stack, error: Exception) -> None:
    stack.on_readers = failing(error)
    assert code_of(list_readers) == "reader_unavailable"
    assert code_of(lambda: PcscReader(NAME)) == "reader_unavailable"


def test_a_reader_that_is_not_there_is_missing(stack: Stack) -> None:
    assert code_of(lambda: PcscReader("Other Reader")) == "reader_missing"
    assert stack.released == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoCardException(hresult=0), "chip_removed"),
        (SmartcardException(hresult=0x8010000C), "chip_removed"),
        (SmartcardException(hresult=0x8010000B), "reader_unavailable"),  # another program holds it
        (SmartcardException(hresult=0x80100066), "chip_mute"),
        (SmartcardException(hresult=0), "reader_unavailable"),
        (BaseSCardException(), "reader_unavailable"),
    ],
)
def test_connecting_fails_with_a_clear_code(stack: Stack, error: Exception, code: str) -> None:
    stack.on_connect = failing(error)
    assert code_of(lambda: PcscReader(NAME)) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SmartcardException(hresult=0x80100069), "chip_removed"),
        (SmartcardException(hresult=0x80100069 - (1 << 32)), "chip_removed"),
        (SmartcardException(hresult=0), "chip_removed"),  # pcsc-lite sometimes gives no number
        (SmartcardException(hresult=0x80100016), "chip_removed"),
        (SmartcardException(hresult=0x80100017), "reader_unavailable"),
        (SmartcardException(hresult=0x8010001E), "reader_unavailable"),
        (SmartcardException(hresult=0x80100067), "chip_mute"),
        (BaseSCardException(0x8010001D), "reader_unavailable"),
    ],
)
def test_a_command_that_fails_has_a_clear_code_and_ends_the_reader(stack: Stack, error: Exception, code: str) -> None:
    with PcscReader(NAME) as reader:
        stack.on_transmit = failing(error)
        assert code_of(lambda: read_chip(reader)) == code
        stack.on_transmit = lambda: None
        assert code_of(lambda: read_chip(reader)) == "reader_unavailable"
    assert stack.released == 1


def test_a_mute_chip_does_not_hold_its_caller(stack: Stack) -> None:
    answered = threading.Event()
    with PcscReader(NAME, deadline=0.05) as reader:
        stack.on_transmit = lambda: assert_waited(answered)
        assert code_of(lambda: read_chip(reader)) == "chip_mute"
        assert code_of(lambda: read_chip(reader)) == "reader_unavailable"
    assert stack.released == 0  # the driver still sits in its call: nobody touches that connection again
    answered.set()


def assert_waited(event: threading.Event) -> None:
    assert event.wait(10)


def test_a_service_that_hangs_does_not_hold_its_caller(stack: Stack) -> None:
    answered = threading.Event()
    stack.on_readers = lambda: assert_waited(answered)
    assert code_of(lambda: list_readers(deadline=0.05)) == "reader_unavailable"
    stack.on_connect = stack.on_readers
    stack.on_readers = lambda: None
    assert code_of(lambda: PcscReader(NAME, deadline=0.05)) == "chip_mute"
    answered.set()


def test_without_pyscard_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("smartcard", "smartcard.CardConnection"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ChipFault, match=r"ecard\[reader\]") as fault:
        list_readers()
    assert fault.value.code == "reader_unavailable"
