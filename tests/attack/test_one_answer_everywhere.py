"""A card's status is told in many places. Whatever happens to a card, in any order, all of them say the same."""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from ecard_card.acting import IN_PERSON, Channel
from ecard_card.card import IdNumber
from ecard_card.china import china_date
from ecard_card.errors import EcardError, NotAllowed, RuleViolation
from ecard_card.life import LifeStatus
from ecard_card.region_policy import STRICT, LossRules, RegionPolicy
from ecard_card.status import ALLOWED_CHANGES, CardChange, CardStatus, EcardStatus, Effect
from ecard_issuer import assembly
from ecard_issuer.family.family import Consent
from ecard_issuer.family.link import Relation
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.life.values import Asked, CancellationCause, LossKind, ReplacementReason
from ecard_issuer.life.who import Who
from ecard_issuer.partners.office import Wanted
from ecard_issuer.partners.streams import Method
from ecard_issuer.pins.secret import Secret
from ecard_issuer.privacy.values import ErasureGround
from ecard_issuer.register import tables
from ecard_issuer.register.engine import writing
from ecard_issuer.states import CredentialState
from ecard_issuer.web.app import create_app
from ecard_verifier.callers import Caller, Role
from ecard_verifier.feed import STREAM, StatusChanged, parse_event
from tests.issuer.intake.kit import CardSystem
from tests.issuer.partners.support import HOOK, Bureau, Receiver, partners_of
from tests.issuer.service import open_service
from tests.journeys.services.relying_town import Person, Town

LENIENT = RegionPolicy(
    effects={**STRICT.effects, CardStatus.TEMPORARILY_LOST: Effect.ALLOW, CardStatus.LOCKED: Effect.CONSENT},
    expired=Effect.CONSENT,
    loss=LossRules(temporary_days=3, formal_may_release=True),
)
WEBHOOK = Wanted(Method.WEBHOOK, HOOK)
DESK = Caller("desk", Role.DESK)
PIN = "283746"


@dataclass
class Book:
    """One policy for all regions at a time."""

    at: list[tuple[datetime, RegionPolicy]] = field(default_factory=list)

    def policy_of(self, region: str, now: datetime) -> RegionPolicy:
        return next((policy for since, policy in reversed(self.at) if since <= now), STRICT)

    def changes(self, since: datetime, until: datetime) -> list[str]:
        return ["000000" for at, _ in self.at if since < at <= until]


@dataclass
class World:
    """A town, its policies, and a partner that is told of one person's card."""

    town: Town
    book: Book
    bureau: Bureau
    called: str = ""  # what the partner calls the card

    @property
    def issuer(self) -> Any:
        return self.town.service.issuer

    @property
    def now(self) -> datetime:
        return self.town.service.clock()

    def asked(self) -> Asked:
        return Asked(secrets.token_hex(8), DESK, Channel.DESK, IN_PERSON)

    def followed(self) -> Person:
        self.bureau.forget()
        person = self.town.person()
        stream = self.bureau.partners.office.create("bank", WEBHOOK, self.now)
        self.called = self.bureau.partners.office.add_card(stream, person.card_ref, self.now)
        return person

    def settle(self) -> None:
        """What a running service does by itself."""
        self.issuer.life.upkeep.finish(self.now)
        self.bureau.turn()

    def say_the_same(self, person: Person) -> str:
        """The e-card's status, if every place tells it."""
        self.settle()
        issuer = self.issuer
        shown = self.town.call("GET", f"/v1/cards/{person.card_ref}")
        said = str(shown["ecard_status"])
        value = EcardStatus[said.upper()]
        rows = issuer.register.credentials_of(person.card_ref)
        for row in rows:
            expected = value if row.state is CredentialState.LIVE else EcardStatus.INVALID
            assert issuer.register.status_value(row.list_id, row.index) is expected
            assert self.fed(row.list_id, row.index) == expected
        report = issuer.publishing.rebuild.run(self.town.service.clock, repair=False)
        assert report.equal, report.named
        told = [item["data"] for item in self.bureau.receiver.heard if item["data"]["card"] == self.called]
        assert not told or (told[-1]["status"], told[-1]["card_status"]) == (said, shown["status"])
        self.relied(person, said, ended=all(row.state is not CredentialState.LIVE for row in rows))
        return said

    def fed(self, list_id: int, index: int) -> int:
        """What a follower of the feed holds of an entry."""
        value, uri = 0, self.issuer.identity.status_uri.replace("{list}", str(list_id))
        for row in self.issuer.register.read_feed(STREAM, 0, 100_000):
            body = parse_event(row.token).body
            if isinstance(body, StatusChanged) and (body.uri, body.index) == (uri, index):
                value = int(body.status)
        return value

    def relied(self, person: Person, said: str, *, ended: bool) -> None:
        if ended:
            self.town.check("clinic", 422, code=self.town.code(person))
        else:
            answer = self.town.check("clinic", 200 if said == "valid" else 422, code=self.town.code(person))
            assert said == "valid" or answer["code"] == said


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    book = Book()
    service = open_service(tmp_path_factory.mktemp("town"), policy_of=book.policy_of, policy_changes=book.changes)
    receiver = Receiver()
    bureau = Bureau(service, partners_of(service, receiver), receiver)
    with TestClient(create_app(service.issuer), raise_server_exceptions=False) as client:
        world = World(Town(service, client), book, bureau)
        world.town.relying("clinic")
        yield world
    service.issuer.close()


