"""A chip made by somebody else: jcecard's virtual card, whose PIV application knows P-256.

jcecard speaks a protocol of its own to a driver of its own; here its card object stands behind our vpcd link. It
answers a short Le with more than the 256 bytes that ISO/IEC 7816-4 §5.1 allows (seen with a certificate of 480 bytes);
the adapter cuts such an answer into 61xx pieces, as the transport of a real card would.
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from ecard_issuer.chip.simulator import ChipAuthority
from ecard_issuer.chip.simulator.command import tlv

#: The management key that every such card is delivered with (SP 800-73 practice, public).
_MANAGEMENT_KEY = bytes.fromhex("0102030405060708" * 3)
_SHORT_ANSWER = 256
_GET_RESPONSE = b"\x00\xc0"


class JcecardChip:
    """jcecard as a `VirtualChip`."""

    def __init__(self, storage: Path) -> None:
        root = logging.getLogger()
        level, handlers = root.level, list(root.handlers)
        from jcecard import OpenPGPCard  # its import sets up logging for the whole process

        root.setLevel(level)
        root.handlers[:] = handlers
        logging.getLogger("jcecard").setLevel(logging.CRITICAL)
        self._card = OpenPGPCard(storage_path=storage)
        self._rest = b""

    @property
    def atr(self) -> bytes:
        return bytes(self._card.get_atr())

    def power_on(self) -> None:
        self._card.power_on()

    def power_off(self) -> None:
        self._card.power_off()

    def reset(self) -> None:
        self._card.reset()

    def transceive(self, command: bytes) -> bytes:
        if command[:2] == _GET_RESPONSE and self._rest:
            answer = self._rest
        else:
            answer = bytes(self._card.process_apdu(command))
        data, word = answer[:-2], answer[-2:]
        if len(data) <= _SHORT_ANSWER:
            self._rest = b""
            return answer
        self._rest = data[_SHORT_ANSWER:] + word
        left = len(data) - _SHORT_ANSWER
        return data[:_SHORT_ANSWER] + bytes([0x61, left if left < _SHORT_ANSWER else 0])

    def personalise(self, authority: ChipAuthority, identification_code: str, now: datetime) -> None:
        """Let the card make its key 9E, and load the certificate, by the card's own administrative commands."""
        self.power_on()
        self._expect("00A4040005A000000308")
        self._prove_management_key()
        made = self._expect("0047009E05AC0380011100")
        assert made[:5].hex() == "7f49438641"
        public_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), made[5:])
        certificate = authority.issue(public_key, identification_code, now)
        content = tlv(0x53, tlv(0x70, certificate) + tlv(0x71, b"\0") + tlv(0xFE, b""))
        body = tlv(0x5C, bytes.fromhex("5FC101")) + content
        for start in range(0, len(body), 255):
            part = body[start : start + 255]
            last = start + 255 >= len(body)
            self._expect(f"{'00' if last else '10'}DB3FFF{len(part):02X}{part.hex()}")
        self.power_off()

    def _prove_management_key(self) -> None:
        cipher = Cipher(TripleDES(_MANAGEMENT_KEY), modes.ECB())  # noqa: S305
        witness = self._expect("0087039B047C02800000")
        plain = cipher.decryptor().update(witness[4:])
        self._expect("0087039B167C148008" + plain.hex() + "8108" + "00" * 8 + "00")

    def _expect(self, command: str) -> bytes:
        answer = self.transceive(bytes.fromhex(command))
        assert answer[-2:] == b"\x90\0", answer[-2:].hex()
        return answer[:-2]
