"""Asking a source for its events: acknowledged after they are stored, once for each, through faults and restarts."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from itertools import pairwise
from threading import Event
from typing import Any

import httpx2
import pytest

from ecard_card.errors import Unavailable
from ecard_card.status import CardStatus
from ecard_issuer.intake.poll import FIRST_PAUSE, LONGEST_PAUSE, HttpPollEndpoint, Poller, Pollers
from ecard_issuer.intake.states import Delivery
from tests.contracts.register_world import refused
from tests.issuer.intake.kit import CardSystem, add_card
from tests.issuer.service import Service

URL = "https://cards.example/poll"


class Transmitter:
    """The other side of RFC 8936, strict: it keeps what was not acknowledged, and may lose an answer on its way."""

    def __init__(self, tokens: Mapping[str, str], at_once: int = 3) -> None:
        self.waiting = dict(tokens)
        self.errors: dict[str, dict[str, str]] = {}
        self.at_once, self.lose, self.down, self.asked = at_once, 0.0, False, 0
        self.random = random.Random(7)  # noqa: S311 - faults, not secrets

    def ask(self, question: Mapping[str, object]) -> Mapping[str, object]:
        assert set(question) <= {"maxEvents", "returnImmediately", "ack", "setErrs"}
        assert question["returnImmediately"] is True
        self.asked += 1
        if self.down or self.random.random() < self.lose:
            raise Unavailable("source_unavailable", "down before it heard us")
        acks, errors = question.get("ack", []), question.get("setErrs", {})
        assert isinstance(acks, list)
        assert isinstance(errors, dict)
        for jti in acks:
            self.waiting.pop(jti, None)
        for jti, error in errors.items():
            assert set(error) == {"err", "description"}
            self.waiting.pop(jti, None)
            self.errors[jti] = error
        if self.random.random() < self.lose:
            raise Unavailable("source_unavailable", "the answer was lost")
        names = list(self.waiting)[: self.at_once]
        return {"sets": {jti: self.waiting[jti] for jti in names}, "moreAvailable": len(self.waiting) > self.at_once}


def tokens(system: CardSystem, service: Service, serial: int, count: int) -> dict[str, str]:
    changes = ("report_loss", "release")
    return {f"j{n}": system.changed(service.clock(), serial, changes[n % 2], n + 1, jti=f"j{n}") for n in range(count)}


def test_all_events_arrive_once_though_answers_and_questions_are_lost(service: Service) -> None:
    system, card_ref = CardSystem(), add_card(service, 1)
    transmitter = Transmitter(tokens(system, service, 1, 21))
    transmitter.lose = 0.4
    poller = Poller(system.source(), transmitter, service.issuer.intake.events, service.clock)
    for turn in range(300):
        if turn % 9 == 8:  # killed and started again: it remembers nothing
            poller = Poller(system.source(), transmitter, service.issuer.intake.events, service.clock)
        try:
            if not poller.turn() and not transmitter.waiting:
                break
        except Unavailable:
            continue
    assert transmitter.waiting == {}
    assert transmitter.errors == {}
    events = service.issuer.register.events_of(card_ref)
    assert [event.source_sequence for event in events] == list(range(1, 22))
    assert service.issuer.register.get_card(card_ref).status is CardStatus.LOST


def test_what_cannot_be_taken_is_reported_with_the_standards_errors(service: Service) -> None:
    system = CardSystem()
    good = system.changed(service.clock(), 1, "lock", 1)
    transmitter = Transmitter(
        {"a": "rubbish", "b": good, "c": CardSystem().changed(service.clock(), 1, "lock", 1), "d": 7},  # type: ignore[dict-item]
        at_once=10,
    )
    poller = Poller(system.source(), transmitter, service.issuer.intake.events, service.clock)
    assert poller.turn()
    assert not poller.turn()
    assert {jti: error["err"] for jti, error in transmitter.errors.items()} == {
        "a": "invalid_request",
        "c": "invalid_key",
        "d": "invalid_request",
    }
    assert transmitter.waiting == {}


def test_nothing_is_acknowledged_while_the_register_is_away(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    system = CardSystem()
    add_card(service, 1)
    transmitter = Transmitter(tokens(system, service, 1, 2))
    events = service.issuer.intake.events
    poller = Poller(system.source(), transmitter, events, service.clock)

    def away(*args: object, **kwargs: object) -> None:
        raise Unavailable("register_unavailable", "taken away by a test")

    with monkeypatch.context() as patch:
        patch.setattr(type(service.issuer.register), "apply_change", away)
        with refused(Unavailable, "register_unavailable"):
            poller.turn()
    assert len(transmitter.waiting) == 2
    while poller.turn():
        pass
    assert transmitter.waiting == {}


@pytest.mark.parametrize(
    "answer", [{}, {"sets": []}, {"sets": {}, "moreAvailable": 1}, {"sets": {str(n): "" for n in range(101)}}]
)
def test_an_answer_of_another_form_is_no_answer(service: Service, answer: dict[str, Any]) -> None:
    class Odd:
        def ask(self, question: Mapping[str, object]) -> Mapping[str, object]:
            return answer

    poller = Poller(CardSystem().source(), Odd(), service.issuer.intake.events, service.clock)
    with refused(Unavailable, "source_unavailable"):
        poller.turn()


def test_a_source_that_is_down_is_asked_later_and_later_and_then_catches_up(service: Service) -> None:
    system, card_ref = CardSystem(), add_card(service, 1)
    office = service.issuer.intake
    polled = system.source(delivery=Delivery.POLL, poll_url=URL)
    office.sources.put(polled, "admin", service.clock(), poll_token="for the poll")
    transmitter = Transmitter(tokens(system, service, 1, 5))
    transmitter.down = True
    given: list[str | None] = []

    def endpoint(row: object, token: str | None) -> Transmitter:
        given.append(token)
        return transmitter

    pollers = Pollers(office.sources, office.events, service.clock, endpoint)
    moments = []
    for _ in range(3600):
        asked = transmitter.asked
        pollers.turn()
        if transmitter.asked > asked:
            moments.append(service.clock().timestamp())
        service.clock.advance(1)
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE, LONGEST_PAUSE)
    assert given == ["for the poll"]
    transmitter.down = False
    for _ in range(400):
        pollers.turn()
        service.clock.advance(1)
    assert transmitter.waiting == {}
    assert len(service.issuer.register.events_of(card_ref)) == 5
    office.sources.end(system.name, service.clock())
    service.clock.advance(60)
    pollers.turn()
    asked = transmitter.asked
    service.clock.advance(60)
    pollers.turn()
    assert transmitter.asked == asked


def test_the_question_goes_out_with_its_token_and_hostile_answers_are_bounded() -> None:
    seen: list[httpx2.Request] = []
    answers = [
        httpx2.Response(200, stream=httpx2.ByteStream(b'{"sets":{}}')),
        httpx2.Response(302, headers={"Location": "https://evil.example"}),
        httpx2.Response(200, stream=httpx2.ByteStream(b"x" * (5 << 20))),
        httpx2.Response(200, stream=httpx2.ByteStream(b"[]")),
        httpx2.Response(200, stream=httpx2.ByteStream(b'{"sets":{},"sets":{}}')),
        httpx2.Response(500),
    ]

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return answers[len(seen) - 1]

    endpoint = HttpPollEndpoint(URL, "secret", transport=httpx2.MockTransport(answer))
    assert endpoint.ask({"maxEvents": 1}) == {"sets": {}}
    assert seen[0].headers["authorization"] == "Bearer secret"
    assert json.loads(seen[0].content) == {"maxEvents": 1}
    assert "secret" not in repr(endpoint)
    for _ in answers[1:]:
        with refused(Unavailable, "source_unavailable"):
            endpoint.ask({})


def test_the_thread_asks_and_stops(service: Service) -> None:
    system, office = CardSystem(), service.issuer.intake
    add_card(service, 1)
    office.sources.put(system.source(delivery=Delivery.POLL, poll_url=URL), "admin", service.clock())
    transmitter = Transmitter(tokens(system, service, 1, 1))
    asked = Event()

    class Telling:
        def ask(self, question: Mapping[str, object]) -> Mapping[str, object]:
            asked.set()
            return transmitter.ask(question)

    pollers = Pollers(office.sources, office.events, service.clock, lambda row, token: Telling())
    pollers.start()
    assert asked.wait(20)
    pollers.stop()
    assert transmitter.asked >= 1
