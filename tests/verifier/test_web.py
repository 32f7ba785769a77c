"""The counter service over HTTP: every text gets a verdict, every other request a problem with a code, never a 5xx."""

from __future__ import annotations

import html.parser
import json
import logging
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest

from ecard_card.errors import (
    CheckFailed,
    ChipFault,
    Conflict,
    EcardError,
    InvalidInput,
    NotFound,
    RuleViolation,
    Unavailable,
)
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Caller, Role, token_hash
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService, utc_now
from ecard_verifier.trust_source import FixedTrust
from ecard_verifier.web.app import create_app
from ecard_verifier.web.auth import HashedTokens
from ecard_verifier.web.base import new_api
from ecard_verifier.web.docs import render
from ecard_verifier.web.models import Ready, Verification
from tests.verifier.feed_kit import caught_up
from tests.verifier.http_kit import running
from tests.world import World

TOKENS = {
    "c0unter": Caller("counter 7", Role.COUNTER),
    "0perator": Caller("root", Role.OPERATOR),
    "feed": Caller("v", Role.VERIFIER),
}
PATH = "/v1/verifications"
CANARY = "CANARY-4406-personal"


@pytest.fixture(scope="module")
def world() -> World:
    return World(now=datetime.now(UTC).replace(microsecond=0))


@pytest.fixture(scope="module")
def device() -> DeviceKey:
    return DeviceKey.generate()


class Switch:
    ready = True

    def __call__(self) -> Ready:
        return Ready(ready=self.ready, trust=self.ready, statuses=True)


@pytest.fixture(scope="module")
def switch() -> Switch:
    return Switch()


@pytest.fixture(scope="module")
def url(world: World, switch: Switch) -> Iterator[str]:
    service = VerificationService(FixedTrust(world.trust()), caught_up(world), None, ReplayGuard())
    tokens = HashedTokens({token_hash(token): caller for token, caller in TOKENS.items()})
    with running(create_app(service, tokens, readiness=switch)) as base:
        yield base


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url, headers={"Authorization": "Bearer c0unter"}, trust_env=False) as client:
        yield client


