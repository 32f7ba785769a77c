"""Commands of the file system application that use a key, a PIN or a challenge."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ecard_issuer.chip.simulator.authentication import pad
from ecard_issuer.chip.simulator.command import (
    SW_BLOCKED,
    SW_CHALLENGE_INVALID,
    SW_CONDITIONS_NOT_SATISFIED,
    SW_KEY_NOT_FOUND,
    SW_MAC_WRONG,
    SW_SECURITY_NOT_SATISFIED,
    SW_WRONG_DATA,
    SW_WRONG_LENGTH,
    SW_WRONG_P1_P2,
    Command,
    Refused,
    tries_left,
)
from ecard_issuer.chip.simulator.files import Directory, Pin, SecretKey

if TYPE_CHECKING:
    from ecard_issuer.chip.simulator.environment import FileSystem

CHALLENGE_LENGTHS = (4, 8, 16)
PIN_LENGTHS = range(2, 7)
FIRST_KEY_VERSION = 0x01


def get_challenge(card: FileSystem, command: Command) -> bytes:
    """00 84 00 00 Le: only the latest challenge is valid, and only once."""
    _need(command.p1 == command.p2 == 0, SW_WRONG_P1_P2)
    _need(not command.data and command.le in CHALLENGE_LENGTHS, SW_WRONG_LENGTH)
    card.challenge = card.random(command.limit)
    return card.challenge


def internal_authentication(card: FileSystem, command: Command) -> bytes:
    """00 88 00 00 10/11, factor ‖ data [‖ key version]: 8 bytes under the IRK."""
    _need(command.p1 == command.p2 == 0, SW_WRONG_P1_P2)
    factor, data, version = _factors(command)
    key = _key_version(card.directory.keys.get("IRK"), version)
    return card.cipher().answer(key, factor, data)


def external_authentication(card: FileSystem, command: Command) -> bytes:
    """00 82 00 <key id> 10/11, cryptogram ‖ data [‖ key version]: the process key comes from the latest challenge."""
    _need(command.p1 == 0, SW_WRONG_P1_P2)
    cryptogram, data, version = _factors(command)
    key = card.directory.keys.get(card.behaviour.external_key_ids.get(command.p2, ""))
    value = _key_version(key, version)
    if key is None or key.tries <= 0:
        raise Refused(SW_BLOCKED)
    challenge = _use_challenge(card)
    _need(len(challenge) == 8, SW_CHALLENGE_INVALID)
    if not hmac.compare_digest(card.cipher().answer(value, challenge, data), cryptogram):
        card.state.keys.discard((card.directory.file_id, key.name))
        key.tries -= 1
        raise tries_left(key.tries)
    key.tries = key.try_limit
    card.state.keys.add((card.directory.file_id, key.name))
    return b""


def verify_pin(card: FileSystem, command: Command) -> bytes:
    """00 20 00 00 n, PIN: 2 to 6 bytes."""
    _need(command.p1 == command.p2 == 0, SW_WRONG_P1_P2)
    _need(len(command.data) in PIN_LENGTHS, SW_WRONG_LENGTH)
    directory, pin = _pin(card)
    _check_pin(card, directory, pin, command.data)
    card.state.pins.add(directory.file_id)
    return b""


def change_pin(card: FileSystem, command: Command) -> bytes:
    """80 5E 01 00 Lc, old ‖ FF ‖ new."""
    _need(command.p1 == 0x01 and command.p2 == 0, SW_WRONG_P1_P2)
    old, separator, new = command.data.partition(b"\xff")
    _need(len(old) in PIN_LENGTHS and bool(separator) and len(new) in PIN_LENGTHS, SW_WRONG_DATA)
    directory, pin = _pin(card)
    _check_pin(card, directory, pin, old)
    pin.value = new
    return b""


def unblock_or_reload_pin(card: FileSystem, command: Command) -> bytes:
    """84 24 00 00 04 MAC keeps the PIN; 84 24 00 01 0C/14, enciphered block ‖ MAC, sets a new one. Both under STK.

    Demands external authentication with the PUK and a fresh challenge, the MAC's initial value. MAC and block
    (length ‖ PIN ‖ 80 00…) follow the PBOC form, which is believed and not confirmed for this card.
    """
    _need(command.p1 == 0 and command.p2 in (0x00, 0x01), SW_WRONG_P1_P2)
    cipher = card.cipher()
    block_size = cipher.block_size if command.p2 else 0
    _need(len(command.data) == block_size + 4, SW_WRONG_LENGTH)
    directory, pin = _pin(card)
    _need((directory.file_id, "PUK") in card.state.keys, SW_SECURITY_NOT_SATISFIED)
    key = _key_version(directory.keys.get("STK"), FIRST_KEY_VERSION)
    challenge = _use_challenge(card)
    block, mac = command.data[:-4], command.data[-4:]
    header = bytes([command.cla, command.ins, command.p1, command.p2, len(command.data)])
    _need(hmac.compare_digest(cipher.mac(key, challenge, header + block), mac), SW_MAC_WRONG)
    if block:
        plain = cipher.decrypt(key, block)
        new = plain[1 : 1 + plain[0]]
        _need(len(new) in PIN_LENGTHS and plain == pad(bytes([len(new)]) + new, block_size), SW_WRONG_DATA)
        pin.value = new
    pin.tries = pin.try_limit
    return b""


HANDLERS: Mapping[tuple[int, int], Callable[[FileSystem, Command], bytes]] = {
    (0x00, 0x84): get_challenge,
    (0x00, 0x88): internal_authentication,
    (0x00, 0x82): external_authentication,
    (0x00, 0x20): verify_pin,
    (0x80, 0x5E): change_pin,
    (0x84, 0x24): unblock_or_reload_pin,
}


def _need(condition: bool, status: int) -> None:
    if not condition:
        raise Refused(status)


def _factors(command: Command) -> tuple[bytes, bytes, int]:
    """8 bytes ‖ 8 bytes [‖ key version]."""
    _need(len(command.data) in (16, 17), SW_WRONG_LENGTH)
    version = command.data[16] if len(command.data) == 17 else FIRST_KEY_VERSION
    return command.data[:8], command.data[8:16], version


def _key_version(key: SecretKey | None, version: int) -> bytes:
    value = key.versions.get(version) if key is not None else None
    if value is None:
        raise Refused(SW_KEY_NOT_FOUND)
    return value


def _use_challenge(card: FileSystem) -> bytes:
    challenge, card.challenge = card.challenge, None
    if challenge is None:
        raise Refused(SW_CHALLENGE_INVALID)
    return challenge


def _pin(card: FileSystem) -> tuple[Directory, Pin]:
    """The PIN object of the current directory or the nearest one above it."""
    directory: Directory | None = card.directory
    while directory is not None:
        if directory.pin is not None:
            return directory, directory.pin
        directory = directory.parent
    raise Refused(SW_CONDITIONS_NOT_SATISFIED)


def _check_pin(card: FileSystem, directory: Directory, pin: Pin, value: bytes) -> None:
    if pin.tries <= 0:
        raise Refused(SW_BLOCKED)
    if not hmac.compare_digest(pin.value, value):
        card.state.pins.discard(directory.file_id)
        pin.tries -= 1
        raise tries_left(pin.tries)
    pin.tries = pin.try_limit
