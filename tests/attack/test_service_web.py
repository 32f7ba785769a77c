"""Requests made to confuse, crowd or overhear the services: over the real applications, in this process."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import event
from starlette.testclient import TestClient
from starlette.types import Message

from ecard_card.errors import InvalidInput, NotAllowed, Unavailable
from ecard_card.status import CardChange
from ecard_issuer.feed_hub import FeedHub, Follower
from ecard_issuer.web import feed
from ecard_issuer.web.app import FORMS
from ecard_issuer.web.embedded import embed
from ecard_issuer.web.feed import Places, stream
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.base import adopt, new_api
from tests.issuer.service import ORIGIN, Service, open_service
from tests.issuer.web.test_authorisation import NAMED, ROWS
from tests.issuer.web.test_journey import enrol, issue, post

JSON = {"Content-Type": "application/json"}
CANARY = "金丝雀"


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("service"))
    yield opened
    opened.issuer.close()


#: Without a key for requests to wallets these say so.
WALLETS = ("/v1/presentations", "/openid4vp/")
WITHOUT_KEY = {"presentations_off", "no_request_key"}


def client_of(service: Service, token: str | None) -> TestClient:
    """A client of issuer and verifier in one application; nothing runs but the requests."""
    app = embed(service.issuer).app
    app.router.lifespan_context = FastAPI().router.lifespan_context
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return TestClient(app, raise_server_exceptions=False, headers=headers)


@pytest.fixture
def both(service: Service) -> Iterator[TestClient]:
    """An operator's client."""
    with client_of(service, service.token(Role.OPERATOR)) as client:
        yield client


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for what changes nothing."""
    opened = open_service(tmp_path_factory.mktemp("shared"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def refused(shared: Service) -> Iterator[TestClient]:
    """An operator's client for requests that are all refused."""
    with client_of(shared, shared.token(Role.OPERATOR)) as client:
        yield client


def filled(path: str) -> str:
    return path.format(**{**NAMED, "list_id": 1})


#: Routes that take JSON: forms have rules of their own.
POSTS = [
    path
    for path in sorted(path for method, path in ROWS if method == "POST")
    if not any(re.fullmatch(form, filled(path)) for form in FORMS)
]


def problem_code(response: httpx2.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return str(response.json()["code"])


AMBIGUOUS = {
    "a member twice": b'{"code": "a", "code": "b"}',
    "deep inside": b'{"holder": {"name": "a", "name": "b"}}',
    "utf-16": '{"code": "a"}'.encode("utf-16"),
    "byte order mark": '{"code": "a"}'.encode("utf-8-sig"),
    "not a number": b'{"code": NaN}',
    "infinite": b'{"code": 1e999}',
    "half a surrogate": b'{"code": "\\ud800"}',
}


def test_what_two_readers_read_in_two_ways_is_refused_everywhere(refused: TestClient) -> None:
    for path in POSTS:
        for what, body in AMBIGUOUS.items():
            response = refused.post(filled(path), content=body, headers=JSON)
            assert (response.status_code, problem_code(response)) == (422, "invalid_request"), (path, what)


@pytest.mark.parametrize("name", ["a\u0000b", "\u202ereversed", "two\nlines", "\u0085"])
@pytest.mark.parametrize("member", ["counter", "audience"])
def test_a_counter_of_an_odd_name_does_not_make_a_card_invalid(refused: TestClient, member: str, name: str) -> None:
    response = refused.post("/v1/verifications", json={"code": "EC1:", member: name})
    assert (response.status_code, problem_code(response)) == (422, "invalid_request")
    assert name not in response.text


@pytest.mark.parametrize("reason", ["a\u0000b", "\u202ereversed", "two\nlines", "\u0085", "\u2028"])
def test_a_reason_that_cannot_be_seen_is_refused(shared: Service, reason: str) -> None:
    with pytest.raises(InvalidInput, match="bad_card_event"):
        shared.issuer.lifecycle.change("ab" * 16, CardChange.REPORT_LOSS, shared.clock(), reason=reason)


CWT, JWT = "application/statuslist+cwt", "application/statuslist+jwt"


def test_the_form_of_a_status_list_is_the_one_preferred(service: Service, both: TestClient) -> None:
    post(both, "/v1/cards", service.card_body(1), 201)
    path = issue(service, both, 1, DeviceKey.generate())["status"]["uri"].removeprefix(ORIGIN)
    wanted = {
        "": JWT,
        "*/*": JWT,
        "text/html": JWT,
        CWT: CWT,
        CWT.upper(): CWT,
        f"{CWT};q=0": JWT,
        f"{CWT};q=0, */*": JWT,
        f"{JWT};q=0, {CWT}": CWT,
        f"{JWT};q=0.1, {CWT};q=0.9": CWT,
        f"{CWT}, {JWT}": JWT,
        f"{CWT}, */*;q=0.1": CWT,
        f"{CWT}, */*": CWT,
        f"{CWT}x": JWT,
        f"{CWT};q=nan": JWT,
        f"{CWT};q=9": JWT,
        ",,;q=;": JWT,
    }
    tags = set()
    for accept, form in wanted.items():
        response = both.get(path, headers={"Accept": accept})
        assert (response.status_code, response.headers["content-type"]) == (200, form), accept
        assert response.headers["vary"] == "Accept"
        tags.add(response.headers["etag"])
    assert len(tags) == 2  # a cache never takes one form for the other
    assert problem_code(both.get(path, headers={"Accept": "x" * 2000})) == "invalid_request"


def test_no_header_of_a_request_moves_the_origin(refused: TestClient) -> None:
    poison = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "evil",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example;proto=evil",
        "X-Original-URL": "/evil",
        "X-Request-Id": "evil\tline",
    }
    for method, path in [*ROWS, ("GET", "/v1/nothing"), ("GET", "/docs/"), ("DELETE", "/v1/cards")]:
        if path == "/v1/feed":
            continue
        response = refused.request(method, filled(path), headers=poison, json={} if method == "POST" else None)
        off = path.startswith(WALLETS) and response.status_code == 503 and response.json()["code"] in WITHOUT_KEY
        assert response.status_code < 500 or path == "/health/ready" or off
        assert "evil" not in response.text + str(response.headers.items())
        assert not 300 <= response.status_code < 400


