"""What is repeated, when, under which key, with what made anew; and that nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest

from ecard_card.errors import InvalidInput
from ecard_sdk import errors
from ecard_sdk.sync.client import ECardClient
from ecard_sdk.testing import FakeECard
from tests.sdk.conftest import ID_NUMBER, NAME, PIN, Make, linked

PASSING = [429, 502, 503, 504]
LOST = [httpx2.ConnectError("x"), httpx2.ConnectTimeout("x"), httpx2.ReadTimeout("x"), httpx2.RemoteProtocolError("x")]


def problem(status: int, code: str, **headers: str) -> httpx2.Response:
    body = {"code": code, "title": "t", "detail": "d", "request_id": "r-1"}
    return httpx2.Response(status, json=body, headers={name.replace("_", "-"): text for name, text in headers.items()})


@pytest.mark.parametrize("fault", [*PASSING, *LOST], ids=str)
def test_a_passing_fault_is_passed_over(client: ECardClient, fake: FakeECard, fault: int | Exception) -> None:
    link_id = linked(client)
    fake.answer_next(fault, fault)
    assert client.links.get(link_id).usable
    assert len(fake.pauses) == 2


def test_a_request_in_flight_is_asked_for_again(client: ECardClient, fake: FakeECard) -> None:
    link_id = linked(client)
    fake.answer_next(problem(409, "idempotency_in_flight", Retry_After="1"))
    assert client.links.release(link_id).end == "released"
    assert 1 <= fake.pauses[0] <= 1.5


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequestError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (410, errors.NotFoundError),
        (413, errors.InvalidRequestError),
        (422, errors.RefusedError),
        (500, errors.ServerError),
    ],
)
def test_what_stays_is_not_repeated(
    client: ECardClient, fake: FakeECard, status: int, kind: type[errors.ECardError]
) -> None:
    link_id = linked(client)
    fake.answer_next(problem(status, "some_code"))
    before = len(fake.requests)
    with pytest.raises(kind) as caught:
        client.links.get(link_id)
    assert (caught.value.code, caught.value.http_status, caught.value.request_id) == ("some_code", status, "r-1")
    assert caught.value.message == "t"
    assert "r-1" in str(caught.value)
    assert caught.value.retryable == (status >= 500)
    assert len(fake.requests) == before + 1


def test_the_limit_is_the_clients_own(make: Make, fake: FakeECard) -> None:
    for limit in (0, 1, 4):
        client = make(max_retries=limit)
        link_id = linked(client)
        before = len(fake.requests)
        fake.answer_next(*[503] * (limit + 1))
        with pytest.raises(errors.ServerError):
            client.links.get(link_id)
        assert len(fake.requests) == before + limit + 1


def test_pauses_are_drawn_below_a_bound_that_doubles(make: Make, fake: FakeECard) -> None:
    client = make(max_retries=6)
    link_id = linked(client)
    fake.answer_next(*[503] * 6)
    client.links.get(link_id)
    assert len(fake.pauses) == 6
    assert all(0 <= pause <= min(5.0, 0.5 * 2**turn) for turn, pause in enumerate(fake.pauses))


def test_a_service_that_wants_a_minute_is_not_waited_for_longer(client: ECardClient, fake: FakeECard) -> None:
    link_id = linked(client)
    fake.answer_next(problem(429, "rate_limited", Retry_After="60"))
    client.links.get(link_id)
    assert fake.pauses[0] >= 60
    fake.answer_next(problem(429, "rate_limited", Retry_After="3600"))
    with pytest.raises(errors.RateLimitError) as caught:
        client.links.get(link_id)
    assert caught.value.retry_after == 3600


def test_a_repetition_keeps_its_key_and_body_and_proves_itself_anew(client: ECardClient, fake: FakeECard) -> None:
    person = client.identify(id_number=ID_NUMBER, name=NAME)
    claim = client.claims.begin(person, person.cards[0], "pin", consent="terms-1")
    fake.requests.clear()
    fake.lose_answers(2)
    client.claims.evidence(claim, pin=PIN)
    assert len(fake.requests) == 3
    for same in ("idempotency-key", "content-digest", "authorization"):
        assert len({request.headers[same] for request in fake.requests}) == 1
    assert len({request.content for request in fake.requests}) == 1
    for fresh in ("dpop", "signature", "signature-input"):
        assert len({request.headers[fresh] for request in fake.requests}) == 3


DEEDS: dict[str, Callable[[ECardClient, str], object]] = {
    "release": lambda client, link_id: client.links.release(link_id),
    "codes": lambda client, link_id: client.links.codes(link_id),
    "ticket": lambda client, link_id: client.tickets.create(link_id),
    "identify": lambda client, _: client.identify(id_number=ID_NUMBER, name=NAME),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_an_answer_that_was_lost_is_fetched_and_the_deed_done_once(
    client: ECardClient, fake: FakeECard, deed: str
) -> None:
    link_id = linked(client)
    fake.lose_answers()
    DEEDS[deed](client, link_id)
    replayed = [answer for answer in fake.answers if answer.headers.get("idempotency-replayed") == "true"]
    assert len(replayed) == 1


def test_a_claim_whose_answers_are_lost_makes_one_link_and_one_event(client: ECardClient, fake: FakeECard) -> None:
    fake.lose_answers(1)
    person = client.identify(id_number=ID_NUMBER, name=NAME)
    fake.lose_answers(1)
    claim = client.claims.begin(person, person.cards[0], "pin", consent="terms-1")
    fake.lose_answers(2)
    link = client.claims.evidence(claim, pin=PIN)
    assert list(fake.authority.links) == [link.link_id]
    assert len(fake.authority.claims) == len(fake.authority.identifications) == 1
    assert [event.type for event in fake.authority.events[client.app_id]] == ["link.claimed"]


def test_a_key_of_ones_own_is_the_same_deed_in_another_process(fake: FakeECard) -> None:
    app_id, signer = fake.admit()
    one, other = (fake.client_of(app_id, signer) for _ in range(2))
    first = one.identify(id_number=ID_NUMBER, name=NAME, idempotency_key="order-17")
    again = other.identify(id_number=ID_NUMBER, name=NAME, idempotency_key="order-17")
    assert first == again
    with pytest.raises(errors.IdempotencyError, match="idempotency_key_reused"):
        other.identify(id_number=ID_NUMBER, name="另一人", idempotency_key="order-17")


@pytest.mark.parametrize("key", ["a b", "a,b", '"a', "a\\b", "x" * 256, "键", "a\nb"])
def test_a_key_that_is_none_is_not_sent(client: ECardClient, fake: FakeECard, key: str) -> None:
    link_id = linked(client)
    before = len(fake.requests)
    with pytest.raises(InvalidInput, match="bad_idempotency_key"):
        client.links.release(link_id, idempotency_key=key)
    assert len(fake.requests) == before
