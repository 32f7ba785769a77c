"""Status out of the issuer: deltas in time, lists in time, decoys that look like cards, and lists that end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from ecard_card import status_delta
from ecard_card.errors import NotFound, Unavailable
from ecard_card.status import CardChange, EcardStatus
from ecard_card.status_delta import StatusDelta
from ecard_card.status_token import parse_jwt
from ecard_issuer.publishing.decoys import FEWEST, MOST, Decoys
from ecard_issuer.publishing.deltas import CHANGED_EVERY, KEPT, QUIET_EVERY, Deltas
from ecard_issuer.publishing.publisher import BATCH, Form, Publisher
from ecard_issuer.publishing.sql import SqlDecoys, SqlDeltas
from ecard_issuer.publishing.worker import PublishingWorker
from ecard_issuer.register import SqlRegister
from ecard_issuer.register.engine import reading, writing
from ecard_issuer.register.sql_statuses import END_MARGIN
from ecard_issuer.register.tables import status_entry, status_list
from ecard_issuer.rows import StatusSnapshot
from ecard_issuer.states import ListState
from ecard_issuer.web.metrics import metrics_of
from ecard_keys.desk.desk import SigningProfile
from ecard_sdk.offline import OfflineVerifier
from ecard_verifier.bundle import Bundle, open_bundle
from ecard_verifier.bundle_update import update_bundle
from ecard_verifier.feed import STREAM
from tests.issuer.service import ORIGIN, Clock, Service, open_service
from tests.issuer.test_dispatch import drain, issue


def opened(token: str) -> StatusDelta:
    return status_delta.sealed(token).open()


def deltas_of(service: Service) -> Deltas:
    return service.issuer.publishing.deltas


class Served:
    """The issuer's public routes, without a wire."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def deltas_from(self, position: int) -> list[str]:
        return [row.token for row in deltas_of(self.service).since_position(position)]

    def deltas_since(self, number: int) -> list[str]:
        return [row.token for row in deltas_of(self.service).since(number)]

    def bundle(self) -> bytes:
        return self.service.issuer.publisher.bundle(self.service.clock()).body


def updated(service: Service, data: bytes) -> bytes:
    return update_bundle(data, lambda issuer: Served(service), service.clock, service.issuer.keys.root())[0]


def bundle_of(service: Service, data: bytes) -> Bundle:
    return open_bundle(data, service.clock(), service.issuer.keys.root())


def test_a_change_is_in_a_delta_within_the_promised_time_whenever_it_happens(service: Service) -> None:
    """At virtual moments: every second the issuer's threads have their turn, and a terminal asks every 15 s."""
    issuer, clock, drawn = service.issuer, service.clock, random.Random(4)  # noqa: S311 - moments of a test
    card_ref, _ = issue(service, 1)
    (credential,) = issuer.register.credentials_of(card_ref)
    uri = f"{issuer.identity.issuer}/status-lists/{credential.list_id}"
    drain(service)
    deltas_of(service).turn(clock())
    data, longest, ages = Served(service).bundle(), 0.0, []
    for round_ in range(12):
        for _ in range(drawn.randrange(1, 90)):
            clock.advance(1)
            drain(service)
            deltas_of(service).turn(clock())
        change = CardChange.RELEASE if round_ % 2 else CardChange.REPORT_LOSS
        wanted = EcardStatus.VALID if round_ % 2 else EcardStatus.SUSPENDED
        issuer.lifecycle.change(card_ref, change, clock())
        acknowledged, ask = clock(), drawn.randrange(15)
        while True:
            clock.advance(1)
            drain(service)
            deltas_of(service).turn(clock())
            if (clock().timestamp() + ask) % 15 < 1:
                data = updated(service, data)
                reading_ = bundle_of(service, data).statuses.read(uri, credential.index)
                ages.append(clock().timestamp() - reading_.as_of)
                if reading_.value == wanted:
                    break
        longest = max(longest, (clock() - acknowledged).total_seconds())
    assert longest <= 60
    assert max(ages) <= QUIET_EVERY + 15  # and a quiet time ages no more than this


