"""What the fake authority knows: people, links, events. Tests change it behind the clients' backs."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.credential import Credential, StatusRef, card_type
from ecard_card.cwt import draft as draft_cwt
from ecard_keys.private_key import PrivateKey, generate_private_key
from ecard_qr import frame, payload
from ecard_sdk.channel_models import CardWord, EventType, Proof
from ecard_sdk.testing.gate import Fault

#: The PIN of everybody here, as of the people of test mode.
PIN = "158369"
_LIFE = timedelta(minutes=10)
_CODE_LIFE = timedelta(seconds=60)


@dataclass(slots=True)
class FakePerson:
    """Somebody with one card. `proofs` is what a claim may rest on."""

    id_number: str = field(repr=False)
    name: str = field(repr=False)
    region: str = "000000"
    status: CardWord = CardWord.VALID
    proofs: tuple[Proof, ...] = (Proof.PIN, Proof.CHIP)
    codes_ahead: int = 1
    level: int = 1
    password: str | None = field(default=None, repr=False)
    relatives: dict[str, FakePerson] = field(default_factory=dict)  # by what a link calls them


@dataclass(slots=True)
class FakeLink:
    """A link of one app."""

    app_id: str
    link_id: str
    person: FakePerson
    claimed_at: datetime
    key: PrivateKey = field(default_factory=lambda: generate_private_key(Algorithm.ES256), repr=False)
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)
    credentials: dict[bytes, tuple[Credential, bytes]] = field(default_factory=dict, repr=False)  # by device key
    replaced: dict[bytes, bytes] = field(default_factory=dict, repr=False)  # old credential's id → device key
    ended_at: datetime | None = None
    end: str | None = None

    @property
    def usable(self) -> bool:
        """Whether its e-card may be shown now."""
        return self.ended_at is None and self.person.status is CardWord.VALID


@dataclass(frozen=True, slots=True)
class FakeEvent:
    """One event of one app's log."""

    event_id: str
    number: int
    type: EventType
    link: FakeLink
    status: CardWord
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Pending:
    """An identification or a claim that is under way."""

    app_id: str
    person: FakePerson
    expires_at: datetime
    proof: Proof | None = None
    device_point: bytes | None = None
    link_id: str | None = None