@pytest.mark.parametrize("where", ["query", "cookie", "header"])
def test_a_token_counts_in_one_place_only(shared: Service, where: str) -> None:
    token = shared.token(Role.OPERATOR)
    with client_of(shared, None) as client:
        response = client.get(
            "/v1/keys",
            params={"access_token": token, "token": token} if where == "query" else {},
            headers={"cookie": {"Cookie": f"token={token}"}, "header": {"X-Api-Key": token}}.get(where, {}),
        )
    assert (response.status_code, problem_code(response)) == (401, "not_authenticated")
    assert token not in response.text + str(response.headers)


# Many at once


def at_once(count: int, action: Callable[[int], httpx2.Response]) -> Counter[tuple[int, str]]:
    """What `count` simultaneous requests were answered."""
    barrier = Barrier(count)

    def run(number: int) -> tuple[int, str]:
        barrier.wait(10)
        response = action(number)
        return response.status_code, str(response.json().get("code", "ok"))

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(run, range(count)))


def test_twenty_copies_of_a_request_do_one_thing(service: Service, both: TestClient) -> None:
    card = service.card_body(1)
    assert at_once(20, lambda _: both.post("/v1/cards", json=card)) == {(201, "ok"): 1, (409, "card_exists"): 19}
    enrolment_id = enrol(service, both, 1)["enrolment_id"]
    path, bodies = (
        f"/v1/enrolments/{enrolment_id}/credentials",
        [service.credential_body(DeviceKey.generate(), enrolment_id) for _ in range(20)],
    )
    issued = at_once(20, lambda number: both.post(path, json=bodies[number]))
    assert issued.pop((201, "ok")) == 1
    assert {status for status, _ in issued} == {409}

    found = post(both, "/v1/cards/find", {"card_number": card["card_number"]})["cards"]
    assert [len(item["credentials"]) for item in found] == [1]
    path = f"/v1/cards/{found[0]['card_ref']}/changes"
    loss = {"change": "report_loss", "sequence": 1}
    assert at_once(20, lambda _: both.post(path, json=loss)) == {(200, "ok"): 20}
    either = ("release", "cancel")
    second = at_once(20, lambda number: both.post(path, json={"change": either[number % 2], "sequence": 2}))
    assert second == {(200, "ok"): 10, (409, "card_event_differs"): 10}

    assert at_once(12, lambda _: both.post("/v1/keys", json={"purpose": "status"})).pop((201, "ok")) == 1
    keys = post(both, "/v1/keys", {"purpose": "credential"}, 201)
    promoted = at_once(12, lambda _: both.post(f"/v1/keys/{keys['kid']}/promote", json={"despite_lead": True}))
    assert promoted.pop((200, "ok")) == 1
    assert set(promoted) == {(422, "key_change_impossible")}


def test_a_card_is_replaced_by_one_card_whatever_is_reported_meanwhile(service: Service, both: TestClient) -> None:
    holder = service.card_body(1)["holder"]
    old, *new = (
        post(both, "/v1/cards", service.card_body(serial) | {"holder": holder}, 201)["card_ref"] for serial in (1, 2, 3)
    )
    issue(service, both, 1, DeviceKey.generate())
    path = f"/v1/cards/{old}"
    assert problem_code(both.post(f"{path}/replacement", json={"new_card_ref": old})) == "replacement_needs_new_card"

    def report(number: int) -> httpx2.Response:
        if number % 3 == 2:
            return both.post(f"{path}/changes", json={"change": "report_loss"})
        return both.post(f"{path}/replacement", json={"new_card_ref": new[number % 3]})

    answers = at_once(21, report)
    assert {status for status, _ in answers} <= {200, 409, 422}
    cards = [both.get(f"/v1/cards/{reference}").json() for reference in (old, *new)]
    assert (cards[0]["status"], cards[0]["ecard_id"]) == (9, None)
    assert [card["ecard_id"] is None for card in cards[1:]].count(False) == 1
    assert problem_code(both.post(f"{path}/replacement", json={"new_card_ref": new[0]})) in (
        "card_change_impossible",
        "card_event_differs",
    )


