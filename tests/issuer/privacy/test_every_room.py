"""A person of whom every room keeps something: all of it is shown to them, stands in the way of an erasure while it is
not finished, goes by policy, and is unreadable once they are erased."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ecard_card.acting import IN_PERSON
from ecard_card.card import HolderProof
from ecard_card.errors import NotFound, RuleViolation
from ecard_issuer.accounts.sql import SqlAccounts
from ecard_issuer.accounts.values import AccountRow
from ecard_issuer.applying.contexts import copy_context, details_context, note_context
from ecard_issuer.applying.sql import SqlApplications
from ecard_issuer.applying.values import AccessRow as Look
from ecard_issuer.applying.values import ApplicationState, CopyRow, DocumentCopy, StepRow
from ecard_issuer.family.link import FamilyEnd, LinkRow, Proof, Relation, Side
from ecard_issuer.family.sql import SqlLinks
from ecard_issuer.links.sql import SqlLinks as ChannelLinks
from ecard_issuer.links.sql_claims import SqlClaims
from ecard_issuer.links.values import ClaimRow, IdentificationRow, Link, LinkRight
from ecard_issuer.links.values import LinkEnd as ChannelEnd
from ecard_issuer.mandates.desk import proof_context
from ecard_issuer.mandates.sql import SqlMandates
from ecard_issuer.mandates.values import MandateDocumentRow
from ecard_issuer.partners.office import Wanted
from ecard_issuer.partners.streams import Method
from ecard_issuer.pins.secret import Purpose, SecretAct, SecretEvent
from ecard_issuer.pins.sql import SqlSecrets
from ecard_issuer.privacy.business import OpenReplacements
from ecard_issuer.privacy.inventory import INVENTORY
from ecard_issuer.register import tables
from ecard_issuer.register.engine import writing
from ecard_issuer.relying.records import AccessRow, ConfirmationRow, SubjectRow, Used
from ecard_issuer.relying.sql import SqlRelying
from ecard_issuer.rows import HolderRow
from ecard_issuer.states import AccountState
from tests.contracts.people_contract import application, mandate, step
from tests.contracts.register_world import refused
from tests.issuer.privacy.lives import Lives, dump_of, tables_of
from tests.issuer.web.test_journey import post
from tests.postgres import PostgresServer

DAY = timedelta(days=1)
PROOF = b'{"form": "written", "reference": "canary", "given_at": "2026-11-01T00:00:00+00:00", "given_by": "holder"}'
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


def holder_of(lives: Lives, person: int) -> HolderRow:
    holder = lives.issuer.people.find(lives.id_number(person))
    assert holder is not None
    return holder


def fill(lives: Lives) -> list[tuple[str, bytes]]:
    """Something of person 1 in every room, with person 3 as their relative and agent; their card has ended. Gives every
    sealed value of theirs, with its table."""
    card_ref, other_card, now = lives.card(1), lives.card(3), lives.service.clock()
    ecard_id, others_ecard = lives.issue(1)["ecard_id"], lives.issue(3)["ecard_id"]
    holder, other = holder_of(lives, 1), holder_of(lives, 3)
    ref, engine = holder.holder_ref, lives.engine
    seal = lives.issuer.people.seal_of(holder)

    applications, row = SqlApplications(engine), application(holder_ref=ref, content_mac="canary-application")
    row = applications.add(replace(row, sealed=seal.seal(b"{}", details_context(row.application_id))))
    photo = seal.seal(b"canary photo", copy_context(row.application_id, DocumentCopy.PHOTO))
    applications.put_copy(
        CopyRow(row.application_id, DocumentCopy.PHOTO, "image/jpeg", "desk", 12, photo, row.submitted_at)
    )
    applications.note_access(Look(row.application_id, now, "desk"))
    move = step(row, ApplicationState.SUBMITTED, ApplicationState.REFUSED)
    context = note_context(StepRow(row.application_id, 2, move.target, move.by, move.now))
    applications.move(replace(move, sealed_note=seal.seal(b"canary note", context)))

    mandates, over = SqlMandates(engine), now - DAY
    given = mandate(holder_ref=ref, agent_ref=other.holder_ref, content_mac="canary-given", closes_at=over)
    mandates.add(replace(given, sealed=seal.seal(PROOF, proof_context(given.mandate_id))))
    scan = seal.seal(b"canary scan", f"mandate-document/{given.mandate_id}")
    mandates.add_document(MandateDocumentRow(given.mandate_id, "application/pdf", 11, scan, now))
    held = mandate(holder_ref=other.holder_ref, agent_ref=ref, content_mac="canary-held", closes_at=over)
    others = lives.issuer.people.seal_of(other)
    mandates.add(replace(held, sealed=others.seal(PROOF, proof_context(held.mandate_id))))

    for purpose, subject in ((Purpose.CARD_PIN, card_ref), (Purpose.ECARD_PASSWORD, ecard_id)):
        event = SecretEvent(subject, purpose, 1, "e-1", SecretAct.SET, now, "desk", "own", None)
        SqlSecrets(engine).write(event, "canary-hash", unlocking=False)

    links = SqlLinks(engine)
    for viewer, relative, shown in ((ref, other.holder_ref, others_ecard), (other.holder_ref, ref, ecard_id)):
        link = LinkRow(
            viewer, f"l-{shown}", 0, relative, shown, Relation.SPOUSE, Proof.IN_PERSON, None, "t", "desk", now
        )
        links.add_showing(links.add(link, 8), f"s-{shown}", "app", now)

    channels, claims = ChannelLinks(engine), SqlClaims(engine)
    for app, end in (("ek_live_bank", None), ("ek_live_town", ChannelEnd.RELEASED)):
        claimed = Link(ecard_id, f"l-{app}", app, ref, HolderProof.CHIP, None, None, "c", "canary-claim", now)
        channels.add_link(claimed)
        key = seal.seal(b"canary key", f"link-key/{app}")
        channels.add_right(LinkRight(claimed.link_id, f"e-{app}", ecard_id, ref, b"thumb", now, key), claimed)
        if end is not None:
            channels.end_link(claimed, end, now)
    claims.add_identification(IdentificationRow("canary-identification", "ek_live_bank", ref, now, now))
    asked = ClaimRow("canary-claim", "ek_live_bank", ref, card_ref, "l", "e", "n", "c", HolderProof.PIN, None, now, now)
    claims.add_claim(asked)

    relying = SqlRelying(engine)
    access = AccessRow(ref, "a-1", "hash", seal.seal(b'{"service": "canary", "line": 82}', f"access/{ref}/a-1"), now)
    relying.admit(access, Used("code", now), SubjectRow("subject", "clinic", ref, now + DAY))
    signed = seal.seal(b"a.e30.c", "confirmation/c-1")
    relying.add_confirmation(ConfirmationRow(ref, "c-1", signed, now), "clinic")
    number = seal.seal(b"6222000000000001", f"bank_account/{card_ref}")
    account = AccountRow(card_ref, "ICBC", "canary-account", number, AccountState.NOT_ACTIVATED, 1, now)
    SqlAccounts(engine).open_account(account, "e-1", "icbc")
    mac = lives.issuer.register.get_card(card_ref).number_mac
    with writing(engine) as connection:
        for table, values in (
            (tables.partner_subject, {"card_ref": card_ref, "stream_id": "gone", "added_at": now, "since": 0}),
            (tables.partner_reference, {"reference": "canary-partner", "partner": "p", "card_ref": card_ref}),
            (
                tables.intake_exception,
                {
                    "exception_ref": "x",
                    "source": "s",
                    "code": "event_gap",
                    "event_id": "e",
                    "change": "cancel",
                    "occurred_at": now,
                    "number_mac": mac,
                    "first_seen": now,
                    "last_seen": now,
                    "count": 1,
                    "state": "open",
                    "tries": 0,
                    "decision": "",
                },
            ),
        ):
            connection.execute(table.insert().values(values))
    body = {"request_id": "1", "card_ref": card_ref, "cause": "emigration", "proof": "canary paper"}
    post(lives.client, "/v1/cancellations", body, 201)
    others_own = {other.holder_ref, other_card}
    return [
        (name, row[column])
        for name, row in tables_of(engine)
        for column in (INVENTORY[name].sealed if name in INVENTORY else ())
        if row[column] and not others_own & {row.get("holder_ref"), row.get("card_ref")}
    ]


SHOWN = {
    "applications",
    "mandates",
    "pins",
    "family",
    "accesses",
    "confirmations",
    "bank_accounts",
    "card_business",
    "card_events_not_taken",
    "links",
}


def test_all_of_it_is_shown_and_none_of_it_opens_after_an_erasure(lives: Lives) -> None:
    sealed = fill(lives)
    issuer, now = lives.issuer, lives.service.clock()
    shown = issuer.privacy.exporting.export("x-1", lives.id_number(1), IN_PERSON, "desk", now)
    sections = shown["sections"]
    assert isinstance(sections, list)
    assert {part["section"] for part in sections if part["records"]} >= SHOWN
    former, other = holder_of(lives, 1), holder_of(lives, 3)
    assert {name for name, _ in sealed} >= {
        "application",
        "application_step",
        "application_document",
        "mandate",
        "mandate_document",
        "relying_access",
        "confirmation",
        "bank_account",
        "card_case",
        "channel_link_right",
    }
    before = dump_of(lives.engine)
    assert all(b"canary-" + name in before for name in (b"application", b"given", b"held", b"hash", b"account"))

    with pytest.raises(RuleViolation) as told:
        lives.erase(1)
    assert (told.value.code, told.value.detail) == ("erasure_business_open", "relying_permission")
    lives.service.clock.advance(2 * 86_400)
    assert lives.erase(1).applied

    dump = dump_of(lives.engine)
    assert [name for name, blob in sealed if blob in dump] == []
    assert b"canary" not in dump
    left = [name for name, row in tables_of(lives.engine) if former.holder_ref in str(row)]
    assert left == ["erased_person"]
    gone = {name for name, kept in INVENTORY.items() if kept.goes} - {"family_place", "open_application"}
    assert not gone & {name for name, _ in tables_of(lives.engine)}
    with refused(NotFound, "person_unknown"):
        issuer.privacy.exporting.export("x-2", lives.id_number(1), IN_PERSON, "desk", now)
    # The relative keeps their own record: two ended links, when they were shown, and the mandate they gave.
    links = SqlLinks(lives.engine)
    ends = {side: [link.end for link in links.of(other.holder_ref, side)] for side in Side}
    assert ends == {Side.VIEWER: [FamilyEnd.ECARD_ENDED], Side.RELATIVE: [FamilyEnd.VIEWER]}
    theirs = issuer.privacy.exporting.export("x-3", lives.id_number(3), IN_PERSON, "desk", now)
    assert "'reference': 'canary'" in str(theirs)
    assert len(links.showings(other.holder_ref)) == 2


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Lives]:
    opened = Lives(tmp_path)
    yield opened
    opened.close()


def hindrance(lives: Lives) -> str:
    with pytest.raises(RuleViolation) as told:
        lives.erase(1)
    assert told.value.code == "erasure_business_open"
    return told.value.detail


def test_what_is_not_finished_stands_in_the_way(local: Lives) -> None:
    card_ref, now = local.card(1), local.service.clock()
    ref, engine = holder_of(local, 1).holder_ref, local.engine
    local.issue(1)
    order = {"request_id": "1", "card_ref": card_ref, "reason": "damage"}
    case_id = post(local.client, "/v1/replacements", order, 201)["case_id"]
    (replacement,) = [room for room in local.issuer.privacy.erasing._business if isinstance(room, OpenReplacements)]
    assert replacement.open_business(ref, now) == "replacement"
    post(local.client, f"/v1/replacements/{case_id}/withdrawn", {})
    assert replacement.open_business(ref, now) is None
    local.cancel(card_ref)

    row = SqlApplications(engine).add(application(holder_ref=ref))
    assert hindrance(local) == "application"
    SqlApplications(engine).move(step(row, ApplicationState.SUBMITTED, ApplicationState.WITHDRAWN))
    for people in ({"holder_ref": ref}, {"agent_ref": ref}):
        live = SqlMandates(engine).add(mandate(**people, starts_at=now + DAY, closes_at=now + 2 * DAY))
        assert hindrance(local) == "mandate"
        local.issuer.acting.revoke(live.mandate_id, "desk", now)

    stream = local.issuer.partners.office.create("bank", Wanted(Method.POLL), now)
    with writing(engine) as connection:
        values = {"card_ref": card_ref, "stream_id": stream.stream_id, "added_at": now, "since": 0}
        connection.execute(tables.partner_subject.insert().values(values))
    assert hindrance(local) == "partner_news"  # the end is not in the feed
    local.dispatch()
    assert hindrance(local) == "partner_news"  # nor in the stream
    local.issuer.partners.worker.turn()
    assert local.erase(1).applied


def test_every_room_forgets_by_the_policy(local: Lives) -> None:
    document = 'region = "000000"\n[retention]\napplications = 30\nmandates = 30\naccesses = 30\ndeliveries = 30\n'
    now = local.service.clock()
    local.issuer.policies.office.set(document, now + timedelta(minutes=1), "anna", now)
    fill(local)
    local.service.clock.advance(20 * 86_400)
    job = local.issuer.privacy.retention
    assert not any(job.run(local.service.clock()).values())
    local.service.clock.advance(60 * 86_400)
    expected = {
        "applications": 1,
        "mandates": 2,
        "accesses": 1,
        "secret_events": 2,
        "family_showings": 4,
        "channel_links": 1,
        "exports": 0,
    }
    foreseen = job.preview(local.service.clock())
    assert {name: foreseen[name] for name in expected} == expected
    assert job.run(local.service.clock()) == foreseen
    assert not any(job.run(local.service.clock()).values())