def assert_problem(response: httpx2.Response, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    body = response.json()
    assert body.keys() == {"type", "title", "status", "detail", "help", "code", "request_id"}
    assert (body["code"], body["type"], body["status"]) == (code, f"/problems/{code}", status)
    assert body["request_id"] == response.headers["x-request-id"]
    assert CANARY not in response.text
    return dict(body)


def fresh(world: World, device: DeviceKey) -> str:
    return device.offline_code(world.compact(world.credential(device)), utc_now())


def test_a_code_is_verified_once_and_the_second_time_says_where(
    client: httpx2.Client, world: World, device: DeviceKey
) -> None:
    code = fresh(world, device)
    first = client.post(PATH, json={"code": code, "counter": "pharmacy 3"})
    second = client.post(PATH, json={"code": code})
    assert first.status_code == second.status_code == 200
    one, two = first.json(), second.json()
    for answer in (one, two):
        Verification.model_validate(answer)
    assert (one["outcome"], one["reason"], one["first_seen"]) == ("valid", "ok", None)
    assert one["chip_assurance"] == "challenge"
    assert [step["number"] for step in one["checks"]] == list(range(1, 13))
    assert (two["outcome"], two["reason"], two["first_seen"]["where"]) == ("invalid", "replayed", "pharmacy 3")
    assert two["first_seen"]["at"] == one["recorded_at"]
    assert one["verification_id"] != two["verification_id"]
    assert first.headers["cache-control"] == "no-store"
    assert code not in first.text + second.text


def test_the_caller_is_the_counter_when_none_is_named(client: httpx2.Client, world: World, device: DeviceKey) -> None:
    code = fresh(world, device)
    client.post(PATH, json={"code": code})
    assert client.post(PATH, json={"code": code}).json()["first_seen"]["where"] == "counter 7"


def test_a_demand_in_the_request_counts(client: httpx2.Client, world: World, device: DeviceKey) -> None:
    answer = client.post(PATH, json={"code": fresh(world, device), "minimum_assurance": "signature"}).json()
    assert (answer["outcome"], answer["reason"]) == ("invalid", "assurance_too_low")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        CANARY,
        "EC1:",
        "EC0:",
        f"EC1:{CANARY}",
        "~",
        "a.b.c~d~",
        "\x00\x01",
        "💳" * 900,
        "A" * 60_000,
        "[" * 9000,
        "EC1:" + "0" * 4000,
    ],
)
def test_every_text_gets_a_verdict_and_is_not_echoed(client: httpx2.Client, text: str) -> None:
    response = client.post(PATH, json={"code": text})
    assert response.status_code == 200
    assert response.json()["outcome"] == "invalid"
    assert CANARY not in response.text


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "invalid_request"),
        (b"{}", 422, "invalid_request"),
        (b"[]", 422, "invalid_request"),
        (b"null", 422, "invalid_request"),
        (b"{", 400, "bad_json"),
        (b"\xff\xfe{}", 400, "bad_json"),
        (b"{\x80}", 400, "bad_json"),
        (b"[" * 60_000, 400, "bad_json"),
        (b'{"code": 1}', 422, "invalid_request"),
        (b'{"code": null}', 422, "invalid_request"),
        (b'{"code": "\\ud800"}', 422, "invalid_request"),
        (b'{"code": NaN}', 422, "invalid_request"),
        (b'{"code": "x", "counter": "' + b"x" * 201 + b'"}', 422, "invalid_request"),
        (f'{{"code": "x", "{CANARY}": 1}}'.encode(), 422, "invalid_request"),
        (f'{{"code": ["{CANARY}"]}}'.encode(), 422, "invalid_request"),
        (f'{{"code": "x", "minimum_assurance": "{CANARY}"}}'.encode(), 422, "invalid_request"),
        (b'{"code": "' + b"x" * (65 << 10) + b'"}', 413, "body_too_large"),
        (b"x" * (10 << 20), 413, "body_too_large"),
    ],
)
def test_a_body_that_is_no_request_is_a_problem(client: httpx2.Client, content: bytes, status: int, code: str) -> None:
    response = client.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert_problem(response, status, code)


def test_a_body_without_a_length_is_bounded_too(client: httpx2.Client) -> None:
    chunks = (b"x" * 8192 for _ in range(64))
    response = client.post(PATH, content=chunks, headers={"Content-Type": "application/json"})
    assert_problem(response, 413, "body_too_large")


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_another_media_type_is_a_problem(client: httpx2.Client, media: str) -> None:
    response = client.post(PATH, content=b'{"code": "x"}', headers={"Content-Type": media})
    assert_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        ("", 401, "not_authenticated"),
        ("Bearer", 401, "not_authenticated"),
        ("Bearer wrong", 401, "not_authenticated"),
        ("Bearer " + "x" * 4000, 401, "not_authenticated"),
        ("Bearer \xe9\xff", 401, "not_authenticated"),
        ("Basic YTpi", 401, "not_authenticated"),
        ("Bearer feed", 403, "not_allowed"),
        ("bearer c0unter", 200, ""),
        ("Bearer 0perator", 200, ""),
    ],
)
def test_only_known_callers_with_the_role_may_verify(url: str, header: str, status: int, code: str) -> None:
    headers = {b"Authorization": header.encode("latin-1")} if header else {}
    response = httpx2.post(url + PATH, json={"code": CANARY}, headers=headers, trust_env=False)
    if status == 200:
        assert response.json()["outcome"] == "invalid"
    else:
        assert_problem(response, status, code)
    assert ("www-authenticate" in response.headers) == (status == 401)


def test_who_is_not_known_learns_nothing_of_what_a_request_looks_like(url: str) -> None:
    response = httpx2.post(url + PATH, json={"nothing": 1}, trust_env=False)
    assert_problem(response, 401, "not_authenticated")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", PATH, 405, "method_not_allowed"),
        ("DELETE", PATH, 405, "method_not_allowed"),
        ("GET", f"/{CANARY}", 404, "not_found"),
        ("GET", f"{PATH}/{CANARY}?code={CANARY}", 404, "not_found"),
        ("POST", PATH + "/", 404, "not_found"),
        ("GET", "/%00%ff", 404, "not_found"),
    ],
)
def test_unknown_routes_are_problems(client: httpx2.Client, method: str, path: str, status: int, code: str) -> None:
    assert_problem(client.request(method, path), status, code)