def test_a_running_terminal_takes_what_is_new_and_keeps_it(service: Service) -> None:
    card_ref, _ = issue(service, 1)
    row = service.issuer.register.credentials_of(card_ref)[0]
    drain(service)
    deltas_of(service).turn(service.clock())
    terminal = OfflineVerifier(bundle_of(service, Served(service).bundle()))
    service.issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, service.clock.advance(30))
    drain(service)
    deltas_of(service).turn(service.clock())
    taken = terminal.update(service.clock(), source_of=lambda issuer: Served(service))
    assert taken >= 1
    assert terminal.update(service.clock(), source_of=lambda issuer: Served(service)) == 0
    uri = f"{ORIGIN}/status-lists/{row.list_id}"
    assert terminal.bundle.statuses.read(uri, row.index).value == EcardStatus.SUSPENDED


def test_quiet_hours_cost_a_signature_a_minute(service: Service) -> None:
    deltas, clock = deltas_of(service), service.clock
    drain(service)
    before = service.issuer.signing.counts()[SigningProfile.STATUS_DELTA]
    for _ in range(900):
        deltas.turn(clock())
        clock.advance(1)
    assert service.issuer.signing.counts()[SigningProfile.STATUS_DELTA] - before == 900 // QUIET_EVERY
    rows = deltas.since(0)
    assert [row.as_of for row in rows] == sorted({row.as_of for row in rows})
    assert all(opened(row.token).changes == () for row in rows)


def test_deltas_are_chained_and_cover_every_event_once(service: Service) -> None:
    deltas, clock, drawn = deltas_of(service), service.clock, random.Random(7)  # noqa: S311 - moments of a test
    cards = [issue(service, serial)[0] for serial in range(1, 4)]
    for _ in range(12):
        card = drawn.choice(cards)
        status = service.issuer.register.get_card(card).status
        service.issuer.lifecycle.change(card, CardChange.RELEASE if status == 2 else CardChange.REPORT_LOSS, clock())
        clock.advance(drawn.randrange(40))
        drain(service)
        deltas.turn(clock())
    clock.advance(CHANGED_EVERY)
    deltas.turn(clock())
    rows = deltas.since(0)
    said = [opened(row.token) for row in rows]
    assert [delta.number for delta in said] == list(range(1, len(said) + 1))
    assert said[-1].upto == service.issuer.register.feed_head(STREAM)
    for before, delta, row in zip(said, said[1:], rows, strict=False):
        assert delta.after == before.upto
        assert delta.previous == status_delta.sealed(row.token).digest


def test_a_change_that_is_not_in_the_feed_yet_holds_the_time_back(service: Service) -> None:
    card_ref, _ = issue(service, 1)
    drain(service)
    deltas_of(service).turn(service.clock())
    happened = service.clock.advance(100)
    service.issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, happened)
    service.clock.advance(100)  # the dispatcher is down
    deltas_of(service).turn(service.clock())
    delta = opened(deltas_of(service).latest().token)
    assert delta.as_of < happened.timestamp()
    assert delta.changes == ()


def test_a_clock_set_back_moves_no_time_back(service: Service) -> None:
    drain(service)
    deltas_of(service).turn(service.clock())
    first = opened(deltas_of(service).latest().token)
    service.clock.advance(-300)
    deltas_of(service).turn(service.clock())
    second = opened(deltas_of(service).latest().token)
    assert (second.number, second.as_of) == (2, first.as_of)
    service.clock.advance(-3000)  # the signing desk has its own clock, here the same one: it refuses
    with pytest.raises(Exception, match="draft_refused"):
        deltas_of(service).turn(service.clock())


def test_the_age_of_the_newest_delta_is_a_metric(service: Service) -> None:
    registry = metrics_of([service.issuer])
    assert registry.get_sample_value("ecard_status_delta_age_seconds", {"issuer": ORIGIN}) is None
    deltas_of(service).turn(service.clock())
    service.clock.advance(90)
    drain(service)
    pending = {"issuer": ORIGIN}
    assert registry.get_sample_value("ecard_status_delta_age_seconds", pending) == 91  # a row waited when it was made


