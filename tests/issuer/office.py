"""An issuing office for tests: a real register, real key files, simulated chips; everything but the web."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Self

from ecard_card.card import Card, CardNumber, Chip, ChipAssurance, Holder, IdentificationCode, IdNumber
from ecard_card.credential import card_type
from ecard_card.status import CardStatus
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.judge import Anchor, Anchors
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.simulator import ChipData, SimulatedChip, card_keys, first_generation, piv_style, synthetic
from ecard_issuer.chip.simulator.certificates import ChipAuthority
from ecard_issuer.draft import Drafter, Profile
from ecard_issuer.enrol import Enrolment, OpenEnrolment, ProvenEnrolment
from ecard_issuer.issue import IssuedCredential, Issuing
from ecard_issuer.keyring import IssuerIdentity, KeyRing
from ecard_issuer.migrations import migrate
from ecard_issuer.people import People
from ecard_issuer.register import SqlRegister, make_engine
from ecard_issuer.root_keys import RootKeys
from ecard_issuer.trust_board import TrustBoard
from ecard_keys.chip_key import LocalChipKeyHolder
from ecard_keys.desk.desk import LocalDesk, SigningDesk, SigningProfile, SigningRules
from ecard_keys.desk.journal import Journal
from ecard_keys.desk.quotas import Quotas
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.protect import FileProtector
from ecard_keys.signer import HeldKey, Signer
from ecard_keys.trust.root_home import RootHome
from ecard_sdk.device import DeviceKey
from tests.issuer.template import place_register

ISSUER = "https://issuer.example"
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PASSPHRASE = b"only for tests, in a temporary folder"


@dataclass
class Office:
    """Open it on a folder; opening the same folder again is a restart."""

    register: SqlRegister
    ring: KeyRing
    home: FileKeyHome
    desk: CardDesk
    enrolment: Enrolment
    issuing: Issuing
    signing: SigningDesk
    authority: ChipAuthority
    chip_master: bytes

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        authority: ChipAuthority | None = None,
        chip_master: bytes | None = None,
        signer: Callable[[Signer], Signer] = lambda signer: signer,
        reached: Callable[[str], None] = lambda step: None,
        database_url: str | None = None,
        owner: str = "office",
    ) -> Self:
        engine = make_engine(database_url or place_register(folder))
        migrate(engine)
        register = SqlRegister(engine)
        home = FileKeyHome(folder / "keys.json", PASSPHRASE)
        roots = RootKeys(RootHome(folder / "roots.json", PASSPHRASE, create=True))
        roots.open(NOW)
        board = TrustBoard([register], roots, roots.root(), life=timedelta(days=30), on_publish=lambda: None)
        ring = KeyRing(register, home, board, IssuerIdentity(ISSUER, ("000000",)))
        ring.open(NOW)
        signing = PresentDesk(home, signer(home), folder, ring.identity)
        desk = CardDesk(register, People(register, FileProtector(home.file)))
        authority = authority or ChipAuthority.create(NOW)
        chip_master = chip_master or secrets.token_bytes(16)
        statements = EphemeralSigner()
        holder = LocalChipKeyHolder(
            "test: key holder",
            chip_master,
            kid=statements.key_id,
            sign=lambda message: statements.sign(statements.key_id, [message])[0],
        )
        anchors = Anchors(
            (Anchor("test: chip CA", authority.der),), {statements.key_id: statements.public}, allow_test=True
        )
        profile = Profile(ISSUER, card_type(ISSUER), ring.identity.status_uri, timedelta(days=365))
        return cls(
            register=register,
            ring=ring,
            home=home,
            desk=desk,
            enrolment=Enrolment(register, desk, anchors, holder),
            issuing=Issuing(register, desk, ring, signing, Drafter(profile, desk), owner=owner, reached=reached),
            signing=signing,
            authority=authority,
            chip_master=chip_master,
        )

    def signature_chip(self, serial: int) -> SimulatedChip:
        return piv_style(now=NOW, authority=self.authority, data=synthetic(serial))

    def challenge_chip(self, serial: int) -> SimulatedChip:
        data = synthetic(serial)
        historical = first_generation(data=data).historical
        keys = card_keys(
            {
                "IRK": self.chip_master,
                "RKSSSE": self.chip_master,
                "UKSSSE": self.chip_master,
                "PUK": self.chip_master,
                "STK": self.chip_master,
            },
            data.region,
            historical,
            1,
        )
        return first_generation(data=data, keys=keys)

    def add_card(self, serial: int, chip: SimulatedChip | None = None, status: CardStatus = CardStatus.NORMAL) -> str:
        """Register the card that synthetic chip `serial` sits in; the chip's profile is read off it."""
        chip = chip or self.signature_chip(serial)
        return self.desk.register(card_of(synthetic(serial), read_chip(InProcessReader(chip)).profile.id), status, NOW)

    def prove(self, chip: SimulatedChip, now: datetime = NOW) -> ProvenEnrolment:
        opened = self.enrolment.begin("desk-1", now)
        return self.enrolment.complete(opened.enrolment_id, evidence_of(chip, opened), now)

    def issue(
        self, proven: ProvenEnrolment, device: DeviceKey, now: datetime = NOW, ecard_id: str | None = None
    ) -> IssuedCredential:
        proof = device.proof(ISSUER, proven.enrolment_id, now)
        return self.issuing.issue(proven.enrolment_id, device.point, proof, now, ecard_id=ecard_id)


class SigningBy(FileKeyHome):
    """The keys of a home, used by a signer that a test put before it."""

    def __init__(self, home: FileKeyHome, signer: Signer) -> None:
        self._home = home
        self._signer = signer

    def held(self) -> tuple[HeldKey, ...]:
        return self._home.held()

    def public_key(self, key_id: str) -> bytes:
        return self._home.public_key(key_id)

    def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
        return self._signer.sign(key_id, messages)


class PresentDesk:
    """A signing desk whose clock shows what the caller's shows: tests travel in time."""

    def __init__(self, home: FileKeyHome, signer: Signer, folder: Path, identity: IssuerIdentity) -> None:
        self.now = NOW
        self.journal = Journal(folder / "signing-journal")
        rules = SigningRules(identity.issuer, identity.status_uri, identity.regions)
        self._desk = LocalDesk(SigningBy(home, signer), [rules], self.journal, Quotas(), lambda: self.now)

    def sign(self, profile: SigningProfile, key_id: str, drafts: Sequence[bytes], now: datetime) -> list[bytes]:
        self.now = now
        return self._desk.sign(profile, key_id, drafts, now)


def card_of(data: ChipData, profile: str, atr_historical: bytes | None = None) -> Card:
    return Card(
        chip=Chip(IdentificationCode(data.identification_code), profile, atr_historical=atr_historical),
        number=CardNumber(data.card_number),
        holder=Holder(IdNumber(data.id_number), data.name),
        issued_on=date(2024, 1, 2),
        expires_on=date(2034, 1, 2),
    )


def evidence_of(chip: SimulatedChip, opened: OpenEnrolment, *, answer: bool = True) -> Evidence:
    """What a desk sends: the reading, and the chip's answer to the server's challenge."""
    with InProcessReader(chip) as reader:
        reading = read_chip(reader)
        return Evidence(reading, prove_chip(reader, reading, opened.challenge.digest()) if answer else None)


__all__ = ["ISSUER", "NOW", "ChipAssurance", "Office", "card_of", "evidence_of"]