@pytest.fixture
def world(opened: World) -> World:
    opened.town.wait(minutes=1)
    opened.book.at.append((opened.now, STRICT))
    opened.settle()
    return opened


def steps(world: World, person: Person, chance: random.Random, numbers: Iterator[int]) -> dict[str, Callable[[], Any]]:
    """All that may happen to a card."""
    life, now, who = world.issuer.life, world.now, Who(card_ref=person.card_ref)

    def event() -> None:
        sequence = next(numbers) if chance.random() < 0.7 else chance.randint(1, 9)
        world.issuer.lifecycle.change(
            person.card_ref,
            chance.choice([change for change in ALLOWED_CHANGES if change.value not in ("replace", "cancel")]),
            now,
            source=chance.choice(("county", "city")),
            sequence=sequence,
            event_id=f"e{sequence}",
            occurred_at=now - timedelta(minutes=chance.randint(0, 90)),
        )

    def withdraw() -> None:
        for case in life.office.cases.cases_of(person.card_ref):
            life.replacements.withdraw(case.case_id, world.asked(), now)

    return {
        "temporary loss": lambda: life.losses.report(LossKind.TEMPORARY, who, world.asked(), now),
        "formal loss": lambda: life.losses.report(LossKind.FORMAL, who, world.asked(), now),
        "release": lambda: life.losses.release(who, world.asked(), now),
        "event": event,
        "another event": event,
        "lock": lambda: life.words.lock(True, who, world.asked(), now),
        "unlock": lambda: life.words.lock(False, who, world.asked(), now),
        "consent": lambda: life.words.consent(True, who, world.asked(), now),
        "withdraw consent": lambda: life.words.consent(False, who, world.asked(), now),
        "policy": lambda: world.book.at.append((now, chance.choice((STRICT, LENIENT)))),
        "order": lambda: life.replacements.order(ReplacementReason.DAMAGE, who, world.asked(), now),
        "withdraw order": withdraw,
        "days pass": lambda: world.town.wait(days=1),
        "expiry": lambda: expire(world, person) if chance.random() < 0.3 else None,
        "the end": lambda: (
            life.cancellations.cancel(CancellationCause.DEATH, who, world.asked(), "death certificate 7", now)
            if chance.random() < 0.1
            else None
        ),
    }


