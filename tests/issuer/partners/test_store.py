"""What every store of streams and deliveries promises, on both engines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_issuer.partners.office import Wanted
from ecard_issuer.partners.streams import MAX_STREAMS, DeliveryState, Method, News, NewsKind, Stream, StreamStatus
from ecard_issuer.partners.subject_section import PartnerSubjects
from ecard_issuer.register.engine import writing
from tests.issuer.partners.support import Bureau, Receiver, open_bureau, partners_of

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="module", params=ENGINES)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    """One issuer for all tests of an engine; each brings its own streams and cards."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").new_register()
    opened = open_bureau(tmp_path_factory.mktemp("partners"), url)
    yield opened
    opened.service.issuer.close()


@pytest.fixture
def town(shared: Bureau) -> Iterator[Bureau]:
    shared.forget()
    yield shared
    shared.forget()


def fresh(town: Bureau, seq: int = 1, card_ref: str = "ca", event_id: str = "e1") -> News:
    return News(seq, card_ref, f"0{seq}", NewsKind.STATUS, event_id)


def test_a_stream_is_found_by_its_partner_and_goes_with_all_it_had(town: Bureau) -> None:
    store, now = town.partners.store, town.service.clock()
    stream = town.stream()
    other = town.stream(partner="shop")
    assert store.streams_of("bank") == (store.find_stream(stream.stream_id),)
    assert {item.stream_id for item in store.all_streams()} == {stream.stream_id, other.stream_id}
    card_ref = town.card()
    town.partners.office.add_card(stream, card_ref, now)
    store.file(stream, stream.cursor, [fresh(town)], None, now)
    store.delete_stream(stream.stream_id)
    assert store.find_stream(stream.stream_id) is None
    assert store.streams_of("bank") == ()
    assert store.subjects_of_card(card_ref) == ()
    assert store.since(stream.stream_id, 0, 10) == ()
    with pytest.raises(NotFound, match="partner_stream_unknown"):
        store.delete_stream(stream.stream_id)


def test_of_many_at_once_only_as_many_streams_are_made_as_are_allowed(town: Bureau) -> None:
    def make(_: int) -> bool:
        try:
            town.stream()
        except Conflict as conflict:
            assert conflict.code == "partner_streams_full"  # noqa: PT017
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(make, range(MAX_STREAMS + 4))) == MAX_STREAMS


def test_numbers_have_no_gap_whoever_files_at_once(town: Bureau) -> None:
    stream, store, now = town.stream(), town.partners.store, town.service.clock()
    start = threading.Barrier(4)

    def post(worker: int) -> None:
        start.wait(10)
        for place in range(10):
            store.post(stream.stream_id, News(0, "", "", NewsKind.UPDATED, f"{worker}-{place}", {}), now)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(post, range(4)))
    assert [row.number for row in store.since(stream.stream_id, 0, 100)] == list(range(1, 41))


def test_what_is_filed_again_waits_again_under_its_number(town: Bureau) -> None:
    stream, store, now = town.stream(), town.partners.store, town.service.clock()
    news = [fresh(town, 1, event_id="e1"), fresh(town, 2, event_id="e2")]
    store.file(stream, stream.cursor + 2, news, None, now)
    store.settle(stream.stream_id, {"e1": (DeliveryState.DONE, "ok"), "unknown": (DeliveryState.DONE, "ok")}, now)
    moved = town.now(stream)
    with pytest.raises(Conflict, match="partner_stream_moved"):
        store.file(stream, stream.cursor + 3, news, None, now)
    store.file(moved, moved.cursor + 1, [*news, fresh(town, 3, event_id="e3")], None, now)
    rows = store.since(stream.stream_id, 0, 10)
    assert [(row.number, row.event_id, row.state) for row in rows] == [
        (1, "e1", DeliveryState.WAITING),
        (2, "e2", DeliveryState.WAITING),
        (3, "e3", DeliveryState.WAITING),
    ]


def test_of_each_card_only_the_first_that_waits_is_ready(town: Bureau) -> None:
    stream, store, now = town.stream(), town.partners.store, town.service.clock()
    news = [fresh(town, place, card, f"e{place}") for place, card in enumerate(("a", "b", "a", "c"), 1)]
    store.file(stream, stream.cursor + 4, news, None, now)
    assert [row.number for row in store.ready(stream.stream_id, now, limit=10)] == [1, 2, 4]
    assert store.ready(stream.stream_id, now - timedelta(seconds=1), limit=10) == ()
    store.settle(stream.stream_id, {"e1": (DeliveryState.DEAD, "http_400")}, now)
    assert [row.number for row in store.ready(stream.stream_id, now, limit=10)] == [2, 3, 4]
    assert store.ready(stream.stream_id, now, limit=10, only_stream=True) == ()
    assert store.count_waiting(stream.stream_id, 2) == 2
    assert [row.number for row in store.log(stream.stream_id, 10, DeliveryState.DEAD)] == [1]


def test_a_lease_is_one_workers_until_it_ends(town: Bureau) -> None:
    stream, store, now = town.stream(), town.partners.store, town.service.clock()
    lease = timedelta(seconds=30)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda name: store.claim(stream.stream_id, name, now, lease), "abcd"))
    assert sum(item is not None for item in taken) == 1
    owner = next(item.lease_owner for item in taken if item is not None) or ""
    assert store.claim(stream.stream_id, owner, now, lease) is not None
    assert store.claim(stream.stream_id, "late", now + lease, lease) is not None
    store.release(stream.stream_id, owner, now, full_at=None)  # it is no longer the owner's
    assert town.now(stream).lease_owner == "late"
    assert store.claim("0" * 32, "a", now, lease) is None


