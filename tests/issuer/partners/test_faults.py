"""What may happen between us and a receiver: crash, 500, slow, duplicate, reorder, an hour offline. Never a gap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from ecard_card.errors import Conflict
from ecard_issuer.partners.schedule import BREAKER, LONGEST_PROBE, PROBES, RETRIES, Answer
from ecard_issuer.partners.streams import DeliveryState, Method, StreamStatus
from tests.issuer.partners.support import (
    BROKEN,
    DOWN,
    TAKEN,
    UNWANTED,
    Bureau,
    Receiver,
    card_of,
    number_of,
    partners_of,
    sequence_of,
)


def told(bureau: Bureau, cards: int = 3, method: Method = Method.WEBHOOK) -> tuple[Any, list[str]]:
    """A stream, and cards that it hears of."""
    stream = bureau.stream(method)
    refs = [bureau.card() for _ in range(cards)]
    for ref in refs:
        bureau.partners.office.add_card(stream, ref, bureau.service.clock())
    return stream, refs


def assert_gap_free(messages: list[dict[str, Any]], expected: int) -> None:
    """Every number was heard, and each card's changes came in the order of their sequence when first heard."""
    assert {number_of(message) for message in messages} == set(range(1, expected + 1))
    first: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        sequence = sequence_of(message)
        if sequence is not None and sequence not in first[card_of(message)]:
            first[card_of(message)].append(sequence)
    for sequences in first.values():
        assert sequences == sorted(sequences)


def test_a_receiver_that_is_there_hears_each_change_once_and_in_order(bureau: Bureau) -> None:
    _, refs = told(bureau)
    for _ in range(4):
        for ref in refs:
            bureau.flip(ref)
    bureau.turn()
    assert bureau.receiver.numbers() == list(range(1, 13))
    assert_gap_free(bureau.receiver.heard, 12)
    assert len({message["timestamp"] for message in bureau.receiver.heard}) == 1


def test_an_event_that_is_answered_500_waits_with_its_card_and_the_others_go_on(bureau: Bureau) -> None:
    stream, (sick, well, other) = told(bureau)
    name = bureau.partners.office.add_card(stream, sick, bureau.service.clock())
    bureau.receiver.answer = lambda message: BROKEN if card_of(message) == name else TAKEN
    bureau.flip(sick, 2)
    bureau.flip(well, 2)
    bureau.flip(other, 1)
    bureau.turn()
    assert [card_of(message) for message in bureau.receiver.heard].count(name) == 0
    assert len(bureau.receiver.heard) == 3
    assert [sequence_of(message) for message in bureau.receiver.tries if card_of(message) == name] == [1]
    bureau.receiver.answer = lambda message: TAKEN
    bureau.service.clock.advance(6)
    bureau.turn()
    assert_gap_free(bureau.receiver.heard, 5)


def test_an_unwanted_event_is_given_up_after_ten_tries_and_can_be_sent_again_by_hand(bureau: Bureau) -> None:
    stream, (sick, well, _) = told(bureau)
    bureau.receiver.answer = lambda message: UNWANTED if number_of(message) == 1 else TAKEN
    bureau.flip(sick, 2)
    bureau.turn()
    started = bureau.service.clock()
    for wait in RETRIES:
        bureau.flip(well)
        bureau.service.clock.advance(wait + 1)
        bureau.turn()
    assert bureau.service.clock() - started < timedelta(hours=80)
    (dead,) = bureau.partners.office.log(stream, 100, DeliveryState.DEAD)
    assert (dead.number, dead.attempts, dead.result) == (1, len(RETRIES) + 1, "http_400")
    assert bureau.now(stream).status is StreamStatus.ENABLED
    assert 2 in bureau.receiver.numbers()  # the card's later news no longer wait
    (backlog,) = bureau.partners.overview()
    assert (backlog.dead, backlog.waiting) == (1, 0)
    bureau.receiver.answer = lambda message: TAKEN
    bureau.partners.office.resend(stream, 1, bureau.service.clock())
    bureau.turn()
    assert bureau.receiver.numbers()[-1] == 1
    assert bureau.partners.overview()[0].dead == 0