def test_two_processes_make_one_delta_of_each_number(service: Service) -> None:
    drain(service)
    issuer = service.issuer
    rivals = [Deltas(issuer.register, SqlDeltas(issuer.engine), issuer.keys, issuer.signing, life=86400) for _ in "ab"]
    rows = [rival._next(service.clock()) for rival in rivals]
    store = SqlDeltas(issuer.engine)
    assert [store.add_delta(row) for row in rows if row] == [True, False]
    assert len(deltas_of(service).since(0)) == 1


def test_deltas_too_old_are_dropped_and_a_bundle_of_that_age_gets_a_whole_new_one(service: Service) -> None:
    issue(service, 1)
    drain(service)
    deltas_of(service).turn(service.clock())
    data = Served(service).bundle()
    data = updated(service, data)
    for _ in range(3):
        service.clock.advance(70)
        deltas_of(service).turn(service.clock())
    service.clock.advance(KEPT.total_seconds() + 1)
    deltas_of(service).turn(service.clock())
    deltas_of(service).tidy(service.clock())
    assert len(SqlDeltas(service.issuer.engine).deltas(0, 10)) == 1
    with pytest.raises(NotFound, match="status_delta_gone"):
        deltas_of(service).since(1)
    with pytest.raises(NotFound, match="status_delta_gone"):
        deltas_of(service).numbered(1)
    newer, whole = update_bundle(data, lambda name: Served(service), service.clock, service.issuer.keys.root())
    assert whole
    assert bundle_of(service, newer).made_at == int(service.clock().timestamp())


