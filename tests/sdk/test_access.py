"""Tokens, proofs, nonces and clocks: all by itself, once for all threads, and said clearly where it cannot be."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx2
import pytest

from ecard_card.errors import InvalidInput
from ecard_sdk import errors
from ecard_sdk.sync.client import ECardClient
from ecard_sdk.testing import FakeECard
from tests.issuer.service import Clock
from tests.sdk.conftest import Make, linked


def test_one_token_serves_many_threads(fake: FakeECard) -> None:
    client, ready = fake.client(), threading.Barrier(16)

    def ask(_: int) -> int:
        ready.wait(10)
        return len(list(client.links.list()))

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(16))) == [0] * 16
    assert fake.gate.tokens_given == 1
    fake.gate.end_tokens()
    ready.reset()
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(16))) == [0] * 16
    assert fake.gate.tokens_given == 2


def test_a_token_is_renewed_before_it_ends(client: ECardClient, fake: FakeECard, clock: Clock) -> None:
    link_id = linked(client)
    clock.advance(265)
    client.links.get(link_id)
    assert fake.gate.tokens_given == 1
    clock.advance(6)  # 29 seconds are left: an hour's clock drift apart from refused
    client.links.get(link_id)
    assert fake.gate.tokens_given == 2


def test_a_nonce_is_taken_from_either_server_and_kept(client: ECardClient, fake: FakeECard) -> None:
    fake.gate.nonce = "first"
    link_id = linked(client)
    before = len(fake.requests)
    client.links.get(link_id)
    assert len(fake.requests) == before + 1
    fake.gate.nonce = "second"
    client.links.get(link_id)
    assert len(fake.requests) == before + 3
    assert fake.pauses == []


@pytest.mark.parametrize("seconds", [-86_000, -600, -61, 61, 600, 86_000])
def test_a_wrong_clock_is_set_by_the_services_own(make: Make, fake: FakeECard, clock: Clock, seconds: int) -> None:
    client = make(clock=lambda: clock.now + timedelta(seconds=seconds))
    assert client.links.get(linked(client)).usable
    assert abs(client.now() - clock.now) < timedelta(seconds=3)


def test_a_clock_that_is_days_off_is_said_so(make: Make, clock: Clock) -> None:
    client = make(clock=lambda: clock.now + timedelta(days=3))
    with pytest.raises(errors.AuthenticationError, match="clock_differs"):
        linked(client)


def test_a_clock_moves_while_the_client_lives(make: Make, clock: Clock) -> None:
    off = [timedelta(0)]
    client = make(clock=lambda: clock.now + off[0])
    link_id = linked(client)
    off[0] = timedelta(minutes=4)  # less than the token's life, more than a proof's
    assert client.links.get(link_id).usable
    off[0] = -timedelta(minutes=10)
    assert client.links.release(link_id).end == "released"


def test_an_app_that_was_not_admitted_is_told(fake: FakeECard) -> None:
    _, signer = fake.admit()
    client = fake.client_of("ek_test_" + "a" * 24, signer)
    with pytest.raises(errors.AuthenticationError, match="client_assertion_wrong") as caught:
        list(client.links.list())
    assert caught.value.http_status == 401
    assert len(fake.requests) == 1


def test_a_missing_scope_is_a_permission(make: Make) -> None:
    with pytest.raises(errors.PermissionDeniedError, match="scope_missing"):
        linked(make(["ecard:read"]))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"access_token": "x"}',
        b'{"access_token": "x", "token_type": "Bearer", "expires_in": 300}',
        b'{"access_token": "a\\nb", "token_type": "DPoP", "expires_in": 300}',
        b'{"access_token": "x", "token_type": "DPoP", "expires_in": 0}',
        b'{"access_token": "x", "token_type": "DPoP", "expires_in": 999999999999}',
        b'{"access_token": "x", "token_type": "DPoP", "expires_in": "300"}',
    ],
)
def test_a_token_that_is_none_is_not_used(client: ECardClient, fake: FakeECard, answer: bytes) -> None:
    fake.answer_next(httpx2.Response(200, content=answer))
    with pytest.raises(errors.ServerError, match="service_answer_unreadable"):
        list(client.links.list())
    assert len(fake.requests) == 1


def test_a_service_that_never_has_enough_is_left(client: ECardClient, fake: FakeECard) -> None:
    def again(number: int) -> httpx2.Response:
        return httpx2.Response(401, headers={"DPoP-Nonce": f"n{number}"}, json={"error": "use_dpop_nonce"})

    fake.answer_next(*map(again, range(20)))
    with pytest.raises(errors.AuthenticationError):
        list(client.links.list())
    assert len(fake.requests) < 6


def test_a_token_goes_to_the_authority_alone(client: ECardClient, fake: FakeECard) -> None:
    fake.answer_next(None, httpx2.Response(307, headers={"Location": "https://elsewhere.example/v1/links"}))
    with pytest.raises(errors.ServerError, match="redirect"):
        list(client.links.list())
    assert {request.url.host for request in fake.requests} == {"ecard.test"}


def test_with_mutual_tls_the_certificate_stands_for_key_and_proof(clock: Clock) -> None:
    """RFC 8705 §2, §3: the transport's certificate proves who asks; the token is a bearer's to everybody's eye."""
    asked: list[httpx2.Request] = []

    def authority(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        if request.url.path == "/oauth/token":
            return httpx2.Response(200, json={"access_token": "t", "token_type": "Bearer", "expires_in": 300})
        return httpx2.Response(200, json={"data": [], "next_cursor": None})

    http = httpx2.Client(transport=httpx2.MockTransport(authority))
    app_id = "ek_live_" + "a" * 24
    with ECardClient(app_id, base_url="https://ecard.test", http_client=http, mutual_tls=True, clock=clock) as client:
        assert list(client.links.list()) == []
        with pytest.raises(InvalidInput, match="bad_private_key"):
            client.links.release("a" * 32)
    assert [request.headers.get("authorization") for request in asked] == [None, "Bearer t"]
    assert all("dpop" not in request.headers for request in asked)
    assert asked[0].content == f"grant_type=client_credentials&client_id={app_id}".encode()
