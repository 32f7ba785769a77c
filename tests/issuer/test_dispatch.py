"""From outbox to feed: each change once, in order, signed, and heard by a verifier's own mirror."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ecard_card import cwt
from ecard_card.errors import CheckFailed
from ecard_card.jose import dump_json
from ecard_card.status import CardChange, CardStatus, EcardStatus
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.dispatch import REPEAT_SECONDS, Dispatcher, Seldom, Wake, dispatch_once
from ecard_issuer.event_desk import EventDesk
from ecard_issuer.feed_hub import FeedHub, Follower, LocalFeed
from ecard_issuer.register import SqlRegister
from ecard_issuer.register.engine import writing
from ecard_issuer.register.tables import outbox
from ecard_issuer.rows import OutboxRow
from ecard_issuer.states import OutboxKind
from ecard_issuer.web.models import NewCard
from ecard_keys.key import KeyPurpose
from ecard_sdk.device import DeviceKey
from ecard_verifier.feed import (
    STREAM,
    CredentialIssued,
    FeedBeat,
    StatusChanged,
    TrustListPublished,
    digest_of_token,
    verify_event,
)
from ecard_verifier.mirror import Mirror
from tests.issuer.service import Service, open_service
from tests.postgres import PostgresServer


def desk_of(service: Service) -> EventDesk:
    issuer = service.issuer
    return EventDesk(issuer.signing, issuer.keys, issuer.identity)


def drain(service: Service) -> None:
    while dispatch_once(service.issuer.register, desk_of(service), service.clock()):
        pass


def issue(service: Service, serial: int) -> tuple[str, bytes]:
    """A registered card with one credential: its reference and the CWT."""
    issuer = service.issuer
    card = NewCard.model_validate(service.card_body(serial)).to_card()
    card_ref = issuer.cards.register(card, CardStatus.NORMAL, service.clock())
    opened = issuer.enrolment.begin("desk", service.clock())
    evidence = Evidence.from_json(dump_json(service.evidence(serial, opened.challenge.digest())))
    proven = issuer.enrolment.complete(opened.enrolment_id, evidence, service.clock())
    device = DeviceKey.generate()
    proof = device.proof(issuer.identity.issuer, proven.enrolment_id, service.clock())
    return card_ref, issuer.issuing.issue(proven.enrolment_id, device.point, proof, service.clock()).cwt


def test_a_life_of_a_card_becomes_a_gapless_feed_that_a_mirror_folds(service: Service) -> None:
    issuer = service.issuer
    card_ref, compact = issue(service, 1)
    for change in (CardChange.REPORT_LOSS, CardChange.RELEASE, CardChange.CANCEL):
        issuer.lifecycle.change(card_ref, change, service.clock())
    drain(service)
    rows = issuer.register.read_feed(STREAM)
    trust = issuer.keys.trust(service.clock())
    events = [verify_event(row.token, trust, service.clock()) for row in rows]
    assert [event.seq for event in events] == list(range(1, len(rows) + 1))
    bodies = [type(event.body) for event in events]
    assert bodies.count(TrustListPublished) == 1  # of no card, so its place among theirs is free
    bodies.remove(TrustListPublished)
    assert bodies == [CredentialIssued, *[StatusChanged] * 3]
    statuses = [event.body.status for event in events if isinstance(event.body, StatusChanged)]
    assert statuses == [EcardStatus.SUSPENDED, EcardStatus.VALID, EcardStatus.INVALID]
    mirror = Mirror(issuer=issuer.identity.issuer)
    for event in events:
        assert mirror.apply(event)
    last = digest_of_token(rows[-1].token)
    beat = desk_of(service).beat(len(rows), last, service.clock(), service.clock())
    assert mirror.apply(verify_event(beat, trust, service.clock()))
    body = events[-1].body
    assert isinstance(body, StatusChanged)
    assert mirror.read(body.uri, body.index).value == EcardStatus.INVALID
    assert mirror.get(_credential_id(compact)) == compact


def _credential_id(compact: bytes) -> bytes:
    return cwt.parse(compact).credential_id


def test_many_workers_dispatch_every_row_exactly_once(service: Service) -> None:
    _many_workers(service)


@pytest.mark.postgres
def test_many_workers_on_postgresql_dispatch_every_row_exactly_once(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    service = open_service(tmp_path, database_url=postgres_server.new_register())
    _many_workers(service)
    service.issuer.close()


def _many_workers(service: Service) -> None:
    issuer = service.issuer
    refs = [
        issuer.cards.register(
            NewCard.model_validate(service.card_body(serial)).to_card(), CardStatus.NORMAL, service.clock()
        )
        for serial in range(1, 11)
    ]
    for change in (CardChange.REPORT_LOSS, CardChange.RELEASE):
        for ref in refs:
            issuer.lifecycle.change(ref, change, service.clock())
    start = threading.Barrier(4)

    def work() -> None:
        start.wait(10)
        for _ in range(50):
            dispatch_once(issuer.register, desk_of(service), service.clock(), limit=3)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    drain(service)
    rows = issuer.register.read_feed(STREAM)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert len({row.outbox_id for row in rows}) == len(rows) == 1 + 20
    trust = issuer.keys.trust(service.clock())
    assert all(verify_event(row.token, trust, service.clock()).seq == row.seq for row in rows)


def test_one_turn_publishes_to_the_hub_and_beats(service: Service) -> None:
    issuer = service.issuer
    follower = Follower(issuer.register, issuer.hub, 0)
    issuer.dispatcher.turn()
    messages = follower.more()
    assert [(message.kind, message.seq) for message in messages] == [("set", 1), ("beat", 1)]
    event = verify_event(messages[1].token, issuer.keys.trust(service.clock()), service.clock())
    assert event.body == FeedBeat(int(service.clock().timestamp()))
    issuer.dispatcher.turn()
    assert follower.more() == []  # no time has passed
    service.clock.advance(1)
    issuer.dispatcher.turn()
    assert [message.kind for message in follower.more()] == ["beat"]


def test_while_a_fallen_worker_holds_a_change_no_beat_claims_to_know_it(service: Service) -> None:
    issuer = service.issuer
    issuer.dispatcher.turn()
    ref = issuer.cards.register(
        NewCard.model_validate(service.card_body(1)).to_card(), CardStatus.NORMAL, service.clock()
    )
    lost_at = service.clock.advance(1)
    issuer.lifecycle.change(ref, CardChange.REPORT_LOSS, lost_at)
    assert issuer.register.claim_outbox(service.clock(), lease=timedelta(seconds=30))  # and the worker is gone
    follower = Follower(issuer.register, issuer.hub, 1)
    follower.more()
    service.clock.advance(3)
    issuer.dispatcher.turn()
    (beat,) = follower.more()
    body = verify_event(beat.token, issuer.keys.trust(service.clock()), service.clock()).body
    assert isinstance(body, FeedBeat)
    assert body.at < lost_at.timestamp()
    service.clock.advance(30)  # the lease is over
    issuer.dispatcher.turn()
    assert [message.kind for message in follower.more()] == ["set", "beat"]


def test_rotating_the_event_key_never_leaves_a_follower_behind(service: Service) -> None:
    issuer = service.issuer
    drain(service)
    known = issuer.keys.trust(service.clock())
    made = issuer.keys.create_next(KeyPurpose.EVENT, service.clock.advance(1))
    issuer.keys.promote(made.kid, service.clock.advance(1))
    drain(service)
    for row in issuer.register.read_feed(STREAM, 1):
        verify_event(row.token, known, service.clock())  # the old list still reads the news of the promotion
    late = desk_of(service).beat(3, "-", service.clock.advance(11), service.clock())
    with pytest.raises(CheckFailed):
        verify_event(late, known, service.clock())
    verify_event(late, issuer.keys.trust(service.clock()), service.clock())


def test_a_follower_gets_each_event_once_wherever_it_joins(service: Service) -> None:
    issuer = service.issuer
    hub = FeedHub(0, tail=4)
    for serial in range(1, 13):
        issuer.cards.register(
            NewCard.model_validate(service.card_body(serial)).to_card(), CardStatus.NORMAL, service.clock()
        )
        found = issuer.register.cards_of_holder(
            issuer.cards.references.holder(NewCard.model_validate(service.card_body(serial)).to_card().holder.id_number)
        )
        issuer.lifecycle.change(found[0].card_ref, CardChange.REPORT_LOSS, service.clock())
    drain(service)
    rows = issuer.register.read_feed(STREAM)
    hub.publish(rows)
    hub.beat(len(rows), "beat")
    for since in range(len(rows) + 1):
        follower = Follower(issuer.register, hub, since)
        seen: list[int] = []
        while messages := follower.more():
            seen.extend(message.seq for message in messages if message.kind == "set")
        assert seen == list(range(since + 1, len(rows) + 1))


def test_a_local_feed_ends_when_the_issuer_stops(service: Service) -> None:
    issuer = service.issuer
    issuer.dispatcher.turn()
    source = LocalFeed(issuer.register, issuer.hub).events(0)
    first = next(source)
    assert verify_event(first, issuer.keys.trust(service.clock()), service.clock()).seq == 1
    issuer.hub.close()
    assert len(list(source)) <= 1  # at most the beat that was there


def test_a_row_that_cannot_be_read_is_logged_once_a_minute_and_holds_up_no_other(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = service.issuer
    drain(service)
    with writing(issuer.engine) as connection:
        connection.execute(
            outbox.insert().values(
                card_ref="c1",
                outbox_id="0" * 8,
                ordinal=1,
                kind=OutboxKind.ISSUED,
                body={"other": "than expected"},
                created_at=service.clock(),
            )
        )
    at = [0.0]
    seldom = Seldom(lambda: at[0])

    def lines(seconds: float) -> int:
        """How many are written when the row comes again, that much later."""
        caplog.clear()
        at[0] += seconds
        service.clock.advance(30)  # the lease is over
        dispatch_once(issuer.register, desk_of(service), service.clock(), seldom=seldom)
        return sum("outbox row 00000000" in record.getMessage() for record in caplog.records)

    assert [lines(0), lines(1), lines(REPEAT_SECONDS - 2), lines(1), lines(1)] == [1, 0, 0, 1, 0]
    assert "than expected" not in caplog.text
    issue(service, 1)
    head = issuer.register.feed_head(STREAM)
    drain(service)
    assert issuer.register.feed_head(STREAM) > head


def test_an_unforeseen_fault_is_logged_by_type_and_place_without_its_text(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    called = threading.Event()

    class Broken(SqlRegister):
        def claim_outbox(self, now: datetime, *, lease: timedelta, limit: int = 100) -> tuple[OutboxRow, ...]:
            called.set()
            raise RuntimeError("[parameters: ('somebody', 'private')]")

    dispatcher = Dispatcher(Broken(service.issuer.engine), desk_of(service), FeedHub(0), Wake(), service.clock)
    with caplog.at_level(logging.INFO):
        dispatcher.start()
        assert called.wait(10)
        dispatcher.stop()
    (line,) = [record for record in caplog.records if record.name == "ecard_issuer.dispatch"]
    assert "RuntimeError" in line.getMessage()
    assert "in claim_outbox" in line.getMessage()
    assert line.exc_info is None
    assert "somebody" not in caplog.text.replace("raise RuntimeError(\"[parameters: ('somebody', 'private')]\")", "")


def test_a_ring_before_the_wait_is_not_lost() -> None:
    wake = Wake()
    wake.ring()
    start = time.monotonic()
    wake.wait(60)
    assert time.monotonic() - start < 30