def test_what_a_live_stream_needs_is_named_until_it_has_it(town: Bureau) -> None:
    store, now = town.partners.store, town.service.clock()
    assert store.needed_from() is None
    stream = town.stream()
    card_ref = town.card()
    town.partners.office.add_card(stream, card_ref, now)
    town.turn()
    start = town.now(stream).cursor
    assert store.needed_from() == start + 1
    town.flip(card_ref, 3)
    town.dispatch()
    head = town.partners.source.head()
    first = head - 2  # of the three, the first
    assert store.needed_from() == start + 1
    filed, _ = town.partners.worker._filing.file(town.now(stream), now)
    assert (store.needed_from(), filed.cursor) == (first, head)  # filed, and not delivered yet
    town.turn()
    assert store.needed_from() == head + 1
    slow = town.stream(Method.POLL, "shop")
    town.partners.office.catch_up(slow, start, now)
    assert store.needed_from() == start + 1
    town.partners.office.set_status(slow, StreamStatus.PAUSED, "", now)
    assert store.needed_from() == start + 1
    town.partners.office.set_status(slow, StreamStatus.DISABLED, "", now)
    assert store.needed_from() == head + 1


def test_what_concerns_no_stream_is_read_and_not_written_down(town: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, other = town.stream(), town.card()
    start = town.now(stream).cursor
    town.flip(other, 5)
    town.turn()
    assert town.now(stream).cursor == start
    card_ref = town.card()
    town.partners.office.add_card(stream, card_ref, town.service.clock())
    town.flip(card_ref)
    town.turn()
    assert (town.now(stream).cursor, town.now(stream).numbered) == (town.partners.source.head(), 2)
    monkeypatch.setattr("ecard_issuer.partners.worker.MOST_UNWRITTEN", 4)
    town.flip(other, 5)
    town.turn()
    assert town.now(stream).cursor == town.partners.source.head()


def test_the_log_is_purged_by_age_and_never_of_what_waits(town: Bureau) -> None:
    stream, store, now = town.stream(Method.POLL), town.partners.store, town.service.clock()
    news = [fresh(town, place, f"c{place}", f"e{place}") for place in range(1, 6)]
    store.file(stream, stream.cursor + 5, news, None, now)
    over = {f"e{place}": (DeliveryState.DONE, "ok") for place in range(1, 5)}
    store.settle(stream.stream_id, over, now)
    assert store.purge(now, 100) == 0
    later = now + timedelta(seconds=1)
    assert [store.purge(later, 3), store.purge(later, 3), store.purge(later, 3)] == [3, 1, 0]
    assert [row.number for row in store.since(stream.stream_id, 0, 10)] == [5]


def test_whoever_asks_for_a_second_verification_at_once_is_refused(town: Bureau) -> None:
    stream, office, now = town.stream(), town.partners.office, town.service.clock()
    office.verify(stream, "one", now)
    with pytest.raises(RuleViolation, match="partner_verification_too_soon"):
        office.verify(stream, "two", now + timedelta(seconds=9))
    office.verify(stream, None, now + timedelta(seconds=10))


def test_a_person_may_read_which_partners_are_told_of_their_cards(town: Bureau) -> None:
    issuer, now = town.service.issuer, town.service.clock()
    stream, card_ref = town.stream(), town.card()
    town.partners.office.add_card(stream, card_ref, now)
    row = issuer.register.get_card(card_ref)
    holder = issuer.people.get(row.holder_ref)
    section = PartnerSubjects(town.partners.store, issuer.register.cards_of_holder)
    found = section.of_holder(holder, issuer.people.seal_of(holder))
    assert section.section == "partners_told"
    assert [(item["partner"], item["card_ref"]) for item in found] == [("bank", card_ref)]


def test_secrets_are_sealed_at_rest_and_shown_by_no_repr(town: Bureau) -> None:
    stream = town.partners.office.create(
        "bank", Wanted(Method.PUSH, "https://partner.example/", "Bearer canary-7781"), town.service.clock()
    )
    hook = town.stream(Method.WEBHOOK)
    kept = town.partners.office.secrets_of(hook)
    canaries = ["canary-7781", kept.keys[0].secret.hex(), kept.keys[0].seed.hex()]
    with writing(town.service.issuer.engine) as connection:
        rows = str(connection.execute(text("SELECT * FROM partner_stream")).all())
    shown = [rows, repr(stream), repr(kept), repr(town.partners.office.secrets_of(stream))]
    assert not [canary for canary in canaries for where in shown if canary in where]
    assert town.partners.office.secrets_of(stream).authorization == "Bearer canary-7781"
    swapped = replace(stream, wrapped_key=hook.wrapped_key, sealed_secrets=hook.sealed_secrets)
    with pytest.raises(Exception, match="register_damaged"):
        town.partners.office.secrets_of(swapped)


def test_workers_of_several_processes_share_the_streams_and_each_event_comes(town: Bureau) -> None:
    streams: list[Stream] = [town.stream(Method.WEBHOOK, partner=f"p{place}") for place in range(4)]
    cards = [town.card() for _ in range(3)]
    for stream in streams:
        for ref in cards:
            town.partners.office.add_card(stream, ref, town.service.clock())
    for ref in cards:
        town.flip(ref, 4)
    town.dispatch()
    receivers = [Receiver() for _ in range(3)]
    workers = [partners_of(town.service, receiver).worker for receiver in receivers]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda worker: [worker.turn() for _ in range(3)], workers))
    while workers[0].turn():
        pass
    heard = [(item["data"]["stream"], item["data"]["number"]) for receiver in receivers for item in receiver.heard]
    assert sorted(heard) == sorted((stream.stream_id, number) for stream in streams for number in range(1, 13))
