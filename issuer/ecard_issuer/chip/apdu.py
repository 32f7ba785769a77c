"""Command and response APDUs (ISO 7816-4), and the few repeats that a reader may make.

A command is repeated once at most; VERIFY, EXTERNAL AUTHENTICATION and CHANGE PIN never: each failure burns a try.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ecard_card.errors import ChipFault
from ecard_issuer.chip.reader import MAX_ANSWER, ChipReader

SUCCESS = 0x9000
WRONG_LENGTH = 0x6700
NOT_ALLOWED_NO_FILE = 0x6986
SECURITY_NOT_SATISFIED = 0x6982
FILE_NOT_FOUND = 0x6A82
RECORD_NOT_FOUND = 0x6A83
WRONG_P1_P2 = 0x6A86

INS_VERIFY = 0x20
INS_CHANGE_PIN = 0x5E
INS_EXTERNAL_AUTHENTICATE = 0x82
INS_GENERAL_AUTHENTICATE = 0x87
INS_INTERNAL_AUTHENTICATE = 0x88
INS_SELECT = 0xA4
INS_READ_RECORD = 0xB2
INS_GET_RESPONSE = 0xC0
INS_GET_DATA = 0xCB

#: Instructions that are sent once and never again, whatever the chip says.
NEVER_REPEATED = frozenset({INS_VERIFY, INS_CHANGE_PIN, INS_EXTERNAL_AUTHENTICATE})

#: GET RESPONSE follow-ups for one command: enough for a certificate of 8 KiB.
MAX_PIECES = 32


@dataclass(frozen=True, slots=True)
class Command:
    """One short command APDU. `le` is 1 to 256, or None for a command without Le."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None

    def encode(self) -> bytes:
        """Header, Lc and data if there are any, Le if there is one (256 is written 00)."""
        body = bytes([len(self.data)]) + self.data if self.data else b""
        tail = b"" if self.le is None else bytes([self.le & 0xFF])
        return bytes([self.cla, self.ins, self.p1, self.p2]) + body + tail


@dataclass(frozen=True, slots=True)
class Response:
    data: bytes
    status: int

    @property
    def ok(self) -> bool:
        return self.status == SUCCESS


def select_name(name: bytes, *, le: int | None = None) -> Command:
    return Command(0x00, INS_SELECT, 0x04, 0x00, name, le)


def select_file(file_id: int, *, p1: int) -> Command:
    """SELECT by file id; P1 02 (EF under the current DF) and P1 00 are both in the field."""
    return Command(0x00, INS_SELECT, p1, 0x00, file_id.to_bytes(2, "big"))


def read_record(tag: int, *, le: int) -> Command:
    """READ RECORD by identifier (the record's tag) in the current EF."""
    return Command(0x00, INS_READ_RECORD, tag, 0x00, le=le)


def internal_authenticate(r1: bytes, r2: bytes) -> Command:
    return Command(0x00, INS_INTERNAL_AUTHENTICATE, 0x00, 0x00, r1 + r2)


def exchange(reader: ChipReader, command: Command, *, other_le: int | None = None) -> Response:
    """Send one command and follow what the chip asks for.

    `6Cxx`: the same command once more with Le = xx. `6700`: once more with `other_le`, if one is given. `61xx`: GET
    RESPONSE, until the chip says that nothing is left. Raises what the reader raises, and `ChipFault`
    `chip_answer_truncated` (no status word) or `chip_answer_malformed` (longer than an answer can be).
    """
    response = _send(reader, command)
    if command.ins not in NEVER_REPEATED:
        if response.status >> 8 == 0x6C:
            response = _send(reader, replace(command, le=response.status & 0xFF or 256))
        elif response.status == WRONG_LENGTH and other_le is not None:
            response = _send(reader, replace(command, le=other_le))
    return _collect(reader, response)


def expect_ok(response: Response, what: str) -> bytes:
    """The response's data; raises `ChipFault` `chip_refused` with the status word for anything but 9000."""
    if not response.ok:
        raise ChipFault("chip_refused", f"{what} was answered with status word {response.status:04X}")
    return response.data


def _collect(reader: ChipReader, response: Response) -> Response:
    data = bytearray(response.data)
    for _ in range(MAX_PIECES):
        if response.status >> 8 != 0x61:
            return Response(bytes(data), response.status)
        more = Command(0x00, INS_GET_RESPONSE, 0x00, 0x00, le=response.status & 0xFF or 256)
        response = _send(reader, more)
        if response.status >> 8 == 0x6C:
            response = _send(reader, replace(more, le=response.status & 0xFF or 256))
        data += response.data
    raise ChipFault("chip_answer_malformed", "the chip never stops announcing more data")


def _send(reader: ChipReader, command: Command) -> Response:
    answer = reader.transceive(command.encode())
    if len(answer) < 2:
        raise ChipFault("chip_answer_truncated", "the answer has no status word")
    if len(answer) > MAX_ANSWER:
        raise ChipFault("chip_answer_malformed", "the answer is longer than a short APDU can be")
    return Response(answer[:-2], int.from_bytes(answer[-2:], "big"))