def test_a_feed_far_ahead_is_cut_into_deltas_that_say_no_more_than_they_know(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    card_ref, _ = issue(service, 1)
    drain(service)
    deltas_of(service).turn(service.clock())
    start = deltas_of(service).latest()
    for turn in range(25):
        change = CardChange.RELEASE if turn % 2 else CardChange.REPORT_LOSS
        service.issuer.lifecycle.change(card_ref, change, service.clock.advance(1))
    drain(service)
    monkeypatch.setattr("ecard_issuer.publishing.deltas.MAX_EVENTS", 10)
    monkeypatch.setattr("ecard_issuer.publishing.deltas._READ", 5)
    service.clock.advance(CHANGED_EVERY)
    assert deltas_of(service).turn(service.clock()) == 2
    rows = deltas_of(service).since(start.number)
    assert [row.upto - row.after for row in rows] == [10, 10]
    assert [row.as_of for row in rows] == [start.as_of, start.as_of]
    deltas_of(service).turn(service.clock.advance(CHANGED_EVERY))
    last = deltas_of(service).latest()
    assert (last.upto - last.after, last.as_of) == (5, int(service.clock().timestamp()))


def test_a_republished_list_is_never_older_than_a_quarter_of_an_hour(service: Service) -> None:
    """Two virtual hours: whoever fetches through a cache that keeps to `max-age` holds a list of at most 15 minutes."""
    issuer, clock = service.issuer, service.clock
    card_ref, _ = issue(service, 1)
    number = issuer.register.credentials_of(card_ref)[0].list_id
    worker = issuer.publishing.worker
    cached, cached_until, oldest = "", datetime.min.replace(tzinfo=clock().tzinfo), 0.0
    for second in range(0, 7200, 5):
        worker.turn()
        if second % 7 == 0:  # whenever
            if clock() >= cached_until:
                document = issuer.publisher.status_list(number, Form.JWT, clock())
                cached, cached_until = document.body.decode(), clock() + timedelta(seconds=document.max_age)
            oldest = max(oldest, clock().timestamp() - parse_jwt(cached).issued_at)
        clock.advance(5)
    assert oldest <= 900
    assert oldest <= issuer.publisher.oldest + 60


def test_only_changed_lists_are_encoded_and_all_are_signed_in_few_calls(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer, clock = service.issuer, service.clock
    with writing(issuer.engine) as connection:
        connection.execute(
            status_list.insert(),
            [
                {"list_id": number, "size": 64, "state": ListState.FULL, "version": 0, "created_at": clock()}
                for number in range(100, 300)
            ],
        )
    card_ref, _ = issue(service, 1)
    snapshots: list[int] = []
    original = SqlRegister.status_snapshot

    def status_snapshot(self: SqlRegister, number: int) -> StatusSnapshot:
        snapshots.append(number)
        return original(self, number)

    monkeypatch.setattr(SqlRegister, "status_snapshot", status_snapshot)
    calls: list[int] = []
    sign = issuer.signing.sign

    class Counting:
        def sign(self, profile: SigningProfile, key_id: str, drafts: Sequence[bytes], now: datetime) -> list[bytes]:
            calls.append(len(drafts))
            return sign(profile, key_id, drafts, now)

    publisher = Publisher(issuer.register, issuer.keys, Counting())
    total = len(issuer.register.status_lists())
    assert publisher.refresh(clock()) == total
    assert len(snapshots) == total
    assert sum(calls) == total
    assert len(calls) == -(-total // BATCH)
    snapshots.clear()
    issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, clock())
    assert publisher.refresh(clock()) == 1
    assert len(snapshots) == 1
    assert publisher.refresh(clock.advance(301)) == total
    assert len(snapshots) == 1  # signed anew, encoded once


def test_a_list_never_claims_an_event_that_came_while_it_was_read(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it claims and does not know would be skipped by whoever takes deltas from there on."""
    issuer = service.issuer
    card_ref, _ = issue(service, 1)
    drain(service)
    number = issuer.register.credentials_of(card_ref)[0].list_id
    original = SqlRegister.status_snapshot

    def status_snapshot(self: SqlRegister, list_id: int) -> StatusSnapshot:
        read = original(self, list_id)
        issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, service.clock())
        drain(service)
        return read

    monkeypatch.setattr(SqlRegister, "status_snapshot", status_snapshot)
    before = issuer.register.feed_head(STREAM)
    token = parse_jwt(issuer.publisher.status_list(number, Form.JWT, service.clock()).body.decode())
    assert issuer.register.feed_head(STREAM) > before
    assert token.position == before
    assert token.statuses.get(issuer.register.credentials_of(card_ref)[0].index) == 0


def test_neighbours_in_time_do_not_share_a_list(service: Service) -> None:
    slots = [service.issuer.register.free_slot(service.clock()) for _ in range(60)]
    assert {slot.list_id for slot in slots} == {1, 2, 3, 4}


def test_a_full_list_ends_when_its_last_credential_can_have_expired(tmp_path: Path) -> None:
    clock = Clock()
    service = open_service(tmp_path, clock)
    issuer = service.issuer
    register = SqlRegister(issuer.engine, list_size=8, open_lists=1, longest_life=timedelta(days=365))
    with writing(issuer.engine) as connection:
        connection.execute(
            status_list.insert().values(list_id=1, size=8, state=ListState.OPEN, version=0, created_at=clock())
        )
        connection.execute(
            status_entry.insert(),
            [
                {"list_id": 1, "index": at, "card_ref": "c", "plan_id": "p", "value": EcardStatus.VALID}
                for at in range(7)
            ],
        )
    assert register.free_slot(clock()).list_id == 2
    row = register.status_lists()[0]
    assert (row.state, row.ends_at) == (ListState.FULL, clock() + timedelta(days=365) + END_MARGIN)
    clock.advance((timedelta(days=365) + END_MARGIN).total_seconds() - 1)
    publisher = Publisher(register, issuer.keys, issuer.signing)
    assert publisher.status_list(1, Form.JWT, clock()).body
    assert b"status-lists/1" in publisher.aggregation(clock()).body
    clock.advance(1)
    with pytest.raises(NotFound, match="status_list_unknown"):
        publisher.status_list(1, Form.JWT, clock())
    assert b"status-lists/1" not in publisher.aggregation(clock()).body
    assert b"status-lists/2" in publisher.aggregation(clock()).body
    issuer.close()


class Drawn(random.Random):
    """Randomness that can be repeated."""


def decoys_of(service: Service, seed: int = 1) -> Decoys:
    return Decoys(SqlDecoys(service.issuer.engine), Drawn(seed))


def decoys_in(engine: Engine) -> dict[tuple[int, int], int]:
    with reading(engine) as connection:
        rows = connection.execute(
            select(status_entry.c.list_id, status_entry.c.index, status_entry.c.value).where(
                status_entry.c.plan_id == ""
            )
        )
        return {(list_id, index): int(value) for list_id, index, value in rows}


def test_decoys_come_at_random_and_reach_list_feed_and_deltas_alike(service: Service) -> None:
    issuer, clock = service.issuer, service.clock
    card_ref, _ = issue(service, 1)
    drain(service)
    deltas_of(service).turn(clock())
    data = Served(service).bundle()
    decoys = decoys_of(service)
    decoys.turn(clock())
    for _ in range(14 * 6):
        clock.advance(4 * 3600)
        decoys.turn(clock())
        drain(service)
        deltas_of(service).turn(clock())
    made = decoys_in(issuer.engine)
    days, lists = 14, 4
    assert days * lists * FEWEST * 0.3 < len(made) < days * lists * MOST
    assert set(made.values()) >= {1, 2}
    bundle, whole = bundle_of(service, updated(service, data)), bundle_of(service, Served(service).bundle())
    for (list_id, index), value in made.items():
        uri = f"{issuer.identity.issuer}/status-lists/{list_id}"
        assert bundle.statuses.read(uri, index).value == whole.statuses.read(uri, index).value == value
    (credential,) = issuer.register.credentials_of(card_ref)
    assert (credential.list_id, credential.index) not in made


def test_a_decoy_takes_no_cards_place_and_gives_its_own_to_none(service: Service) -> None:
    issuer, store = service.issuer, SqlDecoys(service.issuer.engine)
    card_ref, _ = issue(service, 1)
    (credential,) = issuer.register.credentials_of(card_ref)
    place = (credential.list_id, credential.index)
    assert not store.new_decoy(*place, 2, "lock", 1, service.clock())
    assert not store.change_decoy(*place, 2, "lock", 1, service.clock())
    assert issuer.register.status_snapshot(credential.list_id).entries == ()
    free = issuer.register.free_slot(service.clock())
    assert store.new_decoy(free.list_id, free.index, 2, "lock", 1, service.clock())
    assert not store.new_decoy(free.list_id, free.index, 1, "lock", 1, service.clock())
    assert store.change_decoy(free.list_id, free.index, 1, "cancel", 2, service.clock())
    assert not store.change_decoy(free.list_id, free.index, 0, "release", 3, service.clock())  # final, as a card's


def test_of_two_processes_one_makes_a_lists_decoy(service: Service) -> None:
    service.issuer.register.free_slot(service.clock())
    ours, theirs = SqlDecoys(service.issuer.engine), SqlDecoys(service.issuer.engine)
    assert ours.due_decoys(service.clock(), lambda every: (60, 60.0)) == ()
    service.clock.advance(61)
    turns = [*ours.due_decoys(service.clock(), lambda every: (60, 60.0))]
    turns += theirs.due_decoys(service.clock(), lambda every: (60, 60.0))
    assert sorted(turn.list_id for turn in turns) == [1, 2, 3, 4]


def test_the_worker_does_what_is_due_and_one_fault_stops_no_other_task(service: Service) -> None:
    issuer, seen = service.issuer, list[str]()

    class Broken:
        def turn(self, now: datetime) -> int:
            raise Unavailable("register_unavailable", "away")

        def tidy(self, now: datetime) -> None:
            raise RuntimeError("a fault of ours")

    class Fine:
        def turn(self, now: datetime) -> int:
            seen.append("decoys")
            return 0

        def refresh(self, now: datetime) -> int:
            seen.append("lists")
            return 0

    worker = PublishingWorker(Fine(), Broken(), Fine(), issuer.clock)  # type: ignore[arg-type]
    worker.turn()
    assert seen == ["lists", "decoys"]
    worker.turn()
    assert seen == ["lists", "decoys"]
    service.clock.advance(-7200)  # a clock set back holds nothing up
    worker.turn()
    assert seen == ["lists", "decoys"] * 2
