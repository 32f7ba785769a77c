"""Erasing a person: what was personal is unreadable for ever, what was proven about the cards stays provable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import Engine, event

from ecard_card.acting import IN_PERSON, Ground
from ecard_card.card import Card, CardNumber
from ecard_card.errors import ApprovalNeeded, Conflict, InvalidInput, NotFound, RuleViolation
from ecard_card.status import CardChange, CardStatus, EcardStatus
from ecard_issuer.approvals import Approvals
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.privacy.erasure import Erasing, Repeated
from ecard_issuer.privacy.inventory import INVENTORY, Kept
from ecard_issuer.privacy.sql import SqlErasures, SqlExports
from ecard_issuer.privacy.values import ErasureGround, ErasureRow, ExportRow, key_mark
from ecard_issuer.register import SqlRegister
from ecard_issuer.rows import HolderRow
from ecard_issuer.web.models import NewCard
from ecard_keys.protect import FileProtector
from ecard_verifier.feed import FIRST, STREAM, digest_of_token, verify_event
from tests.contracts.register_race import race
from tests.contracts.register_world import World, refused
from tests.issuer.privacy.lives import Lives, dump_of, opened_by, tables_of
from tests.issuer.service import START
from tests.postgres import PostgresServer

ENGINES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=ENGINES)
def lives(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lives]:
    url = None
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.new_register()
    opened = Lives(tmp_path, url)
    yield opened
    opened.close()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Lives]:
    opened = Lives(tmp_path)
    yield opened
    opened.close()


def protector_of(lives: Lives) -> FileProtector:
    protector = lives.issuer.people.references._protector
    assert isinstance(protector, FileProtector)
    return protector


def holder_of(lives: Lives, person: int) -> HolderRow:
    holder = lives.issuer.people.find(lives.id_number(person))
    assert holder is not None
    return holder


def verify_feed(lives: Lives) -> int:
    """Read the feed from its first event as a new verifier does; says how long it is."""
    now, previous = lives.service.clock(), FIRST
    rows = lives.issuer.register.read_feed(STREAM, 0)
    for number, row in enumerate(rows, 1):
        event = verify_event(row.token, lives.issuer.keys.trust(now), now)
        assert (event.seq, event.previous) == (number, previous)
        previous = digest_of_token(row.token)
    return len(rows)


def test_after_an_erasure_nothing_personal_opens_and_everything_proven_stands(lives: Lives) -> None:
    first, second, other = lives.card(1), lives.card(1, 2), lives.card(3)
    credential = lives.issue(1)
    lives.issue(3)
    export = lives.issuer.privacy.exporting.export
    export("x-1", lives.id_number(1), IN_PERSON, "desk", lives.service.clock())
    former = holder_of(lives, 1)
    secrets = [former.wrapped_data_key, former.sealed]
    for name, row in tables_of(lives.engine):
        secrets += [
            row[column]
            for column in ("sealed_identity", "sealed_sd_jwt", "evidence")
            if row.get(column) and row.get("card_ref") in (first, second) and name != "holder"
        ]
    assert len(secrets) >= 7
    data = synthetic(1)
    canaries = [data.name.encode(), data.id_number.encode(), data.card_number.encode(), *secrets]
    assert sum(secret in dump_of(lives.engine) for secret in secrets) >= 5  # the test would see them

    with refused(RuleViolation, "erasure_card_live"):
        lives.erase(1)
    lives.cancel(first)
    with refused(RuleViolation, "erasure_card_live"):
        lives.erase(1)
    lives.cancel(second)
    lives.dispatch()
    before = verify_feed(lives)
    events = lives.issuer.register.events_of(first)
    done = lives.erase(1)
    assert (done.applied, done.row.ground, done.row.proof) == (True, ErasureGround.REQUEST, "file 2026-17")

    dump = dump_of(lives.engine)
    assert not [canary for canary in canaries if canary in dump]
    left = [str(row) for name, row in tables_of(lives.engine) if name != "erased_person"]
    assert not [row for row in left if former.holder_ref in row]
    found = opened_by(lives.engine, protector_of(lives))
    assert any(synthetic(3).name.encode() in text for text in found)  # the same search opens everybody else
    assert any(synthetic(3).card_number.encode() in text for text in found)
    assert not [text for text in found for canary in canaries[:3] if canary in text]

    card = lives.issuer.register.get_card(first)
    assert lives.issuer.register.events_of(first) == events
    assert [row.credential_id.hex() for row in lives.issuer.register.credentials_of(first)] == [
        credential["credential_id"]
    ]
    place = credential["status"]
    entries = dict(lives.issuer.register.status_snapshot(place["list_id"]).entries)
    assert entries[place["index"]] == EcardStatus.INVALID
    assert verify_feed(lives) == before
    assert lives.issuer.cards.cards_of(lives.id_number(1)) == ()
    assert lives.issuer.cards.cards_numbered(CardNumber(data.card_number)) == ()
    with refused(NotFound, "person_erased"):
        lives.issuer.cards.identity(card)
    assert {row.holder_ref for row in lives.issuer.register.cards_of_holder(card.holder_ref)} == {card.holder_ref}
    assert lives.issuer.cards.identity(lives.issuer.register.get_card(other)).holder.name == synthetic(3).name
    with refused(NotFound, "person_unknown"):
        export("x-2", lives.id_number(1), IN_PERSON, "desk", lives.service.clock())


def test_whoever_comes_back_begins_anew(local: Lives) -> None:
    old = local.card(1)
    former = holder_of(local, 1)
    pairwise = local.issuer.people.references.pairwise("clinic", former.holder_ref)
    local.cancel(old)
    local.erase(1)
    again = local.erase(1)
    assert (again.applied, again.row.erasure_id) == (False, "e-1")
    with refused(Conflict, "card_exists"):  # the chip is the register's for ever
        local.issuer.cards.register(_card(local, 1), local.issuer.register.get_card(old).status, local.service.clock())
    new = local.card(1, 2)
    holder = holder_of(local, 1)
    assert holder.wrapped_data_key != former.wrapped_data_key
    assert [card.card_ref for card in local.issuer.cards.cards_of(local.id_number(1))] == [new]
    assert local.issuer.cards.identity(local.issuer.register.get_card(new)).holder.name == synthetic(1).name
    with refused(NotFound, "person_erased"):
        local.issuer.cards.identity(local.issuer.register.get_card(old))
    # What parties call a person is made of the number: it is the same, and leads to the new cards only.
    assert local.issuer.people.references.pairwise("clinic", holder.holder_ref) == pairwise
    with refused(Conflict, "erasure_id_taken"):
        local.erase(1)


def _card(lives: Lives, serial: int) -> Card:
    return NewCard.model_validate(lives.service.card_body(serial)).to_card()


def test_a_person_without_a_card_can_be_erased_and_nobody_twice(local: Lives) -> None:
    local.issuer.people.enter(_card(local, 5).holder)
    with refused(NotFound, "person_unknown"):
        local.erase(6)
    assert local.erase(5).applied
    assert local.issuer.people.find(local.id_number(5)) is None


def test_open_business_of_any_room_stands_in_the_way(local: Lives) -> None:
    class Room:
        def open_business(self, holder_ref: str, now: datetime) -> str | None:
            return "application" if holder_ref == holder.holder_ref else None

    holder = local.issuer.people.enter(_card(local, 1).holder)
    issuer = local.issuer
    erasing = Erasing(issuer.privacy.erasures, issuer.register, issuer.people, issuer.approvals, (Room(),))
    with pytest.raises(RuleViolation) as told:
        erasing.erase("e-1", local.id_number(1), ErasureGround.DEATH, "x", "anna", local.service.clock())
    assert (told.value.code, told.value.detail) == ("erasure_business_open", "application")
    assert issuer.people.find(local.id_number(1)) == holder


def test_two_people_erase_and_their_agreement_names_nobody(local: Lives) -> None:
    issuer, now = local.issuer, local.service.clock()
    local.cancel(local.card(1))
    approvals = Approvals(issuer.register, needed=1)
    erasing = Erasing(issuer.privacy.erasures, issuer.register, issuer.people, approvals)
    wanted = ("e-1", local.id_number(1), ErasureGround.ORDER, "豫人社函〔2026〕17号", "anna", now)
    with pytest.raises(ApprovalNeeded) as asked:
        erasing.erase(*wanted)
    request = approvals.get(asked.value.request_id)
    assert (request.action, request.subject) == ("person.erase", "e-1")
    assert request.facts["proof"] == "豫人社函〔2026〕17号"
    assert holder_of(local, 1).holder_ref not in str(request)
    approvals.decide(request.request_id, "ben", approve=True, now=now)
    local.cancel(local.card(3))
    with pytest.raises(ApprovalNeeded):  # the same id for another person is another change
        erasing.erase("e-1", local.id_number(3), *wanted[2:])
    assert erasing.erase(*wanted).applied


@pytest.mark.parametrize("proof", ["", "x" * 101, "a\nb", "410105199001010011", "tel 13800138000"])
def test_a_proof_is_a_files_number_and_nobodys_own(proof: str) -> None:
    with refused(InvalidInput, "bad_proof_reference"):
        ErasureRow("e-1", ErasureGround.DEATH, proof, "anna", START)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_card_entered_in_the_moment_of_an_erasure_is_never_under_a_destroyed_key(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = None
    if kind == "postgres":
        url = request.getfixturevalue("postgres_server").new_register()
    lives = Lives(tmp_path, url)
    for round_ in range(8):
        person, now = 100 + round_, lives.service.clock()
        holder = lives.issuer.people.enter(_card(lives, person).holder)
        enter = partial(lives.issuer.cards.register, _card(lives, person), CardStatus.NORMAL, now)
        ended = race(enter, partial(lives.erase, person, f"e-{round_}"))
        assert set(ended) <= {"won", "erasure_card_live", "holder_changed", "holder_exists"}
        assert ended["won"] >= 1
        (card,) = lives.issuer.cards.cards_of(lives.id_number(person)) or (None,)
        if card is not None:
            assert lives.issuer.cards.identity(card).holder.name == synthetic(person).name
        if ended["won"] == 2 and card is not None:
            assert key_mark(holder_of(lives, person).wrapped_data_key) != key_mark(holder.wrapped_data_key)
    lives.close()


@pytest.mark.parametrize("kind", ENGINES)
def test_what_names_a_person_is_moved_or_goes_as_the_inventory_says(kind: str, request: pytest.FixtureRequest) -> None:
    engine: Engine = request.getfixturevalue(f"{kind}_engine")
    register, exports = SqlRegister(engine), SqlExports(engine)
    for goes, former, tombstone in ((False, "aa" * 16, "cc" * 16), (True, "bb" * 16, "dd" * 16)):
        holder = register.add_holder(HolderRow(former, b"wrapped" + former.encode(), b"sealed"))
        exports.record(ExportRow(former, "x-1", former, Ground.OWN, None, START))
        exports.record(ExportRow("ee" * 16, f"x-{former}", former, Ground.OWN, None, START))
        inventory = {**INVENTORY, "subject_export": Kept("exports", goes=goes)}
        # As if callers were people: a table may name two of them.
        erasures = SqlErasures(engine, inventory, {"holder_ref", "caller"})
        erasures.erase(holder, tombstone, ErasureRow(f"e-{former}", ErasureGround.DEATH, "file", "anna", START))
        assert exports.of(former) == ()
        moved = exports.of(tombstone)
        others = [row for row in exports.of("ee" * 16) if row.export_id == f"x-{former}"]
        assert [(row.export_id, row.caller) for row in moved] == ([] if goes else [("x-1", tombstone)])
        assert [row.caller for row in others] == ([] if goes else [tombstone])


@pytest.mark.postgres
def test_an_erasure_waits_for_a_card_that_is_being_entered(postgres_engine: Engine) -> None:
    """Held at the worst moment: the person was found, and their card is about to be stored under their key."""
    register = SqlRegister(postgres_engine)
    holder = register.add_holder(HolderRow("ab" * 16, b"wrapped", b"sealed"))
    row = ErasureRow("e-1", ErasureGround.DEATH, "file", "anna", START)
    ended: list[str] = []

    def erase() -> None:
        try:
            SqlErasures(postgres_engine).erase(holder, "cd" * 16, row)
            ended.append("erased")
        except RuleViolation as refusal:
            ended.append(refusal.code)

    eraser = Thread(target=erase)

    @event.listens_for(postgres_engine, "before_cursor_execute")
    def hold(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("INSERT INTO card ") and not eraser.ident:
            eraser.start()
            eraser.join(1)

    World(register).card(holder=holder)
    eraser.join(10)
    assert ended == ["erasure_card_live"]
    assert register.find_holder(holder.holder_ref) == holder


def test_a_destroyed_key_does_not_come_back_by_a_row_read_before(local: Lives) -> None:
    holder = local.issuer.people.enter(_card(local, 1).holder)
    local.erase(1)
    with refused(Conflict, "holder_erased"):
        local.issuer.register.add_holder(holder)
    assert local.issuer.people.find(local.id_number(1)) is None


def test_an_old_backup_is_erased_again_and_who_came_anew_is_left_alone(local: Lives, tmp_path: Path) -> None:
    """The backup is the register as it was: here, the holder rows put back by hand."""
    first, third = local.card(1), local.card(3)
    local.cancel(first)
    erased_one, erased_three = holder_of(local, 1), holder_of(local, 3)
    local.erase(1)
    local.cancel(third)
    local.erase(3, "e-3")
    people = local.issuer.privacy.erasures.erased()
    assert [person.key_mark for person in people] == [
        key_mark(row.wrapped_data_key) for row in sorted((erased_one, erased_three), key=lambda row: row.holder_ref)
    ]
    restored = Lives(tmp_path / "restored")
    register, erasing = restored.issuer.register, restored.issuer.privacy.erasing
    register.add_holder(erased_one)
    live = restored.card(7)
    anew = HolderRow(erased_three.holder_ref, b"another key", b"sealed")
    register.add_holder(anew)
    now = restored.service.clock()
    assert vars_of(erasing.repeat(people, "anna", now)) == (1, 1, 0)
    assert register.find_holder(erased_one.holder_ref) is None
    assert register.find_holder(anew.holder_ref) == anew
    assert vars_of(erasing.repeat(people, "anna", now)) == (0, 2, 0)

    waiting = holder_of(restored, 7)
    listed = [type(people[0])(waiting.holder_ref, key_mark(waiting.wrapped_data_key), now)]
    assert vars_of(erasing.repeat(listed, "anna", now)) == (0, 0, 1)
    restored.issuer.lifecycle.change(live, CardChange.CANCEL, now)
    assert vars_of(erasing.repeat(listed, "anna", now)) == (1, 0, 0)
    restored.close()


def vars_of(done: Repeated) -> tuple[int, int, int]:
    return (done.erased, done.absent, done.waiting)


def test_sqlite_keeps_nothing_of_a_row_among_many(local: Lives) -> None:
    """Pages split and fill as rows come and go; nothing of the person's rows is left on any of them."""
    for serial in range(200, 260):
        local.issuer.cards.register(_card(local, serial), CardStatus.NORMAL, local.service.clock())
    people = (205, 220, 251)
    secrets = []
    for person in people:
        holder = holder_of(local, person)
        (card,) = local.issuer.cards.cards_of(local.id_number(person))
        secrets += [holder.wrapped_data_key[-40:], holder.sealed[-40:], card.sealed_identity[-40:]]
        local.cancel(card.card_ref)
    for person in people:
        assert local.erase(person, f"e-{person}").scrubbed
    for serial in range(300, 320):
        local.issuer.cards.register(_card(local, serial), CardStatus.NORMAL, local.service.clock())
    assert local.issuer.privacy.erasures.scrub()
    dump = dump_of(local.engine)
    assert holder_of(local, 206).sealed in dump
    assert not [secret for secret in secrets if secret in dump]
    assert local.issuer.privacy.erasures.scrub(whole=True)


def test_a_reader_delays_the_scrubbing_and_not_the_erasure(local: Lives) -> None:
    holder = local.issuer.people.enter(_card(local, 1).holder)
    file = local.engine.url.database or ""
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM holder").fetchone() == (1,)
        done = local.erase(1)
        assert (done.applied, done.scrubbed) == (True, False)
        assert local.issuer.people.find(local.id_number(1)) is None
        assert holder.wrapped_data_key in dump_of(local.engine)
        assert local.issuer.privacy.erasures.scrub(whole=True) is False
    again = local.erase(1)
    assert (again.applied, again.scrubbed) == (False, True)
    assert holder.wrapped_data_key not in dump_of(local.engine)


@pytest.mark.postgres
def test_postgresql_is_told_to_clean_when_asked(postgres_engine: Engine) -> None:
    assert SqlErasures(postgres_engine).scrub() is False  # it does so in its own time
    assert SqlErasures(postgres_engine).scrub(whole=True) is True