def expire(world: World, person: Person) -> None:
    """The card's last day was yesterday, as if it had been so from the beginning."""
    last = (world.now - timedelta(days=2)).date()
    with writing(world.issuer.engine) as connection:
        of_card = tables.card.c.card_ref == person.card_ref
        connection.execute(update(tables.card).where(of_card).values(expires_on=last, expiry_due=last))


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_in_any_order(world: World, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test
    person, numbers = world.followed(), iter(range(10, 1000))
    world.say_the_same(person)
    for _ in range(25):
        world.town.wait(minutes=2)
        name, step = chance.choice(list(steps(world, person, chance, numbers).items()))
        try:
            step()
        except EcardError:
            continue
        try:
            world.say_the_same(person)
        except AssertionError as error:
            raise AssertionError(f"after {name}") from error


def test_a_partner_hears_what_the_holder_and_the_policy_make_of_an_ecard(world: World) -> None:
    person = world.followed()
    life, who = world.issuer.life, Who(card_ref=person.card_ref)
    heard = world.bureau.receiver.heard
    life.words.lock(True, who, world.asked(), world.now)
    world.settle()
    assert (heard[-1]["data"]["event"], heard[-1]["data"]["status"]) == ("holder_lock", "suspended")
    life.words.lock(False, who, world.asked(), world.now)
    world.book.at.append((world.now, LENIENT))
    world.issuer.lifecycle.change(person.card_ref, CardChange.REPORT_TEMPORARY_LOSS, world.now)
    world.settle()
    assert (heard[-1]["data"]["card_status"], heard[-1]["data"]["status"]) == (4, "valid")


def test_a_partner_is_not_told_of_an_entry_set_right(world: World) -> None:
    person = world.followed()
    (row,) = world.issuer.register.credentials_of(person.card_ref)
    with writing(world.issuer.engine) as connection:
        of_entry = (tables.status_entry.c.list_id == row.list_id, tables.status_entry.c.index == row.index)
        connection.execute(update(tables.status_entry).where(*of_entry).values(value=EcardStatus.SUSPENDED))
    assert world.issuer.publishing.rebuild.run(world.town.service.clock, repair=True).repaired == 1
    world.settle()
    (stream,) = world.bureau.partners.office.everyone()
    assert world.bureau.receiver.heard == []
    assert stream.numbered == 0


def test_an_expired_card_has_no_pin_that_counts(world: World) -> None:
    person = world.followed()
    pins = world.issuer.holders.pins
    pins.change(person.card_ref, Secret.typed("123456"), Secret.typed(PIN), DESK, world.now)
    pins.verify(person.card_ref, Secret.typed(PIN), BusinessType("03"), DESK, world.now)
    expire(world, person)
    with pytest.raises(RuleViolation, match="card_not_usable"):
        pins.verify(person.card_ref, Secret.typed(PIN), BusinessType("03"), DESK, world.now)
    world.book.at.append((world.now, replace(STRICT, expired=Effect.ALLOW)))
    pins.verify(person.card_ref, Secret.typed(PIN), BusinessType("03"), DESK, world.now)


def test_of_whom_a_desk_reported_the_death_nobody_is_given_a_card(world: World) -> None:
    person = world.followed()
    cancel, asked, when = world.issuer.life.cancellations.cancel, world.asked(), world.now
    holder_ref = world.issuer.register.get_card(person.card_ref).holder_ref
    lives = world.issuer.applications.lives
    for _ in range(2):
        cancel(CancellationCause.DEATH, Who(card_ref=person.card_ref), asked, "certificate 7", world.now)
        assert lives.of(holder_ref) is LifeStatus.DEAD
    world.town.wait(minutes=1)
    row = world.issuer.people.get(holder_ref)
    lives.record(row, LifeStatus.NORMAL, china_date(when), "desk", world.now)  # it was somebody else
    cancel(CancellationCause.DEATH, Who(card_ref=person.card_ref), asked, "certificate 7", world.now)
    assert lives.of(holder_ref) is LifeStatus.NORMAL


def test_a_family_link_outlives_the_making_of_a_new_card(world: World) -> None:
    viewer, relative, other = world.town.person(), world.town.person(), world.town.person()
    family = world.issuer.holders.family

    def link(of: Person) -> Any:
        return family.link(
            IdNumber(viewer.id_number),
            IdNumber(of.id_number),
            Relation.CHILD,
            Consent(text="v1", document=IdNumber(of.id_number)),
            DESK,
            world.now,
        )

    made = link(relative)
    life, who = world.issuer.life, Who(card_ref=relative.card_ref)
    life.losses.report(LossKind.FORMAL, who, world.asked(), world.now)
    refs = (made.viewer_ref, made.relative_ref)
    with pytest.raises(RuleViolation, match="ecard_not_usable"):
        family.may_show(*refs, world.now)
    life.replacements.order(ReplacementReason.LOSS, who, world.asked(), world.now)
    link(other)  # frees the places of links that are over
    with pytest.raises(RuleViolation, match="ecard_not_usable"):
        family.may_show(*refs, world.now)
    (case, *_) = [case for case in life.office.cases.cases_of(relative.card_ref) if case.state == "ordered"]
    life.replacements.withdraw(case.case_id, world.asked(), world.now)
    with pytest.raises(NotAllowed, match="family_not_permitted"):
        family.may_show(*refs, world.now)


def test_a_source_speaks_for_its_regions_by_every_route(world: World) -> None:
    person = world.followed()
    source = CardSystem("elsewhere", regions=("330000",)).source()
    world.issuer.intake.sources.put(source, "admin", world.now)
    path = f"/v1/cards/{person.card_ref}"
    for kind, body in (("changes", {"change": "cancel", "sequence": 1}), ("replacement", {"new_card_ref": "0" * 32})):
        answer = world.town.call("POST", f"{path}/{kind}", body, role=Role.SOURCE, name="elsewhere", status=403)
        assert answer["code"] == "region_not_of_source"
    assert world.say_the_same(person) == "valid"


def test_an_order_is_collected_though_the_card_system_told_of_it_first(world: World) -> None:
    person = world.followed()
    life, who = world.issuer.life, Who(card_ref=person.card_ref)
    order = life.replacements.order(ReplacementReason.DAMAGE, who, world.asked(), world.now).case
    body = world.town.service.card_body(next(world.town._serials))
    body["holder"] = world.town.service.card_body(person.serial)["holder"]
    new = world.town.call("POST", "/v1/cards", body | {"status": 0}, status=201)["card_ref"]
    life.replacements.made(order.case_id, new, Caller("maker", Role.SOURCE), world.now)
    world.issuer.lifecycle.replace(person.card_ref, new, world.now, source="county", sequence=1, event_id="r1")
    outcome = life.replacements.collect(order.case_id, None, world.asked(), world.now)
    assert (outcome.case.state, outcome.status) == ("collected", CardStatus.NORMAL)
    assert world.town.call("GET", f"/v1/cards/{new}")["binding"] == "awaiting"
    assert world.say_the_same(person) == "invalid"


def test_an_export_has_every_room_that_keeps_something_and_each_says_what_it_is(world: World) -> None:
    person = world.followed()
    life, who = world.issuer.life, Who(card_ref=person.card_ref)
    life.words.lock(True, who, world.asked(), world.now)
    number = IdNumber(person.id_number)
    exported = world.issuer.privacy.exporting.export("e1", number, IN_PERSON, "desk", world.now)
    sections = {str(item["section"]): item for item in exported["sections"]}
    rooms = Path(assembly.__file__).parent.rglob("*.py")
    named = {name for room in rooms for name in re.findall(r'^    section = "(\w+)"', room.read_text(), re.MULTILINE)}
    assert len(named) > 10
    assert named <= sections.keys()
    for item in sections.values():
        assert item["title"]["zh"] != item["title"]["en"] != f"section_{item['section']}"
    assert sections["partners_told"]["records"]
    assert [case["kind"] for case in sections["card_business"]["records"][0]["cases"]] == ["holder_lock"]


def test_nobody_is_erased_whose_new_card_is_being_made(world: World) -> None:
    person = world.followed()
    life, who = world.issuer.life, Who(card_ref=person.card_ref)
    life.losses.report(LossKind.FORMAL, who, world.asked(), world.now)
    life.replacements.order(ReplacementReason.LOSS, who, world.asked(), world.now)
    erase, number = world.issuer.privacy.erasing.erase, IdNumber(person.id_number)
    with pytest.raises(RuleViolation, match="erasure_card_live"):
        erase("e1", number, ErasureGround.REQUEST, "letter 8", "admin", world.now)