def test_a_problem_speaks_the_readers_language(client: httpx2.Client) -> None:
    for accepted, language in (
        ("zh-CN,zh;q=0.9,en;q=0.1", "zh"),
        ("en;q=0.9, zh;q=0.1", "en"),
        ("fr", "en"),
        (";;q=x,", "en"),
    ):
        response = client.get("/nothing", headers={"Accept-Language": accepted})
        assert response.headers["content-language"] == language


def test_a_given_request_id_is_kept_only_if_it_is_a_plain_one(client: httpx2.Client) -> None:
    kept = client.get("/health/live", headers={"X-Request-Id": "trace-0123456789"})
    assert kept.headers["x-request-id"] == "trace-0123456789"
    for odd in ("a", "x" * 65, "with space in it", "<script>alert</script>"):
        assert client.get("/health/live", headers={"X-Request-Id": odd}).headers["x-request-id"] != odd


def test_health_says_what_is_missing(client: httpx2.Client, switch: Switch) -> None:
    assert client.get("/health/live").json() == {"live": True}
    assert client.get("/health/ready").status_code == 200
    switch.ready = False
    try:
        response = client.get("/health/ready")
    finally:
        switch.ready = True
    unknown = dict.fromkeys(("trust_error", "trust_age", "status_age", "snapshot_error", "bundle_error"))
    said = {"ready": False, "trust": False, "statuses": True, **unknown}
    assert (response.status_code, response.json()) == (503, said)


