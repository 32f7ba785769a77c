"""What channels are told, by webhook and by log, on both engines."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count

import pytest

from ecard_card.errors import InvalidInput, NotFound
from ecard_card.status import CardChange
from ecard_issuer.channel_events import filing
from ecard_issuer.channel_events.opening import KEPT
from ecard_issuer.channel_events.values import ChannelEventType, Told
from ecard_issuer.partners.schedule import Answer
from ecard_issuer.partners.streams import DeliveryState
from ecard_issuer.partners.webhook_signature import public_text, secret_text
from ecard_sdk.webhooks import unwrap
from tests.issuer.channel_events.support import BANK, SHOP, Hall, open_hall
from tests.issuer.partners.support import BROKEN, TAKEN

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
_links = count(1)


@pytest.fixture(scope="module", params=ENGINES)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").new_register()
    opened = open_hall(tmp_path_factory.mktemp("hall"), url)
    yield opened
    opened.service.issuer.close()


@pytest.fixture
def hall(shared: Hall) -> Iterator[Hall]:
    shared.forget()
    shared.tell()
    shared.forget()
    yield shared
    shared.forget()
    shared.links.waiting.clear()
    shared.addresses.__init__()  # type: ignore[misc]


def linked(hall: Hall, *app_ids: str) -> tuple[str, list[str]]:
    """A card, and a link with it for each channel."""
    card_ref, links = hall.card(), []
    for app_id in app_ids:
        links.append(f"{next(_links):032x}")
        hall.links.claim(app_id, links[-1], card_ref, hall.service.clock())
    return card_ref, links


def test_each_channel_is_told_of_its_own_link_and_of_no_other_card(hall: Hall) -> None:
    card_ref, (bank, shop) = linked(hall, BANK, SHOP)
    other = hall.card()
    starts = [hall.events.log.head(app_id) for app_id in (BANK, SHOP)]
    hall.change(card_ref, CardChange.REPORT_LOSS, CardChange.RELEASE)
    hall.change(other, CardChange.CANCEL)
    assert hall.tell() == 6
    said = [("link.claimed", "valid"), ("card.lost", "suspended"), ("card.found", "valid")]
    assert hall.said(BANK, starts[0]) == [(bank, *what) for what in said]
    assert hall.said(SHOP, starts[1]) == [(shop, *what) for what in said]
    heard = [message["data"]["link_id"] for message in hall.receiver.heard]
    assert sorted(heard) == sorted([bank, shop] * 3)
    assert hall.tell() == 0


def test_a_webhook_says_what_the_log_says_and_nothing_of_the_card(hall: Hall) -> None:
    card_ref, (link,) = linked(hall, BANK)
    hall.change(card_ref, CardChange.LOCK)
    hall.tell()
    claimed, changed = hall.receiver.heard
    page = hall.events.office.read(BANK, claimed["data"]["number"] - 1, 10)
    assert [event.number for event in page.events] == [claimed["data"]["number"], changed["data"]["number"]]
    assert claimed["data"]["action_type"] == "001"
    assert set(changed["data"]) == {"stream", "number", "link_id", "status"}
    assert (changed["type"], changed["data"]["link_id"]) == ("card.changed", link)
    assert card_ref not in json.dumps(hall.receiver.heard)


def test_the_receivers_own_code_takes_it_by_the_secret_and_by_the_public_key(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (link,) = linked(hall, BANK)
    sent: list[tuple[bytes, dict[str, str]]] = []

    def take(endpoint: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        sent.append((body, dict(headers)))
        return TAKEN

    monkeypatch.setattr(hall.receiver, "send", take)
    hall.tell()
    (stream,) = hall.events.office.sync(BANK, hall.service.clock())
    keys = hall.events.office.newest_keys(stream)
    (body, headers), now = sent[-1], hall.service.clock()
    for secret in (secret_text(keys), public_text(keys)):
        event = unwrap(body, headers, [secret], now=now)
        assert event.id == headers["webhook-id"]
        assert event.stream == stream.stream_id
    for at, code in ((now + timedelta(minutes=6), "webhook_too_old"), (now - timedelta(minutes=6), "from_future")):
        with pytest.raises(Exception, match=code):
            unwrap(body, headers, [secret_text(keys)], now=at)
    with pytest.raises(Exception, match="webhook_signature_invalid"):
        unwrap(body.replace(link.encode(), b"f" * 32), headers, [secret_text(keys)], now=now)


def test_events_of_a_link_keep_their_order_while_the_receiver_fails(hall: Hall) -> None:
    first, (one,) = linked(hall, BANK)
    _, (two,) = linked(hall, BANK)
    hall.receiver.answer = lambda message: BROKEN if message["data"].get("link_id") == one else TAKEN
    hall.change(first, CardChange.REPORT_LOSS, CardChange.RELEASE)
    hall.tell()
    assert [message["data"]["link_id"] for message in hall.receiver.heard] == [two]
    hall.receiver.answer = lambda message: TAKEN
    hall.service.clock.advance(600)
    hall.tell()
    of_one = [message["type"] for message in hall.receiver.heard if message["data"]["link_id"] == one]
    assert of_one == ["link.claimed", "card.lost", "card.found"]


def test_what_was_before_the_link_and_after_it_is_not_told(hall: Hall) -> None:
    card_ref, clock = hall.card(), hall.service.clock
    hall.change(card_ref, CardChange.REPORT_LOSS)
    clock.advance(1)
    link = f"{next(_links):032x}"
    hall.links.claim(BANK, link, card_ref, clock())
    clock.advance(1)
    hall.change(card_ref, CardChange.RELEASE)
    clock.advance(1)
    hall.links.note(BANK, link, ChannelEventType.LINK_RELEASED, clock())
    (told,) = hall.links.links[card_ref]
    hall.links.links[card_ref] = [type(told)(told.app_id, told.link_id, told.since, clock())]
    clock.advance(1)
    hall.change(card_ref, CardChange.CANCEL)
    start = hall.events.log.head(BANK)
    hall.tell()
    assert [what for _, what, _ in hall.said(BANK, start)] == ["link.claimed", "link.released", "card.found"]


def test_a_note_that_was_told_but_not_settled_is_one_event(hall: Hall) -> None:
    linked(hall, BANK)
    hall.links.settling = False
    try:
        assert [hall.tell(), hall.tell()] == [1, 0]
    finally:
        hall.links.settling = True


def test_numbers_have_no_gap_whoever_writes_at_once(hall: Hall) -> None:
    log, now = hall.events.log, hall.service.clock()
    start, barrier = log.head(SHOP), threading.Barrier(4)

    def write(place: int) -> None:
        barrier.wait()
        for item in range(5):
            ids = (f"e{place}-{item}", "everybody-writes-this")
            told = [Told(SHOP, name, "ab", ChannelEventType.CARD_LOST, "valid", now) for name in ids]
            log.append(told, now, None)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    events = log.since(SHOP, start, 100)
    assert [event.number for event in events] == list(range(start + 1, start + 22))


def test_two_workers_that_read_the_same_page_tell_it_once(hall: Hall) -> None:
    log, now, head = hall.events.log, hall.service.clock(), hall.partners.source.head()
    told = [Told(SHOP, f"page-{next(_links)}", "ab", ChannelEventType.CARD_LOST, "valid", now)]
    assert log.append(told, now, (head, head + 1)) == 1
    again = [Told(SHOP, f"page-{next(_links)}", "ab", ChannelEventType.CARD_LOST, "valid", now)]
    assert log.append(again, now, (head, head + 1)) is None
    assert log.append([], now, (head + 1, head)) == 0  # back, for the other tests


def test_a_note_that_came_while_another_worker_was_first_is_told_in_the_next_round(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    card_ref, (link,) = linked(hall, BANK)
    start, log, now = hall.events.log.head(BANK), hall.events.log, hall.service.clock()
    hall.change(card_ref, CardChange.LOCK)
    hall.dispatch()
    rivals, notes = iter([True]), hall.links.notes

    def overtaken(limit: int) -> object:
        if next(rivals, False):  # the other worker had read the feed before this link was claimed
            log.append([], now, (log.place(0), log.place(0) + 1))
        return notes(limit)

    monkeypatch.setattr(hall.links, "notes", overtaken)
    hall.tell()
    assert ("link.claimed", "valid") in [said[1:] for said in hall.said(BANK, start)]
    assert hall.links.waiting == []
    assert link


def test_an_event_is_sent_again_under_its_own_id(hall: Hall) -> None:
    linked(hall, BANK)
    hall.tell()
    (first,) = hall.receiver.headers
    event = hall.events.log.since(BANK, hall.events.log.head(BANK) - 1, 1)[0]
    (sent,) = hall.events.office.resend(BANK, event.event_id, hall.service.clock())
    assert sent.state is DeliveryState.WAITING
    hall.tell()
    assert [headers["webhook-id"] for headers in hall.receiver.headers] == [first["webhook-id"]] * 2
    with pytest.raises(NotFound, match="event_unknown"):
        hall.events.office.resend(SHOP, event.event_id, hall.service.clock())


def test_a_receiver_that_is_away_for_long_loses_nothing(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filing, "MOST_WAITING", 20)
    log, now = hall.events.log, hall.service.clock()
    hall.events.office.sync(SHOP, now)
    hall.receiver.answer = lambda message: BROKEN
    many = [
        Told(SHOP, f"many-{place}", f"link{place}", ChannelEventType.CARD_LOST, "valid", now) for place in range(50)
    ]
    log.append(many, now, None)
    for _ in range(4):
        hall.events.worker.turn()
    (stream,) = hall.events.office.sync(SHOP, now)
    assert hall.partners.store.count_waiting(stream.stream_id, 2000) == 20
    hall.receiver.answer = lambda message: TAKEN
    for _ in range(12):
        hall.service.clock.advance(700)
        hall.tell()
    assert len({message["data"]["link_id"] for message in hall.receiver.heard}) == 50


def test_webhooks_follow_the_registered_addresses(hall: Hall) -> None:
    now, office = hall.service.clock(), hall.events.office
    (stream,) = office.sync(BANK, now)
    hall.addresses.hooks[BANK] = ("https://bank.example/hook", "https://bank.example/second")
    assert [one.endpoint for one in office.sync(BANK, now)] == list(hall.addresses.hooks[BANK] or ())
    hall.addresses.hooks[BANK] = ("https://bank.example/second",)
    assert [one.endpoint for one in office.sync(BANK, now)] == ["https://bank.example/second"]
    with pytest.raises(NotFound, match="partner_stream_unknown"):
        office.webhook(BANK, stream.stream_id)
    hall.addresses.hooks[BANK] = None  # suspended: what waits, waits
    (left,) = office.sync(BANK, now)
    with pytest.raises(NotFound, match="partner_stream_unknown"):
        office.webhook(SHOP, left.stream_id)
    with pytest.raises(NotFound, match="partner_stream_unknown"):
        hall.partners.office.own(BANK, left.stream_id)  # a partner of that name is nobody


def test_a_suspended_channel_hears_nothing_and_everything_once_it_is_back(hall: Hall) -> None:
    card_ref, (link,) = linked(hall, BANK)
    hall.tell()
    hall.addresses.hooks[BANK] = None
    hall.change(card_ref, CardChange.REPORT_LOSS, CardChange.RELEASE)
    hall.tell()
    assert [message["type"] for message in hall.receiver.heard] == ["link.claimed"]
    hall.addresses.hooks[BANK] = ("https://bank.example/hook",)
    hall.tell()
    assert [message["type"] for message in hall.receiver.heard] == ["link.claimed", "card.lost", "card.found"]
    assert {message["data"]["link_id"] for message in hall.receiver.heard} == {link}


def test_a_rotation_signs_by_both_secrets_until_it_ends(hall: Hall) -> None:
    now, office = hall.service.clock(), hall.events.office
    (stream,) = office.sync(BANK, now)
    old = office.newest_keys(stream)
    _, new = office.rotate(BANK, stream.stream_id, now)
    assert hall.partners.office.secrets_of(office.webhook(BANK, stream.stream_id)).keys == (new, old)
    office.forget_old(BANK, stream.stream_id, now)
    assert hall.partners.office.secrets_of(office.webhook(BANK, stream.stream_id)).keys == (new,)


def test_a_cursor_is_one_that_was_given_and_old_events_are_gone_openly(hall: Hall) -> None:
    office, log, now = hall.events.office, hall.events.log, hall.service.clock()
    told = [Told(BANK, f"old-{next(_links)}", "ab", ChannelEventType.CARD_LOST, "valid", now) for _ in range(3)]
    log.append(told, now, None)
    head = log.head(BANK)
    assert office.read(BANK, head, 10) == type(office.read(BANK, head, 10))((), head)
    for wrong in (-1, head + 1, 10**15):
        with pytest.raises(InvalidInput, match="bad_cursor"):
            office.read(BANK, wrong, 10)
    hall.events.upkeep(now + KEPT - timedelta(seconds=1))
    assert log.head(BANK) == head
    assert office.read(BANK, head - 1, 10).events
    hall.events.upkeep(now + KEPT + timedelta(seconds=1))
    with pytest.raises(NotFound, match="events_gone"):
        office.read(BANK, head - 1, 10)
    assert office.read(BANK, None, 10).cursor == office.read(BANK, head, 10).cursor == head
