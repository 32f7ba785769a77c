"""Who acts in the story: a desk with a chip reader, a holder's phone, and a counter that scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ecard_card import cwt
from ecard_card.card import ChipAssurance
from ecard_demo.services import Services
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.reading import Reading
from ecard_issuer.chip.simulator import ChipAuthority, ChipData, SimulatedChip, piv_style, synthetic
from ecard_sdk.authority import AuthorityClient
from ecard_sdk.device import DeviceKey
from ecard_sdk.errors import ApprovalNeededError
from ecard_sdk.models import IssuedCredential, Key, ProvenChip, Verification
from ecard_sdk.offline import OfflineVerifier
from ecard_verifier.verdict import Verdict

TERMINAL: Final = "demo desk 1"
COUNTER: Final = "counter 7"
_FIRST_SERIAL: Final = 1
_SECOND_SERIAL: Final = 2


def now() -> datetime:
    """The story plays now: its services have no other clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class PlasticCard:
    """A physical card: a chip that signs, and what is printed into it. Synthetic, and marked so."""

    chip: SimulatedChip
    data: ChipData = field(repr=False)


def first_card(authority: ChipAuthority) -> PlasticCard:
    """The holder's card."""
    return _card(authority, synthetic(_FIRST_SERIAL))


def second_card(authority: ChipAuthority) -> PlasticCard:
    """The same holder's next card, with another chip."""
    person = synthetic(_FIRST_SERIAL)
    return _card(authority, replace(synthetic(_SECOND_SERIAL), id_number=person.id_number, name=person.name))


def _card(authority: ChipAuthority, data: ChipData) -> PlasticCard:
    return PlasticCard(piv_style(now=now(), authority=authority, data=data), data)


class Desk:
    """Reads chips and talks to the issuer over HTTP, as a desk anywhere would. It judges nothing."""

    def __init__(self, client: AuthorityClient, issuer: str, keeper: AuthorityClient) -> None:
        self.client = client
        self._issuer = issuer
        self._keeper = keeper

    def read(self, card: PlasticCard) -> Reading:
        with InProcessReader(card.chip) as reader:
            return read_chip(reader)

    def register(self, card: PlasticCard, reading: Reading) -> str:
        """Put the card into the register, as the card register's import would; returns its reference."""
        data = card.data
        registered = self.client.register_card(
            identification_code=data.identification_code,
            card_number=data.card_number,
            profile=reading.profile.id,
            id_number=data.id_number,
            name=data.name,
            issued_on=data.issued_on,
            expires_on=data.expires_on,
        )
        return registered.card_ref

    def prove(self, card: PlasticCard) -> ProvenChip:
        """Let the chip answer the issuer's challenge, and send what it said."""
        opened = self.client.begin_enrolment(TERMINAL)
        with InProcessReader(card.chip) as reader:
            reading = read_chip(reader)
            evidence = Evidence(reading, prove_chip(reader, reading, opened.challenge))
        return self.client.send_evidence(opened.enrolment_id, evidence.to_json())

    def agreed(self, change: Callable[[], Key]) -> Key:
        """Ask for a change of a key, have the second operator agree to it, and ask again."""
        try:
            return change()
        except ApprovalNeededError as asked:
            self._keeper.approve(asked.request_id)
            return change()

    def issue(self, proven: ProvenChip, phone: Phone, ecard_id: str | None = None) -> IssuedCredential:
        issued = self.client.issue(proven.enrolment_id, phone.key, now(), issuer=self._issuer, ecard_id=ecard_id)
        phone.credential = issued.cwt
        return issued


@dataclass
class Phone:
    """The holder's device: a key that never leaves it, and the credential it was given."""

    key: DeviceKey = field(default_factory=DeviceKey.generate)
    credential: bytes = field(default=b"", repr=False)

    def short_code(self, credential: bytes | None = None) -> str:
        """A fresh `EC0:` code."""
        return self.key.online_code(credential or self.credential, now())

    def whole_code(self, credential: bytes | None = None) -> str:
        """A fresh `EC1:` code."""
        return self.key.offline_code(credential or self.credential, now())


class Counter:
    """A counter with a verifier process to ask, and a bundle for when the network is away."""

    def __init__(self, client: AuthorityClient, services: Services, folder: Path) -> None:
        self._client = client
        self._root = services.root
        self._bundle = folder / "bundle.json"

    def scan(self, code: str) -> Verification:
        """Ask the verifier process."""
        return self._client.verify(code, counter=COUNTER)

    def fetch_bundle(self, issuer: AuthorityClient) -> None:
        """Once a day, while there is a network."""
        self._bundle.write_bytes(issuer.bundle())

    def scan_offline(self, code: str) -> Verdict:
        """Judge with the bundle alone, under the root that this counter pins."""
        return OfflineVerifier.from_bundle(self._bundle, root=self._root, now=now()).verify(code, now=now())


def signing_key(credential: bytes) -> str:
    """The key id that signed a credential."""
    return cwt.parse(credential).kid.hex()


def proof_in_words(assurance: ChipAssurance) -> str:
    """What a level of proof means to a newcomer."""
    return {
        ChipAssurance.DECLARED: "typed in, the chip was not read",
        ChipAssurance.READ: "read only: a copy would pass",
        ChipAssurance.CHALLENGE: "answered under its card key",
        ChipAssurance.SIGNATURE: "signed a fresh challenge with a key that a copy does not have",
    }[assurance]