def test_the_api_is_described_with_stable_names(client: httpx2.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    asked_of_wallets = {"create_presentation", "get_presentation", "complete_presentation", "answer_presentation"}
    by_wallets = {"get_presentation_request", "post_presentation_request", "post_presentation_response"}
    assert operations == {"create_verification", "health_live", "health_ready"} | asked_of_wallets | by_wallets
    verify = document["paths"][PATH]["post"]
    assert {"200", "401", "403", "413", "415", "422"} <= set(verify["responses"])
    assert list(verify["responses"]["413"]["content"]) == ["application/problem+json"]
    assert verify["security"]
    assert "HTTPValidationError" not in json.dumps(document)


class Links(html.parser.HTMLParser):
    """Everything that a page would fetch or run, and where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.extend(value or "" for name, value in attrs if name in ("src", "href", "action", "style"))
        if tag in ("script", "link", "img", "iframe"):
            self.found.append(tag)


def test_the_documentation_page_fetches_nothing_and_names_every_operation(client: httpx2.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    parser = Links()
    parser.feed(page.text)
    assert all(link == "openapi.json" or link.startswith("#") for link in parser.found), parser.found
    for name in ("create_verification", "health_live", "health_ready", PATH):
        assert name in page.text


def test_the_documentation_page_is_enough_to_make_a_call(client: httpx2.Client) -> None:
    """Members with type, bounds and meaning, the role, an example, codes; and a link leads to what is open."""
    page = client.get("/docs").text
    for text in (
        "<td><code>code</code><td>string, at most 65536 characters<td>The whole text of the code",
        "at most 200 characters or null <small>optional</small>",
        "a token of role <code>counter</code> or <code>operator</code>",
        "curl -H &quot;Authorization: Bearer $TOKEN&quot; --json @- &quot;$URL/v1/verifications&quot;",
        "<code>bad_json</code>",
        'href="#Verification"',
        '<section id="Verification">',
        "<code>checks[].detail</code>",
    ):
        assert text in page, text
    assert "Successful Response" not in client.get("/openapi.json").text
    assert "<details" not in page


def test_the_documentation_page_shows_what_a_description_holds_as_text() -> None:
    schema = {"type": "object", "properties": {"<b>": {"type": "string", "pattern": "<i>", "description": "`<u>`"}}}
    body = {"content": {"application/json": {"schema": schema}}, "description": "<s>"}
    operation = {"operationId": '"><x', "requestBody": body, "responses": {"200": {"description": "<q>"}}}
    page = render({"info": {"title": "<t>", "version": "1"}, "paths": {"/<p>": {"post": operation}}})
    assert not re.search(r"<(b>&|i|u|s|q|t|p|x)>", page.replace("<p>", ""))
    assert "&lt;b&gt;" in page
    assert "<code>&lt;u&gt;</code>" in page


def test_the_front_page_says_where_to_look(client: httpx2.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-security-policy"] == client.get("/docs").headers["content-security-policy"]
    parser = Links()
    parser.feed(page.text)
    assert parser.found == ["docs", "openapi.json", "health/ready"]
    assert all(client.get(link).status_code == 200 for link in parser.found)


def test_raw_oddities_on_the_wire_do_not_harm_the_next_request(url: str, client: httpx2.Client) -> None:
    port = int(url.rpartition(":")[2])
    for raw in (
        b"\x00\x01\x02\r\n\r\n",
        b"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
            wire.sendall(raw)
            wire.shutdown(socket.SHUT_WR)
            assert b" 500 " not in wire.recv(4096)
    assert client.get("/health/live").status_code == 200


FAULTS: list[tuple[Exception, int, str]] = [
    (InvalidInput("bad_code", "d"), 400, "bad_code"),
    (NotFound("card_unknown", "d"), 404, "card_unknown"),
    (Conflict("chip_taken", "d"), 409, "chip_taken"),
    (RuleViolation("card_change_impossible", "d"), 422, "card_change_impossible"),
    (ChipFault("chip_mute", "d"), 422, "chip_mute"),
    (CheckFailed("bad_signature", "d"), 422, "bad_signature"),
    (Unavailable("key_home_unavailable", "d"), 503, "key_home_unavailable"),
    (EcardError("odd", "d"), 500, "odd"),
    (ValueError(CANARY), 500, "internal_fault"),
    (RecursionError(CANARY), 500, "internal_fault"),
]


@pytest.mark.parametrize(
    ("accept", "words"), [("en", "A key belongs to one request"), ("zh-CN", "一个键只对应一个请求")]
)
def test_each_code_has_a_page_in_both_languages(client: httpx2.Client, accept: str, words: str) -> None:
    for path in ("/problems", "/problems/idempotency_key_reused"):
        page = client.get(path, headers={"Accept-Language": accept})
        assert page.headers["content-type"].startswith("text/html")
        assert "script-src" not in page.headers["content-security-policy"]
        assert (words in page.text) is (path != "/problems")
    facts = client.get("/problems/idempotency_key_reused", headers={"Accept": "application/json"}).json()
    assert facts["code"] == "idempotency_key_reused"
    assert facts["help"].keys() == facts["title"].keys() == {"en", "zh"}


def test_what_is_no_code_has_no_page(client: httpx2.Client) -> None:
    for path in ("/problems/none", "/problems/<script>", "/problems/%00", "/problems/" + "x" * 5000):
        response = client.get(path)
        assert response.status_code == 404
        assert "script" not in response.text


def test_the_type_of_a_problem_leads_to_its_page(client: httpx2.Client) -> None:
    refused = client.get("/v1/verifications")
    assert client.get(refused.json()["type"]).status_code == 200


def test_every_class_of_error_has_its_status_and_a_fault_tells_nobody_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = new_api("faults", "for a test")

    @app.get("/{number}", operation_id="fail")
    def fail(number: int) -> None:
        raise FAULTS[number][0]

    with caplog.at_level(logging.INFO), running(app) as base:
        for number, (_, status, code) in enumerate(FAULTS):
            response = httpx2.get(f"{base}/{number}", trust_env=False)
            assert_problem(response, status, code)
            assert ("retry-after" in response.headers) == (status == 503)
    assert CANARY not in caplog.text
    assert "ValueError" in caplog.text