class Authority:
    """The state, and what changes it. `clock` is aware UTC."""

    def __init__(self, clock: Callable[[], datetime], origin: str) -> None:
        self.clock, self.origin = clock, origin
        self.people: dict[str, FakePerson] = {}
        self.links: dict[str, FakeLink] = {}
        self.events: dict[str, list[FakeEvent]] = {}
        self.identifications: dict[str, Pending] = {}
        self.claims: dict[str, Pending] = {}
        self._issuer = generate_private_key(Algorithm.ES256)
        self.add_person("00009919900101001X", "测试一")

    def add_person(self, id_number: str, name: str, **others: object) -> FakePerson:
        """Somebody more; `others` are members of `FakePerson`."""
        person = FakePerson(id_number, name, **others)  # type: ignore[arg-type]  # a test's own words
        self.people[id_number] = person
        return person

    def link(self, app_id: str, link_id: str) -> FakeLink:
        """A link of this app. `Fault` 404."""
        link = self.links.get(link_id)
        if link is None or link.app_id != app_id:
            raise Fault(404, "link_unknown", "this channel has no such link")
        return link

    def usable(self, app_id: str, link_id: str) -> FakeLink:
        """As `link`; `Fault` 422 for one that shows nothing now."""
        link = self.link(app_id, link_id)
        if link.ended_at is not None:
            raise Fault(422, "link_released", "this link was released")
        if not link.usable:
            raise Fault(422, "ecard_not_usable", "the card's status forbids it now")
        return link

    def make_link(self, app_id: str, person: FakePerson) -> FakeLink:
        """The app's link with this person's e-card, made where there is none."""
        for link in self.links.values():
            if link.app_id == app_id and link.person is person and link.ended_at is None:
                return link
        link = FakeLink(app_id, secrets.token_hex(16), person, self.clock())
        self.links[link.link_id] = link
        self.tell(link, EventType.LINK_CLAIMED)
        return link

    def release(self, link: FakeLink, end: str = "released") -> None:
        """End a link."""
        if link.ended_at is None:
            link.ended_at, link.end = self.clock(), end
            self.tell(link, EventType.LINK_RELEASED)

    def release_others(self, link: FakeLink) -> int:
        """End the links of all other apps with the same e-card; how many."""
        live = [one for one in self.links.values() if one.person is link.person and one.ended_at is None]
        others = [one for one in live if one is not link]
        for one in others:
            self.release(one, "holder")
        return len(others)

    def set_level(self, person: FakePerson, level: int) -> None:
        """Payment is opened (2) or closed (1); every link hears of it."""
        if person.level != level:
            person.level = level
            self._tell_all(person, EventType.LEVEL_CHANGED)

    def set_password(self, person: FakePerson, password: str) -> None:
        """The e-card password is another one; every link hears of it."""
        person.password = password
        self._tell_all(person, EventType.PASSWORD_CHANGED)

    def add_relative(self, link: FakeLink, person: FakePerson) -> str:
        """The holder of this link may show that person's e-card."""
        relative_id = secrets.token_hex(16)
        link.person.relatives[relative_id] = person
        return relative_id

    def change(self, person: FakePerson, kind: EventType) -> None:
        """The person's card is lost, found, cancelled; every link hears of it, and ends with a cancelled one."""
        status = {EventType.CARD_FOUND: CardWord.VALID, EventType.CARD_LOST: CardWord.SUSPENDED}
        person.status = status.get(kind, CardWord.INVALID)
        self._tell_all(person, kind)
        if kind is EventType.CARD_CANCELLED:
            for link in self.links.values():
                if link.person is person:
                    self.release(link, "card_ended")

    def _tell_all(self, person: FakePerson, kind: EventType) -> None:
        for link in self.links.values():
            if link.person is person and link.ended_at is None:
                self.tell(link, kind)

    def tell(self, link: FakeLink, kind: EventType) -> None:
        """Put an event into the log of the link's app."""
        log = self.events.setdefault(link.app_id, [])
        event = FakeEvent(secrets.token_hex(16), len(log) + 1, kind, link, link.person.status, self.clock())
        log.append(event)

    def codes(self, link: FakeLink, count: int) -> list[dict[str, object]]:
        """Codes that follow each other."""
        made: list[dict[str, object]] = []
        first = self.clock().replace(microsecond=0)
        for number in range(count):
            start = first + number * _CODE_LIFE
            draft = frame.draft_online(link.credential_id, int(start.timestamp()), secrets.token_bytes(8))
            code = payload.to_text(draft.complete(link.key.sign(draft.signing_input)), payload.Form.ONLINE)
            made.append({"code": code, "good_from": start.isoformat(), "good_until": (start + _CODE_LIFE).isoformat()})
        return made

    def credential(self, link: FakeLink, point: bytes) -> tuple[Credential, bytes]:
        """What a device key is given under a link, the same one while it is good; its CWT form is signed by a key that
        nobody trusts."""
        now = int(self.clock().timestamp())
        held = link.credentials.get(point)
        if held is None or held[0].expires_at <= now:
            held = link.credentials[point] = self._issued(point, now)
        return held

    def replace_credentials(self, person: FakePerson) -> None:
        """Every device's credential of this person is made anew, as after a key or the card was replaced."""
        now = int(self.clock().timestamp())
        for link in self.links.values():
            if link.person is person and link.ended_at is None:
                for point, (old, _) in list(link.credentials.items()):
                    link.credentials[point] = self._issued(point, now)
                    link.replaced[old.credential_id] = point

    def successor(self, link: FakeLink, credential_id: bytes) -> tuple[bytes, tuple[Credential, bytes] | None]:
        """The device key of a credential under a link, and what replaced it, if anything did. `Fault` 404."""
        if credential_id in link.replaced:
            point = link.replaced[credential_id]
            return point, link.credentials[point]
        for point, (held, _) in link.credentials.items():
            if held.credential_id == credential_id:
                return point, None
        raise Fault(404, "credential_unknown", "no device of this link has this credential")

    def _issued(self, point: bytes, now: int) -> tuple[Credential, bytes]:
        made = self._credential(point, now)
        unsigned = draft_cwt(made, b"fake")
        return made, unsigned.complete(self._issuer.sign(unsigned.signing_input))

    def _credential(self, point: bytes, now: int) -> Credential:
        return Credential(
            issuer=self.origin,
            credential_id=secrets.token_bytes(16),
            device_key=point,
            issued_at=now,
            expires_at=now + 30 * 86_400,
            status=StatusRef(f"{self.origin}/status-lists/1", 1, 1),
            assurance=ChipAssurance.DECLARED,
            vct=card_type(self.origin),
            claims={},
            region="000000",
            holder_proof=HolderProof.PIN,
            test_card=True,
        )

    def until(self) -> datetime:
        """When an identification or a claim of now is over."""
        return self.clock() + _LIFE
