"""A PIV-style application (NIST SP 800-73-4) that signs a challenge with an on-chip P-256 key.

It stands in for the card's own asymmetric application, whose commands are not public, and is clearly a test
application: its certificates are made at run time and say `test:`.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from ecard_issuer.chip.simulator.command import (
    SW_BLOCKED,
    SW_FILE_NOT_FOUND,
    SW_INS_NOT_SUPPORTED,
    SW_KEY_NOT_FOUND,
    SW_SECURITY_NOT_SATISFIED,
    SW_WRONG_DATA,
    SW_WRONG_LENGTH,
    SW_WRONG_P1_P2,
    Command,
    Refused,
    tlv,
    tries_left,
)

AID = bytes.fromhex("A000000308000010000100")
_RID_SIZE = 5
ALGORITHM_P256 = 0x11
CARD_AUTHENTICATION = 0x9E  # no PIN
PIV_AUTHENTICATION = 0x9A  # PIN
_PIN_REFERENCE = 0x80
_PIN_TRIES = 3
#: Data object of each key's certificate (SP 800-73-4 part 1, table 3).
CERTIFICATE_OBJECTS: Mapping[bytes, int] = {
    bytes.fromhex("5FC101"): CARD_AUTHENTICATION,
    bytes.fromhex("5FC105"): PIV_AUTHENTICATION,
}


@dataclass(frozen=True, slots=True)
class PivKey:
    """A private key that never leaves the chip, and its certificate in DER."""

    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: bytes


class PivApplication:
    """SELECT, VERIFY, GET DATA and GENERAL AUTHENTICATE over `keys` by key reference."""

    def __init__(self, keys: Mapping[int, PivKey], pin: bytes = b"123456") -> None:
        self.keys = dict(keys)
        self._pin = pin.ljust(8, b"\xff")
        self._tries = _PIN_TRIES
        self._pin_proven = False

    def reset(self) -> None:
        self._pin_proven = False

    def select_by_name(self, name: bytes) -> bytes | None:
        """The application property template for the AID, whole or cut on the right down to its RID."""
        if len(name) < _RID_SIZE or not AID.startswith(name):
            return None
        self._pin_proven = False
        return tlv(0x61, tlv(0x4F, AID[_RID_SIZE:]) + tlv(0x79, tlv(0x4F, AID[:_RID_SIZE])))

    def handle(self, command: Command) -> bytes:
        match command.cla, command.ins:
            case 0x00, 0xCB:
                return self._get_data(command)
            case 0x00, 0x20:
                return self._verify(command)
            case 0x00, 0x87:
                return self._general_authenticate(command)
        raise Refused(SW_INS_NOT_SUPPORTED)

    def _get_data(self, command: Command) -> bytes:
        if (command.p1, command.p2) != (0x3F, 0xFF):
            raise Refused(SW_WRONG_P1_P2)
        if len(command.data) < 2 or command.data[0] != 0x5C or command.data[1] != len(command.data) - 2:
            raise Refused(SW_WRONG_DATA)
        key = self.keys.get(CERTIFICATE_OBJECTS.get(command.data[2:], 0))
        if key is None:
            raise Refused(SW_FILE_NOT_FOUND)
        return tlv(0x53, tlv(0x70, key.certificate) + tlv(0x71, b"\0") + tlv(0xFE, b""))

    def _verify(self, command: Command) -> bytes:
        if command.p1 != 0 or command.p2 != _PIN_REFERENCE:
            raise Refused(SW_WRONG_P1_P2)
        if not command.data:
            if self._pin_proven:
                return b""
            raise tries_left(self._tries)
        if len(command.data) != 8:
            raise Refused(SW_WRONG_LENGTH)
        if self._tries <= 0:
            raise Refused(SW_BLOCKED)
        self._pin_proven = hmac.compare_digest(self._pin, command.data)
        if not self._pin_proven:
            self._tries -= 1
            raise tries_left(self._tries)
        self._tries = _PIN_TRIES
        return b""

    def _general_authenticate(self, command: Command) -> bytes:
        """7C { 82 empty, 81 digest of 32 bytes } is answered with 7C { 82 ECDSA-Sig-Value }."""
        if command.p1 != ALGORITHM_P256:
            raise Refused(SW_WRONG_P1_P2)
        key = self.keys.get(command.p2)
        if key is None:
            raise Refused(SW_KEY_NOT_FOUND)
        if command.p2 == PIV_AUTHENTICATION and not self._pin_proven:
            raise Refused(SW_SECURITY_NOT_SATISFIED)
        digest = _challenge(command.data)
        signature = key.private_key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        return tlv(0x7C, tlv(0x82, signature))


def _challenge(template: bytes) -> bytes:
    """The 32-byte challenge of a dynamic authentication template, its members in either order."""
    if len(template) < 2 or template[0] != 0x7C or template[1] != len(template) - 2:
        raise Refused(SW_WRONG_DATA)
    members: dict[int, bytes] = {}
    rest = template[2:]
    while rest:
        if len(rest) < 2 or rest[1] > len(rest) - 2 or rest[0] in members:
            raise Refused(SW_WRONG_DATA)
        members[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
    if members.keys() != {0x81, 0x82} or members[0x82] or len(members[0x81]) != 32:
        raise Refused(SW_WRONG_DATA)
    return members[0x81]