# The feed


def test_a_stream_ends_when_its_token_is_revoked() -> None:
    hub = FeedHub(0)
    answers = iter([None, None, NotAllowed("not_allowed", "")])

    def allowed() -> None:
        if (refusal := next(answers)) is not None:
            raise refusal

    async def follow() -> list[bytes]:
        follower = Follower(None, hub, 0)  # type: ignore[arg-type]  # what it needs is in the hub
        return [line async for line in stream(follower, hub, allowed, silence=0.01, recheck=0)]

    assert len(asyncio.run(follow())) == 2


def test_a_caller_taken_out_hears_no_more_of_the_feed(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    callers = {"token": Caller("follower", Role.VERIFIER)}
    monkeypatch.setattr(feed, "stream", partial(feed.stream, silence=0.01, recheck=0))
    app = new_api("feed", "")
    adopt(app, feed.feed_router(service.issuer, callers.get))
    headers = [(b"authorization", b"Bearer token")]
    scope = {"type": "http", "method": "GET", "path": "/v1/feed", "query_string": b"", "headers": headers}
    heard: list[Message] = []

    async def silent() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        heard.append(message)
        callers.clear()

    asyncio.run(asyncio.wait_for(app(scope, silent, send), 5))
    assert (heard[0]["status"], heard[-1]["more_body"]) == (200, False)


def test_followers_leave_room_for_others() -> None:
    places = Places(most=5, most_of_one=3)

    async def endless() -> Any:
        while True:
            yield b"x"

    async def crowd() -> None:
        streams = [places.held(name, endless()) for name in ("a", "a", "a", "b", "c")]
        for place, lines in enumerate(streams):
            places.ask("c" if place == 4 else "b")
            await anext(lines)
        for name in ("a", "d"):
            with pytest.raises(Unavailable, match="feed_unavailable"):
                places.ask(name)
        await streams[4].aclose()  # type: ignore[attr-defined]
        places.ask("d")
        with pytest.raises(Unavailable):
            places.ask("a")

    asyncio.run(crowd())


# When there is no room left


def test_a_full_disk_is_our_fault_and_loses_nothing(service: Service, both: TestClient) -> None:
    engine, room = service.issuer.engine, [0]

    @event.listens_for(engine, "connect")
    def _limit(connection: Any, record: object) -> None:
        if room[0]:
            connection.execute(f"PRAGMA max_page_count = {room[0]}")

    with engine.connect() as connection:
        pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
    engine.dispose()
    room[0] = pages + 3
    kept, refused = [], 0
    for serial in range(1, 400):
        response = both.post("/v1/cards", json=service.card_body(serial))
        if response.status_code == 201:
            kept.append(response.json()["card_ref"])
            continue
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert problem_code(response) in ("register_unavailable", "outcome_unknown")
        refused += 1
        if refused == 3:
            break
    assert refused == 3
    assert both.get("/v1/keys").status_code == 200
    engine.dispose()
    room[0] = pages + 5000
    assert all(both.get(f"/v1/cards/{reference}").status_code == 200 for reference in kept)
    post(both, "/v1/cards", service.card_body(401), 201)


# Nobody overhears anything


def test_no_answer_and_no_log_line_tells_what_was_sent(
    service: Service, both: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    card = service.card_body(1)
    card["holder"]["name"] = CANARY
    secrets = [CANARY, card["holder"]["id_number"], card["card_number"], card["identification_code"]]
    secrets += [json.dumps(CANARY)[1:-1], repr(CANARY.encode())[2:-1]]
    said: list[str] = []

    def tell(response: httpx2.Response) -> httpx2.Response:
        said.append(response.text + str(response.headers) + str(response.url))
        return response

    reference = tell(both.post("/v1/cards", json=card)).json()["card_ref"]
    for member in ("identification_code", "card_number"):
        tell(both.post("/v1/cards/find", json={member: card[member]}))
    tell(both.post("/v1/cards", json=card))
    members = [*card.items(), ("code", "name"), (CANARY, 1), *((text, text) for text in secrets)]
    for turn, path in enumerate(POSTS):  # each member in a third of the shapes at each route, in all of them at three
        for place, (name, value) in enumerate(members):
            shapes = ({name: value}, card | {name: value}, {"holder" if turn % 2 else "code": {name: value}})
            tell(both.post(filled(path), json=shapes[(turn + place) % 3]))
    for method, path in ROWS:
        if path not in ("/v1/feed", "/"):
            tell(both.request(method, filled(path), headers={"X-Request-Id": "sixteen-letters1"}))
    tell(both.get(f"/v1/cards/{reference}"))
    texts = [*said, *(record.getMessage() for record in caplog.records if record.name.startswith("ecard"))]
    for secret in secrets:
        assert not [text[:300] for text in texts if secret in text]
