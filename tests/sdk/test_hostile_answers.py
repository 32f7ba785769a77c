"""Garbage, huge, slow, packed: a typed error, soon; and nothing secret in any text."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from contextlib import suppress

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_sdk import errors
from ecard_sdk.channel_models import CardWord, Page, Told
from ecard_sdk.core.call import Reply
from ecard_sdk.core.reading import MAX_ANSWER
from ecard_sdk.events_models import ChannelEvent, EventBatch, Webhook
from ecard_sdk.links_models import Claim, Claimed, Code, Identification, Link, Ticket
from ecard_sdk.sync.client import ECardClient
from ecard_sdk.sync.driver import Driver
from ecard_sdk.testing import FakeECard
from tests.sdk.conftest import ID_NUMBER, NAME, PIN, linked

MODELS: list[type[Told]] = [Identification, Claim, Claimed, Link, Code, Ticket, ChannelEvent, EventBatch, Webhook]
LINK = {
    "link_id": "a" * 32,
    "status": "valid",
    "usable": True,
    "level": 1,
    "region": "330000",
    "holder_proof": "chip",
    "name": "*一",
    "card_number": "****1",
    "codes_ahead": 1,
    "password_set": False,
    "claimed_at": "2026-11-23T18:00:00+08:00",
    "ended_at": None,
    "end": None,
}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"null", b"{}", b'{"link_id": 5}', b"\xff", b'{"a":1,"a":2}'])
def test_an_answer_that_is_none_is_the_services_fault(client: ECardClient, fake: FakeECard, body: bytes) -> None:
    link_id = linked(client)
    fake.answer_next(httpx2.Response(200, content=body))
    with pytest.raises(errors.ServerError, match="service_answer_unreadable"):
        client.links.get(link_id)
    fake.answer_next(*[httpx2.Response(503, content=body)] * 3)
    with pytest.raises(errors.ServerError, match="service_unavailable"):
        client.links.get(link_id)


def test_an_answer_without_end_is_cut(client: ECardClient, fake: FakeECard) -> None:
    link_id = linked(client)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 20
            yield bytes(1 << 20)

    fake.answer_next(*[httpx2.Response(200, stream=_Both(endless())) for _ in range(3)])
    with pytest.raises(errors.ConnectionFailedError, match="larger"):
        client.links.get(link_id)
    assert sent <= 3 * (MAX_ANSWER + (2 << 20))


def test_an_answer_that_drips_is_given_up() -> None:
    seconds = iter(range(0, 10_000, 5))
    answer = httpx2.Response(200, stream=_Both(iter([b" "] * 1000)))
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: answer))
    driver = Driver(http, (1, 1), stopwatch=lambda: float(next(seconds)))
    client = FakeECard().client(max_retries=0)
    client._driver = driver
    with pytest.raises(errors.ConnectionFailedError, match="longer"):
        list(client.links.list())


def test_a_packed_answer_is_not_unpacked(client: ECardClient, fake: FakeECard) -> None:
    link_id = linked(client)
    bomb = httpx2.Response(200, headers={"Content-Encoding": "gzip"}, stream=_Both(iter([gzip.compress(b"{}")])))
    fake.answer_next(bomb)
    assert client.links.get(link_id).usable  # it was asked for again
    assert fake.requests[-1].headers["accept-encoding"] == "identity"


class _Both(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    async def __aiter__(self):  # type: ignore[no-untyped-def]  # a generator
        for chunk in self._chunks:
            yield chunk


def test_what_is_new_breaks_nothing() -> None:
    newer = LINK | {"status": "resting", "mood": {"a": [1]}, "level": 3}
    link = Link.of(Reply(200, {"x-request-id": "r-9"}, json.dumps(newer).encode()))
    assert link.status == "resting"
    assert not link.status.known
    assert link.status is not CardWord.VALID
    assert CardWord("valid").known
    assert link.raw["mood"] == {"a": [1]}
    assert link.last_response is not None
    assert link.last_response.request_id == "r-9"
    assert link.claimed_at.isoformat() == "2026-11-23T10:00:00+00:00"


@pytest.mark.parametrize("member", [name for name, value in LINK.items() if value is not None])
def test_what_is_missing_is_said(member: str) -> None:
    less = {name: value for name, value in LINK.items() if name != member}
    with pytest.raises(errors.ServerError, match="the answer is no Link"):
        Link.of(Reply(200, {}, json.dumps(less).encode()))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["valid", "2026-11-23", "chip"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*LINK, "data", "cards"]), inner),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(_JSON)
def test_whatever_comes_is_a_value_or_a_typed_error(document: object) -> None:
    reply = Reply(200, {}, json.dumps(document).encode())
    for model in MODELS:
        for read in (model.of, lambda reply, model=model: Page.of_items(reply, model)):
            with suppress(errors.ServerError):  # and nothing else
                assert read(reply).last_response is reply


def test_a_list_whose_cursor_comes_again_ends(client: ECardClient, fake: FakeECard) -> None:
    linked(client)
    page = {"data": [LINK], "next_cursor": "again"}
    fake.answer_next(*[httpx2.Response(200, json=page)] * 5)
    assert len(list(client.links.list())) == 2


def test_nothing_secret_is_in_a_repr_a_log_or_an_error(
    client: ECardClient, fake: FakeECard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    person = client.identify(id_number=ID_NUMBER, name=NAME)
    claim = client.claims.begin(person, person.cards[0], "pin", consent="terms-1")
    with pytest.raises(errors.RefusedError) as caught:
        client.claims.evidence(claim, pin="963851")
    claimed = client.claims.evidence(claim, pin=PIN)
    codes, ticket = client.links.codes(claimed.link_id), client.tickets.create(claimed.link_id)
    tokens = {request.headers.get("authorization", "DPoP none-yet").split()[1] for request in fake.requests}
    said = " ".join(map(repr, [client, person, claim, claimed, codes, ticket, caught.value, fake.requests]))
    said += caplog.text + str(caught.value)
    for secret in (ID_NUMBER, NAME, PIN, "963851", "*一", codes[0].code, ticket.ticket, *tokens, "PRIVATE"):
        assert secret not in said
    assert "/v1/links" in caplog.text


def test_personal_members_are_on_the_wire_in_no_form(client: ECardClient, fake: FakeECard) -> None:
    linked(client)
    for request in fake.requests:
        sent = str(request.url).encode() + request.content + repr(request.headers).encode()
        for secret in (ID_NUMBER.encode(), NAME.encode(), NAME.encode("unicode-escape")):
            assert secret not in sent
