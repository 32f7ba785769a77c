"""Readers that follow a script, and the parts that most chip tests need."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ecard_issuer.chip.evidence import Challenge, Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.judge import Anchor, Anchors, Judgement, judge
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.simulator import (
    CardKeys,
    ChipAuthority,
    ChipData,
    SimulatedChip,
    VirtualChip,
    card_keys,
    first_generation,
    piv_style,
    third_generation,
)
from ecard_issuer.chip.simulator.data import historical_bytes
from ecard_keys.chip_key import LocalChipKeyHolder
from ecard_keys.homes.ephemeral import EphemeralSigner

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ATR = bytes.fromhex("3B6D0000" + "544553548600000A0B0C0D0E0F")
SSSE = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"
FCI_3DES = "6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA5098801059F0C03860101"
PIV = "00A4040005A00000030800"
KEY_NAMES = ("IRK", "RKSSSE", "UKSSSE", "PUK", "STK")


@dataclass
class ScriptedReader:
    """Answers from a script, and fails the test where another command than the next one comes."""

    script: list[tuple[str, str]]
    atr: bytes = ATR

    def transceive(self, command: bytes) -> bytes:
        assert self.script, f"nothing more was expected, but {command.hex().upper()} came"
        expected, answer = self.script.pop(0)
        assert command.hex().upper() == expected.replace(" ", "")
        return bytes.fromhex(answer)


@dataclass
class AnsweringReader:
    """Every command gets what `answer` makes of it."""

    answer: Callable[[bytes], bytes]
    atr: bytes = ATR
    commands: list[bytes] = field(default_factory=list)

    def transceive(self, command: bytes) -> bytes:
        self.commands.append(command)
        return self.answer(command)


class Desk:
    """A province in small: a master key behind its holder, a chip authority, anchors that allow test chips."""

    def __init__(self) -> None:
        self.master_key = secrets.token_bytes(16)
        self.signer = EphemeralSigner()
        self.holder = LocalChipKeyHolder("test:holder", self.master_key, kid=self.signer.key_id, sign=self.sign)
        self.authority = ChipAuthority.create(NOW)
        self.anchors = Anchors(
            (Anchor("test: chip CA", self.authority.der),), {self.signer.key_id: self.signer.public}, allow_test=True
        )

    def sign(self, message: bytes) -> bytes:
        return self.signer.sign(self.signer.key_id, [message])[0]

    def first(self, data: ChipData | None = None, version: str = "1.00") -> SimulatedChip:
        data = data or ChipData()
        return first_generation(data=data, version=version, keys=self._keys(data, 1))

    def third(self, data: ChipData | None = None, *, contactless: bool = False) -> SimulatedChip:
        data = data or ChipData()
        return third_generation(data=data, keys=self._keys(data, 3), contactless=contactless)

    def piv(self, data: ChipData | None = None, *, with_files: bool = True) -> SimulatedChip:
        return piv_style(now=NOW, authority=self.authority, data=data, with_files=with_files)

    def evidence(self, chip: VirtualChip, challenge: Challenge) -> Evidence:
        """What an honest desk sends."""
        with InProcessReader(chip) as reader:
            reading = read_chip(reader)
            return Evidence(reading, prove_chip(reader, reading, challenge.digest()))

    def judge(self, evidence: Evidence, challenge: Challenge | None, now: datetime = NOW) -> Judgement:
        return judge(evidence, challenge, self.anchors, self.holder, now)

    def _keys(self, data: ChipData, algorithm: int) -> CardKeys:
        masters = {name: self.master_key for name in KEY_NAMES}
        return card_keys(masters, data.region, historical_bytes(data), algorithm)


def challenge(now: datetime = NOW) -> Challenge:
    return Challenge.new("enrolment-1", "terminal-1", now)