def test_an_hour_offline_costs_few_tries_and_leaves_no_gap(bureau: Bureau) -> None:
    stream, refs = told(bureau, 4)
    bureau.receiver.answer = lambda message: DOWN
    for _ in range(30):
        for ref in refs:
            bureau.flip(ref)
        bureau.turn()
        bureau.service.clock.advance(120)
    assert len(bureau.receiver.tries) < 25
    assert bureau.now(stream).failures >= BREAKER
    (backlog,) = bureau.partners.overview()
    assert backlog.waiting + backlog.lag >= 120
    bureau.receiver.answer = lambda message: TAKEN
    bureau.service.clock.advance(LONGEST_PROBE * 1.2)
    bureau.turn()
    assert_gap_free(bureau.receiver.heard, 120)


def test_a_receiver_that_is_away_for_days_pauses_its_stream_and_loses_nothing(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PROBES * LONGEST_PROBE >= 3 * 86_400
    monkeypatch.setattr("ecard_issuer.partners.schedule.PROBES", 9)
    stream, refs = told(bureau, 3)
    bureau.receiver.answer = lambda message: DOWN
    for ref in refs:
        bureau.flip(ref)
    bureau.turn()
    for _ in range(9):
        bureau.service.clock.advance(LONGEST_PROBE * 1.2)
        bureau.flip(refs[0])
        bureau.turn()
    paused = bureau.now(stream)
    assert (paused.status, paused.reason) == (StreamStatus.PAUSED, "receiver_unreachable")
    tries = len(bureau.receiver.tries)
    bureau.service.clock.advance(86_400)
    bureau.turn()
    assert len(bureau.receiver.tries) == tries
    bureau.receiver.answer = lambda message: TAKEN
    bureau.partners.office.set_status(paused, StreamStatus.ENABLED, "", bureau.service.clock())
    bureau.turn()
    numbered = bureau.now(stream).numbered
    assert_gap_free(bureau.receiver.heard, numbered)
    assert numbered == 3 + 9 + 1
    assert not bureau.partners.office.log(stream, 100, DeliveryState.DEAD)
    assert [message["data"] for message in bureau.receiver.heard if message["type"] == "stream.updated"] == [
        {"stream": stream.stream_id, "number": 13, "status": "paused", "reason": "receiver_unreachable"}
    ]


def test_slow_down_is_heeded_and_a_gone_receiver_is_left_alone(bureau: Bureau) -> None:
    stream, (ref, *_) = told(bureau)
    bureau.receiver.answer = lambda message: Answer(taken=False, result="http_429", retry_after=900)
    bureau.flip(ref, 2)
    bureau.turn()
    bureau.service.clock.advance(890)
    bureau.turn()
    assert len(bureau.receiver.tries) == 1
    bureau.receiver.answer = lambda message: Answer(taken=False, result="http_410", gone=True)
    bureau.service.clock.advance(20)
    bureau.turn()
    gone = bureau.now(stream)
    assert (gone.status, gone.reason, len(bureau.receiver.tries)) == (StreamStatus.DISABLED, "receiver_gone", 2)
    bureau.flip(ref)
    bureau.turn()
    assert len(bureau.receiver.tries) == 2


class Stopped(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("received", [True, False])
def test_a_worker_killed_while_it_sends_is_followed_by_one_that_sends_again(
    bureau: Bureau, received: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, refs = told(bureau)

    def dies(message: Mapping[str, Any]) -> Answer:
        if number_of(message) == 2:
            if received:
                bureau.receiver.heard.append(dict(message))
            raise Stopped
        return TAKEN

    bureau.receiver.answer = dies
    for ref in refs:
        bureau.flip(ref, 2)
    bureau.dispatch()
    before = bureau.partners.worker
    monkeypatch.setattr(before._store, "release", lambda *args, **more: None)  # it has no time for that
    with pytest.raises(Stopped):
        before.turn()
    after = Receiver()
    second = partners_of(bureau.service, after).worker
    assert second.turn() == 0  # under the lease of the first
    bureau.service.clock.advance(31)
    while second.turn():
        pass
    heard = bureau.receiver.heard + after.heard
    assert_gap_free(heard, 6)
    assert sorted(map(number_of, heard)).count(2) == (2 if received else 1)
    assert len({message["data"]["number"] for message in heard if message["data"]["number"] == 2}) == 1


def test_a_worker_that_was_stopped_for_long_does_not_undo_what_another_did_meanwhile(bureau: Bureau) -> None:
    stream, (ref, *_) = told(bureau)
    after = Receiver()
    second = partners_of(bureau.service, after).worker

    def sleeps(message: Mapping[str, Any]) -> Answer:
        if not after.tries:
            bureau.service.clock.advance(31)
            while second.turn():
                pass
        return BROKEN

    bureau.receiver.answer = sleeps
    bureau.flip(ref, 3)
    bureau.turn()
    assert after.numbers() == [1, 2, 3]
    assert len(bureau.receiver.tries) == 1
    assert [row.state for row in bureau.partners.office.log(stream, 10)] == [DeliveryState.DONE] * 3


def test_two_workers_at_once_file_each_event_once(bureau: Bureau) -> None:
    stream, (ref, *_) = told(bureau, method=Method.POLL)
    bureau.flip(ref, 3)
    bureau.dispatch()
    filing, now = bureau.partners.worker._filing, bureau.service.clock()
    ended, _ = filing.file(stream, now)
    with pytest.raises(Conflict, match="partner_stream_moved"):
        filing.file(stream, now)  # it too had read the old cursor
    assert ended.numbered == 6
    polled = bureau.partners.office.poll(bureau.now(stream), [], {}, 100, now)
    assert len(polled.sets) == 6


def test_duplicates_and_late_ones_are_told_apart_by_event_id_and_sequence(bureau: Bureau) -> None:
    stream, (ref, *_) = told(bureau)
    bureau.flip(ref, 3)
    bureau.turn()
    bureau.partners.office.resend(stream, 1, bureau.service.clock())
    bureau.turn()
    ids = [headers["webhook-id"] for headers in bureau.receiver.headers]
    assert ids[3] == ids[0]
    assert len(set(ids)) == 3
    assert [sequence_of(message) for message in bureau.receiver.heard] == [1, 2, 3, 1]


def test_catching_up_sends_all_of_it_again_under_the_same_names(bureau: Bureau) -> None:
    stream, refs = told(bureau)
    for ref in refs:
        bureau.flip(ref, 2)
    bureau.turn()
    first = [(number_of(message), headers["webhook-id"]) for message, headers in _pairs(bureau)]
    bureau.partners.office.catch_up(bureau.now(stream), stream.cursor, bureau.service.clock())
    bureau.turn()
    again = [(number_of(message), headers["webhook-id"]) for message, headers in _pairs(bureau)][6:]
    assert again == first
    # Once the log has forgotten them they get new numbers, and keep their ids.
    bureau.service.clock.advance(31 * 86_400)
    assert bureau.partners.store.purge(bureau.service.clock(), 100)
    bureau.partners.office.catch_up(bureau.now(stream), stream.cursor, bureau.service.clock())
    bureau.turn()
    anew = [(number_of(message), headers["webhook-id"]) for message, headers in _pairs(bureau)][12:]
    assert [name for _, name in anew] == [name for _, name in first]
    assert [number for number, _ in anew] == list(range(7, 13))


def _pairs(bureau: Bureau) -> list[tuple[dict[str, Any], Mapping[str, str]]]:
    return list(zip(bureau.receiver.heard, bureau.receiver.headers, strict=True))


def test_a_full_stream_leaves_the_rest_in_the_feed_until_some_is_taken(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("filing", "worker"):
        monkeypatch.setattr(f"ecard_issuer.partners.{module}.MOST_WAITING", 4)
    monkeypatch.setattr("ecard_issuer.partners.filing._PAGE", 2)
    stream, (ref, *_) = told(bureau, method=Method.POLL)
    bureau.flip(ref, 10)
    bureau.turn()
    (backlog,) = bureau.partners.overview()
    assert backlog.waiting < 8
    assert backlog.lag > 0
    seen: list[str] = []
    for _ in range(20):
        sets = bureau.partners.office.poll(bureau.now(stream), seen[-4:], {}, 4, bureau.service.clock()).sets
        if not sets and not bureau.partners.overview()[0].lag:
            break
        seen += sets
        bureau.turn()
    assert len(seen) == len(set(seen)) == 20
